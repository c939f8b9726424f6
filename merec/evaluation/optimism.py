"""The optimism meter: what choosing the best epoch on the held-out subject would have claimed.

Nothing here is ever used to choose anything. It is printed beside the honest number, because most
published numbers of this field were made that way, and beside what random guessing reaches by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int, Shaped

from merec.targets import Target

ByEpoch = Int[np.ndarray, "samples epochs *units"]
Reading = tuple[float, ...]
CONTROL_REPEATS = 20


@dataclass(frozen=True)
class Optimism:
    """Four ways to read one training run, in `Target.metrics_of_decisions` of all folds pooled.

    Attributes:
        honest: Last epoch of every fold, which is what merec reports: (UF1, UAR), say.
        best_epoch: Best epoch of each fold, chosen on whom it holds out, as released code does.
        best_common_epoch: One epoch for all folds, chosen on the pooled held-out samples.
        random_guess: Guesses drawn in the frequencies of the true labels, given the same choice of
            epochs: mean of repeats, nothing is learnt.
        epochs: Largest number of epochs to choose from.
    """

    honest: Reading
    best_epoch: Reading
    best_common_epoch: Reading
    random_guess: Reading
    epochs: int


def choose_best_epoch_per_fold(
    predicted: ByEpoch, label: Shaped[np.ndarray, "samples *units"], fold: np.ndarray
) -> Int[np.ndarray, "samples *units"]:
    """Return the predictions if each fold picks the epoch that is right most often on its held-out subject.

    Of action units it picks that of the highest F1, of all samples and action units together: most are
    absent, so that who says nothing is right most often. The earliest such epoch is taken. This is the leak,
    measured; it is no way to choose an epoch.
    """
    chosen = np.empty(label.shape, dtype=predicted.dtype)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        fold_predicted, truth = predicted[rows], label[rows, None]
        right = (
            (fold_predicted == truth).sum(0)
            if label.ndim == 1
            else _score_together(fold_predicted, truth)
        )
        chosen[rows] = fold_predicted[:, right.argmax()]
    return chosen


def _score_together(
    predicted: Int[np.ndarray, "samples epochs units"], truth: Shaped[np.ndarray, "samples 1 units"]
) -> Float[np.ndarray, " epochs"]:
    """F1 of all samples and action units together, epoch by epoch; 1 where nothing is there nor said."""
    hits = (predicted.astype(bool) & truth.astype(bool)).sum((0, 2))
    named = predicted.sum((0, 2)) + truth.sum()
    return np.divide(2 * hits, named, out=np.ones(len(hits)), where=named > 0)


def measure_optimism(
    predicted: Sequence[np.ndarray] | np.ndarray,
    label: Shaped[np.ndarray, "samples *units"],
    fold: np.ndarray,
    target: Target,
) -> Optimism:
    """Compare the last epoch with what best-epoch-on-test would have claimed.

    Args:
        predicted: Class of each held-out sample after each epoch, or whether each action unit is predicted
            (epochs × units), folds pooled. Folds may have trained for unlike numbers of epochs; one that has
            ended stands by its last.
        label: True class of each sample, or whether it shows each action unit.
        fold: Fold of each sample.
        target: Target, which scores predictions.
    """
    score = partial(target.score_decisions, label)
    epochs = max(map(len, predicted))
    lasting = np.minimum(np.arange(epochs), np.array([[len(row)] for row in predicted]) - 1)
    by_epoch = np.stack([row[last] for row, last in zip(predicted, lasting, strict=True)])
    rng = np.random.default_rng(0)
    # A shuffled table of the true labels in their frequencies: all that a guesser knows.
    deck = np.resize(label, (len(label) * epochs, *label.shape[1:])).astype(np.int8)
    samples = np.arange(len(label))[:, None]
    guesses = []
    for _ in range(CONTROL_REPEATS):
        guess = rng.permutation(deck).reshape(by_epoch.shape)[samples, lasting]
        guesses.append(score(choose_best_epoch_per_fold(guess, label, fold)))
    return Optimism(
        honest=score(by_epoch[:, -1]),
        best_epoch=score(choose_best_epoch_per_fold(by_epoch, label, fold)),
        best_common_epoch=max(map(score, by_epoch.swapaxes(0, 1)), key=lambda reading: reading[0]),
        random_guess=tuple(np.mean(guesses, axis=0).tolist()),
        epochs=epochs,
    )
