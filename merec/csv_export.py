"""CSV files for spreadsheets, without cells that a spreadsheet would execute as formulas."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from merec.files import atomic

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?", re.ASCII)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV atomically, and escape cells that a spreadsheet would execute as formulas.

    Files that merec reads again are written without escapes, which would change names.
    """
    with atomic(path) as part:
        _escape_formulas(table).to_csv(part, index=False)


def _escape_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before texts that start with `=`, `+`, `-`, `@`, tab or return.

    Numbers and single marks, such as `-`, are unchanged, and so are column names that are not text.
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
