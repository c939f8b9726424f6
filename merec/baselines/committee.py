"""Committee of kernel ridge regressions on the two halves of a face.

The same micro-expression may appear on different sides of two faces. Differences between grids and ridges are
mostly chance, so all of them are averaged; only the comparison of faces is chosen inside the fold.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import euclidean_distances

from merec.baselines.ridge import balance_classes
from merec.features.deformation import FIELDS, SCALES

SIDES = 2
COMPARISONS = ("whole", "halves")


class Choice(NamedTuple):
    """Candidate of the inner selection: scaling of slopes, comparison of faces and width of the kernel."""

    scale: str
    comparison: str
    width: float


class HalfFaceCommittee(ClassifierMixin, BaseEstimator):
    """Mean of class-balanced kernel ridge regressions over grids of cells and ridges.

    Two faces are compared by Gaussians of the squared distances of their halves. `halves`: the mean over all
    four pairs of a half of one face and a half of the other, so that a face is a set of two half faces.
    `whole`: the mean of the kernel of both faces (left with left and right with right) and of the kernel with
    one face mirrored. Both are invariant to mirroring.

    The comparison is chosen by the mean one-against-rest area under the curve, where each training subject
    is predicted from the other training subjects in closed form. Unlike UF1, this score depends on every
    decision value, not only on values near a class boundary. If candidates are equal, the first is chosen.

    Args:
        cells: Cells along each axis of each grid of `describe_half_faces`.
        widths: Candidates of the squared width of the Gaussians, in units of the median squared distance of
            training samples.
        ridges: Values that are divided by the weight of a sample and added to the diagonal of the kernel; the
            predictions of all ridges are averaged.

    Attributes:
        classes_: Classes in the training data.
        best_params_: Chosen parameters.
        best_score_: Inner area under the curve of the chosen parameters; it is optimistic, since it is a
            maximum.
        tried_: Number of comparisons to choose from.
    """

    pairs_mirror_images = True  # a row holds both halves, so it is its mirror image's row too
    criterion = "inner_auc"

    def __init__(
        self, cells: Sequence[int], widths: Sequence[float], ridges: Sequence[float]
    ) -> None:
        self.cells = cells
        self.widths = widths
        self.ridges = ridges

    def fit(
        self,
        X: Float[np.ndarray, "rows features"],  # noqa: N803 - scikit-learn's name
        y: Int[np.ndarray, " rows"],
        groups: Shaped[np.ndarray, " rows"],
    ) -> "HalfFaceCommittee":
        """Choose the hyperparameters by leaving subjects out, then fit; `groups` are the subjects."""
        self.classes_, label = np.unique(y, return_inverse=True)
        subjects = [np.flatnonzero(groups == name) for name in np.unique(groups)]
        choices = [Choice(*candidate) for candidate in product(SCALES, COMPARISONS, self.widths)]
        self.tried_, best = len(choices), -1.0
        faces = self._split(X)
        for scale in SCALES:
            apart = [measure_halves(halves, halves) for halves in faces[scale]]
            for choice in (candidate for candidate in choices if candidate.scale == scale):
                fits = [
                    _Fit.of(candidate, choice, label, subjects, self.ridges) for candidate in apart
                ]
                left_out = np.mean([fit.left_out for fit in fits], axis=0)
                score = _rank(label, left_out)
                if score > best:
                    best, self.best_params_, self.fits_ = score, choice._asdict(), fits
        self.best_score_ = best
        self.seen_ = faces[self.best_params_["scale"]]
        return self

    def _split(self, X: np.ndarray) -> dict[str, list[np.ndarray]]:  # noqa: N803
        """Return the halves of each face by scale and grid, each (sides, rows, features)."""
        sizes = [SIDES * len(FIELDS) * cells * (cells // 2) for cells in self.cells]
        if X.shape[1] != len(SCALES) * sum(sizes):
            raise ValueError(f"{X.shape[1]} features; {len(SCALES) * sum(sizes)} were expected")
        return {
            scale: [
                part.reshape(len(X), SIDES, -1).swapaxes(0, 1)
                for part in np.split(whole, np.cumsum(sizes)[:-1], axis=1)
            ]
            for scale, whole in zip(SCALES, np.split(X, len(SCALES), axis=1), strict=True)
        }

    def decision_function(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the mean decision value of each class; a member without information contributes 0."""
        choice = Choice(**self.best_params_)
        faces = self._split(X)[choice.scale]
        decisions = [
            compare(measure_halves(features, seen), choice.comparison, fit.spread) @ fit.weights
            for features, seen, fit in zip(faces, self.seen_, self.fits_, strict=True)
        ]
        return np.mean(decisions, axis=0)

    def predict(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the class with the highest decision value."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]


class _Fit(NamedTuple):
    """Mean over ridges of the regressions on one grid."""

    spread: float
    weights: Float[np.ndarray, "rows classes"]
    left_out: Float[np.ndarray, "rows classes"]

    @classmethod
    def of(
        cls,
        apart: Float[np.ndarray, "2 2 rows rows"],
        choice: Choice,
        label: Int[np.ndarray, " rows"],
        subjects: Sequence[Int[np.ndarray, "..."]],
        ridges: Sequence[float],
    ) -> "_Fit":
        """Fit each ridge, and predict each subject from the other subjects.

        As in `ridge.leave_out`, with A = S Vᵀ, of which only the diagonal blocks of subjects are computed.
        """
        spread = choice.width * float(np.median(_typical(apart, choice.comparison)))
        root, target = balance_classes(label)
        kernel = compare(apart, choice.comparison, spread)
        values, vectors = eigh(kernel * root[:, None] * root, check_finite=False)
        turned = root[:, None] * vectors
        spoken = turned.T @ target
        weights, left_out = np.zeros_like(target), np.zeros_like(target)
        for ridge in ridges:
            shrunk = turned / (values + ridge)
            one = shrunk @ spoken
            weights += one / len(ridges)
            for rows in subjects:
                missed = np.linalg.solve(shrunk[rows] @ turned[rows].T, one[rows])
                left_out[rows] += (target[rows] - missed) / len(ridges)
        return cls(spread, weights, left_out)


def measure_halves(
    one: Float[np.ndarray, "2 ones features"], other: Float[np.ndarray, "2 others features"]
) -> Float[np.ndarray, "2 2 ones others"]:
    """Compute the squared distances between all half faces of `one` and all half faces of `other`."""
    return np.stack([[euclidean_distances(a, b, squared=True) for b in other] for a in one])


def compare(
    apart: Float[np.ndarray, "2 2 ones others"], comparison: str, spread: float
) -> Float[np.ndarray, "ones others"]:
    """Return the kernel of two sets of faces from the squared distances of their halves."""
    if comparison == "whole":
        apart = np.stack([apart[0, 0] + apart[1, 1], apart[0, 1] + apart[1, 0]])[None]
    return np.exp(-apart / (2 * spread)).mean(axis=(0, 1))


def _typical(apart: Float[np.ndarray, "2 2 rows rows"], comparison: str) -> np.ndarray:
    """Return the squared distances whose median is the unit of the widths."""
    return apart if comparison == "halves" else apart[0, 0] + apart[1, 1]


def _rank(label: Int[np.ndarray, " rows"], scores: Float[np.ndarray, "rows classes"]) -> float:
    """Return the mean one-against-rest area under the curve."""
    return float(np.mean([roc_auc_score(label == c, scores[:, c]) for c in range(scores.shape[1])]))
