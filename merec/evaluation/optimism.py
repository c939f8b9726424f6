"""The optimism meter: what choosing the best epoch on the held-out subject would have claimed.

Nothing here is ever used to choose anything. It is printed beside the honest number, because most
published numbers of this field were made that way, and beside what random guessing reaches by it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from merec.evaluation.action_units import confusion_of_marks, mean_f1
from merec.evaluation.metrics import confusion, uar, uf1

ByEpoch = Int[np.ndarray, "samples epochs *units"]
Reading = tuple[float, ...]
CONTROL_REPEATS = 20


@dataclass(frozen=True)
class Optimism:
    """Four ways to read one training run, in UF1 and UAR of all folds pooled.

    Of action units it is their mean F1 alone.

    Attributes:
        honest: Last epoch of every fold, which is what merec reports: (UF1, UAR).
        best_epoch: Best epoch of each fold, chosen on whom it holds out, as released code does.
        best_common_epoch: One epoch for all folds, chosen on the pooled held-out samples.
        random_guess: Guesses drawn in the frequencies of the true labels, given the same choice of
            epochs: mean of repeats, nothing is learnt.
        epochs: How many epochs there were to choose from, at most.
    """

    honest: Reading
    best_epoch: Reading
    best_common_epoch: Reading
    random_guess: Reading
    epochs: int


def choose_best_epoch_per_fold(
    predicted: ByEpoch, label: Shaped[np.ndarray, "samples *units"], fold: np.ndarray
) -> Int[np.ndarray, "samples *units"]:
    """What is predicted if each fold picks the epoch that is right most often on whom it holds out.

    Of action units it picks that of the highest F1, of all samples and action units together: most are
    absent, so that who says nothing is right most often. The earliest such epoch is taken. This is the leak,
    measured; it is no way to choose an epoch.
    """
    chosen = np.empty(label.shape, dtype=predicted.dtype)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        said, truth = predicted[rows], label[rows, None]
        right = (said == truth).sum(0) if label.ndim == 1 else _score_together(said, truth)
        chosen[rows] = said[:, right.argmax()]
    return chosen


def _score_together(
    said: Int[np.ndarray, "samples epochs units"], truth: Shaped[np.ndarray, "samples 1 units"]
) -> Float[np.ndarray, " epochs"]:
    """F1 of all samples and action units together, epoch by epoch; 1 where nothing is there nor said."""
    hits = (said.astype(bool) & truth.astype(bool)).sum((0, 2))
    named = said.sum((0, 2)) + truth.sum()
    return np.divide(2 * hits, named, out=np.ones(len(hits)), where=named > 0)


def measure_optimism(
    predicted: Sequence[np.ndarray] | np.ndarray,
    label: Int[np.ndarray, " samples"],
    fold: np.ndarray,
    num_classes: int,
) -> Optimism:
    """Compare the last epoch with what best-epoch-on-test would have claimed.

    Args:
        predicted: Class of each held-out sample after each epoch, folds pooled. Folds may have trained
            for unlike numbers of epochs; one that has ended stands by its last.
        label: True class of each sample.
        fold: Fold of each sample.
        num_classes: Number of classes.
    """

    def score(said: np.ndarray) -> Reading:
        counts = confusion(label, said, num_classes)
        return float(uf1(counts)), float(uar(counts))

    return _read_four_ways(predicted, label, fold, score)


def measure_optimism_of_units(
    predicted: Sequence[np.ndarray], marks: Bool[np.ndarray, "samples units"], fold: np.ndarray
) -> Optimism:
    """What `measure_optimism` says, of which action units there are.

    Args:
        predicted: Whether each action unit is said to be there, of each held-out sample after each epoch
            (epochs × units).
        marks: Whether it is.
        fold: Fold of each sample.
    """

    def score(said: np.ndarray) -> Reading:
        return (float(mean_f1(confusion_of_marks(marks, said.astype(bool)))),)

    return _read_four_ways(predicted, marks, fold, score)


def _read_four_ways(
    predicted: Sequence[np.ndarray] | np.ndarray,
    label: Shaped[np.ndarray, "samples *units"],
    fold: np.ndarray,
    score: Callable[[np.ndarray], Reading],
) -> Optimism:
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
