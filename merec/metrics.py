"""Scores of pooled confusion matrices, by the rules of MEGC2019.

True and false positives of each class are summed over *all* folds before ratios are computed. A mean of fold
scores would be wrong, since most subjects lack a class. Every function accepts any number of leading axes, so
that all bootstrap draws are scored at once.

A class that is neither present nor predicted counts as 0 and is not dropped.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

Classes = Sequence[int] | Int[np.ndarray, " samples"]
Confusion = Int[np.ndarray, "*draws classes classes"] | Float[np.ndarray, "*draws classes classes"]


def confusion(
    label: Classes, predicted: Classes, num_classes: int
) -> Int[np.ndarray, "classes classes"]:
    """Count samples by true class (rows) and predicted class (columns).

    Raises:
        ValueError: If a class is not in 0 to `num_classes` - 1; scikit-learn drops such a sample.
    """
    _assert_classes(label, num_classes)
    _assert_classes(predicted, num_classes)
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (np.asarray(label, dtype=np.int64), np.asarray(predicted, dtype=np.int64)), 1)
    return counts


def _assert_classes(named: Classes, num_classes: int) -> None:
    outside = sorted(set(np.asarray(named).tolist()) - set(range(num_classes)))
    if outside:
        raise ValueError(
            f"class {outside[0]} among labels or predictions; expected 0 to {num_classes - 1}"
        )


def _ratio(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    """Return `part / whole`, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=np.asarray(whole) > 0)


def f1_per_class(counts: Confusion) -> Float[np.ndarray, "*draws classes"]:
    """Compute the F1 of each class: 2 TP / (2 TP + FP + FN)."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return _ratio(2.0 * hits, counts.sum(-1) + counts.sum(-2))


def recall_per_class(counts: Confusion) -> Float[np.ndarray, "*draws classes"]:
    """Compute the recall of each class: TP / number of its samples."""
    return _ratio(1.0 * np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1))


def uf1(counts: Confusion) -> Float[np.ndarray, "*draws"]:
    """Compute the unweighted F1: the mean F1 of the classes."""
    return np.asarray(f1_per_class(counts).mean(-1))


def uf1_without_each(counts: Confusion) -> Float[np.ndarray, "*draws classes"]:
    """Compute for each class the UF1 of the other classes without its samples."""
    classes = counts.shape[-1]
    kept = np.repeat(counts[..., None, :, :], classes, axis=-3)
    here = np.arange(classes)
    kept[..., here, here, :] = 0
    # What is left out has no samples that could be found: its own F1 is 0 and adds nothing.
    return f1_per_class(kept).sum(-1) / (classes - 1)


def uar(counts: Confusion) -> Float[np.ndarray, "*draws"]:
    """Compute the unweighted average recall: the mean recall of the classes."""
    return np.asarray(recall_per_class(counts).mean(-1))


def accuracy(counts: Confusion) -> Float[np.ndarray, "*draws"]:
    """Compute the share of correctly predicted samples."""
    return _ratio(1.0 * np.trace(counts, axis1=-2, axis2=-1), counts.sum((-2, -1)))


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uf1": uf1,
    "uar": uar,
    "accuracy": accuracy,
}


def confusion_by_subject(
    predictions: pd.DataFrame, num_classes: int
) -> tuple[list[str], Int[np.ndarray, "seeds subjects classes classes"]]:
    """Compute one confusion matrix per seed and subject; their sum over subjects is the pooled matrix.

    Returns:
        The sorted subjects, and the matrices in the order of the sorted seeds and subjects.
    """
    for column in ("label", "predicted"):  # as an index, -1 would count as the last class
        _assert_classes(predictions[column].to_numpy(), num_classes)
    subjects, subject = np.unique(predictions["subject"].to_numpy(str), return_inverse=True)
    seeds, seed = np.unique(predictions["seed"].to_numpy(), return_inverse=True)
    counts = np.zeros((len(seeds), len(subjects), num_classes, num_classes), dtype=np.int64)
    cell = (seed, subject, predictions["label"].to_numpy(), predictions["predicted"].to_numpy())
    np.add.at(counts, cell, 1)
    return subjects.tolist(), counts
