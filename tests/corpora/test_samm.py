"""Test that SAMM is read from its official sheet, whose header is below a legend."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from merec.errors import InputError
from merec.types import Corpus

NAME = "SAMM_Micro_FACS_Codes_v2.xlsx"
HEADER = ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame",
          "Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes"]  # fmt: skip


def row(
    subject: Any, clip: str, onset: int, apex: int, offset: int, units: str, emotion: str
) -> list:
    return [subject, clip, 1, onset, apex, offset, offset - onset, "1/2", units, emotion, 1, None]


ROWS = [
    row(6, "006_1_2", 562, 578, 633, "L14A", "Contempt"),
    row("006", "006_5_12", 562, 578, 633, "AU1+AU2", "Surprise"),
    row(7, "007_3_1", 101, 120, 150, "6E+12", "Happiness"),
    row(28, "028_4_1", 300, 200, 400, "R12 or R15", "Other"),
    row(37, "037_3_1", 300, 310, 400, "4", "Others"),
    row(37, "037_3_2", 300, 310, 400, "4", "Sadness"),
]
Read = Callable[..., Corpus]


@pytest.fixture
def made(tmp_path: Path, write_sheet: Callable[..., Path]) -> Callable[..., Path]:
    """Write a FACS sheet with its header on row 14."""

    def make(rows: list[list[Any]] = ROWS) -> Path:
        write_sheet(tmp_path / NAME, HEADER, rows, "MICRO ONLY", above=13)
        return tmp_path

    return make


def test_rows_become_samples_named_as_in_megc2019(made: Callable[..., Path], read: Read) -> None:
    corpus = read("samm", made())
    assert corpus.protocol.name == "samm-5"
    assert corpus.index["sample_id"].tolist() == [
        "006_006_1_2", "006_006_5_12", "007_007_3_1", "028_028_4_1", "037_037_3_1",
    ]  # fmt: skip
    assert corpus.index["label"].tolist() == [1, 4, 2, 3, 3]
    units = [" ".join(map(str, cell)) for cell in corpus.index["action_units"]]
    assert units == ["L14", "1 2", "6 12", "R12", "4"]
    assert corpus.index["row"].tolist() == [0, 1, 2, 3, 4]
    assert (corpus.index["fps"] == 200).all()


def test_corrections_are_noted(made: Callable[..., Path], read: Read) -> None:
    corpus = read("samm", made())
    findings = {finding.kind: finding for finding in corpus.findings}
    assert findings["spelling of subjects"].found.startswith("5 of 6 rows: 37 → 037 (2×)")
    assert findings["spelling of classes"].found == "1 of 6 rows: Others → Other (1×)"
    assert findings["action unit left out"].found == "R15 (a second choice) in 'R12 or R15'"
    assert (findings["erratum"].row, findings["erratum"].sample_id) == (3, "028_028_4_1")
    assert corpus.index.at[3, "apex"] == 350


@pytest.mark.parametrize("cell", ["/", "-1", None])
def test_an_apex_that_is_no_number_is_corrected_by_its_erratum(
    made: Callable[..., Path], read: Read, cell: Any
) -> None:
    rows = [row(28, "028_4_1", 300, cell, 400, "4", "Other")]
    assert read("samm", made(rows)).index.at[0, "apex"] == 350


def test_an_apex_inside_is_left_as_annotated(made: Callable[..., Path], read: Read) -> None:
    rows = [row(28, "028_4_1", 300, 310, 400, "4", "Other")]
    corpus = read("samm", made(rows))
    assert corpus.index.at[0, "apex"] == 310
    assert "erratum" not in {finding.kind for finding in corpus.findings}


def test_errata_are_applied_by_row_number(made: Callable[..., Path], read: Read) -> None:
    rows = [row("009", f"009_1_{number}", 10, 15, 30, "4", "Anger") for number in range(140)]
    for number in (125, 132, 133):
        rows[number][4] = 5
    rows[56][3:6] = [5600, 5650, 573]
    index = read("samm", made(rows)).index.set_index("row")
    assert index.loc[[125, 132, 133], "apex"].tolist() == [20, 20, 20]
    assert index.at[56, "offset"] == 5739
    rows[56][3:6] = [6600, 6650, 573]  # the correction 5739 is before the onset as well
    index = read("samm", made(rows)).index
    assert index["offset"].isna().sum() == 1
    rows[10][4] = 5
    with pytest.raises(
        InputError,
        match=r"row 10 from 0 \(row 25 of the sheet\), 009_009_1_10: onset 10 lies after apex 5",
    ):
        read("samm", made(rows))


def test_classes_have_the_published_counts(made: Callable[..., Path], read: Read) -> None:
    published = {
        "Anger": 57, "Contempt": 12, "Disgust": 9, "Fear": 8, "Happiness": 26, "Other": 26,
        "Sadness": 6, "Surprise": 15,
    }  # fmt: skip
    rows = [
        row(number % 28 + 6, f"{emotion}_{number}", 10, 15, 30, "4", emotion)
        for emotion, count in published.items()
        for number in range(count)
    ]
    root = made(rows)
    five = {"samples": 136, "class": {"anger": 57, "contempt": 12, "happiness": 26, "other": 26}}
    assert read("samm", root, expected={"samm-5": five}).protocol.samples == 136
    three = {"samples": 133, "class": {"negative": 92, "positive": 26, "surprise": 15}}
    assert read("samm", root, classes=3, expected={"samm-3": three}).protocol.samples == 133


@pytest.mark.parametrize(("names", "number"), [(["006_0562.jpg"], 562), (["006_05562.jpg"], 5562)])
def test_frame_numbers_have_as_many_digits_as_on_disk(
    made: Callable[..., Path], read: Read, touch: Callable[..., None], names: list[str], number: int
) -> None:
    root = made()
    touch(root / "006" / "006_1_2", names)
    color = read("samm", root).index.at[0, "color"]
    assert color.path(number) == root / "006" / "006_1_2" / names[0]
    assert color.numbers() == [number]


def test_frames_are_named_even_if_absent(made: Callable[..., Path], read: Read) -> None:
    root = made()
    color = read("samm", root).index.at[0, "color"]
    assert color.path(562) == root / "006" / "006_1_2" / "006_00562.jpg"


def test_a_sheet_without_the_header_is_refused(
    tmp_path: Path, read: Read, write_sheet: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match=f"{NAME} is not in"):
        read("samm", tmp_path)
    write_sheet(tmp_path / NAME, HEADER[:3], [], above=13)
    with pytest.raises(InputError, match="has no column Onset Frame or Onset, Apex Frame"):
        read("samm", tmp_path, lenient=True)


def test_a_table_of_another_name_is_a_protocol_of_its_own(
    made: Callable[..., Path], read: Read
) -> None:
    root = made()
    assert read("samm", root, annotation="v2").protocol.name == "samm-5"
    (root / NAME).rename(root / "mine.xlsx")
    assert read("samm", root, annotation="mine.xlsx").protocol.name == "samm-5@mine"
