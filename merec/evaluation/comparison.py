"""Two configurations on the same subjects: by how much they differ, and how sure one may be of it."""

from collections.abc import Sequence

import pandas as pd

from merec.evaluation.metrics import uar, uf1
from merec.evaluation.results import Result
from merec.evaluation.statistics import compare_paired, pooled
from merec.types import InputError

_METRICS = {"uf1": uf1, "uar": uar}


def compare_results(a: Result, b: Result) -> pd.DataFrame:
    """Differences B - A, Full and by data set.

    Returns:
        One row per subset and metric: `subset`, `metric`, `a`, `b`, `difference`, `low` and `high`
        (95 % paired subject bootstrap), `p` (paired subject permutation, two-sided, not corrected
        for the number of rows), `samples`, `subjects`.

    Raises:
        InputError: If the subjects differ, or the seeds cannot be paired.
    """
    rows = []
    for subset, predictions in a.subsets.items():
        subjects_a, counts_a = a.confusions(subset)
        subjects_b, counts_b = b.confusions(subset)
        if subjects_a != subjects_b:
            unlike = sorted(set(subjects_a) ^ set(subjects_b))
            raise InputError(
                f"{a.name} and {b.name} were not tested on the same subjects: "
                f"{_list(unlike[:8])} in one only; run both on one corpus"
            )
        for name, metric in _METRICS.items():
            try:
                found = compare_paired(metric, counts_a, counts_b)
            except ValueError as error:
                raise InputError(
                    f"seeds {_list(a.seeds)} of {a.name} cannot be paired with seeds "
                    f"{_list(b.seeds)} of {b.name}; run both with equally many seeds, or one "
                    "of them with a single one"
                ) from error
            rows.append(
                {
                    "subset": subset,
                    "metric": name,
                    "a": pooled(metric, counts_a),
                    "b": pooled(metric, counts_b),
                    "difference": found.value,
                    "low": found.low,
                    "high": found.high,
                    "p": found.p,
                    "samples": predictions["sample_id"].nunique(),
                    "subjects": len(subjects_a),
                }
            )
    return pd.DataFrame(rows)


def _list(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))
