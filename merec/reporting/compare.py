"""Test one configuration against another, subject by subject."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from merec.evaluation.comparison import compare_results
from merec.evaluation.protocol import assert_same_protocol
from merec.evaluation.results import Result, pool_runs
from merec.evaluation.runs import find_runs
from merec.evaluation.statistics import DRAWS
from merec.reporting.formats import print_table
from merec.reporting.notation import (
    describe_remarks,
    describe_results,
    format_change,
    format_list,
    format_number,
    format_p,
    name_subset,
)
from merec.reporting.tables import Table
from merec.types import InputError


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
    if one.name == other.name:
        one, other = (
            replace(one, name=f"{one.name} ({a})"),
            replace(other, name=f"{one.name} ({b})"),
        )
    console = console or Console()
    print_table(console, lay_out_comparison(table, one, other))
    console.print(Text(quote_comparison(table, one, other)))
    return table


def lay_out_comparison(table: pd.DataFrame, a: Result, b: Result) -> Table:
    """The comparison as a table for people."""
    rows = [
        {
            "Samples of": name_subset(row["subset"]),
            "n": str(row["samples"]),
            "Metric": row["metric"].upper(),
            "A": format_number(row["a"]),
            "B": format_number(row["b"]),
            "B − A": format_change(row),
            "p": format_p(row["p"], DRAWS).removeprefix("= "),
        }
        for _, row in table.iterrows()
    ]
    caption = (
        f"A: {a.name}. B: {b.name}. {describe_results([a, b])} [95 % interval of {DRAWS:,} "
        f"paired draws of whole subjects]; p: paired permutation of subjects, {DRAWS:,} draws, "
        "two-sided, not corrected for the number of rows."
    )
    return Table("B against A", caption, pd.DataFrame(rows))


def quote_comparison(table: pd.DataFrame, a: Result, b: Result) -> str:
    """One sentence with everything a reader needs."""
    protocol = a.protocol
    full = table[table["subset"] == "Full"]
    scores = " and ".join(
        f"{row['metric'].upper()} {format_number(row['b'])} against {format_number(row['a'])} "
        f"(difference {format_change(row)}, p {format_p(row['p'], DRAWS)})"
        for _, row in full.iterrows()
    )
    guilty = [result.name for result in (a, b) if result.transductive]
    warning = f"; transductive pretraining: {' and '.join(guilty)}" if guilty else ""
    remarks = describe_remarks([a, b])
    warning += f"; {remarks}" if remarks else ""
    return (
        f"On {protocol.name} ({protocol.samples} samples, {protocol.subjects} subjects, "
        f"{protocol.split}, all folds pooled), {b.name} (seeds {format_list(b.seeds)}) beside "
        f"{a.name} (seeds {format_list(a.seeds)}) has {scores}; 95 % paired subject-bootstrap "
        f"intervals, paired subject-permutation tests, {DRAWS:,} draws each{warning}."
    )


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
