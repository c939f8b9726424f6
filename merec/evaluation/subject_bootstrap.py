"""Confidence intervals by the subject bootstrap: samples of one face are not independent.

The interval of a score is a t interval with a subject-bootstrap standard error (see `t_interval`). The
percentile interval is too narrow for few subjects (Hesterberg 2015). The expanded percentile interval of that
paper is also too narrow for UF1: rare classes are missing in some draws, so UF1 is biased downwards in the
study and again in its draws. `tests/evaluation/test_coverage.py` measures the coverage of all three.

Confusion matrices have axes (seeds, subjects, classes, classes), or (seeds, subjects, action units, 2,
2). A metric is computed from the pooled matrix of each seed and then averaged over seeds. A draw has the same
subjects for all seeds and for both sides of a comparison.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import stats

from merec.types import InputError

Metric = Callable[[np.ndarray], np.ndarray]
BySubject = Int[np.ndarray, "seeds subjects *units classes classes"]
BySubjectA = Int[np.ndarray, "seeds_a subjects *units classes classes"]
BySubjectB = Int[np.ndarray, "seeds_b subjects *units classes classes"]

DRAWS = 10_000
LEVEL = 0.95
MIN_SUBJECTS = 3  # fewer give no interval
SCORE_RANGE = (0.0, 1.0)
DIFFERENCE_RANGE = (-1.0, 1.0)


def pooled(metric: Metric, counts: BySubject) -> float:
    """Return the metric of all subjects pooled, averaged over seeds."""
    return float(metric(counts.sum(1)).mean())


@lru_cache(maxsize=8)  # the same draws serve every metric of a table
def draw_subjects(num_subjects: int, draws: int, seed: int) -> Int[np.ndarray, "draws subjects"]:
    """Draw subjects with replacement and return the count of each subject in each draw (Efron 1979)."""
    even = np.full(num_subjects, 1 / num_subjects)
    return np.random.default_rng(seed).multinomial(num_subjects, even, size=draws)


def score_draws(
    metric: Metric, counts: np.ndarray, times: np.ndarray
) -> Float[np.ndarray, "draws *scores"]:
    """Return the seed-averaged metric of each draw; `times` is the count of each subject in each draw."""
    scores = [
        metric((times @ one.reshape(len(one), -1)).reshape(len(times), *one.shape[1:]))
        for one in counts
    ]
    return np.mean(scores, axis=0)


def bootstrap(
    metric: Metric, counts: BySubject, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, "draws *scores"]:
    """Draw subjects with replacement, `draws` times, and return the metric of each draw."""
    return score_draws(metric, counts, draw_subjects(counts.shape[1], draws, seed))


def bootstrap_mean(
    value: Float[np.ndarray, " samples"],
    subject: Shaped[np.ndarray, " samples"],
    draws: int = DRAWS,
    seed: int = 0,
) -> Float[np.ndarray, " draws"]:
    """Draw subjects with replacement, `draws` times, and return the mean of `value` over their samples."""
    _, number = np.unique(subject, return_inverse=True)
    samples = np.bincount(number)
    times = draw_subjects(len(samples), draws, seed)
    return (times @ np.bincount(number, weights=value)) / (times @ samples)


def effective_subjects(samples: Shaped[np.ndarray, "subjects parts"]) -> float:
    """Compute Kish's effective number of subjects, which is small if few subjects have most samples.

    It is 1 / sum(w²), where w are the shares of the subjects (Kish 1965, "Survey Sampling"). It is computed
    for shares of all samples, and for shares with equal weight of each class, as in UF1; the smaller number
    is returned.

    Args:
        samples: Number of samples per subject and class; one column if there are no classes.

    Returns:
        The number, at least 2; NaN for fewer than three subjects with samples, for which there is no
        interval.
    """
    samples = samples[:, samples.sum(0) > 0].astype(float)
    if np.count_nonzero(samples.sum(1)) < MIN_SUBJECTS:
        return np.nan
    of_all = samples.sum(1) / samples.sum()
    of_each = (samples / samples.sum(0)).mean(1)
    return max(2.0, min(1 / float((share**2).sum()) for share in (of_all, of_each)))


def t_interval(
    value: Shaped[np.ndarray, "*scores"] | float,
    draws: Float[np.ndarray, "draws *scores"],
    subjects: int,
    effective: Float[np.ndarray, "*scores"] | float,
    limits: tuple[float, float] = SCORE_RANGE,
    level: float = LEVEL,
) -> Float[np.ndarray, "2 *scores"]:
    """Compute the t interval with a bootstrap standard error: value ± t·s.

    s² is the mean squared difference of the draws and the value, which includes the bias of the draws, times
    n/(n - 1) for n subjects, since the variance of draws is too small by this factor (Hesterberg 2015, "What
    Teachers Should Know About the Bootstrap", The American Statistician 69(4), sections on the t interval
    with bootstrap standard error and on narrowness bias). t has one degree of freedom less than the effective
    number of subjects.

    Args:
        value: Scores.
        draws: Scores of the bootstrap draws.
        subjects: Number of subjects in a draw.
        effective: Effective number of subjects (`effective_subjects`), one per score or one for all.
        limits: Minimum and maximum of the score, to which the interval is clipped.
        level: Nominal coverage.

    Returns:
        Lower and upper ends; NaN if the effective number is NaN.
    """
    square = np.mean((draws - value) ** 2, axis=0) * subjects / max(subjects - 1, 1)
    reach = stats.t.ppf((1 + level) / 2, np.asarray(effective) - 1) * np.sqrt(square)
    return np.clip(np.stack([value - reach, value + reach]), *limits)


def mean_interval(
    value: Float[np.ndarray, " samples"],
    subject: Shaped[np.ndarray, " samples"],
    draws: int = DRAWS,
    limits: tuple[float, float] = SCORE_RANGE,
) -> tuple[float, float]:
    """Compute the interval of the mean of `value` over samples; see `t_interval`."""
    samples = np.unique(subject, return_counts=True)[1]
    drawn = bootstrap_mean(value, subject, draws)
    low, high = t_interval(
        value.mean(), drawn, len(samples), effective_subjects(samples[:, None]), limits
    )
    return float(low), float(high)


def _count_samples(counts: BySubject) -> Int[np.ndarray, "subjects parts"]:
    """Count the samples of each class or action unit over all seeds."""
    by_class = counts.sum(0).sum(-1)
    return by_class[..., 1] if counts.ndim == 5 else by_class


def count_effective(counts: BySubject, per_part: bool) -> Float[np.ndarray, " parts"] | float:
    """Compute the effective number of subjects of a score: one number, or one per class with `per_part`."""
    samples = _count_samples(counts)
    if not per_part:
        return effective_subjects(samples)
    return np.array([effective_subjects(column[:, None]) for column in samples.T])


def align_seeds(a: BySubjectA, b: BySubjectB) -> tuple[BySubject, BySubject]:
    """Repeat a run with one seed (e.g. a deterministic one) for each seed of the other run.

    Raises:
        InputError: If both have several seeds and the numbers differ.
    """
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise InputError(
            f"{len(a)} seeds against {len(b)} cannot be paired; give both sides equally many, or "
            "one side a single one"
        )
    seeds = max(len(a), len(b))
    return tuple(np.repeat(x, seeds // len(x), axis=0) for x in (a, b))  # type: ignore[return-value]


def paired_intervals(
    metrics: Metric, a: BySubjectA, b: BySubjectB, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, "3 scores"]:
    """Compute the differences B - A in the score of each class or action unit, with 95 % intervals.

    Args:
        metrics: Function from confusion matrices to one score per class, along the last axis.
        a: Confusion matrices of A.
        b: Confusion matrices of B; the same subjects are drawn for both, and for all scores.
        draws: Number of sets of subjects to draw.
        seed: Seed of the draws.

    Returns:
        Value, lower and upper end; ends are NaN for a class with fewer than three subjects.
    """
    a, b = align_seeds(a, b)
    value = metrics(b.sum(1)).mean(0) - metrics(a.sum(1)).mean(0)
    times = draw_subjects(a.shape[1], draws, seed)
    drawn = score_draws(metrics, b, times) - score_draws(metrics, a, times)
    effective = count_effective(a, per_part=True)
    ends = t_interval(value, drawn, a.shape[1], effective, DIFFERENCE_RANGE)
    return np.stack([value, *ends])


def score_intervals(
    metrics: Metric,
    counts: BySubject,
    per_part: bool,
    limits: tuple[float, float] = SCORE_RANGE,
    draws: int = DRAWS,
    seed: int = 0,
) -> Float[np.ndarray, "3 *scores"]:
    """Compute one score, or several along the last axis, with 95 % intervals.

    Args:
        metrics: Function from confusion matrices to scores.
        counts: Confusion matrices.
        per_part: Whether each score belongs to one class or action unit, which few subjects may show.
        limits: Least and largest value that a score can take.
        draws: Number of sets of subjects to draw.
        seed: Seed of the draws.

    Returns:
        Value, lower and upper end; the ends are NaN for fewer than three subjects.
    """
    drawn = score_draws(metrics, counts, draw_subjects(counts.shape[1], draws, seed))
    value = metrics(counts.sum(1)).mean(0)
    ends = t_interval(value, drawn, counts.shape[1], count_effective(counts, per_part), limits)
    return np.stack([value, *ends])
