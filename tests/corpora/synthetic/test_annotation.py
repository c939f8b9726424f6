"""Test that annotation sheets have the format of the official file and do not depend on the clock."""

import time
import zipfile
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook

from merec.corpora.casme3_lists import MACRO_FILE, MICRO_FILE
from merec.corpora.reading.action_units import read_action_units
from merec.synthetic.annotation import (
    MACRO_COLUMNS,
    MICRO_COLUMNS,
    classify,
    spell,
    write_annotation,
)
from merec.synthetic.plan import ClipPlan, plan_corpus


@pytest.fixture(scope="module")
def clips() -> list[ClipPlan]:
    return plan_corpus(4, 6, 3, 5, 0, 0, "key")


def read(file: Path, sheet: str) -> pd.DataFrame:
    return pd.read_excel(file, sheet_name=sheet, dtype=str)


def test_the_micro_sheet_has_the_official_sheets_and_columns(clips, tmp_path):
    file = write_annotation(clips, tmp_path)[0]
    assert file == tmp_path / MICRO_FILE
    book = load_workbook(file)
    assert book.sheetnames == ["label", "Sheet1", "Sheet3"]
    assert tuple(read(file, "label").columns) == MICRO_COLUMNS
    assert book["Sheet1"].max_row == 1
    assert book["Sheet1"]["A1"].value is None
    assert all(isinstance(cell.value, str) for row in book["label"] for cell in row)


def test_names_and_columns_are_those_of_the_real_file(real_list):
    book = load_workbook(real_list)
    assert book.sheetnames == ["label", "Sheet1", "Sheet3"]
    assert tuple(cell.value for cell in book["label"][1]) == MICRO_COLUMNS
    assert {type(cell.value) for cell in book["label"][2]} == {str}


def test_the_objective_class_of_every_real_row_follows_the_rule(real_rows):
    classes = real_rows["AU"].map(lambda text: classify(read_action_units(text).read))
    assert (classes == real_rows["Objective class"]).all()
    spelled = real_rows["AU"].map(lambda text: spell(read_action_units(text).read))
    assert spelled.equals(real_rows["AU"])


def test_every_planned_micro_expression_has_its_row(clips, tmp_path):
    rows = read(write_annotation(clips, tmp_path)[0], "label")
    expected = [
        (
            *(clip.subject, clip.clip, str(e.onset), str(e.apex), str(e.offset)),
            *(spell(e.action_units), classify(e.action_units), e.emotion),
        )
        for clip in clips
        if clip.kind == "micro"
        for e in clip.expressions
    ]
    assert list(rows.itertuples(index=False, name=None)) == expected
    assert len(expected) == 24


def test_macro_expressions_have_a_sheet_of_their_own_if_there_are_any(clips, tmp_path):
    files = write_annotation(clips, tmp_path / "some")
    assert [file.name for file in files] == [MICRO_FILE, MACRO_FILE]
    rows = pd.read_excel(files[1], dtype=str)
    assert tuple(rows.columns) == MACRO_COLUMNS
    assert len(rows) == 5
    macro = [clip for clip in clips if clip.kind == "macro"]
    assert rows["seq"].tolist() == [clip.clip for clip in macro]
    assert rows["AU"].tolist() == [spell(clip.expressions[0].action_units) for clip in macro]
    without = [clip for clip in clips if clip.kind != "macro"]
    assert [file.name for file in write_annotation(without, tmp_path / "none")] == [MICRO_FILE]
    assert not (tmp_path / "none" / MACRO_FILE).exists()


def test_unlabelled_clips_are_in_no_sheet(clips, tmp_path):
    for file in write_annotation(clips, tmp_path):
        assert not pd.read_excel(file, dtype=str).isin(["u1", "u2", "u3"]).any().any()


def test_the_bytes_do_not_depend_on_the_clock(clips, tmp_path, monkeypatch):
    first = [file.read_bytes() for file in write_annotation(clips, tmp_path / "a")]
    later = time.time() + 4e7
    monkeypatch.setattr("time.time", lambda: later)
    monkeypatch.setattr("time.localtime", lambda *_: time.gmtime(later))

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(later, tz)

    monkeypatch.setattr("datetime.datetime", Later)
    second = [file.read_bytes() for file in write_annotation(clips, tmp_path / "b")]
    assert first == second


def test_no_present_date_is_in_the_file(clips, tmp_path):
    with zipfile.ZipFile(write_annotation(clips, tmp_path)[0]) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        assert b"2000-01-01T00:00:00Z" in archive.read("docProps/core.xml")
        assert str(datetime.now().year).encode() not in archive.read("docProps/core.xml")
        assert archive.testzip() is None


def test_a_write_that_fails_leaves_neither_a_file_nor_a_part(clips, tmp_path, monkeypatch):
    def fail(file):
        raise OSError("no space left on device")

    monkeypatch.setattr("merec.synthetic.annotation._fix_dates", fail)
    with pytest.raises(OSError, match="no space left"):
        write_annotation(clips, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("12", "I"),
        ("R12", "I"),
        ("2+1", "II"),
        ("26+25", "II"),
        ("4", "III"),
        ("B23", "III"),
        ("9+4", "IV"),
        ("1", "V"),
        ("R20", "VI"),
        ("14", "VII"),
        ("24+T18+16", "VII"),
    ],
)
def test_objective_classes_and_spelling(text, name):
    units = read_action_units(text).read
    assert classify(units) == name
    assert spell(units) == text
