"""Tables as .csv files for people, no cell of which is a formula for a spreadsheet."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from merec.files import atomic

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?", re.ASCII)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a .csv for people, wholly or not at all; no cell of it is a formula for a spreadsheet.

    Files that merec reads again are written as they are, since a mended cell would be another name.
    """
    with atomic(path) as part:
        _escape_formulas(table).to_csv(part, index=False)


def _escape_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before texts that a spreadsheet would run: after `=`, `+`, `-`, `@`, tab or return.

    Numbers and a mark alone, such as `-`, stay as they are; so do names of columns that are none.
    """
    escaped = table.rename(columns=_escape)
    for place, (_, column) in enumerate(table.items()):
        if column.dtype.kind not in "biufcmM":
            escaped.isetitem(place, column.map(_escape))
    return escaped


def _escape(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", "\n")  # a return alone is not quoted, and would end the row
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return text
    return text if len(cell) == 1 or _NUMBER.fullmatch(cell) else f"'{text}"
