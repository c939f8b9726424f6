"""Tables are read by the names of their columns, wherever those stand, or refused with what was found."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import xlrd

from merec.corpora.sheets import read_table
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


def test_an_old_xls_is_told_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["Subject", "Onset Frame", "Notes"], ["s1", 355.0, ""]]
    page = SimpleNamespace(name="Sheet1", nrows=2, row_values=lambda number: rows[number])
    book = SimpleNamespace(sheets=lambda: [page])
    monkeypatch.setattr(xlrd, "open_workbook", lambda name: book)
    (tmp_path / "a.xlsx").write_bytes(b"\xd0\xcf\x11\xe0 the magic number of old Office files")
    assert read_table(tmp_path / "a.xlsx", COLUMNS, "sheet1").loc[0].tolist() == ["s1", "355", ""]


def test_a_wrong_sheet_is_refused_with_those_there_are(
    tmp_path: Path, write_sheet: Callable[..., Path]
) -> None:
    file = write_sheet(tmp_path / "a.xlsx", ["Subject", "Onset Frame", "Notes"], [], sheet="other")
    with pytest.raises(InputError, match=r"no sheet `label`, only `other`, `Empty`"):
        read_table(file, COLUMNS, "label")
    assert read_table(file, COLUMNS, "OTHER").empty


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
