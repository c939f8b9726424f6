"""Comparison of configurations by tests that are paired by subject."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase

import pandas as pd
from rich.console import Console
from rich.text import Text

from merec.csv_export import write_csv
from merec.evaluation.comparison import compare_classes, compare_sides
from merec.evaluation.pooling import pool_runs
from merec.evaluation.protocol import assert_same_protocol
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.files import write_text
from merec.presentation.figure_style import to_svg
from merec.presentation.table_formats import escape_markdown, print_table, write_markdown
from merec.studies.critical_difference import describe_groups, draw_groups, explain_groups
from merec.studies.paired_comparison import (
    Comparison,
    describe_unlike_settings,
    explain_disagreement,
    lay_out_comparison,
    lay_out_many,
    quote_comparison,
    quote_pairs,
)
from merec.types import InputError


def compare_runs(
    paths: list[Path],
    console: Console | None = None,
    reference: str | None = None,
    out: Path | None = None,
) -> pd.DataFrame:
    """Pool each side, test every pair, and print tables and a sentence for quotation.

    Args:
        paths: For each side a run folder, or a folder of runs that differ only in seed and folds.
        console: Console; the terminal by default.
        reference: Letter of the side with which all other sides are compared; `None` for all pairs.
        out: Folder for `pairs.csv`, `classes.csv`, `comparison.md` and `groups.svg`; `None` writes nothing.

    Returns:
        See `compare_sides`.

    Raises:
        InputError: If a side is not exactly one configuration or is incomplete, or if two sides have
            different protocols or seeds that cannot be paired.
    """
    places = [path.resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"{path} is given twice; give runs that differ")
    chosen = _read_letter(reference, len(paths))
    sides = [_read_side(path) for path in paths]
    for side, path in zip(sides[1:], paths[1:], strict=True):
        assert_same_protocol(sides[0].protocol, side.protocol, str(paths[0]), str(path))
    many = len(sides) > 2 or chosen is not None
    for path in paths if many else ():
        if paths.count(path) > 1:
            raise InputError(f"{path} is given twice; each side is another configuration")
    sides = _name_apart(sides, paths)
    who = None if chosen is None else sides[chosen].name
    comparison = Comparison(
        sides, who, compare_sides(sides, chosen), compare_classes(sides, chosen)
    )
    brief = lay_out_many(comparison) if many else [lay_out_comparison(comparison.pairs, *sides)]
    quote = quote_pairs(comparison) if many else quote_comparison(comparison.pairs, *sides)
    quote = " ".join(filter(None, [quote, explain_disagreement(comparison)]))
    if out:
        _write(comparison, quote, out)
    console = console or Console()
    for table in brief:
        print_table(console, table)
    for text in filter(None, (describe_unlike_settings(sides), quote)):
        console.print(Text(text))
    if out:
        console.print(out / "comparison.md", soft_wrap=True)
    return comparison.pairs


def _write(comparison: Comparison, quote: str, out: Path) -> None:
    """Write numbers, the picture, and a Markdown page with tables, picture and sentence."""
    about = comparison.sides[0].identity
    settings = describe_unlike_settings(comparison.sides)
    for name, frame in (("pairs", comparison.pairs), ("classes", comparison.classes)):
        protocol = {key: about[key] for key in ("protocol", "protocol_hash")}
        write_csv(out / f"{name}.csv", frame.assign(**protocol))
    write_text(out / "groups.svg", to_svg(draw_groups(comparison)) + "\n")
    alt = escape_markdown(describe_groups(comparison))
    page = [
        *map(write_markdown, lay_out_many(comparison)),
        f"## What is told apart\n\n![{alt}](groups.svg)\n",
        f"{escape_markdown(explain_groups(comparison))}\n",
        *([f"## Settings\n\n{escape_markdown(settings)}\n"] if settings else []),
        f"## To quote\n\n{escape_markdown(quote)}\n",
    ]
    write_text(out / "comparison.md", "\n".join(page))


def _read_letter(reference: str | None, sides: int) -> int | None:
    """Return the side with a letter."""
    if sides > len(ascii_uppercase):
        raise InputError(f"{sides} sides are more than there are letters; compare up to 26 at once")
    if reference is None:
        return None
    letters = ascii_uppercase[:sides]
    if len(reference) != 1 or reference.upper() not in letters:
        raise InputError(
            f"reference={reference} is no side; name one by its letter in the order given, A to "
            f"{letters[-1]}"
        )
    return letters.index(reference.upper())


def _name_apart(sides: Sequence[Result], paths: Sequence[Path]) -> list[Result]:
    """Return the sides; sides with equal names get their folder as part of the name."""
    names = [side.name for side in sides]
    return [
        replace(side, name=f"{side.name} ({path})") if names.count(side.name) > 1 else side
        for side, path in zip(sides, paths, strict=True)
    ]


def _read_side(path: Path) -> Result:
    """Read the one configuration in a folder."""
    results = pool_runs(find_runs([path]))
    if len(results) != 1:
        names = "; ".join(f"{result.name} in {result.runs[0].folder}" for result in results)
        raise InputError(
            f"{path} holds {len(results)} configurations, but a side of a comparison is exactly "
            f"one: {names}; give the folder of one of them"
        )
    return results[0]
