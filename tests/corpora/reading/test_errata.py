"""An erratum lands on its own row only, and says so."""

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


def mend(
    monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, erratum: dict
) -> tuple[pd.DataFrame, list[Finding]]:
    monkeypatch.setattr(errata, "read_errata", lambda: {"list": [{"why": "a slip", **erratum}]})
    return apply_errata(table, "list", "sheet.xlsx")


ERRATUM = {
    "row": 1, "subject": "spNO.2", "clip": "b", "was": {"onset": 3647}, "set": {"onset": 2647},
}  # fmt: skip


def test_an_erratum_is_applied_and_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(OTHER, SLIP)
    mended, (note,) = mend(monkeypatch, table, ERRATUM)
    assert mended["onset"].tolist() == ["10", "2647"]
    assert mended["sample_id"].tolist() == table["sample_id"].tolist()  # named as annotated
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
    mended, (note,) = mend(monkeypatch, make(SLIP, OTHER), ERRATUM)
    assert mended["onset"].tolist() == ["2647", "10"]
    assert note.row == 0


ELSEWHERE = ["spNO.2", "b", "500", "510", "520"]


def test_an_erratum_never_lands_on_other_values(monkeypatch: pytest.MonkeyPatch) -> None:
    mended, notes = mend(monkeypatch, make(OTHER, ELSEWHERE), ERRATUM)
    assert mended.equals(make(OTHER, ELSEWHERE))
    assert notes == []


def test_what_is_not_applicable_is_noted_only_in_a_list_to_which_others_apply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = {"subject": "spNO.1", "clip": "a", "was": {"onset": 10}, "set": {"onset": 11}}
    both = {"list": [{"why": "a slip", **ERRATUM}, {"why": "a slip", **first}]}
    monkeypatch.setattr(errata, "read_errata", lambda: both)
    _, notes = apply_errata(make(OTHER, ELSEWHERE), "list", "sheet.xlsx")
    assert [note.kind for note in notes] == ["erratum", "erratum not applicable"]
    assert apply_errata(make(ELSEWHERE), "list", "sheet.xlsx")[1] == []


@pytest.mark.parametrize("row", [OTHER, ["spNO.2", "b", "2647", "2668", "2694"]])
def test_a_mended_or_absent_row_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, row: list[str]
) -> None:
    table = make(row, row)
    mended, notes = mend(monkeypatch, table, ERRATUM)
    assert mended.equals(table)
    assert notes == []


def test_two_rows_that_fit_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    mended, _ = mend(monkeypatch, make(SLIP, OTHER, SLIP), ERRATUM)
    assert mended["onset"].tolist() == ["3647", "10", "3647"]


@pytest.mark.parametrize(
    ("apex", "offset", "was", "new", "expected"),
    [
        ("5", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("31", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("30", "30", {"apex": "outside"}, {"apex": "middle"}, ("30", "30")),
        ("15", "12", {"offset": "outside"}, {"offset": 40}, ("15", "40")),
        ("15", "12", {"offset": "outside"}, {"offset": 14}, ("15", "unknown")),  # fits no better
        ("15", "15", {"offset": "outside"}, {"offset": 40}, ("15", "15")),
        ("/", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("-1", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
        ("15", "/", {"offset": "outside"}, {"offset": 40}, ("15", "40")),
        ("/", "-1", {"apex": "outside"}, {"apex": "middle"}, ("/", "-1")),  # no middle to take
        ("middle", "30", {"apex": "outside"}, {"apex": "middle"}, ("middle", "30")),
    ],
)
def test_a_number_counts_as_outside_only_if_it_is(
    monkeypatch: pytest.MonkeyPatch, apex: str, offset: str, was: dict, new: dict, expected: tuple
) -> None:
    table = make(["006", "006_1_2", "10", apex, offset])
    mended, _ = mend(monkeypatch, table, {"row": 0, "was": was, "set": new})
    assert (mended.at[0, "apex"], mended.at[0, "offset"]) == expected


def test_a_made_corpus_with_the_subjects_of_the_official_one_is_left_alone() -> None:
    table = make(["spNO.40", "e", "12", "15", "20"], ["spNO.216", "d", "5", "9", "12"])
    mended, notes = apply_errata(table, "casme3 part A", "sheet.xlsx")
    assert mended.equals(table)
    assert notes == []


def test_a_row_beyond_the_end_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(OTHER)
    rule = {"row": 9, "was": {"apex": "outside"}, "set": {"apex": "middle"}}
    assert mend(monkeypatch, table, rule)[1] == []


def test_every_official_erratum_says_where_what_and_why() -> None:
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
    """Version 2 has 83, version 1 has 0; the list of DVSCL keeps its own 113."""
    table = make(["spNO.149", "d", "112", apex, "358"])
    mended, notes = apply_errata(table, "casme3 part A", "sheet.xlsx")
    assert mended.at[0, "apex"] == taken
    assert [note.kind for note in notes] == ["erratum"] * (apex != taken)
