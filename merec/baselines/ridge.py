"""Kernel ridge classification that is invariant to mirroring, with inner selection of its kernel.

Every candidate is scored by leaving out each training subject once. For ridge regression this has a closed
form, so each candidate is fitted once.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics.pairwise import euclidean_distances

from merec.metrics import confusion, uf1


class Candidate(NamedTuple):
    """Candidate of the inner selection: features, width of the kernel and ridge penalty."""

    family: str
    width: float
    ridge: float


class MirrorRidge(ClassifierMixin, BaseEstimator):
    """Class-balanced kernel ridge classifier that is invariant to mirroring.

    The kernel of two samples is the mean of two Gaussians: of their distance, and of the distance after
    mirroring one sample. So a sample and its mirror image get the same class. Samples are weighted by the
    inverse frequency of their class. Family, width and ridge are chosen by the pooled UF1 when each training
    subject is predicted from the other training subjects (of equal candidates the first), with class weights
    of all training samples.

    Args:
        families: Candidates of feature sets: indices of blocks, by name.
        blocks: Number of equal blocks of the features of a sample.
        widths: Candidates of the squared width of the kernel, in units of the median squared distance of
            training samples.
        ridges: Candidates of the ridge, which is divided by the weight of a sample and added to the diagonal
            of the kernel.

    Attributes:
        classes_: Classes in the training data.
        best_params_: Chosen parameters.
        best_score_: Pooled inner UF1 of the chosen parameters; it is optimistic, since it is a maximum.
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
        """Return the features of a family for samples and their mirror images."""
        blocks = X.reshape(len(X), 2, self.blocks, -1)[:, :, list(self.families[family])]
        seen, mirrored = blocks.reshape(len(X), 2, -1).swapaxes(0, 1)
        return seen, mirrored

    def decision_function(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the decision value of each class; 0 without information."""
        seen, mirrored = self._split(X, self.best_params_["family"])
        return _compare(seen, self.seen_, mirrored, self.scale_) @ self.weights_

    def predict(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the class with the highest decision value."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]


def _compare(
    one: np.ndarray, other: np.ndarray, mirrored: np.ndarray, scale: float
) -> Float[np.ndarray, "ones others"]:
    """Compute the kernel of `one` with `other`, averaged over `one` and its mirror images."""
    kernels = [
        np.exp(-euclidean_distances(orientation, other, squared=True) / (2 * scale))
        for orientation in (one, mirrored)
    ]
    return (kernels[0] + kernels[1]) / 2


def balance_classes(
    label: Int[np.ndarray, " rows"],
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, "rows classes"]]:
    """Return square roots of the sample weights (inverse class frequencies), and targets that sum to 0."""
    number = int(label.max()) + 1
    root = np.sqrt(len(label) / (number * np.bincount(label)[label]))
    return root, np.eye(number)[label] - 1 / number


def leave_out(
    inverse: Float[np.ndarray, "rows rows"],
    weights: Float[np.ndarray, "rows classes"],
    groups: Sequence[Int[np.ndarray, "..."]],
) -> Float[np.ndarray, "rows classes"]:
    """Compute the residuals of each group in a fit without this group.

    For an estimate K(K + D)⁻¹ y with diagonal D this is exact: with A = (K + D)⁻¹ the residuals of the rows S
    are A_SS⁻¹ (A y)_S (block-wise leave-one-out of ridge regression, Cook and Weisberg 1982).

    Args:
        inverse: A.
        weights: A y.
        groups: Rows of each group.
    """
    missed = np.empty_like(weights)
    for rows in groups:
        missed[rows] = np.linalg.solve(inverse[np.ix_(rows, rows)], weights[rows])
    return missed
