"""Comparison of configurations on the same subjects: differences, intervals and p-values."""

import logging
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from merec.evaluation.results import Result
from merec.evaluation.roc_auc import compare_auc
from merec.evaluation.significance_tests import compare_paired, correct_holm
from merec.evaluation.subject_bootstrap import (
    align_seeds,
    count_effective,
    paired_intervals,
    pooled,
)
from merec.metrics import f1_per_class
from merec.types import InputError

log = logging.getLogger(__name__)


def compare_results(a: Result, b: Result) -> pd.DataFrame:
    """Compute the differences B - A for all samples (Full) and for each data set.

    Returns:
        One row per subset and metric: `subset`, `metric`, `a`, `b`, `difference`, `low` and `high`
        (95 % paired subject bootstrap), `p` (paired subject permutation, two-sided, not corrected
        for the number of rows), `samples`, `subjects`.

    Raises:
        InputError: If the subjects differ, or the seeds cannot be paired.
    """
    rows = []
    for subset, predictions in a.subsets.items():
        counts_a, counts_b = _pair_counts(a, b, subset)
        for name in a.target.metrics:
            if metric := a.target.scorers.get(name):
                scores = pooled(metric, counts_a), pooled(metric, counts_b)
                comparison = compare_paired(metric, counts_a, counts_b)
            else:  # of what is ranked, not of what is decided
                of_a, of_b = (np.mean(side.score_seeds(subset)[name]) for side in (a, b))
                scores = float(of_a), float(of_b)
                effective = count_effective(counts_a, per_part=False)
                comparison = compare_auc(a.rankings(subset), b.rankings(subset), effective)
            rows.append(
                {
                    "subset": subset,
                    "metric": name,
                    "a": scores[0],
                    "b": scores[1],
                    "difference": comparison.value,
                    "low": comparison.low,
                    "high": comparison.high,
                    "p": comparison.p,
                    "samples": predictions["sample_id"].nunique(),
                    "subjects": predictions["subject"].nunique(),
                }
            )
    return pd.DataFrame(rows)


def compare_if_paired(base: Result, result: Result) -> pd.DataFrame | None:
    """Compare a result with a base by `compare_results`; `None`, and a warning, if they cannot be paired."""
    try:
        return compare_results(base, result)
    except InputError as error:  # what else is said of the result is no worse for it
        log.warning("%s is not set beside %s: %s", result.name, base.name, error)
        return None


def compare_with_base(base: Result, result: Result) -> pd.DataFrame | None:
    """Compare a result with a base by `compare_results`, and add the interval of its own score.

    Returns:
        The columns of `compare_results` (`a` is the base, `b` the result), with `b_low` and `b_high`; `None`,
        and a warning, if they cannot be paired.
    """
    comparison = compare_if_paired(base, result)
    if comparison is None:
        return None
    scores = {subset: result.score(subset) for subset in result.subsets}
    result_scores = [
        scores[s][m] for s, m in zip(comparison["subset"], comparison["metric"], strict=True)
    ]
    return comparison.assign(
        b_low=[score.low for score in result_scores], b_high=[score.high for score in result_scores]
    )


def compare_sides(sides: Sequence[Result], reference: int | None = None) -> pd.DataFrame:
    """Test every pair of sides, or every side against a reference.

    Args:
        sides: Two or more results of one protocol with different names.
        reference: Side with which all other sides are compared; `None` for all pairs.

    Returns:
        The rows of `compare_results` for each pair, in the order of the sides, with `result_a`, `result_b`
        and `p_holm`: p adjusted over the pairs, separately for each subset and metric.
    """
    tables = [
        compare_results(a, b).assign(result_a=a.name, result_b=b.name)
        for a, b in pair_sides(sides, reference)
    ]
    table = pd.concat(tables, ignore_index=True)
    families = table.groupby(["subset", "metric"])["p"]
    table["p_holm"] = families.transform(lambda p: correct_holm(p.to_numpy()))
    return table[["result_a", "result_b", *table.columns.drop(["result_a", "result_b"])]]


def compare_classes(sides: Sequence[Result], reference: int | None = None) -> pd.DataFrame:
    """Compute differences of the F1 of each class or action unit for all pairs, also by data set.

    Returns:
        One row per pair, subset and class: `result_a`, `result_b`, `subset`, `class`, the F1 `a` and `b`,
        `difference` with `low` and `high` (95 % paired subject bootstrap), and the class' `samples`.
    """
    rows = []
    target = sides[0].target
    for a, b in pair_sides(sides, reference):
        for subset in a.subsets:
            intervals = paired_intervals(
                lambda counts: target.select_classes(f1_per_class(counts)),
                *_pair_counts(a, b, subset),
            )
            scores_a, scores_b = a.score_classes(subset), b.score_classes(subset)
            for name, (difference, low, high) in zip(a.protocol.classes, intervals.T, strict=True):
                rows.append(
                    {
                        "result_a": a.name,
                        "result_b": b.name,
                        "subset": subset,
                        "class": name,
                        "a": scores_a[name]["f1"],
                        "b": scores_b[name]["f1"],
                        "difference": difference,
                        "low": low,
                        "high": high,
                        "samples": scores_a[name]["samples"],
                    }
                )
    return pd.DataFrame(rows)


def pair_sides(
    sides: Sequence[Result], reference: int | None = None
) -> Iterator[tuple[Result, Result]]:
    """Return all pairs in order, or the pairs of the reference with every other side."""
    if reference is None:
        yield from combinations(sides, 2)
    else:
        yield from ((sides[reference], side) for n, side in enumerate(sides) if n != reference)


def _pair_counts(a: Result, b: Result, subset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the confusion matrices of both by seed and subject.

    Raises:
        InputError: If the subjects differ, or the seeds cannot be paired.
    """
    subjects_a, counts_a = a.confusions(subset)
    subjects_b, counts_b = b.confusions(subset)
    if subjects_a != subjects_b:
        unlike = sorted(set(subjects_a) ^ set(subjects_b))
        raise InputError(
            f"{a.name} and {b.name} were not tested on the same subjects: "
            f"{_list(unlike[:8])} in one only; run both on one corpus"
        )
    try:
        align_seeds(counts_a, counts_b)
    except InputError as error:
        raise InputError(
            f"seeds {_list(a.seeds)} of {a.name} cannot be paired with seeds "
            f"{_list(b.seeds)} of {b.name}; run both with equally many seeds, or one "
            "of them with a single one"
        ) from error
    return counts_a, counts_b


def _list(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))
