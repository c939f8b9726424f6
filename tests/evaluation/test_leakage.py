"""No subject is on two sides, and weights say whom they saw."""

import numpy as np
import pytest

from merec.errors import InputError
from merec.evaluation.leakage import assert_never_saw, assert_subjects_disjoint
from merec.evaluation.splits import leave_one_subject_out

SUBJECTS = ["006", "006", "007", "sub01", "sub01", "s3"]


def test_a_subject_in_two_parts_is_an_error_that_names_it_and_both_parts():
    with pytest.raises(
        InputError, match=r"subject sub01 is both in train and in test; split by subject"
    ):
        assert_subjects_disjoint(SUBJECTS, train=np.array([0, 1, 3]), test=np.array([4, 5]))


@pytest.mark.parametrize("shared", range(6))
def test_any_shared_subject_is_found_between_any_two_of_three_parts(shared):
    parts = {"train": [0, 1], "inner": [2], "test": [3, 4, 5]}
    home = next(name for name, rows in parts.items() if shared in rows)
    for name in set(parts) - {home}:
        leaky = {**parts, name: [*parts[name], shared]}
        with pytest.raises(InputError, match=f"subject {SUBJECTS[shared]} is both in") as error:
            assert_subjects_disjoint(SUBJECTS, **{k: np.array(v) for k, v in leaky.items()})
        assert home in str(error.value)
        assert name in str(error.value)


def test_leave_one_subject_out_passes_and_a_split_by_sample_does_not():
    subjects = np.asarray(SUBJECTS)
    for fold in leave_one_subject_out(subjects):
        assert_subjects_disjoint(subjects, train=fold.train, test=fold.test)
    with pytest.raises(InputError):
        assert_subjects_disjoint(subjects, train=np.arange(0, 6, 2), test=np.arange(1, 6, 2))


def test_weights_that_saw_the_held_out_subject_are_refused_by_name():
    checkpoint = {"merec": {"saw": ["006", "007", "s3"]}}
    with pytest.raises(
        InputError, match=r"last\.ckpt was trained on subject 007, which this fold"
    ) as error:
        assert_never_saw(checkpoint, ["007"], transductive=False, source="last.ckpt")
    assert "task.transductive=true" in str(error.value)
    with pytest.raises(InputError, match="subject 006, s3, which"):
        assert_never_saw(checkpoint, {"s3", "006", "sub01"}, False, "last.ckpt")


def test_weights_blind_to_the_held_out_subject_are_accepted():
    assert_never_saw({"merec": {"saw": ["006", "007"]}}, ["sub01"], False, "last.ckpt")
    assert_never_saw({"merec": {"saw": []}}, ["sub01"], False, "last.ckpt")


def test_a_subject_is_not_found_in_part_of_another_ones_name():
    assert_never_saw({"merec": {"saw": ["s10", "sub01"]}}, ["s1"], False, "last.ckpt")


def test_transductive_weights_are_accepted_when_asked_for():
    assert_never_saw({"merec": {"saw": ["006"]}}, ["006"], True, "last.ckpt")


@pytest.mark.parametrize(
    "checkpoint", [{}, {"state_dict": {}}, {"merec": {}}, {"merec": {"seed": 1}}]
)
@pytest.mark.parametrize("transductive", [False, True])
def test_weights_that_do_not_say_whom_they_saw_are_refused(checkpoint, transductive):
    with pytest.raises(InputError, match=r"foreign\.pt does not say which subjects"):
        assert_never_saw(checkpoint, ["006"], transductive, "foreign.pt")


def test_one_name_in_place_of_a_collection_does_not_pass_as_its_letters():
    with pytest.raises(AssertionError):
        assert_never_saw({"merec": {"saw": ["006"]}}, "006", False, "last.ckpt")
