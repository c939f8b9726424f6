"""Typed cells of spreadsheets (.xlsx, .xls and .csv).

Loaders use `merec.corpora.reading.sheets`; this module defines cells.
"""

import csv
import datetime
import io
import math
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from merec.errors import InputError, quote_error
from merec.files import refuse_stranger

ROWS, COLUMNS = 1_048_576, 256  # what is read of a sheet; .xlsx ends at the same row
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_ERROR = re.compile(r"#(?:N/A|NV|[A-Z/0_]+[!?])")
_INTEGER = re.compile(r"(-?\d+)\.0*", re.ASCII)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = re.compile(
    rf"\d{{4}}[-/]\d{{1,2}}[-/]\d{{1,2}}(?:[ T]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?)?|\d{{1,2}}/\d{{1,2}}/\d{{4}}"
    rf"|\d{{1,2}}-{_MONTH}(?:-\d{{2,4}})?|{_MONTH}-\d{{2}}",
    re.ASCII,
)


class Cell(NamedTuple):
    """Cell that is not empty.

    Attributes:
        kind: `text`, `number`, `boolean`, `error` (such as #N/A), `date`, `formula` (whose result was not
            saved) or `encoding` (text of a .csv in an unknown encoding).
        text: Displayed text without surrounding blanks, e.g. 355 for 355.0, TRUE, #N/A, 2014-05-08.
    """

    kind: str
    text: str


@dataclass
class Page:
    """Cells of a sheet that are not empty.

    Attributes:
        rows: Row number → column number → cell, both from 1; empty cells and empty rows are left out.
        merged: First row, last row (included) and column of each merged range; its upper left cell applies to
            the rows below in the same column.
        how: Delimiter of a .csv in words, for messages; else "".
    """

    rows: dict[int, dict[int, Cell]] = field(default_factory=dict)
    merged: list[tuple[int, int, int]] = field(default_factory=list)
    how: str = ""

    def put(self, row: int, column: int, cell: Cell | None) -> None:
        """Add a cell, unless it is empty."""
        if cell is not None:
            self.rows.setdefault(row, {})[column] = cell


def read_pages(file: Path) -> list[tuple[str | None, Page]]:
    """Read every sheet of a file; its format is detected from its content.

    Returns:
        Name and cells of each sheet. A .csv has no sheet name and is returned once per possible delimiter.

    Raises:
        InputError: If the file is missing or cannot be read.
    """
    try:
        if not file.is_file():
            raise InputError(f"{file} does not exist; it should hold the annotation")
        refuse_stranger(file)
        with file.open("rb") as handle:
            magic = handle.read(4)
        with warnings.catch_warnings(action="ignore"):  # openpyxl tells what it leaves out
            if magic == b"PK\x03\x04":
                return _read_xlsx(file)
            if magic == b"\xd0\xcf\x11\xe0":
                return _read_xls(file)
            return _read_csv(file)
    except InputError:
        raise
    except Exception as error:  # a damaged archive fails in a dozen ways
        reason = quote_error(error)
        raise InputError(
            f"{file} cannot be read as .xlsx, .xls or .csv ({reason}); copy it again"
        ) from error


def name_cell(row: int, column: int) -> str:
    """Return the name of a cell in a spreadsheet, e.g. `D5` for row 5 and column 4 (from 1)."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


def is_frame_number(text: str) -> bool:
    """Return whether a cell is a frame number: digits that 64-bit integers and float64 represent exactly."""
    return text.isdecimal() and len(text) <= 15


def read_text(text: str) -> Cell | None:
    """Return the typed cell of a text, which may be an error, a boolean or a date; `None` if blank."""
    text = text.strip()
    if not text:
        return None
    if _ERROR.fullmatch(text):
        return Cell("error", text)
    if text.upper() in ("TRUE", "FALSE"):
        return Cell("boolean", text.upper())
    if _DATE.fullmatch(text):
        return Cell("date", re.sub(r"[ T]00?:00(:00(\.0+)?)?$", "", text))
    whole = _INTEGER.fullmatch(text)  # pandas writes 59.0 where a column has a gap
    return Cell("text", whole[1] if whole else text)


def _read_value(value: Any) -> Cell | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return Cell("boolean", str(value).upper())
    if isinstance(value, int):
        return Cell("number", str(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            return Cell("error", str(value))
        return Cell("number", str(int(value)) if value.is_integer() else str(value))
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return Cell("date", str(value).removesuffix(" 00:00:00"))
    return read_text(str(value))


def _read_xlsx(file: Path) -> list[tuple[str | None, Page]]:
    from openpyxl import load_workbook

    pages: list[tuple[str | None, Page]] = []
    book = load_workbook(file, read_only=True, data_only=True)
    with zipfile.ZipFile(file) as archive:
        for sheet in book.worksheets:
            page = Page()
            sheet.reset_dimensions()  # some programs write a wrong one
            blank = None
            # Row by row and to a fixed width: one formatted cell far away makes no rectangle.
            for number, row in enumerate(sheet.iter_rows(max_col=COLUMNS), start=1):
                if number > ROWS:
                    break
                if row is blank:  # openpyxl gives one and the same row for all that are not stored
                    continue
                cells = [(cell.column, cell) for cell in row if cell.value is not None]
                for column, cell in cells:
                    error = cell.data_type == "e"
                    value = Cell("error", str(cell.value)) if error else _read_value(cell.value)
                    page.put(number, column, value)
                if not cells:
                    blank = row
            # openpyxl keeps neither merged ranges nor formulas without a result when it reads row by row.
            _add_structure(page, archive.read(sheet._worksheet_path))
            pages.append((sheet.title, page))
    book.close()
    return pages


def _add_structure(page: Page, xml: bytes) -> None:
    """Add merged ranges, and formulas whose result was not saved."""
    from openpyxl.utils.cell import coordinate_to_tuple, range_boundaries

    if not re.search(rb"<(?:\w+:)?(?:f|mergeCell)[\s/>]", xml):
        return
    for _, element in ElementTree.iterparse(io.BytesIO(xml)):
        kind = element.tag.rpartition("}")[2]
        if kind == "mergeCell":
            column, first, _, last = range_boundaries(element.get("ref", ""))
            page.merged.append((first, last, column))
        elif kind == "c":
            parts = {part.tag.rpartition("}")[2]: part.text for part in element}
            if "f" in parts and not parts.get("v") and element.get("t") != "str":
                row, column = coordinate_to_tuple(element.get("r", ""))
                page.put(row, column, Cell("formula", f"={parts['f'] or ''}"))
        elif kind == "row":
            element.clear()


def _read_xls(file: Path) -> list[tuple[str | None, Page]]:
    import xlrd

    try:
        book = xlrd.open_workbook(
            str(file), logfile=io.StringIO(), formatting_info=True, ragged_rows=True
        )
    except xlrd.XLRDError as error:
        if any(word in str(error).lower() for word in ("encrypt", "can't find workbook")):
            raise InputError(
                f"{file} cannot be read: it is protected with a password, or no spreadsheet; open it in "
                "Excel and save it without a password"
            ) from error
        raise
    pages: list[tuple[str | None, Page]] = []
    for sheet in book.sheets():
        page = Page()
        for row in range(sheet.nrows):
            for column in range(min(sheet.row_len(row), COLUMNS)):
                cell = sheet.cell(row, column)
                page.put(row + 1, column + 1, _read_old(cell.ctype, cell.value, book.datemode))
        page.merged = [(first + 1, end, column + 1) for first, end, column, _ in sheet.merged_cells]
        pages.append((sheet.name, page))
    return pages


def _read_old(kind: int, value: Any, datemode: int) -> Cell | None:
    """Return a cell of an .xls, where the kind determines whether 42 means #N/A and 1 means TRUE."""
    import xlrd

    if kind == xlrd.XL_CELL_ERROR:
        return Cell("error", xlrd.error_text_from_code.get(value, f"#ERROR {value}"))
    if kind == xlrd.XL_CELL_BOOLEAN:
        return Cell("boolean", str(bool(value)).upper())
    if kind == xlrd.XL_CELL_DATE:
        try:
            return _read_value(xlrd.xldate_as_datetime(value, datemode))
        except (ValueError, OverflowError, xlrd.XLDateError):
            return Cell("date", str(value))
    return _read_value(value)


def _read_csv(file: Path) -> list[tuple[str | None, Page]]:
    text, encoding_known = _decode(file)
    pages: list[tuple[str | None, Page]] = []
    problems = []
    for delimiter, how in DELIMITERS.items():
        try:
            pages.append((None, _split(text, delimiter, how, encoding_known)))
        except csv.Error as error:
            problems.append(str(error))
    if not pages:
        raise InputError(
            f"{file} cannot be read as .csv ({problems[0]}); expected cells between commas, semicolons or "
            "tabs, and each quote closed; save it again as CSV UTF-8"
        )
    return pages


def _split(text: str, delimiter: str, how: str, encoding_known: bool) -> Page:
    page = Page(how=how)
    rows: Iterator[list[str]] = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True
    )
    for number, row in enumerate(rows, start=1):
        for column, content in enumerate(row[:COLUMNS], start=1):
            cell = read_text(content)
            if cell and not encoding_known and not content.isascii():
                cell = Cell("encoding", cell.text)
            page.put(number, column, cell)
    return page


_MARKS: Mapping[bytes, str] = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def _decode(file: Path) -> tuple[str, bool]:
    """Return the text of a .csv, and whether its encoding is known.

    Other encodings of Excel (GBK, Shift-JIS, Windows-1252) agree with ASCII in English letters and
    delimiters. Other characters are read as Latin-1 and must not be used.
    """
    content = file.read_bytes()
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    if encoding is not None:
        text = content.decode(encoding).removeprefix("\ufeff")
    else:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text, encoding = content.decode("latin-1"), "unknown"
    if "\0" in text:
        raise InputError(
            f"{file} cannot be read as .csv: it holds NUL bytes, so it is no text in UTF-8 (UTF-16 without "
            "a mark, or damaged); save it again as CSV UTF-8"
        )
    return text, encoding != "unknown"
