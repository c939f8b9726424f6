"""A subject is in one part of a split only, and every sample is held out once."""

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneGroupOut

from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.splits import (
    leave_one_corpus_out,
    leave_one_subject_out,
    select_folds,
    split,
    split_inner_subjects,
)
from merec.types import Corpus


@pytest.fixture
def subjects(make_index) -> np.ndarray:
    return make_index(subjects=11)["subject"].to_numpy(str)


def test_every_sample_is_held_out_once_and_never_trained_on_then(subjects):
    folds = leave_one_subject_out(subjects.tolist())
    held_out = np.concatenate([fold.test for fold in folds])
    assert sorted(held_out) == list(range(len(subjects)))
    for fold in folds:
        assert not set(fold.train) & set(fold.test)
        assert len(fold.train) + len(fold.test) == len(subjects)


def test_a_fold_holds_out_all_of_one_subject(subjects):
    folds = leave_one_subject_out(subjects.tolist())
    assert [fold.held_out for fold in folds] == sorted(set(subjects))
    assert [fold.number for fold in folds] == list(range(11))
    for fold in folds:
        assert set(subjects[fold.test]) == {fold.held_out}
        assert fold.held_out not in subjects[fold.train]


def test_folds_equal_scikit_learns_leave_one_group_out(subjects):
    folds = leave_one_subject_out(subjects.tolist())
    reference = list(LeaveOneGroupOut().split(subjects, groups=subjects))
    assert len(folds) == len(reference)
    for fold, (train, test) in zip(folds, reference, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


def test_a_folds_number_does_not_depend_on_the_order_of_rows(subjects):
    shuffled = np.random.default_rng(0).permutation(subjects)
    pairs = zip(leave_one_subject_out(subjects), leave_one_subject_out(shuffled), strict=True)
    for fold, other in pairs:
        assert (fold.number, fold.held_out) == (other.number, other.held_out)
        assert len(fold.test) == len(other.test)


def test_real_megc2019_has_68_folds_of_442_samples(megc2019):
    _, subjects = megc2019
    folds = leave_one_subject_out(subjects.tolist())
    assert len(folds) == 68
    assert sum(len(fold.test) for fold in folds) == 442


@pytest.mark.parametrize("subjects", [[], ["006"], ["006", "006"]])
def test_fewer_than_two_subjects_are_an_error(subjects):
    with pytest.raises(InputError, match=f"{len(set(subjects))} subject .* at least 2"):
        leave_one_subject_out(subjects)


@pytest.fixture
def three(make_index, classes) -> Corpus:
    """Eleven subjects of three data sets, rows in random order."""
    index = make_index(subjects=11)
    smic = index["subject"].isin(sorted(set(index["subject"]))[3:7])
    index = index.assign(corpus=index["corpus"].mask(smic, "smic"))
    return Corpus(describe_protocol("three", index, classes), index, None, ())


def test_a_data_set_is_held_out_whole_as_scikit_learns_leave_one_group_out_does(three):
    subjects, corpora = (three.index[name].to_numpy(str) for name in ("subject", "corpus"))
    folds = leave_one_corpus_out(subjects, corpora)
    assert [fold.held_out for fold in folds] == ["casme2", "samm", "smic"]
    assert [fold.number for fold in folds] == [0, 1, 2]
    reference = LeaveOneGroupOut().split(corpora, groups=corpora)
    for fold, (train, test) in zip(folds, reference, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)
        assert not set(subjects[train]) & set(subjects[test])


@pytest.mark.parametrize(
    ("train_on", "held_out"),
    [
        (None, ["casme2", "samm", "smic"]),
        (["smic"], ["casme2", "samm"]),
        (["smic", "casme2"], ["samm"]),
    ],
)
def test_what_is_trained_on_is_named_and_every_other_sample_is_tested_once(
    three, train_on, held_out
):
    corpora = three.index["corpus"].to_numpy(str)
    folds, protocol = split(three, "corpus", train_on)
    assert [fold.held_out for fold in folds] == held_out == list(protocol.held_out)
    for fold in folds:
        assert set(corpora[fold.test]) == {fold.held_out}
        assert set(corpora[fold.train]) == set(train_on or {*held_out} - {fold.held_out})
    tested = np.concatenate([fold.test for fold in folds])
    np.testing.assert_array_equal(np.sort(tested), np.flatnonzero(np.isin(corpora, held_out)))
    scored = three.index[np.isin(corpora, held_out)]
    assert (protocol.samples, protocol.subjects) == (len(scored), scored["subject"].nunique())
    assert protocol.hash == describe_protocol("three", scored, protocol.classes).hash
    assert protocol.folds == len(folds)


def test_a_protocol_says_how_it_was_split(three):
    predicted = [
        split(three, hold_out, train_on)[1].split
        for hold_out, train_on in [
            ("subject", None),
            ("corpus", None),
            ("corpus", ["samm", "casme2"]),
        ]
    ]
    assert predicted == [
        "leave-one-subject-out",
        "leave-one-data-set-out",
        "trained on casme2, samm, tested on smic",
    ]


@pytest.mark.parametrize(
    ("hold_out", "train_on", "message"),
    [
        ("session", None, r"task\.hold_out=session .* choose"),
        ("subject", ["samm"], r"task\.hold_out=subject with task\.train_on=\['samm'\]; choose"),
        ("corpus", ["sam"], r"task\.train_on=\[sam\], but the data sets are casme2, samm, smic"),
        ("corpus", ["casme2", "samm", "smic"], "name some of them, not all"),
    ],
)
def test_splits_that_make_no_sense_are_refused(three, hold_out, train_on, message):
    with pytest.raises(InputError, match=message):
        split(three, hold_out, train_on)


def test_one_data_set_cannot_be_left_out():
    with pytest.raises(InputError, match=r"1 data set .* at least 2.*task\.hold_out=subject"):
        leave_one_corpus_out(["a", "b"], ["samm", "samm"])


def test_a_subject_in_two_data_sets_is_refused_by_name():
    with pytest.raises(InputError, match="subject b is both in train and in test"):
        leave_one_corpus_out(["a", "b", "b"], ["samm", "samm", "smic"])


def test_with_a_data_set_held_out_inner_subjects_are_of_the_others(three):
    subjects, labels = three.index["subject"].to_numpy(str), three.index["label"].to_numpy()
    for fold in split(three, "corpus", None)[0]:
        train, inner = split_inner_subjects(fold, subjects, labels, 2, seed=0)
        assert sorted([*train, *inner]) == sorted(fold.train)
        assert not set(subjects[train]) & set(subjects[inner])


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (None, list(range(11))),
        (7, [7]),
        ("7", [7]),
        (0, [0]),
        ("0-3", [0, 1, 2, 3]),
        ("3-3", [3]),
        ("0-2,5,8-10", [0, 1, 2, 5, 8, 9, 10]),
        (" 0 - 2 , 5 ", [0, 1, 2, 5]),
        ("1/4", [0, 4, 8]),
        ("4/4", [3, 7]),
        ("1/1", list(range(11))),
        ("11/11", [10]),
        (" 2 / 5 ", [1, 6]),
        ("4/4,0-1", [0, 1, 3, 7]),
        ("5,0-2,1", [0, 1, 2, 5]),  # each once and in order, however they are written
    ],
)
def test_folds_are_selected_by_number_and_range(subjects, wanted, numbers):
    folds = leave_one_subject_out(subjects)
    selected = select_folds(folds, wanted)
    assert [fold.number for fold in selected] == numbers
    assert [id(fold) for fold in selected] == [id(folds[number]) for number in numbers]


@pytest.mark.parametrize("wanted", [11, "11", "0-11", "0,99", "5-999999999999999"])
def test_a_fold_out_of_range_is_an_error_that_names_the_range(subjects, wanted):
    with pytest.raises(InputError, match=rf"fold {wanted} .* 11 to hold out, so folds are 0 to 10"):
        select_folds(leave_one_subject_out(subjects), wanted)


@pytest.mark.parametrize("shares", [1, 2, 3, 4, 10, 11])
def test_shares_hold_every_subject_once_and_about_as_many_each(subjects, shares):
    folds = leave_one_subject_out(subjects)
    parts = [select_folds(folds, f"{share}/{shares}") for share in range(1, shares + 1)]
    assert sorted(fold.number for part in parts for fold in part) == list(range(11))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("0/4", "folds=0/4 is no share; there are 1/4 to 4/4"),
        ("5/4", "folds=5/4 is no share; there are 1/4 to 4/4"),
        ("0-3,5/4", "folds=5/4 is no share"),
        ("1/0", "folds=1/0, but there are 11 folds; take 1 to 11 shares"),
        ("1/12", "folds=1/12, but there are 11 folds; take 1 to 11 shares"),
    ],
)
def test_a_share_that_there_is_not_is_an_error_that_names_those_there_are(
    subjects, wanted, message
):
    with pytest.raises(InputError, match=f"^{message}"):
        select_folds(leave_one_subject_out(subjects), wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "a",
        "1/",
        "/4",
        "1/2/3",
        "-1/4",
        "-1",
        -1,
        "1-",
        "1;2",
        "0:3",
        "1.5",
        "9-3",
        "0,9-3",
        "1,,2",
    ],
)
def test_folds_that_are_not_understood_are_an_error_that_shows_how_to_write_them(subjects, wanted):
    with pytest.raises(InputError, match=rf"folds={wanted} is not understood; write"):
        select_folds(leave_one_subject_out(subjects), wanted)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_inner_subjects_are_training_subjects_in_one_part_only(make_index, parts):
    index = make_index(subjects=15)
    subjects, labels = index["subject"].to_numpy(str), index["label"].to_numpy()
    for fold in leave_one_subject_out(subjects):
        train, inner = split_inner_subjects(fold, subjects, labels, parts, seed=0)
        assert not set(subjects[train]) & set(subjects[inner])
        assert fold.held_out not in set(subjects[train]) | set(subjects[inner])
        assert sorted([*train, *inner]) == sorted(fold.train)
        assert len(train) > len(inner) > 0 or parts == 2


def test_inner_subjects_are_the_same_for_a_seed_and_others_for_another(make_index):
    index = make_index(subjects=15)
    subjects, labels = index["subject"].tolist(), index["label"].tolist()
    fold = leave_one_subject_out(subjects)[4]
    chosen = [
        frozenset(split_inner_subjects(fold, subjects, labels, 5, seed)[1].tolist())
        for seed in [0, 0, *range(1, 8)]
    ]
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) > 2


def test_the_held_out_subject_has_no_say_in_the_inner_split(make_index):
    # Its labels may be anything: the split of the others stays as it is.
    index = make_index(subjects=15)
    subjects, labels = index["subject"].to_numpy(str), index["label"].to_numpy()
    fold = leave_one_subject_out(subjects)[4]
    other = labels.copy()
    other[fold.test] = (labels[fold.test] + 1) % 3
    for seed in range(5):
        before = split_inner_subjects(fold, subjects, labels, 3, seed)
        after = split_inner_subjects(fold, subjects, other, 3, seed)
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])


@pytest.mark.parametrize("parts", [0, 1, 4, 9])
def test_inner_parts_that_cannot_be_filled_are_an_error(parts):
    subjects = np.repeat(["a", "b", "c", "d"], 6)  # three of them to train on
    labels = np.tile([0, 1, 2], 8)
    fold = leave_one_subject_out(subjects)[0]
    with pytest.raises(InputError, match=rf"{parts} inner .* 3 .* 2 to 3"):
        split_inner_subjects(fold, subjects, labels, parts, seed=0)
