"""Test that tables are read by column names from every format, and that bad files are refused."""

import csv
import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from merec.corpora.reading.cells import COLUMNS as COLUMNS_READ
from merec.corpora.reading.cells import read_pages
from merec.corpora.reading.sheets import read_table, refuse_bad_cells
from merec.errors import InputError

COLUMNS = {"subject": ("Subject", "sub"), "onset": ("Onset Frame",), "note": ("Notes",)}


def test_order_spelling_and_place_of_the_header_do_not_matter(
    tmp_path: Path, write_sheet: Callable[..., Path]
) -> None:
    straight = write_sheet(
        tmp_path / "a.xlsx", ["Subject", "Onset Frame", "Notes"], [["s1", 355, "x"]]
    )
    other = write_sheet(
        tmp_path / "b.xlsx",
        [" NOTES ", "onsetframe", "extra", "SUB"],
        [["x", 355.0, 1, " s1 "]],
        above=13,
    )
    assert read_table(straight, COLUMNS).equals(read_table(other, COLUMNS))
    assert read_table(other, COLUMNS).loc[0].tolist() == ["s1", "355", "x"]


def test_rows_keep_their_number_below_the_header(
    tmp_path: Path, write_sheet: Callable[..., Path]
) -> None:
    rows = [["s1", 1], [None, None], ["s2", None]]
    file = write_sheet(tmp_path / "a.xlsx", ["Subject", "Onset Frame"], rows)
    table = read_table(file, COLUMNS, optional={"note"})
    assert table.index.tolist() == [0, 2]
    assert table["onset"].tolist() == ["1", ""]
    assert table["note"].tolist() == ["", ""]


def test_a_short_csv_row_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "Notes,Subject,Onset Frame\nx,s1,4\n,s2\n", encoding="utf-8-sig"
    )
    table = read_table(tmp_path / "a.csv", COLUMNS)
    assert table["subject"].tolist() == ["s1", "s2"]
    assert table["onset"].tolist() == ["4", ""]


def test_an_old_xls_is_recognised_by_its_content(
    tmp_path: Path, write_xls: Callable[..., Path]
) -> None:
    rows = [["Subject", "Onset Frame", "Notes"], ["s1", 355.0, None]]
    file = write_xls(tmp_path / "a.xlsx", rows)
    assert read_table(file, COLUMNS, "sheet1").loc[0].tolist() == ["s1", "355", ""]


def test_a_wrong_sheet_is_refused_with_those_there_are(
    tmp_path: Path, write_sheet: Callable[..., Path]
) -> None:
    file = write_sheet(tmp_path / "a.xlsx", ["Subject", "Onset Frame", "Notes"], [], sheet="other")
    with pytest.raises(InputError, match=r"no sheet `label`, only `other`, `Empty`"):
        read_table(file, COLUMNS, "label")
    with pytest.raises(
        InputError, match=r"sheet other\) has a header \(row 1\) and no row below it"
    ):
        read_table(file, COLUMNS, "OTHER")


def test_a_missing_column_is_refused_with_those_there_are(
    tmp_path: Path, write_sheet: Callable[..., Path]
) -> None:
    file = write_sheet(tmp_path / "a.xlsx", ["Subject", "Notes", "Onset"], [["s1", "", 3]])
    with pytest.raises(InputError, match=r"no column Onset Frame; it has Subject, Notes, Onset"):
        read_table(file, COLUMNS)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 cut off", b"\xd0\xcf\x11\xe0 cut off", b"\xff\xfe\x00"]
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "a.xlsx", COLUMNS)


def test_an_empty_or_absent_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(InputError, match="is empty"):
        read_table(tmp_path / "a.csv", COLUMNS)
    with pytest.raises(InputError, match="does not exist"):
        read_table(tmp_path / "b.csv", COLUMNS)


VALUES = (
    *("EP01_02f", "6E+12", "006", "", "Ünal 王", "4,7", 'say "x"', "1.5", "a;b", "-", "/", "1e3"),
    *(0, 7, 355, 46.0, 0.5, -3.25, 2**40, None, True, False),
    *("#N/A", "#DIV/0!", "#REF!", "TRUE", "59.0", datetime.date(2014, 5, 8)),
)


def _write_all(
    folder: Path, rows: Sequence[Sequence[Any]], write_xls: Callable[..., Path]
) -> list[Path]:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    book.save(folder / "a.xlsx")
    texts = [
        ["" if v is None else str(v).upper() if isinstance(v, bool) else v for v in r] for r in rows
    ]
    files = [folder / "a.xlsx", write_xls(folder / "a.xls", rows)]
    for name, delimiter, encoding in (
        *(("a", ",", "utf-8"), ("b", ";", "utf-8-sig"), ("c", "\t", "utf-16")),
        *(("d", ",", "utf-16-be"), ("e", ";", "utf-32")),
    ):
        file = folder / f"{name}.csv"
        with file.open("w", encoding=encoding, newline="") as handle:
            if encoding == "utf-16-be":
                handle.write("\ufeff")
            csv.writer(handle, delimiter=delimiter).writerows(texts)
        files.append(file)
    return files


@pytest.mark.parametrize("seed", range(5))
def test_one_table_reads_the_same_from_every_format(
    tmp_path: Path, write_xls: Callable[..., Path], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    body = [[VALUES[i] for i in rng.integers(len(VALUES), size=3)] for _ in range(30)]
    files = _write_all(tmp_path, [["Notes", "Subject", "Onset Frame"], *body], write_xls)
    first = read_table(files[0], COLUMNS)
    kinds = {bad.text for bad in first.attrs["bad_cells"]}
    assert {"#N/A", "TRUE", "2014-05-08"} <= kinds
    for file in files[1:]:
        table = read_table(file, COLUMNS)
        pd.testing.assert_frame_equal(table, first)
        assert table.attrs == first.attrs


@pytest.mark.parametrize(
    ("value", "description"),
    [("#N/A", "the error #N/A"), ("#DIV/0!", "the error #DIV/0!"), (True, "the boolean TRUE"),
     (datetime.date(2014, 5, 8), "the date 2014-05-08")],
)  # fmt: skip
def test_a_cell_that_is_no_text_or_number_is_named_and_never_a_number(
    tmp_path: Path, write_xls: Callable[..., Path], value: Any, description: str
) -> None:
    rows = [["Subject", "Onset Frame", "Notes"], ["s1", 4, None], ["s2", value, None]]
    for file in _write_all(tmp_path, rows, write_xls):
        table = read_table(file, COLUMNS)
        assert not table.at[1, "onset"].isdecimal()
        (bad,) = table.attrs["bad_cells"]
        assert (bad.row, bad.column) == (1, "onset")
        with pytest.raises(
            InputError, match=rf"{file.name}, row 3: onset \(cell B3\) is {description}"
        ):
            refuse_bad_cells(table, file)


def test_merged_cells_hold_for_all_their_rows(
    tmp_path: Path, write_xls: Callable[..., Path]
) -> None:
    rows = [["Subject", "Onset Frame", "Notes"], ["s1", 4, "x"], [None, 5, None], ["s2", 6, None]]
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    book.active.merge_cells("A6:A8")  # below the last row
    book.save(tmp_path / "a.xlsx")
    for file in (tmp_path / "a.xlsx", write_xls(tmp_path / "a.xls", rows, merged=[(1, 2, 0, 0)])):
        assert read_table(file, COLUMNS)["subject"].tolist() == ["s1", "s1", "s2"]
    book.active.unmerge_cells("A2:A3")
    book.save(tmp_path / "a.xlsx")
    assert read_table(tmp_path / "a.xlsx", COLUMNS)["subject"].tolist() == ["s1", "", "s2"]


def test_a_formula_without_a_result_asks_for_excel(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Subject", "Onset Frame", "Notes"], ["s1", "=1+2", ""], ["s2", 3, ""]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    table = read_table(tmp_path / "a.xlsx", COLUMNS)
    with pytest.raises(
        InputError, match=r"cell B2\) is the formula =1\+2 without a result; open .* save"
    ):
        refuse_bad_cells(table, tmp_path / "a.xlsx")


def test_of_a_sheet_with_cells_far_away_a_fixed_width_and_no_empty_cell_is_read(
    tmp_path: Path,
) -> None:
    book = openpyxl.Workbook()
    for row in (["Subject", "Onset Frame", "Notes"], ["s1", 3, ""]):
        book.active.append(row)
    book.active["XFD1048576"].number_format = "0.00"
    book.active["IV9"] = "last"  # column 256
    book.active["IW9"] = "beyond"
    book.save(tmp_path / "a.xlsx")
    ((_, page),) = read_pages(tmp_path / "a.xlsx")
    places = {(row, column) for row, cells in page.rows.items() for column in cells}
    assert places == {(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (9, COLUMNS_READ)}


@pytest.mark.parametrize("encoding", ["gb18030", "cp1252", "shift_jis"])
def test_a_csv_of_another_encoding_is_read_where_its_cells_are_ascii_or_else_named(
    tmp_path: Path, encoding: str
) -> None:
    letter = {"gb18030": "王", "cp1252": "é", "shift_jis": "表"}[encoding]  # 表 ends in a backslash
    table = f"Subject,Onset Frame,Notes,{letter}\ns1,4,x,{letter}\ns2,5,y,\n"
    (tmp_path / "a.csv").write_bytes(table.encode(encoding))
    assert read_table(tmp_path / "a.csv", COLUMNS)["subject"].tolist() == ["s1", "s2"]
    (tmp_path / "a.csv").write_bytes(table.replace("s2", letter).encode(encoding))
    with pytest.raises(
        InputError, match=r"cell A3 \(subject\) is in an unknown encoding.*CSV UTF-8"
    ):
        read_table(tmp_path / "a.csv", COLUMNS)


def test_nul_bytes_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("Subject,Onset Frame,Notes\ns1,4,x\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"a.csv cannot be read as .csv: it holds NUL bytes"):
        read_table(tmp_path / "a.csv", COLUMNS)


@pytest.mark.parametrize("suffix", ["xlsx", "xls", "csv"])
def test_a_web_page_instead_of_a_sheet_is_named(tmp_path, suffix):
    (tmp_path / f"a.{suffix}").write_bytes(b"\xef\xbb\xbf<!DOCTYPE html><title>Log in</title>")
    with pytest.raises(
        InputError, match=rf"a\.{suffix} is an HTML page, .*; copy it again from its"
    ):
        read_table(tmp_path / f"a.{suffix}", {"onset": ("Onset",)})
