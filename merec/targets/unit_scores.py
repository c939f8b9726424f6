"""Scores of action units: confusion matrices of absent and present, and the mean F1."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from merec.metrics import f1_per_class
from merec.targets.unit_labels import mark_units

ByUnit = Int[np.ndarray, "seeds subjects units 2 2"]


def confusion_by_unit(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[list[str], ByUnit]:
    """Return a confusion matrix of absent and present for each seed, subject and action unit.

    Returns:
        The sorted subjects, and the matrices (rows true, columns predicted) in the order of the sorted seeds
        and subjects; their sum over subjects is the pooled matrix.
    """
    truth, predicted = (mark_units(predictions[name], classes) for name in ("label", "predicted"))
    subjects, subject = np.unique(predictions["subject"].to_numpy(str), return_inverse=True)
    seeds, seed = np.unique(predictions["seed"].to_numpy(), return_inverse=True)
    counts = np.zeros((len(seeds), len(subjects), len(classes), 2, 2), dtype=np.int64)
    unit = np.arange(len(classes))
    cell = (seed[:, None], subject[:, None], unit, truth.astype(int), predicted.astype(int))
    np.add.at(counts, cell, 1)
    return subjects.tolist(), counts


def confusion_of_marks(
    truth: Bool[np.ndarray, "samples units"], predicted: Bool[np.ndarray, "samples units"]
) -> Int[np.ndarray, "units 2 2"]:
    """Return a confusion matrix of absent and present for each action unit."""
    counts = np.zeros((truth.shape[1], 2, 2), dtype=np.int64)
    np.add.at(counts, (np.arange(truth.shape[1]), truth.astype(int), predicted.astype(int)), 1)
    return counts


def f1_per_unit(counts: Int[np.ndarray, "*draws units 2 2"]) -> Float[np.ndarray, "*draws units"]:
    """Return the F1 of each action unit being present; 0 for a unit that is never present or predicted."""
    return f1_per_class(counts)[..., 1]


def mean_f1(counts: Int[np.ndarray, "*draws units 2 2"]) -> Float[np.ndarray, "*draws"]:
    """Return the unweighted mean F1 of the action units."""
    return np.asarray(f1_per_unit(counts).mean(-1))
