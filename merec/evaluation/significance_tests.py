"""Significance tests: the paired subject-permutation test and Holm's adjustment of p-values."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.evaluation.subject_bootstrap import (
    DIFFERENCE_RANGE,
    DRAWS,
    BySubjectA,
    BySubjectB,
    Metric,
    align_seeds,
    count_effective,
    draw_subjects,
    pooled,
    score_draws,
    t_interval,
)


@dataclass(frozen=True)
class Difference:
    """Difference of run B and run A on the same subjects.

    Attributes:
        value: Difference of the pooled metric.
        low: Lower end of the 95 % paired subject-bootstrap interval; NaN for fewer than three subjects.
        high: Upper end of the interval.
        p: Two-sided p-value of the paired subject-permutation test.
    """

    value: float
    low: float
    high: float
    p: float


def compare_paired(
    metric: Metric, a: BySubjectA, b: BySubjectB, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Test B against A, paired by subject.

    Bootstrap draws of subjects are the same for A and B. The test swaps A and B for a random half of the
    subjects: under the null hypothesis they are exchangeable within each subject. The observed assignment
    counts as one permutation, so p is never 0 (Phipson & Smyth 2010).
    """
    a, b = align_seeds(a, b)
    times = draw_subjects(a.shape[1], draws, seed)
    drawn = score_draws(metric, b, times) - score_draws(metric, a, times)
    observed = pooled(metric, b) - pooled(metric, a)
    swap = np.random.default_rng(seed).integers(0, 2, size=(draws, a.shape[1]))
    from_a = _mix(metric, a, b, swap)
    from_b = _mix(metric, b, a, swap)
    effective = count_effective(a, per_part=False)
    return conclude_paired(observed, drawn, from_b - from_a, a.shape[1], effective)


def conclude_paired(
    observed: float,
    drawn: Float[np.ndarray, " draws"],
    permuted: Float[np.ndarray, " permutations"],
    subjects: int,
    effective: Float[np.ndarray, ""] | float,
) -> Difference:
    """Compute interval and p-value of a paired difference.

    Args:
        observed: Observed difference.
        drawn: Differences of bootstrap draws.
        permuted: Differences of permutations.
        subjects: Number of subjects.
        effective: Effective number of subjects.
    """
    low, high = t_interval(observed, drawn, subjects, effective, DIFFERENCE_RANGE).tolist()
    # A hair of tolerance: sums of ratios in another order must still count as equal.
    extreme = int(np.sum(np.abs(permuted) >= abs(observed) - 1e-12))
    return Difference(observed, low, high, (1 + extreme) / (1 + len(permuted)))


def _mix(metric: Metric, a: np.ndarray, b: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """Return the metric of each permutation, which takes the subjects of `swap` from `b` instead of `a`."""
    scores = [
        metric(
            (one.sum(0).reshape(-1) + swap @ (other - one).reshape(len(one), -1)).reshape(
                -1, *one.shape[1:]
            )
        )
        for one, other in zip(a, b, strict=True)
    ]
    return np.mean(scores, axis=0)


def correct_holm(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Adjust p-values by Holm's method (family-wise error rate).

    The k-th smallest of m p-values is multiplied by m - k + 1, then made monotonic (Holm 1979).
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected
