"""Test that a plan made from a real annotation follows its rows and reports every row it changes."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from merec.corpora.casme3_lists import MICRO_FILE
from merec.errors import InputError
from merec.synthetic.annotation import MICRO_COLUMNS, write_annotation
from merec.synthetic.annotation_plan import COARSE, EMOTIONS, SPELLINGS, plan_annotation, plan_rows
from merec.synthetic.frequencies import CLASSES
from merec.synthetic.plan import ClipPlan
from merec.synthetic.timecourse import FPS, au_intensities
from merec.types import ActionUnit, Finding

ROWS = [
    ("spNO.1", "a", "355", "359", "360", "5", "II", "others"),
    ("spNO.1", "a", "300", "306", "340", "R2+R1", "II", "Others"),
    ("spNO.10", "b", "166", "175", "179", "24+T18+16", "VII", "disgust"),
    ("spNO.2", "b", "11", "11", "83", "14", "VII", "anger"),
]


def make_index(**changes) -> pd.DataFrame:
    """Return one row in the format of `Corpus.index`, with some values changed."""
    row = {
        "sample_id": "spNO.1_a_20",
        "subject": "spNO.1",
        "clip": "a",
        "onset": 20,
        "apex": 26,
        "offset": 40,
        "emotion": "fear",
        "action_units": (ActionUnit(4),),
        "row": 7,
    }
    index = pd.DataFrame([row | changes])
    index["offset"] = index["offset"].astype("Int64")
    return index


def plan(index: pd.DataFrame, seed: int = 0) -> tuple[list[ClipPlan], tuple[Finding, ...]]:
    return plan_rows(index, "key", seed, "table.xlsx")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Write a small annotation table under the official file name."""
    file = tmp_path / MICRO_FILE
    rows = pd.DataFrame(ROWS, columns=list(MICRO_COLUMNS))
    rows.to_excel(file, sheet_name="label", index=False)
    return file


@pytest.fixture(scope="module")
def real(real_list: Path) -> tuple[list[ClipPlan], tuple[Finding, ...]]:
    """Plan the official annotation with all frames."""
    return plan_annotation(real_list, "all", 0)


def test_emotions_classes_and_frames_per_second_are_those_of_the_yaml(defaults):
    config = defaults("casme3")
    assert sorted((*EMOTIONS, *COARSE)) == sorted(config["emotions"])
    assert config["spellings"] == SPELLINGS
    assert config["fps"] == FPS
    fine = {name: set(members) - set(COARSE) for name, members in config["class_maps"][4].items()}
    assert {name: set(members) for name, members in CLASSES.items()} == fine


# The real annotation


def test_the_plan_of_the_real_annotation_has_859_expressions_of_94_subjects(real):
    clips, _ = real
    assert sum(len(clip.expressions) for clip in clips) == 859
    assert len({clip.subject for clip in clips}) == 94
    assert len(clips) == len({clip.folder for clip in clips}) == 462
    emotions = Counter(e.emotion for clip in clips for e in clip.expressions)
    assert emotions == {
        "disgust": 249,  # 250 without row 708
        "surprise": 187,
        "others": 161,
        "fear": 86,
        "anger": 64,
        "sad": 57,
        "happy": 55,
    }


def test_only_row_708_is_left_out_with_its_reason(real):
    left = [note for note in real[1] if note.kind == "left out"]
    assert [(note.row, note.sample_id) for note in left] == [(708, "spNO.214_c_5")]
    assert "offset is not known" in left[0].found
    assert not [note for note in real[1] if note.kind == "offset chosen"]


def test_the_errata_are_applied_and_reported(real):
    clips, notes = real
    assert {note.row for note in notes if note.kind == "erratum"} == {128, 708, 749, 750, 796, 798}
    times = {
        (clip.subject, clip.clip, e.onset, e.apex, e.offset)
        for clip in clips
        for e in clip.expressions
    }
    assert ("spNO.149", "d", 112, 160, 358) in times
    assert ("spNO.216", "d", 2647, 2668, 2694) in times
    assert ("spNO.216", "e", 1, 1, 25) in times
    assert ("spNO.40", "e", 1812, 1824, 1845) in times
    assert ("spNO.40", "e", 2327, 2363, 2403) in times


def test_all_frames_of_the_real_annotation_are_about_27000(real):
    clips, _ = real
    assert 25_000 < sum(len(clip.frames) for clip in clips) < 27_500
    for clip in clips:
        for expression in clip.expressions:
            assert 0 < expression.onset <= expression.apex < expression.offset
            assert set(range(expression.onset, expression.offset + 1)) <= set(clip.frames)


def test_the_written_sheet_contains_the_real_rows(real, real_rows, tmp_path):
    clips, _ = real
    write_annotation(clips, tmp_path)
    written = pd.read_excel(tmp_path / MICRO_FILE, sheet_name="label", dtype=str)
    official = real_rows
    official["emotion"] = official["emotion"].str.lower()
    official["Filename"] = official["Filename"].str.lower()
    official = official.drop(index=[128, 708, 749, 750, 796, 798])
    kept = set(written.itertuples(index=False, name=None))
    assert len(written) == len(kept) == 859
    # The comparison includes the objective class, which the rule computes as in the official sheet.
    assert set(official.itertuples(index=False, name=None)) <= kept


def test_the_key_frames_of_the_real_annotation_are_a_subset_of_all_frames(real, real_list):
    key, _ = plan_annotation(real_list, "key", 0)
    assert [clip.expressions for clip in key] == [clip.expressions for clip in real[0]]
    assert all(set(a.frames) <= set(b.frames) for a, b in zip(key, real[0], strict=True))
    assert 4500 < sum(len(clip.frames) for clip in key) < 6013


# A small annotation


def test_rows_become_clips_with_their_subject_numbers_action_units_and_emotion(table):
    clips, notes = plan_annotation(table, "key", 0)
    assert [(clip.subject, clip.clip, clip.folder, clip.kind) for clip in clips] == [
        ("spNO.1", "a", "spNO.1/a", "micro"),
        ("spNO.10", "b", "spNO.10/b", "micro"),
        ("spNO.2", "b", "spNO.2/b", "micro"),
    ]
    first, second = clips[0].expressions  # sorted by onset, unlike the rows
    assert (first.onset, first.apex, first.offset) == (300, 306, 340)
    assert first.action_units == (ActionUnit(2, "R"), ActionUnit(1, "R"))
    assert first.emotion == second.emotion == "others"
    assert clips[1].expressions[0].action_units == (
        *(ActionUnit(24), ActionUnit(18, "", "T"), ActionUnit(16)),
    )
    assert clips[0].frames == (300, 302, 304, 306, 317, 329, 340, 355, 356, 358, 359, 360)
    assert not [note for note in notes if note.kind in ("left out", "offset chosen")]


def test_peaks_are_those_of_micro_expressions_and_depend_on_seed_and_sample_alone(table):
    def peaks(seed, clips):
        by_onset = {}
        for clip in clips:
            for expression in clip.expressions:
                assert 0.5 <= expression.peak <= 3
                by_onset[clip.subject, expression.onset] = expression.peak
        return by_onset

    all_rows = peaks(0, plan_annotation(table, "key", 0)[0])
    assert len(set(all_rows.values())) == 4
    assert peaks(0, plan_annotation(table, "key", 0)[0]) == all_rows
    assert peaks(1, plan_annotation(table, "key", 1)[0]) != all_rows
    pd.DataFrame(ROWS[2:], columns=list(MICRO_COLUMNS)).to_excel(
        table, sheet_name="label", index=False
    )
    fewer = peaks(0, plan_annotation(table, "key", 0)[0])
    assert len(fewer) == 2
    assert fewer.items() <= all_rows.items()


def test_a_row_whose_onset_is_its_apex_is_kept_without_motion(table):
    still = plan_annotation(table, "all", 0)[0][2].expressions[0]
    assert (still.onset, still.apex, still.offset) == (11, 11, 83)
    assert still.peak > 0
    assert not any(any(au_intensities(still, number, 0)) for number in range(1, 100))


@pytest.mark.parametrize(
    ("offset", "problem"),
    [(pd.NA, "no offset"), (22, "offset 22"), (26, "offset 26"), (0, "offset 0")],
)
def test_an_offset_that_is_not_after_the_apex_is_replaced_and_reported(offset, problem):
    clips, notes = plan(make_index(offset=offset))
    assert clips[0].expressions[0].offset == 32
    (note,) = notes
    assert (note.kind, note.row, note.sample_id) == ("offset chosen", 7, "spNO.1_a_20")
    assert note.found == f"{problem} after apex 26"
    assert "32 is taken" in note.remedy


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"onset": 26, "offset": pd.NA}, "it has no duration"),
        ({"onset": 5, "apex": 5, "offset": 3460}, "5 to 3460 is longer than any expression"),
        ({"onset": 27}, "onset 27, apex 26; expected"),
        ({"onset": 0}, "onset 0, apex 26; expected 1 or more"),
        ({"action_units": ()}, "names no action unit"),
        ({"apex": pd.NA}, "onset or apex is not known"),
    ],
)
def test_rows_that_cannot_be_rendered_are_left_out_with_the_reason(changes, reason):
    other = make_index(subject="spNO.2", sample_id="spNO.2_a_20", row=8)
    clips, (note,) = plan(pd.concat([make_index(**changes), other], ignore_index=True))
    assert [clip.subject for clip in clips] == ["spNO.2"]
    assert (note.kind, note.row, note.where) == ("left out", 7, "table.xlsx")
    assert reason in note.found


def test_a_table_of_which_no_row_can_be_rendered_is_refused_with_the_first_reason():
    with pytest.raises(
        InputError,
        match=r"table\.xlsx: none of its 1 rows can be rendered.*names no action unit.*version 2",
    ):
        plan(make_index(action_units=()))


def test_the_list_of_dvscl_has_no_action_units_and_is_refused(real_casme3):
    with pytest.raises(InputError, match=r"none of its 943 rows can be rendered"):
        plan_annotation(real_casme3 / "dvscl_943.csv", "key", 0)


def test_a_missing_table_and_another_word_than_key_or_all_are_refused(tmp_path, table):
    with pytest.raises(InputError, match=r"annotation=.*nowhere\.xlsx is no file; expected"):
        plan_annotation(tmp_path / "nowhere.xlsx", "key", 0)
    with pytest.raises(InputError, match="frames=half; expected one of key, all"):
        plan_annotation(table, "half", 0)


@pytest.mark.parametrize(("sheet", "column"), [("Label 2", "AU"), ("label", "Action")])
def test_a_wrong_sheet_and_a_missing_column_are_named(tmp_path, sheet, column):
    file = tmp_path / MICRO_FILE
    rows = pd.DataFrame(ROWS, columns=list(MICRO_COLUMNS)).rename(columns={"AU": column})
    rows.to_excel(file, sheet_name=sheet, index=False)
    with pytest.raises(
        InputError, match="no sheet `label`" if sheet != "label" else "no column AU"
    ):
        plan_annotation(file, "key", 0)
