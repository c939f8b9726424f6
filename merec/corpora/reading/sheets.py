"""Reading of annotation tables by column name (.xlsx, .xls and .csv).

How to use it: `read_table` gives text columns; `describe_source(table, …)` in source.py makes the `Source`
that `read_rows` takes, and `read_rows` reports every cell that is neither text nor number (#N/A, TRUE, a
date, a formula that was never calculated), and every blank subject or clip, by row and cell. A reader that
does not use `read_rows` calls `refuse_bad_cells`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from merec.corpora.reading.cells import Cell, Page, name_cell, read_pages
from merec.types import InputError

_HEADER_ROWS = 30  # a header may stand below a title and a legend, as on row 14 of SAMM


@dataclass(frozen=True)
class BadCell:
    """Cell that contains neither text nor a number.

    Attributes:
        row: Row of the cell, from 0 below the header, as in the index of the table.
        column: merec's name of its column.
        text: Text of the cell.
        found: Problem, with the cell's name in the spreadsheet.
        remedy: Remedy for the user.
    """

    row: int
    column: str
    text: str
    found: str
    remedy: str


def read_table(
    file: Path,
    columns: Mapping[str, Sequence[str]],
    sheet: str | None = None,
    optional: Collection[str] = (),
) -> pd.DataFrame:
    """Read columns of a table by name; their order and the row of the header do not matter.

    A cell of a merged range has the value of the first cell of the range in the same column. Hidden and
    filtered rows are also read.

    Args:
        file: File of the table. Its format is detected from its content, because some .xls files are in fact
            .xlsx. A .csv may be separated by commas, semicolons or tabs, in UTF-8 or UTF-16, or in another
            encoding if the columns are ASCII.
        columns: merec's name of each column → its names in official files. Case, blanks, `_` and `-` are
            ignored.
        sheet: Name of the sheet (ignoring case); `None` for the first sheet that has the columns.
        optional: merec's names of columns that may be missing; they are then empty.

    Returns:
        One row per row that is not empty, as text without surrounding blanks, "" for empty cells, `355` for
        355.0. The index is the number of the row below the header, from 0. `attrs` contains `first_row`, the
        spreadsheet's number of row 0, `letters`, the letter of each column, and `bad_cells`, the `BadCell`s,
        which the caller must report.

    Raises:
        InputError: If the file, the sheet, a column or every row is missing, or the encoding of a cell is
            unknown.
    """
    best: tuple[int, str, list[str], list[str]] | None = None
    for name, page in _choose_pages(file, sheet):
        of_sheet = "" if name is None else f" (sheet {name})"
        merged = _fill_merged(page)
        # With the cells of merged ranges: a header of two lines has its names merged down to the second.
        rows = sorted({*page.rows, *merged})
        for number in [row for row in rows if row <= rows[0] + _HEADER_ROWS]:
            header = {**merged.get(number, {}), **page.rows.get(number, {})}
            places = _place(header, columns)
            missing = [key for key in columns if key not in places and key not in optional]
            if not missing:
                return _take(page, merged, number, places, list(columns), f"{file}{of_sheet}")
            # Of the delimiters of a .csv the one that gives the most columns is the right one.
            if best is None or (len(places), len(header)) > (best[0], len(best[3])):
                texts = [header[column].text for column in sorted(header)]
                best = (len(places), of_sheet, missing, texts)
    if best is None:
        raise InputError(f"{file} is empty; copy the annotation again")
    _, of_best, missing, texts = best
    wanted = ", ".join(" or ".join(dict.fromkeys(columns[key])) for key in missing)
    raise InputError(
        f"{file}{of_best} has no column {wanted}; it has {_list_columns(texts)}. Take the official file, or "
        "name the column as there"
    )


def refuse_bad_cells(table: pd.DataFrame, file: Path) -> None:
    """Refuse a table with a cell that is neither text nor number.

    Args:
        table: Table of `read_table`.
        file: File of the table.

    Raises:
        InputError: If there is such a cell; the message names row and cell of the first, and the number of
            others.
    """
    bad = table.attrs["bad_cells"]
    if bad:
        more = f"; and {len(bad) - 1} more cells" if len(bad) > 1 else ""
        row = bad[0].row + table.attrs["first_row"]
        raise InputError(f"{file}, row {row}: {bad[0].found}; {bad[0].remedy}{more}")


def _plain(name: Any) -> str:
    return re.sub(r"[\s_\-]+", "", str(name)).casefold()


def _choose_pages(file: Path, sheet: str | None) -> Sequence[tuple[str | None, Page]]:
    """Return the sheet with a name; all pages if no name is given or the pages have no names."""
    pages = read_pages(file)
    if sheet is None or not pages or pages[0][0] is None:
        return pages
    named = [(name, page) for name, page in pages if _plain(name) == _plain(sheet)]
    if not named:
        names = ", ".join(f"`{name}`" for name, _ in pages)
        raise InputError(
            f"{file} has no sheet `{sheet}`, only {names}; take the official file, or "
            "rename the sheet that holds the annotation"
        )
    return named


def _list_columns(texts: Sequence[str]) -> str:
    """Return the names of a header, short enough for a line."""
    plain = [" ".join(text.split()) for text in texts[:20]]
    column_list = ", ".join(text if len(text) <= 40 else f"{text[:40]}…" for text in plain)
    return f"{column_list}, and {len(texts) - 20} more" if len(texts) > 20 else column_list


def _fill_merged(page: Page) -> dict[int, dict[int, Cell]]:
    """Return by row and column the cells that merged ranges fill, except in empty rows."""
    filled: dict[int, dict[int, Cell]] = {}
    for first, last, column in page.merged:
        cell = page.rows.get(first, {}).get(column)
        if cell is None or last == first:
            continue
        for row in page.rows:
            if first < row <= last:
                filled.setdefault(row, {})[column] = cell
    return filled


def _place(header: Mapping[int, Cell], columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the position of each column."""
    first: dict[str, int] = {}
    for place in sorted(header):
        first.setdefault(_plain(header[place].text), place)
    places = {}
    for key, names in columns.items():
        matches = [first[_plain(name)] for name in names if _plain(name) in first]
        if matches:
            places[key] = matches[0]
    return places


def _take(
    page: Page,
    merged: Mapping[int, Mapping[int, Cell]],
    header: int,
    places: Mapping[str, int],
    columns: Sequence[str],
    where: str,
) -> pd.DataFrame:
    """Return the rows below the header."""
    kept: dict[int, list[str]] = {}
    bad: list[BadCell] = []
    first = header + 1
    for number in sorted(row for row in page.rows if row > header):
        row_cells = page.rows[number]
        if not any(place in row_cells for place in places.values()):
            continue
        cells = {**merged.get(number, {}), **row_cells}
        for key, place in places.items():
            cell = cells.get(place)
            if cell is None or cell.kind in ("text", "number"):
                continue
            name = name_cell(number, place)
            if cell.kind == "encoding":
                raise InputError(
                    f"{where}, cell {name} ({key}) is in an unknown encoding, such as GBK, and reads "
                    f"{cell.text[:40]!r}; save the table as CSV UTF-8 (in Excel: Save As, CSV UTF-8)"
                )
            problem, remedy = _describe_bad(cell, key, name)
            bad.append(BadCell(number - first, key, cell.text, problem, remedy))
        texts = [cells[places[key]].text if places.get(key) in cells else "" for key in columns]
        kept[number - first] = texts
    if not kept:
        raise InputError(
            f"{where} has a header (row {header}) and no row below it; copy the annotation again"
        )
    table = pd.DataFrame.from_dict(kept, orient="index", columns=list(columns), dtype=object)
    table.index.name = "row"
    table.attrs["first_row"] = first  # from 1, and below the header
    table.attrs["letters"] = {key: name_cell(0, place)[:-1] for key, place in places.items()}
    table.attrs["bad_cells"] = tuple(bad)
    return table


def _describe_bad(cell: Cell, column: str, name: str) -> tuple[str, str]:
    """Describe a cell that is neither text nor number, and the remedy."""
    if cell.kind == "formula":
        problem = f"{column} (cell {name}) is the formula {cell.text[:40]} without a result"
        return problem, "open the table in Excel and save it, so that results are stored with it"
    if cell.kind == "date":
        problem = f"{column} (cell {name}) is the date {cell.text}"
        return problem, "format the column as text and type in what was meant"
    what = "the boolean" if cell.kind == "boolean" else "the error"
    return f"{column} (cell {name}) is {what} {cell.text}", "type in what was meant"
