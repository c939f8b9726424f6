"""Test that an erratum is applied to its row only and noted."""

import pandas as pd
import pytest

import merec.corpora.reading.errata as errata
from merec.corpora.reading.errata import apply_errata, read_errata
from merec.types import Finding

COLUMNS = ["subject", "clip", "onset", "apex", "offset"]
OTHER = ["spNO.1", "a", "10", "12", "20"]
SLIP = ["spNO.2", "b", "3647", "2668", "2694"]


def make(*rows: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=COLUMNS, dtype=object)
    table["sample_id"] = table["subject"] + "_" + table["clip"] + "_" + table["onset"]
    return table


def correct(
    monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, erratum: dict
) -> tuple[pd.DataFrame, list[Finding]]:
    monkeypatch.setattr(errata, "read_errata", lambda: {"list": [{"why": "a slip", **erratum}]})
    return apply_errata(table, "list", "sheet.xlsx")


ERRATUM = {
    "row": 1, "subject": "spNO.2", "clip": "b", "was": {"onset": 3647}, "set": {"onset": 2647},
}  # fmt: skip


def test_an_erratum_is_applied_and_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(OTHER, SLIP)
    corrected, (note,) = correct(monkeypatch, table, ERRATUM)
    assert corrected["onset"].tolist() == ["10", "2647"]
    # Sample ids keep the annotated onset.
    assert corrected["sample_id"].tolist() == table["sample_id"].tolist()
    assert table["onset"].tolist() == ["10", "3647"]
    assert note == Finding(
        "note",
        "erratum",
        "sheet.xlsx",
        1,
        "spNO.2_b_3647",
        "onset 3647",
        "taken as onset 2647: a slip",
    )


def test_an_erratum_follows_its_sample_to_another_row(monkeypatch: pytest.MonkeyPatch) -> None:
    corrected, (note,) = correct(monkeypatch, make(SLIP, OTHER), ERRATUM)
    assert corrected["onset"].tolist() == ["2647", "10"]
    assert note.row == 0


ELSEWHERE = ["spNO.2", "b", "500", "510", "520"]


def test_an_erratum_is_not_applied_to_other_values(monkeypatch: pytest.MonkeyPatch) -> None:
    corrected, notes = correct(monkeypatch, make(OTHER, ELSEWHERE), ERRATUM)
    assert corrected.equals(make(OTHER, ELSEWHERE))
    assert notes == []


def test_an_erratum_that_does_not_apply_is_noted_only_if_another_one_of_the_list_applies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = {"subject": "spNO.1", "clip": "a", "was": {"onset": 10}, "set": {"onset": 11}}
    both = {"list": [{"why": "a slip", **ERRATUM}, {"why": "a slip", **first}]}
    monkeypatch.setattr(errata, "read_errata", lambda: both)
    _, notes = apply_errata(make(OTHER, ELSEWHERE), "list", "sheet.xlsx")
    assert [note.kind for note in notes] == ["erratum", "erratum not applicable"]
    assert apply_errata(make(ELSEWHERE), "list", "sheet.xlsx")[1] == []


@pytest.mark.parametrize("row", [OTHER, ["spNO.2", "b", "2647", "2668", "2694"]])
def test_a_corrected_or_absent_row_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, row: list[str]
) -> None:
    table = make(row, row)
    corrected, notes = correct(monkeypatch, table, ERRATUM)
    assert corrected.equals(table)
    assert notes == []


def test_an_erratum_that_fits_two_rows_is_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    corrected, _ = correct(monkeypatch, make(SLIP, OTHER, SLIP), ERRATUM)
    assert corrected["onset"].tolist() == ["3647", "10", "3647"]


@pytest.mark.parametrize(
    ("apex", "offset", "was", "new", "expected"),
    [
        ("5", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("31", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("30", "30", {"apex": "outside"}, {"apex": "middle"}, ("30", "30")),
        ("15", "12", {"offset": "outside"}, {"offset": 40}, ("15", "40")),
        # A correction that is outside as well gives an unknown offset.
        ("15", "12", {"offset": "outside"}, {"offset": 14}, ("15", "unknown")),
        ("15", "15", {"offset": "outside"}, {"offset": 40}, ("15", "15")),
        ("/", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("-1", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("15", "/", {"offset": "outside"}, {"offset": 40}, ("15", "40")),
        # Without an offset there is no middle.
        ("/", "-1", {"apex": "outside"}, {"apex": "middle"}, ("/", "-1")),
        ("middle", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
    ],
)
def test_a_number_counts_as_outside_only_if_it_is(
    monkeypatch: pytest.MonkeyPatch, apex: str, offset: str, was: dict, new: dict, expected: tuple
) -> None:
    table = make(["006", "006_1_2", "10", apex, offset])
    corrected, _ = correct(monkeypatch, table, {"row": 0, "was": was, "set": new})
    assert (corrected.at[0, "apex"], corrected.at[0, "offset"]) == expected


def test_errata_are_not_applied_to_another_corpus_with_the_same_subjects() -> None:
    table = make(["spNO.40", "e", "12", "15", "20"], ["spNO.216", "d", "5", "9", "12"])
    corrected, notes = apply_errata(table, "casme3 part A", "sheet.xlsx")
    assert corrected.equals(table)
    assert notes == []


def test_a_row_beyond_the_end_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(OTHER)
    rule = {"row": 9, "was": {"apex": "outside"}, "set": {"apex": "middle"}}
    assert correct(monkeypatch, table, rule)[1] == []


def test_every_official_erratum_has_place_values_and_reason() -> None:
    assert set(read_errata()) == {"casme3 part A", "casme2", "samm"}
    for entries in read_errata().values():
        for entry in entries:
            assert (
                {"was", "set", "why"}
                <= set(entry)
                <= {"row", "subject", "clip", "was", "set", "why"}
            )
            assert ("subject" in entry) == ("clip" in entry)
            assert "subject" in entry or "outside" in entry["was"].values(), entry
            assert {*entry["was"], *entry["set"]} <= {"onset", "apex", "offset"}
            assert len(entry["why"]) > 10


@pytest.mark.parametrize(
    ("apex", "taken"), [("83", "160"), ("0", "160"), ("160", "160"), ("113", "113")]
)
def test_row_128_of_casme3_has_the_apex_of_the_authors_full_sheet(apex: str, taken: str) -> None:
    """Check version 2 (apex 83), version 1 (0) and the list of DVSCL, whose 113 is kept."""
    table = make(["spNO.149", "d", "112", apex, "358"])
    corrected, notes = apply_errata(table, "casme3 part A", "sheet.xlsx")
    assert corrected.at[0, "apex"] == taken
    assert [note.kind for note in notes] == ["erratum"] * (apex != taken)
