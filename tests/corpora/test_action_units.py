"""Action units are read as coders write them, with their own side and part and nothing else's."""

from pathlib import Path

import pytest

from merec.corpora.action_units import parse_action_units, read_action_units
from merec.corpora.sheets import read_table


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("26+25", "26 25"),
        ("24+T18+16", "24 T18 16"),
        ("R12", "R12"),
        ("B23", "B23"),
        ("R2+R1", "R2 R1"),
        ("R4,5", "R4 5"),  # the prefix is AU 4's alone
        ("L1,10,11,38,", "L1 10 11 38"),
        ("4，11", "4 11"),
        ("13?", "13"),
        ("R1+4?", "R1 4"),
        ("AU1+AU2", "1 2"),
        ("AU 12 + AU 25", "12 25"),
        ("6E+12", "6 12"),
        ("R14A", "R14"),
        ("L14B + 2c", "L14 2"),
        ("LT10", "LT10"),
        ("12R", "R12"),
        ("14L+6EL", "L14 L6"),
        ("4+4", "4"),
        (12, "12"),
        ("", ""),
        (" - ", ""),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_every_way_of_writing_is_read(text: object, units: str) -> None:
    assert [str(unit) for unit in parse_action_units(text)] == units.split()


@pytest.mark.parametrize(
    ("text", "units", "unread"),
    [
        ("4+smile+12", "4 12", "smile"),
        ("R12 or R15", "R12", "or R15"),
        ("4 or 5+7", "4 7", "or 5"),
        ("AU4 or AU 5 or 6, AU 7", "4 7", "or AU 5, or 6"),
        ("4 or", "4", "or"),
        ("L12R", "", "L12R"),
        ("4+0+123", "4", "0, 123"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_kept(text: str, units: str, unread: str) -> None:
    known, rest = read_action_units(text)
    assert [str(unit) for unit in known] == units.split()
    assert rest == unread


def test_sides_and_parts_are_told_apart() -> None:
    (unit,) = parse_action_units("LB23")
    assert (unit.number, unit.side, unit.part) == (23, "L", "B")


def test_all_official_strings_are_read(real_casme3: Path) -> None:
    for name, column in (
        ("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "AU"),
        ("CAS(ME)3_part_C_ME.xlsx", "au"),
    ):
        texts = read_table(real_casme3 / name, {"units": (column,)})["units"]
        assert len(texts) in (860, 165)
        for text in texts:
            units, unread = read_action_units(text)
            assert units, text
            assert not unread, text
