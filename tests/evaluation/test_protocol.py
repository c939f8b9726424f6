"""A protocol tells lists of samples apart, and says what does not match."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from merec.errors import InputError
from merec.evaluation.protocol import assert_counts, assert_same_protocol, describe_protocol
from merec.types import Protocol


@pytest.fixture
def index(make_index) -> pd.DataFrame:
    return make_index(subjects=6)


def test_a_protocol_counts_samples_and_subjects(index, classes):
    protocol = describe_protocol("megc2019-cd", index, classes)
    assert protocol.name == "megc2019-cd"
    assert protocol.classes == classes
    assert (protocol.samples, protocol.subjects) == (len(index), 6)
    assert len(protocol.hash) == 16
    assert set(protocol.hash) <= set("0123456789abcdef")


def test_the_hash_depends_on_neither_rows_order_nor_columns_nor_integer_type(index, classes):
    expected = describe_protocol("a", index, classes)
    for seed in range(5):
        shuffled = index.sample(frac=1, random_state=seed)
        assert describe_protocol("a", shuffled, classes) == expected
    assert (
        describe_protocol("a", index.assign(fold=3)[sorted([*index, "fold"])], classes) == expected
    )
    assert describe_protocol("a", index.astype({"label": "int8"}), classes) == expected


@pytest.mark.parametrize("row", [0, 5, -1])
@pytest.mark.parametrize("column", ["sample_id", "subject", "label"])
def test_the_hash_changes_with_any_sample_id_subject_or_label(index, classes, row, column):
    changed = index.copy()
    place = changed.index[row]
    changed.loc[place, column] = (
        (index.loc[place, "label"] + 1) % 3 if column == "label" else index.loc[place, column] + "x"
    )
    assert (
        describe_protocol("a", changed, classes).hash != describe_protocol("a", index, classes).hash
    )


def test_the_hash_changes_with_a_sample_more_or_less_and_when_two_swap_their_labels(index, classes):
    expected = describe_protocol("a", index, classes).hash
    assert describe_protocol("a", index.iloc[1:], classes).hash != expected
    assert describe_protocol("a", pd.concat([index, index.iloc[:1]]), classes).hash != expected
    first, second = index.index[0], index.index[(index["label"] != index["label"].iloc[0]).argmax()]
    swapped = index.copy()
    swapped.loc[[first, second], "label"] = index.loc[[second, first], "label"].to_numpy()
    assert describe_protocol("a", swapped, classes).hash != expected


def test_names_with_commas_do_not_hash_alike(classes):
    one = pd.DataFrame({"sample_id": ["a,b"], "subject": ["c"], "label": [0]})
    other = pd.DataFrame({"sample_id": ["a"], "subject": ["b,c"], "label": [0]})
    assert describe_protocol("a", one, classes).hash != describe_protocol("a", other, classes).hash


def test_a_protocol_survives_json(index, classes):
    protocol = describe_protocol("a", index, classes)
    assert Protocol.from_dict(protocol.to_dict()) == protocol
    apart = replace(protocol, held_out=("casme2", "samm"), train_on=("smic",))
    assert Protocol.from_dict(json.loads(json.dumps(apart.to_dict()))) == apart


def test_runs_from_before_data_sets_could_be_held_out_left_one_subject_out(index, classes):
    fields = describe_protocol("a", index, classes).to_dict()
    before = {key: fields[key] for key in ("name", "classes", "samples", "subjects", "hash")}
    assert Protocol.from_dict(before).split == "leave-one-subject-out"
    assert Protocol.from_dict(before).folds == fields["subjects"]


def counts_of(index: pd.DataFrame, classes: tuple[str, ...]) -> dict:
    return {
        "samples": len(index),
        "subjects": len(set(index["subject"])),
        "corpus": {name: int((index["corpus"] == name).sum()) for name in ("casme2", "samm")},
        "class": {name: int((index["label"] == k).sum()) for k, name in enumerate(classes)},
    }


def test_right_counts_pass_and_each_is_optional(index, classes):
    expected = counts_of(index, classes)
    assert_counts(index, classes, expected, "flow.npz")
    for key in expected:
        assert_counts(index, classes, {key: expected[key]}, "flow.npz")
    assert_counts(index, classes, {}, "flow.npz")


def test_every_wrong_count_is_listed_and_no_right_one(index, classes):
    expected = counts_of(index, classes)
    samm, surprise = expected["corpus"]["samm"], expected["class"]["surprise"]
    expected["subjects"] += 2
    expected["corpus"]["samm"] -= 1
    expected["corpus"]["smic"] = 164  # wholly missing
    expected["class"]["surprise"] += 3
    with pytest.raises(InputError, match=r"^flow\.npz does not hold") as error:
        assert_counts(index, classes, expected, "flow.npz")
    message = str(error.value)
    for line in (
        f"subjects: 6 found, {expected['subjects']} expected",
        f"corpus samm: {samm} found, {samm - 1} expected",
        "corpus smic: 0 found, 164 expected",
        f"class surprise: {surprise} found, {surprise + 3} expected",
    ):
        assert line in message
    assert message.count("found") == 4
    assert "corpus.expected=null" in message


@pytest.mark.parametrize("key", ["samples", "subjects"])
@pytest.mark.parametrize("by", [-1, 1])
def test_one_sample_or_subject_too_many_or_too_few_is_an_error(index, classes, key, by):
    expected = counts_of(index, classes)
    expected[key] += by
    with pytest.raises(
        InputError, match=f"{key}: {expected[key] - by} found, {expected[key]} expected"
    ):
        assert_counts(index, classes, expected, "flow.npz")


def test_equal_protocols_may_stand_side_by_side(index, classes):
    protocol = describe_protocol("a", index, classes)
    shuffled = describe_protocol("a", index.sample(frac=1, random_state=0), classes)
    assert_same_protocol(protocol, shuffled, "runs/1", "runs/2")


def test_protocols_that_differ_in_anything_are_refused_by_name(index, classes):
    protocol = describe_protocol("casme3-4@v2", index, classes)
    relabelled = index.assign(label=np.roll(index["label"], 1))
    rest = [
        describe_protocol("casme3-4@dvscl", index, classes),
        describe_protocol("casme3-4@v2", index.iloc[1:], classes),
        describe_protocol("casme3-4@v2", relabelled, classes),
        describe_protocol("casme3-4@v2", index, (*classes, "other")),
        describe_protocol("casme3-4@v2", index, classes[::-1]),
        replace(protocol, held_out=("casme2", "samm")),
    ]
    for other in rest:
        with pytest.raises(
            InputError, match="runs/1 and runs/2 follow different protocols"
        ) as error:
            assert_same_protocol(protocol, other, "runs/1", "runs/2")
        for side in (protocol, other):
            assert f"{side.name} ({side.samples} samples" in str(error.value)
            assert side.hash in str(error.value)


def test_a_class_that_the_protocol_has_not_is_named_with_those_there_are(index, classes):
    counts = {"class": {name: int((index["label"] == n).sum()) for n, name in enumerate(classes)}}
    assert_counts(index, classes, counts, "here")
    first, second, third = classes
    with pytest.raises(InputError) as caught:
        assert_counts(index, (first, second, "joy"), counts, "here")
    assert str(caught.value) == (
        "corpus.classes has joy, which the protocol of here has not; there are "
        f"{first}, {second}, {third}"
    )


def test_an_expected_count_that_is_no_number_is_named(index, classes):
    for given, key in (
        ({"samples": "alle"}, "samples"),
        ({"class": {"negative": 2.5}}, "class.neg"),
    ):
        with pytest.raises(InputError, match=rf"corpus\.expected\.{key}.*expected a whole number"):
            assert_counts(index, classes, given, "flow.npz")
