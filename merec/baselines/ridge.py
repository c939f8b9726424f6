"""Kernel ridge classification that sees a face and its mirror image as one, and chooses its kernel inside.

Every candidate is scored on each training subject by a fit to the others, which for ridge regression has a
closed form: no candidate is fitted twice.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics.pairwise import euclidean_distances

from merec.metrics import confusion, uf1


class Candidate(NamedTuple):
    """Candidate of the inner selection: features, the kernel's width and the ridge penalty."""

    family: str
    width: float
    ridge: float


class MirrorRidge(ClassifierMixin, BaseEstimator):
    """Class-balanced kernel ridge regression onto classes, blind to left and right.

    The kernel of two samples is the mean of a Gaussian of their distance and of one of the distance to the
    other's mirror image, so that a sample and its mirror image are classified alike. Samples weigh as the
    inverse of their class' frequency. Family, width and ridge are those of highest pooled UF1 when each
    training subject is predicted from the others (among equals the first), with the class weights of all.

    Args:
        families: Blocks of features by name, to choose from.
        blocks: Into how many equal blocks the features of a sample fall.
        widths: Squared widths of the kernel, in units of the median squared distance of training samples.
        ridges: Values added to the kernel's diagonal, over a sample's weight.

    Attributes:
        classes_: The classes seen in training.
        best_params_: Parameters that were chosen.
        best_score_: Its pooled inner UF1: optimistic, it was chosen for being high.
        tried_: Number of candidates.
    """

    pairs_mirror_images = (
        True  # a row holds the features of a sample, then those of its mirror image
    )

    def __init__(
        self,
        families: Mapping[str, Sequence[int]],
        blocks: int,
        widths: Sequence[float],
        ridges: Sequence[float],
    ) -> None:
        self.families = families
        self.blocks = blocks
        self.widths = widths
        self.ridges = ridges

    def fit(
        self,
        X: Float[np.ndarray, "rows features"],  # noqa: N803 - scikit-learn's name
        y: Int[np.ndarray, " rows"],
        groups: Shaped[np.ndarray, " rows"],
    ) -> "MirrorRidge":
        """Choose and fit; `groups` are the subjects."""
        self.classes_, label = np.unique(y, return_inverse=True)
        number = len(self.classes_)
        root, target = balance_classes(label)
        subjects = [np.flatnonzero(groups == name) for name in np.unique(groups)]
        self.tried_ = len(self.families) * len(self.widths) * len(self.ridges)
        best = -1.0
        for family in self.families:
            seen, mirrored = self._split(X, family)
            scale = float(np.median(euclidean_distances(seen, squared=True)))
            for width in self.widths:
                kernel = _compare(seen, seen, mirrored, width * scale)
                values, vectors = np.linalg.eigh(kernel * root[:, None] * root)
                turned = root[:, None] * vectors
                for ridge in self.ridges:
                    inverse = turned / (values + ridge) @ turned.T
                    weights = inverse @ target
                    residual = target - leave_out(inverse, weights, subjects)
                    score = float(uf1(confusion(label, residual.argmax(axis=1), number)))
                    if score > best:
                        best, self.weights_, self.scale_ = score, weights, width * scale
                        chosen, self.seen_ = Candidate(family, width, ridge), seen
        self.best_params_, self.best_score_ = chosen._asdict(), best
        return self

    def _split(self, X: np.ndarray, family: str) -> tuple[np.ndarray, np.ndarray]:  # noqa: N803
        """Return the features of a family, of each sample and of its mirror image."""
        blocks = X.reshape(len(X), 2, self.blocks, -1)[:, :, list(self.families[family])]
        seen, mirrored = blocks.reshape(len(X), 2, -1).swapaxes(0, 1)
        return seen, mirrored

    def decision_function(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the regression's decision value of each class; 0 where it knows nothing."""
        seen, mirrored = self._split(X, self.best_params_["family"])
        return _compare(seen, self.seen_, mirrored, self.scale_) @ self.weights_

    def predict(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the class with the highest decision value."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]


def _compare(
    one: np.ndarray, other: np.ndarray, mirrored: np.ndarray, scale: float
) -> Float[np.ndarray, "ones others"]:
    """Compute the kernel of `one`, as it is and mirrored, with `other`."""
    kernels = [
        np.exp(-euclidean_distances(orientation, other, squared=True) / (2 * scale))
        for orientation in (one, mirrored)
    ]
    return (kernels[0] + kernels[1]) / 2


def balance_classes(
    label: Int[np.ndarray, " rows"],
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, "rows classes"]]:
    """Roots of the samples' weights, the inverse of their class' frequency, and targets that sum to 0."""
    number = int(label.max()) + 1
    root = np.sqrt(len(label) / (number * np.bincount(label)[label]))
    return root, np.eye(number)[label] - 1 / number


def leave_out(
    inverse: Float[np.ndarray, "rows rows"],
    weights: Float[np.ndarray, "rows classes"],
    groups: Sequence[Int[np.ndarray, "..."]],
) -> Float[np.ndarray, "rows classes"]:
    """By how much a fit without each group misses that group's targets.

    For an estimate K(K + D)⁻¹ y with diagonal D this is exact: with A = (K + D)⁻¹ the rows S are missed by
    A_SS⁻¹ (A y)_S (block-wise leave-one-out of ridge regression, Cook and Weisberg 1982).

    Args:
        inverse: A.
        weights: A y.
        groups: Rows of each group.
    """
    missed = np.empty_like(weights)
    for rows in groups:
        missed[rows] = np.linalg.solve(inverse[np.ix_(rows, rows)], weights[rows])
    return missed
