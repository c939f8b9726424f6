"""Annotation tables by the names of their columns: .xlsx, .xls and .csv."""

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from merec.types import InputError

_HEADER_ROWS = 30  # a header may stand below a title and a legend, as on row 14 of SAMM


def read_table(
    file: Path,
    columns: Mapping[str, Sequence[str]],
    sheet: str | None = None,
    optional: Collection[str] = (),
) -> pd.DataFrame:
    """Read some columns of a table; where they stand and in which row their header is does not matter.

    Args:
        file: The table; its kind is told by its content, because .xls files are at times .xlsx inside.
        columns: Our name of each column → the names it has in official files. Upper case, blanks, `_` and
            `-` in them do not count.
        sheet: Name of the sheet (upper case does not count); `None` for the first that has the columns.
        optional: Our names of the columns that may be missing; they are then empty.

    Returns:
        One row per row that is not empty, all as text without surrounding blanks, "" where a cell is
        empty, `355` for 355.0; its index is the number of the row, from 0, below the header, and
        `attrs["first_row"]` the number that a spreadsheet shows beside row 0.

    Raises:
        InputError: If the file, the sheet or a column is missing, naming what was found.
    """
    sheets = _read_sheets(file)
    if sheet is not None and None not in sheets:
        named = {name: rows for name, rows in sheets.items() if _plain(name) == _plain(sheet)}
        if not named:
            raise InputError(
                f"{file} has no sheet `{sheet}`, only {_listed(sheets)}; take the official file, or "
                "rename the sheet that holds the annotation"
            )
        sheets = named
    best: tuple[int, Any, list[str], list[str]] | None = None
    for name, rows in sheets.items():
        for number, header in enumerate(rows[:_HEADER_ROWS]):
            places = _place(header, columns)
            missing = [key for key in columns if key not in places and key not in optional]
            if not missing:
                table = _take(rows[number + 1 :], places, list(columns))
                table.attrs["first_row"] = number + 2  # from 1, and below the header
                return table
            if any(header) and (best is None or len(places) > best[0]):
                best = (len(places), name, missing, [cell for cell in header if cell])
    if best is None:
        raise InputError(f"{file} is empty; copy the annotation again")
    _, name, missing, found = best
    wanted = ", ".join(" or ".join(dict.fromkeys(columns[key])) for key in missing)
    of_sheet = "" if name is None else f" (sheet {name})"
    raise InputError(
        f"{file}{of_sheet} has no column {wanted}; it has {', '.join(found)}. Take the official file, or "
        "name the column as there"
    )


def _read_sheets(file: Path) -> dict[Any, list[list[str]]]:
    """Every sheet as rows of text; the one sheet of a .csv is called `None`."""
    if not file.is_file():
        raise InputError(f"{file} does not exist; it should hold the annotation")
    try:
        with file.open("rb") as handle:
            magic = handle.read(4)
        if magic == b"PK\x03\x04":
            from openpyxl import load_workbook

            book = load_workbook(file, data_only=True)
            return {
                page.title: [
                    [_text(cell) for cell in row] for row in page.iter_rows(values_only=True)
                ]
                for page in book.worksheets
            }
        if magic == b"\xd0\xcf\x11\xe0":
            import xlrd

            old = xlrd.open_workbook(str(file))
            return {
                page.name: [[_text(cell) for cell in page.row_values(n)] for n in range(page.nrows)]
                for page in old.sheets()
            }
        with file.open(encoding="utf-8-sig", newline="") as handle:
            return {None: [[_text(cell) for cell in row] for row in csv.reader(handle)]}
    except Exception as error:  # a damaged archive fails in a dozen ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{file} cannot be read as .xlsx, .xls or .csv ({reason}); copy it again"
        ) from error


def _text(cell: Any) -> str:
    """A cell as text: spreadsheets give 355.0 for a number that was typed as 355."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _plain(name: Any) -> str:
    return re.sub(r"[\s_\-]+", "", str(name)).casefold()


def _listed(sheets: Mapping[Any, Any]) -> str:
    return ", ".join(f"`{name}`" for name in sheets)


def _place(header: Sequence[str], columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Where each of our columns stands."""
    first: dict[str, int] = {}
    for place, cell in enumerate(header):
        first.setdefault(_plain(cell), place)
    found = {}
    for key, names in columns.items():
        places = [first[_plain(name)] for name in names if _plain(name) in first]
        if places:
            found[key] = places[0]
    return found


def _take(
    rows: Sequence[Sequence[str]], places: Mapping[str, int], columns: Sequence[str]
) -> pd.DataFrame:
    kept = {}
    for number, row in enumerate(rows):
        cells = dict(enumerate(row))  # a row of a .csv may end early
        texts = [cells.get(places.get(key, -1), "") for key in columns]
        if any(texts):
            kept[number] = texts
    table = pd.DataFrame.from_dict(kept, orient="index", columns=list(columns), dtype=object)
    table.index.name = "row"
    return table
