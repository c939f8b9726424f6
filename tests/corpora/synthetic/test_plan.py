"""Test that a plan depends on its seed, follows CAS(ME)^3 and lists every frame that is needed."""

import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from merec.errors import InputError
from merec.synthetic.frequencies import CLASSES
from merec.synthetic.plan import (
    ClipPlan,
    Expression,
    choose_frames,
    name_clip,
    plan_corpus,
    plan_macro,
    plan_unlabelled,
)
from merec.types import ActionUnit

CLASS_OF = {emotion: name for name, members in CLASSES.items() for emotion in members}


def plan(
    subjects=12, samples=8, unlabelled=0, macro=0, still=0.0, seed=0, frames="key"
) -> list[ClipPlan]:
    return plan_corpus(subjects, samples, unlabelled, macro, still, seed, frames)


def of_kind(clips: list[ClipPlan], kind: str) -> list[ClipPlan]:
    return [clip for clip in clips if clip.kind == kind]


def expressions(clips: list[ClipPlan], kind: str = "micro") -> list[Expression]:
    return [expression for clip in of_kind(clips, kind) for expression in clip.expressions]


def make_expression(onset: int, apex: int, offset: int) -> Expression:
    return Expression(onset, apex, offset, (ActionUnit(4),), "disgust", 1.0)


@pytest.fixture(scope="module")
def clips() -> list[ClipPlan]:
    """Plan a corpus with micro-expressions, macro-expressions and unlabelled clips."""
    return plan(unlabelled=15, macro=15)


def test_the_same_seed_gives_the_same_plan_and_another_seed_another(clips):
    assert plan(unlabelled=15, macro=15) == clips
    assert plan(unlabelled=15, macro=15, seed=1) != clips


def test_the_numbers_asked_for_are_planned(clips):
    assert len(expressions(clips)) == 96
    assert len(expressions(clips, "macro")) == len(of_kind(clips, "macro")) == 15
    assert len(of_kind(clips, "unlabelled")) == 15
    per_subject = Counter(
        clip.subject for clip in of_kind(clips, "micro") for _ in clip.expressions
    )
    assert per_subject == {f"spNO.{number}": 8 for number in range(1, 13)}


def test_emotions_have_the_skew_of_the_real_set(clips):
    counts = Counter(expression.emotion for expression in expressions(clips))
    assert counts == {
        "disgust": 28,
        "surprise": 21,
        "others": 18,
        "fear": 10,
        "anger": 7,
        "sad": 6,
        "happy": 6,
    }


@pytest.mark.parametrize("seed", range(5))
def test_most_subjects_have_several_classes(seed):
    classes: dict[str, set[str]] = {}
    for clip in plan(seed=seed):
        classes.setdefault(clip.subject, set()).update(
            CLASS_OF[expression.emotion] for expression in clip.expressions
        )
    assert sum(len(subject_classes) >= 2 for subject_classes in classes.values()) >= 11


def test_a_tiny_corpus_has_all_four_classes():
    emotions = [expression.emotion for expression in expressions(plan(subjects=2, samples=2))]
    assert {CLASS_OF[emotion] for emotion in emotions} == set(CLASSES)


def test_emotion_is_no_function_of_the_action_units():
    by_units: dict[tuple, set[str]] = {}
    for expression in expressions(plan(subjects=30)):
        classes = by_units.setdefault(expression.action_units, set())
        classes.add(CLASS_OF[expression.emotion])
    shared = [units for units, classes in by_units.items() if len(classes) >= 3]
    assert {ActionUnit(14)} in map(set, shared)
    assert {ActionUnit(4)} in map(set, shared)


def test_a_subject_without_its_emotions_does_not_depend_on_the_number_of_subjects():
    def without_emotions(clips):
        return [
            replace(
                clip,
                expressions=tuple(
                    replace(expression, emotion="", action_units=())
                    for expression in clip.expressions
                ),
            )
            for clip in of_kind(clips, "micro")
            if clip.subject in ("spNO.1", "spNO.2", "spNO.3")
        ]

    assert without_emotions(plan(subjects=3)) == without_emotions(plan(subjects=12))


def test_subjects_differ(clips):
    times = Counter(tuple(clip.frames) for clip in of_kind(clips, "micro"))
    assert max(times.values()) == 1


@pytest.mark.parametrize("frames", ["key", "all", "pair"])
def test_every_labelled_expression_has_its_onset_apex_and_offset_frames(frames):
    for clip in plan(macro=15, frames=frames):
        assert list(clip.frames) == sorted(set(clip.frames))
        ends = {number for e in clip.expressions for number in (e.onset, e.apex)}
        if frames == "pair":
            assert set(clip.frames) == ends
        else:
            assert ends | {e.offset for e in clip.expressions} <= set(clip.frames)


def test_with_pairs_an_unlabelled_or_macro_clip_has_two_frames():
    for clip in plan(unlabelled=15, macro=15, frames="pair"):
        if clip.kind != "micro":
            assert len(clip.frames) == 2
            strongest = max(clip.expressions, key=lambda expression: expression.peak)
            assert clip.frames == (strongest.onset, strongest.apex)


def test_a_share_of_the_samples_does_not_move_and_the_others_stay_as_they_are():
    still, moving = (expressions(plan(still=share)) for share in (0.064, 0.0))
    assert sum(e.onset == e.apex for e in still) == round(0.064 * 96)
    assert all(e.onset < e.apex for e in moving)
    for e, expected in zip(still, moving, strict=True):
        assert e in (expected, replace(expected, apex=expected.onset))


def test_the_plan_does_not_depend_on_which_frames_are_written(clips):
    pairs = plan(unlabelled=15, macro=15, frames="pair")
    every = plan(unlabelled=15, macro=15, frames="all")
    for changed in (pairs, every):
        assert [replace(clip, frames=()) for clip in changed] == [
            replace(clip, frames=()) for clip in clips
        ]
    assert all(set(a.frames) <= set(b.frames) for a, b in zip(clips, every, strict=True))
    assert all(set(a.frames) <= set(b.frames) for a, b in zip(pairs, every, strict=True))


def test_expressions_rise_and_fall_one_after_the_other_and_start_after_frame_1(clips):
    for clip in clips:
        assert clip.frames[0] > 1
        end = 1
        for expression in clip.expressions:
            assert end < expression.onset < expression.apex < expression.offset
            end = expression.offset


def test_no_clip_of_many_starts_at_frame_1():
    assert min(clip.frames[0] for clip in plan(subjects=150, samples=4)) == 2


def test_clips_hold_one_to_three_micro_expressions_in_folders_of_their_own(clips):
    sizes = Counter(len(clip.expressions) for clip in of_kind(clips, "micro"))
    assert set(sizes) == {1, 2, 3}
    assert len({clip.folder for clip in clips}) == len(clips)
    for clip in clips:
        if clip.kind != "unlabelled":
            assert clip.folder == f"{clip.subject}/{clip.clip}"


def test_micro_expressions_are_small_and_macro_expressions_large_and_long(clips):
    micro = [expression.peak for expression in expressions(clips)]
    assert min(micro) >= 0.5
    assert max(micro) <= 3
    assert 0.9 < np.median(micro) < 1.6
    for macro in expressions(clips, "macro"):
        assert 6 <= macro.peak <= 15
        assert macro.apex - macro.onset >= 8
        assert 15 <= macro.offset - macro.onset <= 120


def test_unlabelled_clips_are_found_by_a_glob_and_move_within_their_frames(clips):
    for clip in of_kind(clips, "unlabelled"):
        assert clip.folder.split("/") == ["Part_B", clip.subject, clip.clip]
        assert len(clip.frames) == 16
        assert set(np.diff(clip.frames)) == {2}
        assert 1 <= len(clip.expressions) <= 2
        for expression in clip.expressions:
            assert clip.frames[0] <= expression.onset < expression.offset <= clip.frames[-1]
    for clip in of_kind(plan(unlabelled=15, frames="all"), "unlabelled"):
        assert 31 <= len(clip.frames) <= 60
        assert set(np.diff(clip.frames)) == {1}


def test_pool_and_macro_clips_go_round_the_subjects(clips):
    for kind in ("macro", "unlabelled"):
        counts = Counter(clip.subject for clip in of_kind(clips, kind))
        assert len(counts) == 12
        assert max(counts.values()) == 2


def test_macro_letters_are_free_ones_whatever_their_case():
    taken = ClipPlan("spNO.14", "B", "spNO.14/B", (make_expression(2, 5, 9),), (2, 5, 9), "micro")
    planned = plan_macro([taken], 3, 0, "key")
    assert [clip.clip for clip in planned] == ["a", "c", "d"]
    assert {clip.subject for clip in planned} == {"spNO.14"}
    assert plan_unlabelled([taken], 1, 0, "key")[0].folder == "Part_B/spNO.14/u1"


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((10, 16, 31), (10, 12, 14, 16, 21, 26, 31)),
        ((10, 11, 12), (10, 11, 12)),
        ((10, 12, 40), (10, 11, 12, 21, 31, 40)),
        ((10, 10, 13), (10, 11, 12, 13)),
    ],
)
def test_key_frames_are_evenly_spaced_and_fewer_where_there_is_no_room(times, expected):
    assert choose_frames([make_expression(*times)], "key") == expected


def test_frames_of_overlapping_expressions_are_written_once():
    pair = [make_expression(10, 12, 20), make_expression(15, 18, 24)]
    assert choose_frames(pair, "all") == tuple(range(10, 25))


def test_clips_are_lettered_beyond_the_alphabet():
    assert [name_clip(number) for number in (0, 12, 25, 26, 27, 51, 52, 701, 702)] == [
        *("a", "m", "z", "aa", "ab", "az", "ba", "zz", "aaa")
    ]


def test_a_plan_travels_to_a_worker_in_a_kilobyte_or_two(clips):
    assert all(pickle.loads(pickle.dumps(clip)) == clip for clip in clips)
    assert max(len(pickle.dumps(clip)) for clip in clips) < 2000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"subjects": 0}, "subjects=0; expected a whole number from 1"),
        ({"samples": 0}, "samples=0; expected a whole number from 1"),
        ({"macro": -1}, "macro=-1; expected a whole number from 0"),
        ({"unlabelled": -1}, "unlabelled=-1; expected a whole number from 0"),
        ({"frames": "some"}, "frames=some; expected one of key, all, pair"),
    ],
)
def test_numbers_that_make_no_corpus_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        plan(**wrong)
