"""Area under the ROC curve of action units, counted by subject for fast bootstrap draws.

The area is computed over all pairs of a positive sample (which shows the unit) and a negative sample. It is
the share of pairs in which the positive sample has the higher score; equal scores count half (Mann & Whitney
1947; Hanley & McNeil 1982). Pairs are counted by the subjects of both samples. If each subject is counted w
times, the area is wᵀUw / (wᵀp · wᵀn), where U contains the counts, and p and n are the numbers of positive
and negative samples per subject.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from merec.evaluation.significance_tests import Difference, conclude_paired
from merec.evaluation.subject_bootstrap import DRAWS, draw_subjects, t_interval

STABLE = 20  # samples that must show a unit; the area over fewer pairs is mostly noise


@dataclass(frozen=True)
class Ranking:
    """Ranking of the samples of one seed, for each action unit.

    Attributes:
        score: Probability of each unit for each sample.
        present: Marks of the units that each sample shows.
        subject: Index of the subject of each sample.
        subjects: Number of subjects.
    """

    score: Float[np.ndarray, "samples units"]
    present: Bool[np.ndarray, "samples units"]
    subject: Int[np.ndarray, " samples"]
    subjects: int

    def count_pairs(
        self, times: Int[np.ndarray, "draws subjects"]
    ) -> Float[np.ndarray, "draws units"]:
        """Count the pairs of positive and negative samples of each unit; `times` weighs subjects."""
        marks = self._mark_subjects()
        with_unit, lacking = (
            kept.T.astype(float) @ marks for kept in (self.present, ~self.present)
        )
        return (times @ with_unit.T) * (times @ lacking.T)

    def count_wins(self, over: "Ranking") -> Float[np.ndarray, "units subjects subjects"]:
        """Count by subjects the pairs in which the positive sample has the higher score.

        Args:
            over: Ranking of the same samples from which the scores of negative samples are taken.
        """
        marks = self._mark_subjects()
        wins = np.zeros((self.present.shape[1], self.subjects, self.subjects))
        for unit, present in enumerate(self.present.T):
            with_it, without = self.score[present, unit][:, None], over.score[~present, unit]
            above = (with_it > without) + 0.5 * (with_it == without)
            wins[unit] = marks[present].T @ above @ marks[~present]
        return wins

    def _mark_subjects(self) -> Float[np.ndarray, "samples subjects"]:
        return np.eye(self.subjects)[self.subject]


def auc_per_unit(
    rankings: Sequence[Ranking], times: Int[np.ndarray, "draws subjects"]
) -> Float[np.ndarray, "draws units"]:
    """Compute the area of each unit, averaged over seeds; NaN if there is no pair.

    Args:
        rankings: Rankings of each seed.
        times: Number of times that each subject is counted.
    """
    weights = times.astype(float)
    areas = []
    for ranking in rankings:
        wins = np.stack([_square(weights, one) for one in ranking.count_wins(ranking)], -1)
        areas.append(_divide(wins, ranking.count_pairs(times)))
    return np.mean(areas, axis=0)


def mean_auc(areas: Float[np.ndarray, "*draws units"]) -> Float[np.ndarray, "*draws"]:
    """Compute the mean area of the units whose area is defined; NaN if none is."""
    there = np.isfinite(areas)
    return _divide(np.where(there, areas, 0.0).sum(-1), there.sum(-1))


def score_mean_auc(ranking: Ranking) -> float:
    """Compute the mean area of one seed, with each subject counted once."""
    return float(mean_auc(auc_per_unit([ranking], _count_once(ranking)))[0])


def auc_intervals(
    rankings: Sequence[Ranking],
    effective: Float[np.ndarray, " scores"],
    draws: int = DRAWS,
    seed: int = 0,
) -> Float[np.ndarray, "3 scores"]:
    """Compute the area of each unit and, last, their mean, with 95 % intervals (`t_interval`).

    Args:
        rankings: Rankings of each seed.
        effective: Effective number of subjects of each unit and, last, of the mean.
        draws: Number of sets of subjects to draw.
        seed: Seed of the draws.

    Returns:
        Value, lower and upper end. If no sample of a draw shows a unit, or every sample shows it, the draw is
        left out of the standard error of this unit, and the unit is left out of the mean of this draw.
    """
    subjects = rankings[0].subjects
    value = _append_mean(auc_per_unit(rankings, _count_once(rankings[0])))[0]
    drawn = _append_mean(auc_per_unit(rankings, draw_subjects(subjects, draws, seed)))
    there = np.isfinite(drawn)
    # t_interval takes the mean over all draws.
    wider = np.sqrt(draws / np.maximum(1, there.sum(0)))
    drawn = np.where(there, value + wider * (drawn - value), value)
    return np.stack([value, *t_interval(value, drawn, subjects, effective)])


def compare_auc(
    a: Sequence[Ranking],
    b: Sequence[Ranking],
    effective: Float[np.ndarray, ""] | float,
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """Test the mean area of B against A, paired by subject; see `compare_paired`.

    A permutation takes the scores of some subjects from A and of the other subjects from B, and ranks them
    together.

    Args:
        a: Rankings of each seed of A; both sides have the same samples in the same order.
        b: Rankings of each seed of B; the same number, unless one side has a single seed.
        effective: Effective number of subjects.
        draws: Number of bootstrap draws, and of permutations.
        seed: Seed of both.
    """
    seeds, subjects = max(len(a), len(b)), a[0].subjects
    a, b = (list(side) * (seeds // len(side)) for side in (a, b))
    times = draw_subjects(subjects, draws, seed)
    of_a, of_b = (mean_auc(auc_per_unit(side, _count_once(a[0])))[0] for side in (a, b))
    drawn = mean_auc(auc_per_unit(b, times)) - mean_auc(auc_per_unit(a, times))
    swap = np.random.default_rng(seed).integers(0, 2, size=(draws, subjects))
    mixed = [_mix(one, other, swap) for one, other in zip(a, b, strict=True)]
    from_a, from_b = (np.mean([pair[side] for pair in mixed], axis=0) for side in (0, 1))
    return conclude_paired(float(of_b - of_a), drawn, from_b - from_a, subjects, effective)


def _mix(
    a: Ranking, b: Ranking, swap: Int[np.ndarray, "draws subjects"]
) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]]:
    """Compute the mean area of each permutation, with the subjects of `swap` taken from B.

    If z = `swap` and U_ab counts pairs in which a positive sample scored by A is above a negative sample
    scored by B, the count is (1 - z)ᵀU_aa(1 - z) + (1 - z)ᵀU_ab z + zᵀU_ba(1 - z) + zᵀU_bb z, which is c +
    lᵀz + zᵀMz.
    """
    z = swap.astype(float)
    wins, reversed_wins = [], []
    cells = (one.count_wins(other) for one in (a, b) for other in (a, b))
    for aa, ab, ba, bb in zip(*cells, strict=True):
        constant, linear = aa.sum(), ba.sum(1) + ab.sum(0) - aa.sum(1) - aa.sum(0)
        square = aa - ab - ba + bb
        bent, straight = _square(z, square), z @ linear
        wins.append(constant + straight + bent)
        crossed = z @ (square.sum(0) + square.sum(1))
        reversed_wins.append(constant + linear.sum() - straight + square.sum() - crossed + bent)
    pairs = a.count_pairs(_count_once(a))
    return (
        mean_auc(_divide(np.stack(wins, -1), pairs)),
        mean_auc(_divide(np.stack(reversed_wins, -1), pairs)),
    )


def _count_once(ranking: Ranking) -> Int[np.ndarray, "1 subjects"]:
    return np.ones((1, ranking.subjects), dtype=np.int64)


def _square(
    weights: Float[np.ndarray, "draws subjects"], matrix: Float[np.ndarray, "subjects subjects"]
) -> Float[np.ndarray, " draws"]:
    """Compute wᵀUw of each row of weights."""
    return np.asarray(((weights @ matrix) * weights).sum(1))


def _append_mean(areas: Float[np.ndarray, "draws units"]) -> Float[np.ndarray, "draws scores"]:
    return np.column_stack([areas, mean_auc(areas)])


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return `part / whole`, and NaN where `whole` is 0."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
