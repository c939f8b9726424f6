"""How sure one may be: whole subjects are drawn, since samples of one face are not independent.

Confusion matrices have axes (seeds, subjects, classes, classes), or (seeds, subjects, action units, 2,
2). A metric is taken of each seed's pooled matrix and then averaged over seeds; the subjects of a draw are
the same for all seeds and both sides of a comparison.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, Shaped

from merec.types import InputError

Metric = Callable[[np.ndarray], np.ndarray]
BySubject = Int[np.ndarray, "seeds subjects *units classes classes"]
BySubjectA = Int[np.ndarray, "seeds_a subjects *units classes classes"]
BySubjectB = Int[np.ndarray, "seeds_b subjects *units classes classes"]

DRAWS = 10_000
LEVEL = 0.95
_ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def pooled(metric: Metric, counts: BySubject) -> float:
    """The metric of all subjects pooled, averaged over seeds."""
    return float(metric(counts.sum(1)).mean())


@lru_cache(maxsize=8)  # the same draws serve every metric of a table
def draw_subjects(num_subjects: int, draws: int, seed: int) -> Int[np.ndarray, "draws subjects"]:
    """How often each subject is drawn, `num_subjects` times with replacement (Efron 1979)."""
    even = np.full(num_subjects, 1 / num_subjects)
    return np.random.default_rng(seed).multinomial(num_subjects, even, size=draws)


def _score_draws(
    metric: Metric, counts: np.ndarray, times: np.ndarray
) -> Float[np.ndarray, "draws *scores"]:
    """The seed-averaged metric of each draw, `times` saying how often a subject counts in it."""
    scores = [
        metric((times @ one.reshape(len(one), -1)).reshape(len(times), *one.shape[1:]))
        for one in counts
    ]
    return np.mean(scores, axis=0)


def bootstrap(
    metric: Metric, counts: BySubject, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, "draws *scores"]:
    """The metric of `draws` sets of subjects drawn with replacement."""
    return _score_draws(metric, counts, draw_subjects(counts.shape[1], draws, seed))


def bootstrap_mean(
    value: Float[np.ndarray, " samples"],
    subject: Shaped[np.ndarray, " samples"],
    draws: int = DRAWS,
    seed: int = 0,
) -> Float[np.ndarray, " draws"]:
    """The mean of `value` over the samples of `draws` sets of subjects drawn with replacement."""
    _, number = np.unique(subject, return_inverse=True)
    samples = np.bincount(number)
    times = draw_subjects(len(samples), draws, seed)
    return (times @ np.bincount(number, weights=value)) / (times @ samples)


def percentile_interval(
    values: Float[np.ndarray, " draws"], level: float = LEVEL
) -> tuple[float, float]:
    """The middle `level` of the draws (percentile interval, Efron & Tibshirani 1993, §13.3)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """Run B minus run A on the same subjects.

    Attributes:
        value: Difference of the pooled metric.
        low: Lower end of its 95 % paired subject-bootstrap interval.
        high: Upper end of it.
        p: Two-sided p of the paired subject-permutation test.
    """

    value: float
    low: float
    high: float
    p: float


def align_seeds(a: BySubjectA, b: BySubjectB) -> tuple[BySubject, BySubject]:
    """Repeat a run of one seed (a deterministic one, say) to stand beside each seed of the other.

    Raises:
        InputError: If both have several seeds and not equally many.
    """
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise InputError(
            f"{len(a)} seeds against {len(b)} cannot be paired; give both sides equally many, or "
            "one side a single one"
        )
    seeds = max(len(a), len(b))
    return tuple(np.repeat(x, seeds // len(x), axis=0) for x in (a, b))  # type: ignore[return-value]


def compare_paired(
    metric: Metric, a: BySubjectA, b: BySubjectB, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Test B against A, subject by subject.

    The interval draws whole subjects, the same for both. The test swaps A and B in a random half of
    the subjects: under the null hypothesis the two are exchangeable within each subject. The
    observed labelling counts as one permutation, so that p is never 0 (Phipson & Smyth 2010).
    """
    a, b = align_seeds(a, b)
    times = draw_subjects(a.shape[1], draws, seed)
    low, high = percentile_interval(_score_draws(metric, b, times) - _score_draws(metric, a, times))
    observed = pooled(metric, b) - pooled(metric, a)

    swap = np.random.default_rng(seed).integers(0, 2, size=(draws, a.shape[1]))
    from_a = _mix(metric, a, b, swap)
    from_b = _mix(metric, b, a, swap)
    # A hair of tolerance: sums of ratios in another order must still count as equal.
    extreme = int(np.sum(np.abs(from_b - from_a) >= abs(observed) - 1e-12))
    return Difference(observed, low, high, (1 + extreme) / (1 + draws))


def paired_intervals(
    metrics: Metric, a: BySubjectA, b: BySubjectB, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, "3 scores"]:
    """Differences B - A of several scores at once, of each class say, with their 95 % intervals.

    Args:
        metrics: Several scores of each matrix, along a last axis.
        a: One side.
        b: The other; the same subjects are drawn for both, and for all scores.
        draws: How many sets of subjects to draw.
        seed: Of the draws.

    Returns:
        Value, lower and upper end.
    """
    a, b = align_seeds(a, b)
    value = metrics(b.sum(1)).mean(0) - metrics(a.sum(1)).mean(0)
    times = draw_subjects(a.shape[1], draws, seed)
    drawn = _score_draws(metrics, b, times) - _score_draws(metrics, a, times)
    return np.stack([value, *np.quantile(drawn, _ENDS, axis=0)])


def score_intervals(
    metrics: Metric, counts: BySubject, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, "3 scores"]:
    """Several scores at once, along a last axis: value, lower and upper end of their 95 % intervals."""
    drawn = _score_draws(metrics, counts, draw_subjects(counts.shape[1], draws, seed))
    return np.stack([metrics(counts.sum(1)).mean(0), *np.quantile(drawn, _ENDS, axis=0)])


def correct_holm(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Raise the p of a family of tests so that at most alpha of such families hold a false alarm.

    The k-th smallest of m is multiplied by m - k + 1 and is no less than those before it (Holm 1979).
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def _mix(metric: Metric, a: np.ndarray, b: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """The metric of each permutation, `swap` taking a subject from `b` instead of `a`."""
    scores = [
        metric(
            (one.sum(0).reshape(-1) + swap @ (other - one).reshape(len(one), -1)).reshape(
                -1, *one.shape[1:]
            )
        )
        for one, other in zip(a, b, strict=True)
    ]
    return np.mean(scores, axis=0)
