"""Test that every notation of action units is read and that unread parts are reported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from merec.corpora.reading.action_units import read_action_units
from merec.corpora.reading.sheets import read_table
from merec.synthetic.annotation import spell
from merec.types import ActionUnit, Corpus

# Notation: its action units and the parts that are recognised but left out, from the keys of the sheets.
CASME = {
    "26+25": ("26 25", ""),
    "24+T18+16": ("24 T18 16", ""),
    "R12": ("R12", ""),
    "L2": ("L2", ""),
    "B23": ("B23", ""),
    "R2+R1": ("R2 R1", ""),
    "R4,5": ("R4 5", ""),  # the prefix belongs to AU 4 only
    "L1,10,11,38,": ("L1 10 11 38", ""),
    "4，11": ("4 11", ""),
    "１２＋４": ("12 4", ""),  # full-width characters
    "13?": ("13", ""),
    "R1+4?": ("R1 4", ""),
    "4+4": ("4", ""),
}
SAMM = {
    "A12": ("12", ""),
    "A7": ("7", ""),
    "A9E": ("9", ""),
    "A12B": ("12", ""),
    "A1B+A2C": ("1 2", ""),
    "L14A": ("L14", ""),
    "R14A": ("R14", ""),
    "L14B + 2c": ("L14 2", ""),
    "6E+12": ("6 12", ""),
    "AU1+AU2": ("1 2", ""),
    "AU 12 + AU 25": ("12 25", ""),
    "12R": ("R12", ""),
    "14L+6EL": ("L14 L6", ""),
    "LT10": ("LT10", ""),
    "R12 or R15": ("R12", "R15"),
    "(R6 or R12)+R15": ("R6 R15", "R12"),
    "4 or 5+7": ("4 7", "5"),
    "AU4 or AU 5 or 6, AU 7": ("4 7", "AU 5;6"),
    "10A/B": ("10", ""),
    "4A/B+7": ("4 7", ""),
    "A/L12": ("12", "L12"),
    "ref(7B)": ("", "ref(7B)"),
    "4+ref(L10)": ("4", "ref(L10)"),
}
SAMM_LONG_VIDEOS = {
    "4(B/C)+7B": ("4 7", ""),
    "12(B/C)": ("12", ""),
    "12 (B)": ("12", ""),
    "ref(43E)": ("", "ref(43E)"),
    "4B+ref(43E)": ("4", "ref(43E)"),
}
DFME = {
    "AU4": ("4", ""),
    "4+AD31": ("4 31", ""),
    "AD38,AD39": ("38 39", ""),
    "M57": ("", "M57"),
    "12+M58": ("12", "M58"),
}
FOUR_D = {
    "AU4(k)+L7": ("L7", "AU4(k)"),
    "AUR2+12(k)+45": ("R2 45", "12(k)"),
    "AUR2+AUT12": ("R2 T12", ""),
}


@pytest.mark.parametrize(
    ("text", "units", "left_out"),
    [
        (text, *expected)
        for notation in (CASME, SAMM, SAMM_LONG_VIDEOS, DFME, FOUR_D)
        for text, expected in notation.items()
    ],
)
def test_every_notation_is_read_completely(text: str, units: str, left_out: str) -> None:
    cell = read_action_units(text)
    assert cell.unread == ()
    assert cell.units == cell.read
    assert [str(unit) for unit in cell.read] == units.split()
    assert [part.split(" (")[0] for part in cell.left_out] == left_out.split(";") * bool(left_out)
    assert read_action_units(spell(cell.read)).read == cell.read


@pytest.mark.parametrize("text", [12, "12"])
def test_a_number_is_an_action_unit(text: object) -> None:
    assert read_action_units(text).units == (ActionUnit(12),)


@pytest.mark.parametrize("text", [" - ", "/", "none"])
def test_a_row_may_state_that_there_is_no_action_unit(text: str) -> None:
    assert read_action_units(text).units == ()


@pytest.mark.parametrize("text", ["", " ", None, float("nan"), "?", "glare", "A", "AU"])
def test_a_row_that_cannot_be_read_is_not_a_row_without_action_units(text: object) -> None:
    assert read_action_units(text).units is None


@pytest.mark.parametrize(
    ("text", "units", "unread"),
    [
        ("4+smile+12", "4 12", "smile"),
        ("4+glare", "4", "glare"),
        ("4 or", "4", "or"),
        ("L12R", "", "L12R"),
        ("A12R", "", "A12R"),
        ("4.5", "", "4.5"),
        ("4-7", "", "4-7"),
        ("4+0+123", "4", "0 123"),
    ],
)
def test_parts_that_cannot_be_read_are_named(text: str, units: str, unread: str) -> None:
    cell = read_action_units(text)
    assert [str(unit) for unit in cell.read] == units.split()
    assert list(cell.unread) == unread.split()
    assert cell.units is None


def test_side_and_lip_are_distinguished() -> None:
    (unit,) = read_action_units("LB23").read
    assert (unit.number, unit.side, unit.part) == (23, "L", "B")


@pytest.mark.parametrize(
    ("name", "sheet", "column", "rows"),
    [
        ("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "label", "AU", 860),
        ("CAS(ME)3_part_A_v2.xls", "AU+Emotion", "AU", 4206),
        ("CAS(ME)3_part_C_ME.xlsx", None, "au", 165),
    ],
)
def test_the_official_sheets_are_read_completely(
    real_casme3: Path, name: str, sheet: str | None, column: str, rows: int
) -> None:
    texts = read_table(real_casme3 / name, {"units": (column,)}, sheet)["units"]
    assert len(texts) == rows
    for text in texts:
        cell = read_action_units(text)
        assert cell.units, text
        assert not cell.left_out, text


SAMM_HEADER = ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units",
               "Estimated Emotion"]  # fmt: skip


def test_a_row_is_a_sample_with_unknown_units_and_a_finding_where_its_cell_cannot_be_read(
    tmp_path: Path, write_sheet: Callable[..., Path], read: Callable[..., Corpus]
) -> None:
    cells = ["A12", "glare", None, "4+ref(10)", "-"]
    rows = [["006", f"006_1_{number}", 1, 5, 9, cell, "Anger"] for number, cell in enumerate(cells)]
    write_sheet(tmp_path / "SAMM_Micro_FACS_Codes_v2.xlsx", SAMM_HEADER, rows)
    corpus = read("samm", tmp_path)
    coded = corpus.index["action_units"]
    assert coded.isna().tolist() == [False, True, True, False, False]
    assert [tuple(map(str, units)) for units in coded[coded.notna()]] == [("12",), ("4",), ()]
    findings = {f.row: (f.severity, f.kind, f.found) for f in corpus.findings if "unit" in f.kind}
    assert findings == {
        1: ("warning", "action unit", "'glare' in 'glare'"),
        2: ("warning", "action unit", "no action units are coded"),
        3: ("note", "action unit left out", "ref(10) (seen in the reference frame) in '4+ref(10)'"),
    }


def test_a_list_without_action_units_gives_samples_with_unknown_units_and_no_finding(
    tmp_path: Path, write_sheet: Callable[..., Path], read: Callable[..., Corpus]
) -> None:
    rows = [["006", f"006_1_{number}", 1, 5, 9, None, "Anger"] for number in range(3)]
    write_sheet(tmp_path / "SAMM_Micro_FACS_Codes_v2.xlsx", SAMM_HEADER, rows)
    corpus = read("samm", tmp_path)
    assert corpus.index["action_units"].isna().all()
    assert not [finding for finding in corpus.findings if finding.kind == "action unit"]
