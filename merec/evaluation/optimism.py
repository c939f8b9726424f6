"""The optimism meter: what choosing the best epoch on the held-out subject would have claimed.

Nothing here is ever used to choose anything. It is printed beside the honest number, because most
published numbers of this field were made that way, and beside what random guessing reaches by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from merec.evaluation.metrics import confusion, uar, uf1

ByEpoch = Int[np.ndarray, "samples epochs"]
CONTROL_REPEATS = 20


@dataclass(frozen=True)
class Optimism:
    """Four ways to read one training run, in UF1 and UAR of all folds pooled.

    Attributes:
        honest: Last epoch of every fold, which is what merec reports: (UF1, UAR).
        best_epoch: Best epoch of each fold, chosen on whom it holds out, as released code does.
        best_common_epoch: One epoch for all folds, chosen on the pooled held-out samples.
        random_guess: Guesses drawn in the frequencies of the true labels, given the same choice of
            epochs: mean of repeats, nothing is learnt.
        epochs: How many epochs there were to choose from, at most.
    """

    honest: tuple[float, float]
    best_epoch: tuple[float, float]
    best_common_epoch: tuple[float, float]
    random_guess: tuple[float, float]
    epochs: int


def choose_best_epoch_per_fold(
    predicted: ByEpoch, label: Int[np.ndarray, " samples"], fold: np.ndarray
) -> Int[np.ndarray, " samples"]:
    """What is predicted if each fold picks the epoch that is right most often on whom it holds out.

    The earliest such epoch is taken. This is the leak, measured; it is no way to choose an epoch.
    """
    chosen = np.empty(len(label), dtype=predicted.dtype)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        hits = (predicted[rows] == label[rows, None]).sum(0)
        chosen[rows] = predicted[rows, hits.argmax()]
    return chosen


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

    def score(said: np.ndarray) -> tuple[float, float]:
        counts = confusion(label, said, num_classes)
        return float(uf1(counts)), float(uar(counts))

    epochs = max(map(len, predicted))
    lasting = np.minimum(np.arange(epochs), np.array([[len(row)] for row in predicted]) - 1)
    by_epoch = np.stack([row[last] for row, last in zip(predicted, lasting, strict=True)])
    rng = np.random.default_rng(0)
    # A shuffled table of the true labels in their frequencies: all that a guesser knows.
    deck = np.resize(label, by_epoch.size).astype(np.int8)
    guesses = []
    for _ in range(CONTROL_REPEATS):
        guess = np.take_along_axis(rng.permutation(deck).reshape(by_epoch.shape), lasting, axis=1)
        guesses.append(score(choose_best_epoch_per_fold(guess, label, fold)))
    uf1_guess, uar_guess = np.mean(guesses, axis=0)
    return Optimism(
        honest=score(by_epoch[:, -1]),
        best_epoch=score(choose_best_epoch_per_fold(by_epoch, label, fold)),
        best_common_epoch=_score_best_column(by_epoch, label, num_classes),
        random_guess=(float(uf1_guess), float(uar_guess)),
        epochs=epochs,
    )


def _score_best_column(
    predicted: ByEpoch, label: np.ndarray, num_classes: int
) -> tuple[float, float]:
    """UF1 and UAR of the epoch of highest pooled UF1, all epochs scored at once."""
    counts = np.zeros((predicted.shape[1], num_classes, num_classes), dtype=np.int64)
    epoch = np.arange(predicted.shape[1])
    np.add.at(counts, (epoch[None, :], label[:, None], predicted), 1)
    best = uf1(counts).argmax()
    return float(uf1(counts)[best]), float(uar(counts)[best])
