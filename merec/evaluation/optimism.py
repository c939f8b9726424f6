"""Optimism meter: the score with the best epoch of each held-out subject.

These scores are never used to choose anything. They are printed beside the honest score, because most
published scores of this field were computed in this way, and beside the score of random guessing with the
same choice.
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
    """Four evaluations of one training run, each with `Target.metrics_of_decisions` of all pooled folds.

    Attributes:
        honest: Last epoch of every fold, which merec reports, e.g. (UF1, UAR).
        best_epoch: Best epoch of each fold, chosen on its held-out samples, as in released code.
        best_common_epoch: One epoch for all folds, chosen on the pooled held-out samples.
        random_guess: Guesses drawn with the frequencies of the true labels, with the same choice of epochs;
            mean of repeats.
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
    """Return the predictions of the epoch with the highest held-out accuracy in each fold.

    For action units the epoch with the highest F1 over all samples and units is chosen: most units are
    absent, so the accuracy of predicting none is high. If epochs are equal, the earliest is taken. This
    measures the leak; it must not be used to choose an epoch.
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
    """Return the F1 over all samples and action units for each epoch; 1 if none is present or predicted."""
    hits = (predicted.astype(bool) & truth.astype(bool)).sum((0, 2))
    named = predicted.sum((0, 2)) + truth.sum()
    return np.divide(2 * hits, named, out=np.ones(len(hits)), where=named > 0)


def measure_optimism(
    predicted: Sequence[np.ndarray] | np.ndarray,
    label: Shaped[np.ndarray, "samples *units"],
    fold: np.ndarray,
    target: Target,
) -> Optimism:
    """Compare the score of the last epoch with the scores of other choices of the epoch.

    Args:
        predicted: Predicted class of each held-out sample after each epoch, or marks of predicted action
            units (epochs × units), for all folds. Folds may differ in their number of epochs; after its end a
            fold keeps its last prediction.
        label: True class of each sample, or marks of its action units.
        fold: Fold of each sample.
        target: Target, which computes the scores.
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
