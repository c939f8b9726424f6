"""Test one configuration against another, subject by subject."""

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from merec.evaluation.metrics import uar, uf1
from merec.evaluation.protocol import assert_same_protocol
from merec.evaluation.results import Result, pool_runs
from merec.evaluation.runs import find_runs
from merec.evaluation.statistics import DRAWS, compare_paired, pooled
from merec.reporting.formats import print_table
from merec.reporting.notation import (
    describe_results,
    format_difference,
    format_list,
    format_number,
    format_p,
    name_subset,
)
from merec.reporting.tables import Table
from merec.types import InputError

_METRICS = {"uf1": uf1, "uar": uar}


def compare_runs(a: Path, b: Path, console: Console | None = None) -> pd.DataFrame:
    """Pool two sides, test B against A, and print a table and a sentence to quote.

    Args:
        a: A run folder, or a folder of runs that differ in seed and folds only.
        b: The same of the other side.
        console: Where to print; the terminal by default.

    Returns:
        See `compare_results`.

    Raises:
        InputError: If a side is not exactly one configuration or is incomplete, or if the two
            follow different protocols or have seeds that cannot be paired.
    """
    one, other = _read_side(a), _read_side(b)
    assert_same_protocol(one.protocol, other.protocol, str(a), str(b))
    table = compare_results(one, other)
    names = (
        (one.name, other.name)
        if one.name != other.name
        else (f"{one.name} ({a})", f"{one.name} ({b})")
    )
    console = console or Console()
    print_table(console, lay_out_comparison(table, one, other, names))
    console.print(Text(quote_comparison(table, one, other, names)))
    return table


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
                f"{format_list(unlike[:8])} in one only; run both on one corpus"
            )
        for name, metric in _METRICS.items():
            try:
                found = compare_paired(metric, counts_a, counts_b)
            except ValueError as error:
                raise InputError(
                    f"seeds {format_list(a.seeds)} of {a.name} cannot be paired with seeds "
                    f"{format_list(b.seeds)} of {b.name}; run both with equally many seeds, or one "
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


def lay_out_comparison(table: pd.DataFrame, a: Result, b: Result, names: tuple[str, str]) -> Table:
    """The comparison as a table for people."""
    rows = [
        {
            "Samples of": name_subset(row["subset"]),
            "n": str(row["samples"]),
            "Metric": row["metric"].upper(),
            "A": format_number(row["a"]),
            "B": format_number(row["b"]),
            "B − A": _format_difference(row),
            "p": format_p(row["p"], DRAWS).removeprefix("= "),
        }
        for _, row in table.iterrows()
    ]
    caption = (
        f"A: {names[0]}. B: {names[1]}. {describe_results([a, b])} [95 % interval of {DRAWS:,} "
        f"paired draws of whole subjects]; p: paired permutation of subjects, {DRAWS:,} draws, "
        "two-sided, not corrected for the number of rows."
    )
    return Table("B against A", caption, pd.DataFrame(rows))


def quote_comparison(table: pd.DataFrame, a: Result, b: Result, names: tuple[str, str]) -> str:
    """One sentence with everything a reader needs."""
    protocol = a.protocol
    full = table[table["subset"] == "Full"]
    scores = " and ".join(
        f"{row['metric'].upper()} {format_number(row['b'])} against {format_number(row['a'])} "
        f"(difference {_format_difference(row)}, p {format_p(row['p'], DRAWS)})"
        for _, row in full.iterrows()
    )
    guilty = [name for name, result in zip(names, (a, b), strict=True) if result.transductive]
    warning = f"; transductive pretraining: {' and '.join(guilty)}" if guilty else ""
    return (
        f"On {protocol.name} ({protocol.samples} samples, {protocol.subjects} subjects, all folds "
        f"pooled), {names[1]} (seeds {format_list(b.seeds)}) beside {names[0]} (seeds "
        f"{format_list(a.seeds)}) has {scores}; 95 % paired subject-bootstrap intervals, paired "
        f"subject-permutation tests, {DRAWS:,} draws each{warning}."
    )


def _format_difference(row: pd.Series) -> str:
    low, high = format_difference(row["low"], 3), format_difference(row["high"], 3)
    return f"{format_difference(row['difference'])} [{low}, {high}]"


def _read_side(path: Path) -> Result:
    """The one configuration in a folder."""
    results = pool_runs(find_runs([path]))
    if len(results) != 1:
        names = "; ".join(f"{result.name} in {result.runs[0].folder}" for result in results)
        raise InputError(
            f"{path} holds {len(results)} configurations, but a side of a comparison is exactly "
            f"one: {names}; give the folder of one of them"
        )
    return results[0]
