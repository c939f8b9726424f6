"""Test that CASME II is read from its official sheets with the errata applied."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from merec.errors import InputError
from merec.types import Corpus

NAME = "CASME2-coding-20140508.xlsx"
HEADER = ["Subject", "Filename", "", "OnsetFrame", "ApexFrame", "OffsetFrame", "", "Action Units",
          "Estimated Emotion"]  # fmt: skip
ROWS = [
    [1, "EP02_01f", None, 46, 59, 86, None, "12", "happiness"],
    [1, "EP03_02", None, 131, 161, 181, None, "4+L10", "others"],
    [4, "EP12_01f", None, 261, "/", 321, None, "4", "disgust"],
    [9, "EP02_02f", None, 11, 31, 62, None, "1+4?", "fear"],
    [26, "EP18_51", None, 5, 20, 44, None, 4, "repression"],
    [26, "EP18_52", None, 5, 5, 44, None, "R1+2", "surprise"],
]
Read = Callable[..., Corpus]
Touch = Callable[..., None]


@pytest.fixture
def made(tmp_path: Path, write_sheet: Callable[..., Path]) -> Callable[..., Path]:
    """Write a coding sheet."""

    def make(rows: list[list[Any]] = ROWS) -> Path:
        write_sheet(tmp_path / NAME, HEADER, rows)
        return tmp_path

    return make


def test_rows_become_samples_named_as_in_megc2019(made: Callable[..., Path], read: Read) -> None:
    corpus = read("casme2", made())
    assert corpus.protocol.name == "casme2-5"
    assert corpus.protocol.classes == ("disgust", "happiness", "others", "repression", "surprise")
    assert corpus.index["sample_id"].tolist() == [
        "sub01_EP02_01f", "sub01_EP03_02", "sub04_EP12_01f", "sub26_EP18_51", "sub26_EP18_52",
    ]  # fmt: skip
    assert corpus.index["label"].tolist() == [1, 2, 0, 3, 4]
    assert (corpus.index["fps"] == 200).all()
    assert corpus.index["depth"].isna().all()
    assert [str(unit) for unit in corpus.index.at[1, "action_units"]] == ["4", "L10"]


def test_a_missing_apex_is_the_middle_frame_if_an_erratum_says_so(
    made: Callable[..., Path], read: Read
) -> None:
    corpus = read("casme2", made())
    assert corpus.index.loc[2, ["onset", "apex", "offset"]].tolist() == [261, 291, 321]
    (note,) = corpus.findings
    assert (note.kind, note.row, note.sample_id) == ("erratum", 2, "sub04_EP12_01f")
    rows = [list(row) for row in ROWS]
    rows[0][4] = "/"
    with pytest.raises(
        InputError, match=r"row 0 from 0 \(row 2 of the sheet\), sub01_EP02_01f: apex '/'"
    ):
        read("casme2", made(rows))


def test_row_60_gets_its_offset_only_where_it_is_wrong(
    made: Callable[..., Path], read: Read
) -> None:
    filler = [[2, f"EP{number:02d}", None, 1, 5, 9, None, "4", "others"] for number in range(60)]
    for offset, expected in ((66, 91), (95, 95)):
        last = [6, "EP99", None, 71, 78, offset, None, "4", "others"]
        index = read("casme2", made([*filler, last])).index
        assert index.at[60, "offset"] == expected


def test_three_classes_are_those_of_megc2019(made: Callable[..., Path], read: Read) -> None:
    corpus = read("casme2", made(), classes=3)
    assert corpus.index["sample_id"].tolist() == [
        "sub01_EP02_01f",
        "sub26_EP18_51",
        "sub26_EP18_52",
    ]
    assert corpus.index["label"].tolist() == [1, 0, 2]
    assert "left out" in {finding.kind for finding in corpus.findings}


def test_five_classes_have_the_published_counts(made: Callable[..., Path], read: Read) -> None:
    published = {"disgust": 63, "happiness": 32, "others": 99, "repression": 27, "surprise": 25}
    rows = [
        [number % 26 + 1, f"{emotion}_{number}", None, 1, 5, 9, None, "4", emotion]
        for emotion, count in {**published, "fear": 2, "sadness": 7}.items()
        for number in range(count)
    ]
    expected = {"casme2-5": {"samples": 246, "class": published}}
    assert read("casme2", made(rows), expected=expected).protocol.samples == 246
    with pytest.raises(InputError, match="class disgust: 62 found, 63 expected"):
        read("casme2", made(rows[1:]), expected=expected)


@pytest.mark.parametrize(
    ("frames", "folder", "name"),
    [
        ("raw", "CASME2-RAW", "img46.jpg"),
        ("raw", "CASME2-RAW/CASME2-RAW", "img46.jpg"),
        ("raw", "CASME2_RAW_selected", "img046.jpg"),
        ("cropped", "Cropped", "reg_img46.jpg"),
    ],
)
def test_frames_are_found_in_either_layout(
    made: Callable[..., Path], read: Read, touch: Touch, frames: str, folder: str, name: str
) -> None:
    root = made()
    touch(root / folder / "sub01" / "EP02_01f", [name, "Thumbs.db"])
    color = read("casme2", root, frames=frames).index.at[0, "color"]
    assert color.path(46) == root / folder / "sub01" / "EP02_01f" / name
    assert color.numbers() == [46]


def test_frames_are_named_even_if_absent(made: Callable[..., Path], read: Read) -> None:
    root = made()
    raw = read("casme2", root).index.at[0, "color"]
    assert raw.path(46) == root / "CASME2-RAW" / "sub01" / "EP02_01f" / "img46.jpg"
    cropped = read("casme2", root, frames="cropped").index.at[0, "color"]
    assert cropped.path(46) == root / "Cropped" / "sub01" / "EP02_01f" / "reg_img46.jpg"
    with pytest.raises(InputError, match="frames=sharp; expected raw or cropped"):
        read("casme2", root, frames="sharp")


def test_without_a_sheet_nothing_is_read(tmp_path: Path, read: Read) -> None:
    with pytest.raises(InputError, match=f"{NAME} or CASME2-coding-20190701.xlsx is not in"):
        read("casme2", tmp_path, lenient=True)


LATER = "CASME2-coding-20190701.xlsx"
LATER_HEADER = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units",
                "Estimated Emotion", "Objective Classes"]  # fmt: skip
LATER_ROWS = [[*row[:8], "surprise" if row[0] == 1 else row[8], 1] for row in ROWS]


def test_the_later_sheet_is_a_protocol_of_its_own(
    made: Callable[..., Path], read: Read, write_sheet: Callable[..., Path]
) -> None:
    root = made()
    write_sheet(root / LATER, LATER_HEADER, LATER_ROWS)
    protocols = {
        annotation: read("casme2", root, classes=3, annotation=annotation).protocol
        for annotation in (None, "2014", 2014, 2019, LATER, str(root / LATER))
    }
    names = [protocol.name for protocol in protocols.values()]
    assert names == ["casme2-3"] * 3 + ["casme2-3@2019"] * 3
    assert protocols[None].hash == protocols["2014"].hash != protocols[2019].hash
    assert protocols[2019].hash == protocols[LATER].hash


def test_the_later_sheet_alone_is_read_and_named(
    tmp_path: Path, read: Read, write_sheet: Callable[..., Path]
) -> None:
    write_sheet(tmp_path / LATER, LATER_HEADER, LATER_ROWS)
    corpus = read("casme2", tmp_path)
    assert corpus.protocol.name == "casme2-5@2019"
    assert corpus.index["sample_id"].tolist() == [
        "sub01_EP02_01f", "sub01_EP03_02", "sub04_EP12_01f", "sub26_EP18_51", "sub26_EP18_52",
    ]  # fmt: skip
    with pytest.raises(InputError, match=f"annotation=2014, but {NAME} is not in"):
        read("casme2", tmp_path, annotation=2014)


def test_a_table_of_another_name_is_a_protocol_of_its_own(
    made: Callable[..., Path], read: Read
) -> None:
    root = made()
    (root / NAME).rename(root / "mine.xlsx")
    assert read("casme2", root, annotation="mine.xlsx").protocol.name == "casme2-5@mine"
    with pytest.raises(
        InputError, match=r"annotation=yours.xlsx is no file; expected 2014, 2019 or"
    ):
        read("casme2", root, annotation="yours.xlsx")


def test_labels_unlike_the_protocol_are_not_a_damaged_copy(
    made: Callable[..., Path], read: Read
) -> None:
    expected = {"casme2-5": {"class": {"surprise": 4}}}
    with pytest.raises(InputError, match="class surprise: 1 found, 4 expected") as error:
        read("casme2", made(), expected=expected)
    (finding,) = [
        finding
        for finding in read("casme2", made(), expected=expected, lenient=True).findings
        if finding.severity == "error"
    ]
    for text in (str(error.value), finding.remedy):
        assert "copy it again" not in text
        assert "relabelled" in text
