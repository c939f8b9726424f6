"""Test that CAS(ME)^3 is read from every list and layout, and that wrong rows are reported."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from merec.corpora.casme3 import read_casme3
from merec.corpora.macro import make_macro_corpus
from merec.errors import InputError
from merec.evaluation.protocol import set_target
from merec.quoting import quote_texts
from merec.types import Camera, Corpus

NAME = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
ROWS = [
    ["spNO.1", "a", 355, 359, 360, "5", "II", "others"],
    ["spNO.1", "b", 166, 175, 179, "4", "III", "disgust"],
    ["spNo.2", "J", 7, 7, 49, "R12", "VII", "happy"],
    ["spNO.30", "c", 20, 28, 40, "2+1", "II", "surprise"],
    ["spNO.30", "c", 90, 95, 99, "24+T18", "VII", "Others"],
]
EXPECTED = yaml.safe_load(
    (Path(__file__).parents[2] / "conf" / "corpus" / "casme3.yaml").read_text()
)["expected"]
Read = Callable[..., Corpus]
Write = Callable[..., Path]
Touch = Callable[..., None]


def change(number: int, **cells: Any) -> list[list[Any]]:
    """Return `ROWS` with some cells of one row changed."""
    rows = [list(row) for row in ROWS]
    for key, value in cells.items():
        rows[number][HEADER.index(key)] = value
    return rows


@pytest.fixture
def made(tmp_path: Path, write_sheet: Write) -> Callable[..., Path]:
    """Return a function that writes an annotation in the format of v2."""

    def make(rows: list[list[Any]] = ROWS, name: str = NAME, sheet: str = "label") -> Path:
        write_sheet(tmp_path / name, HEADER, rows, sheet)
        return tmp_path

    return make


# Slow: a full sheet takes seconds to read; the other lists repeat the counting of classes.
SLOW = ("@full", "-3@v2-without-occluded", "-7@v2-without-occluded", "-3@part_c_full")


@pytest.mark.parametrize(
    "protocol",
    [
        pytest.param(name, marks=[pytest.mark.slow] * name.endswith(SLOW))
        for name in EXPECTED
        if "v1" not in name
    ],
)
def test_the_real_lists_have_the_published_samples(
    real_casme3: Path, read: Read, protocol: str
) -> None:
    classes, annotation = int(protocol.split("@")[0][-1]), protocol.split("@")[1]
    annotation, _, without = annotation.partition("-without-")
    changes = {"annotation": annotation, "classes": classes, "without": without or []}
    corpus = read("casme3", real_casme3, expected=EXPECTED, **changes)
    assert corpus.protocol.name == protocol
    numbers = corpus.index["label"].value_counts().sort_index()
    assert dict(zip(corpus.protocol.classes, numbers, strict=True)) == EXPECTED[protocol]["class"]
    assert len(corpus.protocol.classes) == classes


def test_published_numbers_are_those_of_the_yaml() -> None:
    published = {
        "casme3-3@v2": (699, 88, [457, 55, 187]),
        "casme3-4@v2": (860, 94, [457, 55, 187, 161]),
        "casme3-4@full": (860, 94, [457, 55, 187, 161]),
        "casme3-4@v2-without-occluded": (845, 94, [453, 55, 182, 155]),
        "casme3-4@dvscl": (943, 95, [508, 64, 201, 170]),
        "casme3c-4@part_c": (165, 30, [99, 16, 30, 20]),
    }
    for name, (samples, subjects, class_counts) in published.items():
        expected = EXPECTED[name]
        assert (expected["samples"], expected["subjects"]) == (samples, subjects)
        assert list(expected["class"].values()) == class_counts
    assert EXPECTED["casme3-4@v1"] == {"samples": 921, "subjects": 95}


def test_every_erratum_of_v2_is_applied_and_noted(real_casme3: Path, read: Read) -> None:
    corpus = read("casme3", real_casme3)
    notes = {finding.row for finding in corpus.findings if finding.kind == "erratum"}
    assert notes == {128, 708, 749, 750, 796, 798}
    warned = {finding.kind for finding in corpus.findings if finding.severity == "warning"}
    assert warned == {"occluded", "wrongly labelled"}
    rows = corpus.index.set_index("row")[["onset", "apex", "offset"]]
    assert rows.loc[128].tolist() == [112, 160, 358]
    assert rows.loc[749].tolist() == [2647, 2668, 2694]
    assert rows.loc[750].tolist() == [1, 1, 25]
    assert rows.loc[796].tolist() == [1812, 1824, 1845]
    assert rows.loc[798].tolist() == [2327, 2363, 2403]
    assert rows["offset"].isna().sum() == 1
    assert rows["offset"].isna()[708]
    assert (corpus.index["onset"] <= corpus.index["apex"]).all()
    assert "spNO.149_d_112" in set(corpus.index["sample_id"])  # ids keep the annotated onset


def test_lists_can_be_joined_by_sample_id(real_casme3: Path, read: Read) -> None:
    v2 = read("casme3", real_casme3).index
    dvscl = read("casme3", real_casme3, annotation="dvscl").index
    both = v2.merge(dvscl, on="sample_id")
    assert len(both) == 858
    assert set(v2["sample_id"]) - set(dvscl["sample_id"]) == {"spNO.216_d_3647", "spNO.216_e_0"}
    same = both["label_x"] == both["label_y"]
    assert same.mean() > 0.8
    assert dvscl["offset"].isna().all()
    assert dvscl["action_units"].isna().all()


def test_part_c_takes_the_middle_frame_as_apex(real_casme3: Path, read: Read) -> None:
    index = read("casme3", real_casme3, annotation="part_c").index
    first = index.set_index("sample_id", drop=False).loc["spNO.1_1_373"]
    assert (first["sample_id"], first["corpus"]) == ("spNO.1_1_373", "casme3c")
    assert (first["onset"], first["apex"], first["offset"]) == (373, 379, 385)
    assert [str(unit) for unit in first["action_units"]] == ["R4", "5"]
    assert first["color"].folder == real_casme3 / "Part_C" / "spNO.1" / "color"
    assert first["depth"] is None


def test_each_kind_of_spelling_is_corrected_with_one_note(
    made: Callable[..., Path], read: Read
) -> None:
    corpus = read("casme3", made())
    notes = {finding.kind: finding.found for finding in corpus.findings}
    assert notes == {
        "spelling of subjects": "1 of 5 rows: spNo.2 → spNO.2 (1×)",
        "spelling of clips": "1 of 5 rows: J → j (1×)",
        "spelling of classes": "1 of 5 rows: Others → others (1×)",
    }
    assert corpus.index["sample_id"].tolist() == [
        "spNO.1_a_355", "spNO.1_b_166", "spNO.2_j_7", "spNO.30_c_20", "spNO.30_c_90",
    ]  # fmt: skip
    assert corpus.index["label"].tolist() == [3, 0, 1, 2, 3]
    assert (corpus.index["fps"] == 30).all()


def test_an_index_names_frames_that_need_not_exist(made: Callable[..., Path], read: Read) -> None:
    corpus = read("casme3", made())
    row = corpus.index.iloc[0]
    assert row["color"].path(355).relative_to(made()).as_posix() == "spNO.1/a/color/355.jpg"
    assert row["depth"].path(355).relative_to(made()).as_posix() == "spNO.1/a/depth/355.png"
    assert corpus.flow_maps is None
    assert corpus.macro is None
    assert corpus.unlabelled is None
    assert corpus.camera == Camera(1324.65, 1324.65, 639.5, 359.5, 1280, 720)
    assert str(corpus.index["offset"].dtype) == "Int64"


@pytest.mark.parametrize("base", ["", "Part_A", "part_A/ME"])
def test_full_layout_is_found_as_spelled_on_disk(
    made: Callable[..., Path], read: Read, touch: Touch, base: str
) -> None:
    root = made()
    touch(root / base / "spNo.2" / "J" / "Color", ["7.jpg", "8.jpg"])
    touch(root / base / "spNo.2" / "J" / "depth", ["7.png"])
    row = read("casme3", root).index.loc[2]
    assert row["color"].numbers() == [7, 8]
    assert row["color"].folder == root / base / "spNo.2" / "J" / "Color"
    assert row["depth"].numbers() == [7]


@pytest.mark.parametrize("onset", [3647, 2647])
def test_clip_layout_is_found_by_the_onset_as_annotated_or_corrected(
    made: Callable[..., Path], read: Read, touch: Touch, onset: int
) -> None:
    root = made([*ROWS, ["spNO.216", "d", 3647, 2668, 2694, "38", "VII", "others"]])
    clips = root / "Part_A_ME_clip"
    touch(clips / "frame" / "spNo.1_a_355", ["355.jpg"])
    touch(clips / "depth" / "spNo.1_a_355", ["355.png"])
    touch(clips / "frame" / f"spNo.216_d_{onset}", ["2647.jpg"])
    index = read("casme3", root).index.set_index("sample_id")
    assert index.at["spNO.1_a_355", "color"].path(355).exists()
    assert index.at["spNO.1_a_355", "depth"].path(355).exists()
    assert index.at["spNO.216_d_3647", "color"].path(2647).exists()
    absent = index.at["spNO.1_b_166", "color"].folder
    assert absent == clips / "frame" / "spNo.1_b_166"


def test_a_layout_can_be_forced(made: Callable[..., Path], read: Read, touch: Touch) -> None:
    root = made()
    touch(root / "spNO.1" / "a" / "color", ["355.jpg"])
    touch(root / "Part_A_ME_clip" / "frame" / "spNo.1_a_355", ["355.jpg"])
    assert read("casme3", root).index.at[0, "color"].folder.name == "color"
    forced = read("casme3", root, layout="clip").index.at[0, "color"]
    assert forced.folder.name == "spNo.1_a_355"
    with pytest.raises(InputError, match=r"layout=flat; expected one of auto, full, clip"):
        read("casme3", root, layout="flat")


def test_macro_expressions_are_read_beside(
    made: Callable[..., Path], read: Read, write_sheet: Write
) -> None:
    root = made()
    header = ["sub", "seq", "onset", "apex", "offset", "emotion"]
    rows = [["spNO.1", "a", 10, 30, 50, "happy"], ["spNO.1", "a", 99, 60, 120, "Happy"]]
    name = "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx"
    write_sheet(root / "annotation" / "partA" / name, header, rows)
    corpus = read("casme3", root)
    assert corpus.macro is not None
    assert corpus.macro["sample_id"].tolist() == ["spNO.1_a_10_macro"]
    assert list(corpus.macro) == list(corpus.index)
    (bad,) = [finding for finding in corpus.findings if finding.severity == "warning"]
    assert (bad.kind, bad.row) == ("onset after apex", 1)


@pytest.mark.parametrize(("classes", "labels"), [(3, [1, 0]), (4, [1, 0, 3]), (7, [3, 4, 6])])
def test_macro_expressions_have_the_classes_of_the_micro_ones(
    made: Callable[..., Path], read: Read, write_sheet: Write, classes: int, labels: list[int]
) -> None:
    root = made()
    header = ["sub", "seq", "onset", "apex", "offset", "emotion"]
    # Three official spelling variants, and one emotion without a class.
    emotions = ["Happiness", "Sadness", "other", "puzzled"]
    rows = [["spNO.1", "a", 10 * n, 10 * n, 10 * n, name] for n, name in enumerate(emotions)]
    write_sheet(root / "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx", header, rows)
    macro = read("casme3", root, classes=classes).macro
    assert macro is not None
    assert macro["label"].tolist() == labels
    assert macro["emotion"].tolist() == ["happy", "sad", "others"][: len(labels)]


def test_unlabelled_clips_are_found_by_a_glob(
    made: Callable[..., Path], read: Read, touch: Touch
) -> None:
    root = made()
    touch(root / "part_B" / "spNo.30" / "b" / "color", ["1.jpg"])
    touch(root / "part_B" / "spNo.30" / "b" / "depth", ["1.png"])
    touch(root / "part_B" / "spNO.31" / "c", ["1.jpg"])
    touch(root / "part_B" / "spNO.31" / "notes", ["read.me"])
    pool = read("casme3", root).unlabelled
    assert pool is not None
    assert pool["clip_id"].tolist() == ["part_B/spNO.31/c", "part_B/spNo.30/b"]
    assert pool["subject"].tolist() == ["spNO.31", "spNO.30"]
    assert [color.numbers() for color in pool["color"]] == [[1], [1]]
    assert [depth is None for depth in pool["depth"]] == [True, False]
    touch(root / "pool" / "x1" / "color", ["1.jpg"])
    pool = read("casme3", root, unlabelled="pool/*").unlabelled
    assert pool is not None
    assert pool["subject"].tolist() == [""]
    assert read("casme3", root, unlabelled=None).unlabelled is None


def test_intrinsics_come_from_numbers_or_a_file(made: Callable[..., Path], read: Read) -> None:
    root = made()
    (root / "camera.yaml").write_text(
        "{fx: 900, fy: 901, cx: 320, cy: 240, width: 640, height: 480}"
    )
    assert read("casme3", root, intrinsics="camera.yaml").camera == Camera(
        900, 901, 320, 240, 640, 480
    )
    assert read("casme3", root, intrinsics=None).camera is None
    with pytest.raises(InputError, match="cannot be read"):
        read("casme3", root, intrinsics="lens.yaml")
    with pytest.raises(InputError, match="expected a number of px each for fx, fy"):
        read("casme3", root, intrinsics={"fx": 900})
    for fx in (0, -900, float("nan"), float("inf")):
        numbers = {"fx": fx, "fy": 900, "cx": 320, "cy": 240, "width": 640, "height": 480}
        with pytest.raises(InputError, match=r"fx and fy above 0"):
            read("casme3", root, intrinsics=numbers)


@pytest.mark.parametrize(
    ("rows", "message", "kind"),
    [
        (change(1, emotion="digust"),
         r"row 1 from 0 \(row 3 of the sheet\), spNO.1_b_166: emotion 'digust'; did you mean disgust",
         "unknown class"),
        (change(1, Onset=176), r"row 1 .*: onset 176 lies after apex 175", "onset after apex"),
        (change(1, Apex=None), r"row 1 .*: apex is empty", "missing number"),
        (change(1, Apex="/"), r"row 1 .*: apex '/'; expected a frame number", "not a number"),
        (change(1, Subject="spNO.1", Filename="a", Onset=355, Apex=359),
         r"row 1 .*: sample spNO.1_a_355 stands in row 0 from 0 .row 2 of the sheet. already", "duplicate"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_or_leaves_the_index(
    made: Callable[..., Path], read: Read, rows: list[list[Any]], message: str, kind: str
) -> None:
    root = made(rows)
    with pytest.raises(
        InputError, match=NAME.replace("(", r"\(").replace(")", r"\)") + ", " + message
    ):
        read("casme3", root)
    corpus = read("casme3", root, lenient=True)
    (error,) = [finding for finding in corpus.findings if finding.severity == "error"]
    assert (error.kind, error.row, error.where) == (kind, 1, NAME)
    assert corpus.index["row"].tolist() == [0, 2, 3, 4]


def test_the_number_of_other_errors_is_given(made: Callable[..., Path], read: Read) -> None:
    rows = change(1, Onset=176)
    rows[3][HEADER.index("emotion")] = "?"
    with pytest.raises(InputError, match=r"and 1 more. `merec doctor corpus=casme3` lists all"):
        read("casme3", made(rows))


def test_a_cell_that_cannot_be_used_is_a_warning(made: Callable[..., Path], read: Read) -> None:
    rows = change(1, Offset=170)
    rows[3][HEADER.index("AU")] = "2+smile"
    corpus = read("casme3", made(rows))
    warnings = {f.row: f.kind for f in corpus.findings if f.severity == "warning"}
    assert warnings == {1: "apex after offset", 3: "action unit"}
    assert corpus.index["offset"].isna().tolist() == [False, True, False, False, False]
    assert corpus.index.at[3, "action_units"] is None


def test_counts_unlike_the_protocol_are_refused_or_noted(
    made: Callable[..., Path], read: Read
) -> None:
    expected = {"casme3-4@v2": {"samples": 6, "subjects": 3}}
    with pytest.raises(InputError, match="samples: 5 found, 6 expected"):
        read("casme3", made(), expected=expected)
    corpus = read("casme3", made(), expected=expected, lenient=True)
    (error,) = [finding for finding in corpus.findings if finding.severity == "error"]
    assert (error.kind, error.found) == ("counts", "samples: 5 found, 6 expected")
    assert read("casme3", made(), expected=None).protocol.name == "casme3-4@v2-subset"


def test_classes_are_chosen_by_number(made: Callable[..., Path], read: Read) -> None:
    three = read("casme3", made(), classes=3)
    assert three.protocol.classes == ("negative", "positive", "surprise")
    assert three.index["row"].tolist() == [1, 2, 3]
    assert read("casme3", made(), classes=7).index["label"].tolist() == [6, 1, 3, 5, 6]
    with pytest.raises(InputError, match="classes=5, but casme3 has maps to 3, 4, 7 classes"):
        read("casme3", made(), classes=5)


def test_a_list_of_four_classes_has_no_seven(tmp_path: Path, read: Read) -> None:
    (tmp_path / "dvscl_943.csv").write_text(
        "subject,clip,onset,apex,label,class_name\nspNO.1,a,355,359,1,others\nspNO.1,b,1,9,0,negative\n"
    )
    corpus = read("casme3", tmp_path, annotation="dvscl")
    # Labels are matched by class name, because the numbers of the list have another order.
    assert corpus.index["label"].tolist() == [3, 0]
    with pytest.raises(InputError, match=r"classes=7, but dvscl_943.csv annotates negative"):
        read("casme3", tmp_path, annotation="dvscl", classes=7)


def test_exclusions_leave_with_a_note_and_another_name(
    made: Callable[..., Path], read: Read
) -> None:
    root = made()
    (root / "error_info_damaged_image_partA.txt").write_text(
        "spNO.1 A 359.jpg  the image cannot open\nspNO.30 c 30.jpg  the image cannot open\n"
    )
    corpus = read("casme3", root, exclude=["zero_motion", "damaged", "spNO.30_c_90"])
    assert corpus.index["sample_id"].tolist() == ["spNO.1_b_166", "spNO.30_c_20"]
    assert corpus.protocol.name == "casme3-4@v2-subset"
    left = {f.sample_id: f.found for f in corpus.findings if f.kind == "excluded"}
    assert set(left) == {"spNO.1_a_355", "spNO.2_j_7", "spNO.30_c_90"}
    assert "apex is in error_info" in left["spNO.1_a_355"]
    with pytest.raises(InputError, match=r"names spNO.30_c_91, .* did you mean spNO.30_c_90"):
        read("casme3", root, exclude=["spNO.30_c_91"])


def test_excluding_nothing_keeps_the_name(made: Callable[..., Path], read: Read) -> None:
    root = made(ROWS[:2])
    assert read("casme3", root, exclude=["zero_motion"]).protocol.name == "casme3-4@v2"
    with pytest.raises(InputError, match="exclude has damaged, but error_info_damaged"):
        read("casme3", root, exclude=["damaged"])


def test_the_annotation_is_looked_for_where_it_may_lie(
    tmp_path: Path, read: Read, write_sheet: Write
) -> None:
    with pytest.raises(InputError, match=r"v2.xlsx is not in .*, in annotation\*, part_a\*"):
        read("casme3", tmp_path)
    write_sheet(tmp_path / "Annotation" / "partA" / NAME.upper(), HEADER, ROWS, "Label")
    assert len(read("casme3", tmp_path).index) == 5
    with pytest.raises(InputError, match=r"is no folder; expected CAS\(ME\)\^3"):
        read("casme3", tmp_path / "elsewhere")


def test_a_custom_table_is_recognised_by_its_columns(made: Callable[..., Path], read: Read) -> None:
    root = made(name="mine.xlsx", sheet="anything")
    assert read("casme3", root, annotation="mine.xlsx").protocol.name == "casme3-4@mine"
    assert read("casme3", root, annotation=str(root / "mine.xlsx")).protocol.samples == 5
    with pytest.raises(InputError, match="is no file; expected v2, v1, dvscl, part_c"):
        read("casme3", root, annotation="yours.xlsx")
    (root / "odd.csv").write_text("Subject,Clip,Onset\nspNO.1,a,3\n")
    with pytest.raises(InputError, match="has no column Apex, Offset, AU"):
        read("casme3", root, annotation="odd.csv")


def test_a_wrong_sheet_or_missing_column_is_refused_even_leniently(
    tmp_path: Path, made: Callable[..., Path], read: Read, write_sheet: Write
) -> None:
    with pytest.raises(InputError, match="no sheet `label`"):
        read("casme3", made(sheet="labels"), lenient=True)
    write_sheet(made() / NAME, HEADER[:-1], [row[:-1] for row in ROWS], "label")
    with pytest.raises(InputError, match=r"\(sheet label\) has no column emotion; it has Subject"):
        read("casme3", tmp_path, lenient=True)


def test_errata_depend_neither_on_the_name_of_the_corpus_nor_of_the_file(
    tmp_path: Path, made: Callable[..., Path], read: Read
) -> None:
    rows = [["spNO.216", "e", 0, 0, 25, "14", "VII", "others"]]
    mine = read("casme3", made(rows), name="mine", classes=7)
    assert mine.protocol.name == "mine-7@v2"
    assert mine.index["corpus"].tolist() == ["mine"]
    assert mine.index["onset"].tolist() == [1]
    saved = pd.DataFrame(rows, columns=HEADER)
    saved.to_csv(tmp_path / "again.csv", index=False)
    again = read("casme3", tmp_path, annotation="again.csv")
    assert again.index["onset"].tolist() == [1]
    (tmp_path / NAME).unlink()
    saved.to_csv(tmp_path / NAME.replace(".xlsx", ".csv"), index=False)
    assert read("casme3", tmp_path).protocol.name == "casme3-4@v2"
    with pytest.raises(InputError, match="merec doctor corpus=casme3`"):
        read("casme3", made(change(1, Onset=176)), name="mine")


@pytest.mark.parametrize("onset", ["12,5", "1 000", "3]", "it's", 'a"b'])
def test_the_remedy_for_a_bad_row_can_be_pasted_into_a_shell(
    made: Callable[..., Path], read: Read, onset: str
) -> None:
    root = made(change(1, Onset=onset))
    with pytest.raises(InputError, match="leave it out with") as caught:
        read("casme3", root)
    remedy = str(caught.value).partition("leave it out with ")[2].partition(". `merec")[0]
    (argument,) = quote_texts(shlex.split(remedy))
    exclude = OverridesParser.create().parse_override(argument).value()
    corpus = read("casme3", root, exclude=exclude)
    assert len(corpus.index) == len(read("casme3", made()).index) - 1


def test_an_exclusion_of_all_samples_is_refused_with_its_key(
    made: Callable[..., Path], read: Read
) -> None:
    everyone = read("casme3", made()).index["sample_id"].tolist()
    with pytest.raises(InputError, match=r"corpus\.exclude leaves no sample of .*; name fewer"):
        read("casme3", made(), exclude=everyone)


def test_a_folder_in_the_place_of_the_sheet_is_called_one(tmp_path: Path, read: Read) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(InputError, match=r"xlsx is a folder, expected a file"):
        read("casme3", tmp_path)


def test_a_bad_row_can_be_excluded_as_its_message_says(
    made: Callable[..., Path], read: Read
) -> None:
    root = made(change(1, Apex="/", emotion="digust"))
    expected = {"casme3-4@v2": {"samples": 5, "subjects": 3}}
    with pytest.raises(InputError, match=r"corpus.exclude=\[spNO.1_b_166\]; and 1 more"):
        read("casme3", root, expected=expected)
    for lenient in (False, True):
        corpus = read("casme3", root, expected=expected, exclude=["spNO.1_b_166"], lenient=lenient)
        assert {finding.severity for finding in corpus.findings} == {"note"}
        kinds = [f.kind for f in corpus.findings if f.sample_id == "spNO.1_b_166"]
        assert kinds == ["not a number", "unknown class"]
        assert "samples: 4 found, 5 expected" in [f.found for f in corpus.findings]
        assert corpus.index["row"].tolist() == [0, 2, 3, 4]
        assert corpus.protocol.name == "casme3-4@v2-subset"


def test_a_bad_row_of_no_class_is_a_warning(made: Callable[..., Path], read: Read) -> None:
    root = made(change(0, Apex="/"))  # others
    corpus = read("casme3", root, classes=3)
    assert [f.kind for f in corpus.findings if f.severity == "warning"] == ["not a number"]
    assert corpus.protocol.name == "casme3-3@v2"
    with pytest.raises(InputError, match="row 0 from 0"):
        read("casme3", root, classes=4)


def test_the_frames_of_a_bad_row_are_named_if_its_numbers_can_be_read(
    made: Callable[..., Path], read: Read
) -> None:
    rows = change(1, Onset=176)
    rows[3][HEADER.index("emotion")] = "suprise"
    rows[4][HEADER.index("Apex")] = "/"
    rejected = read("casme3", made(rows), lenient=True).rejected
    assert rejected is not None
    assert rejected["row"].tolist() == [1, 3]
    assert rejected.at[1, "color"].path(20).parts[-4:] == ("spNO.30", "c", "color", "20.jpg")
    left = read("casme3", made(rows), lenient=True, exclude=["spNO.1_b_176"]).rejected
    assert left is not None
    assert left["row"].tolist() == [3]


def test_excluding_damaged_images_that_no_sample_needs_leaves_a_note(
    made: Callable[..., Path], read: Read
) -> None:
    root = made(ROWS[:2])
    (root / "error_info_damaged_image_partA.txt").write_text("spNO.9 a 1.jpg  cannot open\n")
    corpus = read("casme3", root, exclude=["damaged"])
    assert corpus.protocol.name == "casme3-4@v2"
    assert "no sample has its onset or apex in" in corpus.findings[-1].found


def test_conf_builds_the_corpus(composed: Callable[..., Any], made: Callable[..., Path]) -> None:
    from hydra.utils import instantiate

    cfg = composed(
        "corpus=casme3", f"corpus.root={made()}", "corpus.classes=3", "corpus.expected=null"
    )
    corpus = instantiate(cfg.corpus, _convert_="all", lenient=True)
    assert corpus.protocol.name == "casme3-3@v2-subset"
    assert isinstance(corpus.index, pd.DataFrame)


@pytest.fixture(scope="module")
def full_sheet(real_casme3: Path) -> Corpus:
    """Read the full sheet of part A once, because it takes seconds."""
    node = yaml.safe_load((Path(__file__).parents[2] / "conf/corpus/casme3.yaml").read_text())
    del node["_target_"]
    return read_casme3(
        **{**node, "root": str(real_casme3), "annotation": "full", "unlabelled": None}
    )


def test_the_full_sheet_gives_the_samples_of_the_list_and_the_macro_expressions(
    full_sheet: Corpus, real_casme3: Path, read: Read
) -> None:
    full, listed = full_sheet, read("casme3", real_casme3)
    assert full.protocol.name == "casme3-4@full"
    assert (full.protocol.samples, full.protocol.subjects) == (860, 94)
    a, b = (
        corpus.index.assign(onset_id=corpus.index["onset"]).set_index(
            ["subject", "clip", "onset_id"]
        )
        for corpus in (full, listed)
    )
    b = b.loc[a.index]
    for column in ("onset", "apex", "label", "emotion", "action_units"):
        assert a[column].tolist() == b[column].tolist(), column
    assert (a["offset"].fillna(0) == b["offset"].fillna(0)).all()
    assert a.loc[("spNO.149", "d", 112), "apex"] == 160
    macro = full.macro
    assert macro is not None
    assert (len(macro), macro["subject"].nunique()) == (3346, 98)
    assert macro["action_units"].notna().all()
    assert macro["action_units"].map(len).min() >= 1
    first = macro.set_index("sample_id").loc["spNO.1_a_37_macro"]
    assert (first["onset"], first["apex"], first["offset"]) == (37, 63, 65)
    assert [str(unit) for unit in first["action_units"]] == ["4", "15", "R10"]


def test_macro_expressions_of_the_full_sheet_pretrain_action_units_but_no_emotions(
    full_sheet: Corpus,
) -> None:
    units = make_macro_corpus(set_target(full_sheet, "action_units", 3))
    assert units.protocol.samples == 3346
    assert units.index["label"].str.contains("AU10").sum() > 100
    with pytest.raises(
        InputError, match="3346 macro-expressions, but nothing names their emotions"
    ):
        make_macro_corpus(full_sheet)


def test_a_full_sheet_is_recognised_by_its_name_and_needs_the_list_of_emotions(
    real_casme3: Path, read: Read, tmp_path: Path
) -> None:
    name = "CAS(ME)3_part_C.xls"
    corpus = read("casme3", tmp_path, annotation=str(real_casme3 / name), expected=EXPECTED)
    # The list of emotions is in the same folder.
    assert corpus.protocol.name == "casme3c-4@part_c_full"
    name = "CAS(ME)3_part_A_v2.xls"
    (tmp_path / name).write_bytes((real_casme3 / name).read_bytes())
    with pytest.raises(InputError, match="names no emotions; put .*_v2.xlsx beside it"):
        read("casme3", tmp_path, annotation="full")


FULL = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type"]


def test_the_list_of_macro_expressions_has_the_action_units_of_the_full_sheet(
    made: Callable[..., Path], read: Read, write_sheet: Write
) -> None:
    root = made()
    rows = [["spNO.1", "a", onset, 30, 50, "4+R12", "Macro-expression"] for onset in (10, 11)]
    write_sheet(root / "CAS(ME)3_part_A_v2.xlsx", FULL, rows, "AU+Emotion")
    listed = [["spNO.1", "a", onset, 30, 50, "happy"] for onset in (10, 12)]
    header = ["sub", "seq", "onset", "apex", "offset", "emotion"]
    write_sheet(root / "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx", header, listed)
    macro = read("casme3", root).macro
    assert macro is not None
    units = macro.set_index("sample_id")["action_units"]
    assert [str(unit) for unit in units["spNO.1_a_10_macro"]] == ["4", "R12"]
    assert units["spNO.1_a_12_macro"] is None


def test_a_row_that_is_neither_micro_nor_macro_is_refused(
    made: Callable[..., Path], read: Read, write_sheet: Write
) -> None:
    root = made()
    rows = [["spNO.1", "a", 10, 30, 50, "4", "Blink"]]
    write_sheet(root / "CAS(ME)3_part_A_v2.xlsx", FULL, rows, "AU+Emotion")
    with pytest.raises(InputError, match=r"row 0 from 0 .*: type 'Blink'; expected micro-expr"):
        read("casme3", root, annotation="full")


def test_the_full_sheet_of_part_c_gives_micro_and_macro_expressions(
    real_casme3: Path, read: Read
) -> None:
    full = read("casme3", real_casme3, annotation="part_c_full")
    listed = read("casme3", real_casme3, annotation="part_c").index
    assert len(full.index) == 160
    assert full.macro is not None
    assert (len(full.macro), full.macro["action_units"].notna().sum()) == (303, 0)
    both = full.index.merge(listed, on="sample_id")
    assert len(both) == 159
    assert (both["label_x"] == both["label_y"]).all()
    assert (both["offset_x"] == both["offset_y"]).all()
    (duplicate,) = [finding for finding in full.findings if finding.kind == "duplicate"]
    assert duplicate.sample_id == "spNO.17_17b_12580"
    assert "offset 12588 here, 12591 in CAS(ME)3_part_C_ME.xlsx" in duplicate.found


@pytest.mark.slow
def test_remarks_of_the_authors_are_warnings_and_can_be_used_to_leave_samples_out(
    real_casme3: Path, read: Read
) -> None:
    corpus = read("casme3", real_casme3)
    warned = {
        kind: [finding.sample_id for finding in corpus.findings if finding.kind == kind]
        for kind in ("occluded", "wrongly labelled")
    }
    assert len(set(warned["occluded"])) == 15
    assert warned["wrongly labelled"] == ["spNO.149_d_112"]
    without = read("casme3", real_casme3, without="occluded")
    assert without.protocol.name == "casme3-4@v2-without-occluded"
    left = set(corpus.index["sample_id"]) - set(without.index["sample_id"])
    assert left == set(warned["occluded"])
    assert without.protocol.hash != corpus.protocol.hash
    excluded = read("casme3", real_casme3, exclude=warned["occluded"])
    assert excluded.index.equals(without.index)  # only the name of the protocol differs
    assert excluded.protocol.name == "casme3-4@v2-subset"


def test_kinds_of_remarks_that_a_list_does_not_have_are_refused(
    real_casme3: Path, made: Callable[..., Path], read: Read
) -> None:
    with pytest.raises(InputError, match="without=hidden, but there are occluded and wrongly_la"):
        read("casme3", real_casme3, without="hidden")
    with pytest.raises(InputError, match="without=occluded, but this list has no such kind"):
        read("casme3", real_casme3, annotation="part_c", without=["occluded"])
    with pytest.raises(InputError, match="without=occluded, but this list holds none of its sam"):
        read("casme3", made(), without="occluded")
