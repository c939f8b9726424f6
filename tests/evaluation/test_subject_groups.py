"""Groups of subjects hold every subject once and are as alike as they can be made."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from merec.errors import InputError
from merec.evaluation.protocol import assert_same_protocol, describe_protocol, set_target
from merec.evaluation.splits import split
from merec.subject_groups import balance_groups
from merec.targets.unit_labels import find_trained_units
from merec.types import ActionUnit, Corpus


def draw(subjects: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Subjects of 1 to 14 samples each, of which any of some classes, rare and frequent, may be."""
    rng = np.random.default_rng(seed)
    names = np.repeat(
        [f"s{number:02d}" for number in range(subjects)], rng.integers(1, 15, subjects)
    )
    return rng.permutation(names), rng.random((len(names), classes)) < rng.uniform(
        0.05, 0.5, classes
    )


def deviate(subjects, marks, groups) -> float:
    """Mean squared deviation of the shares of subjects, samples and classes that groups hold, by hand."""
    total = 0.0
    for members in groups:
        rows = np.isin(subjects, members)
        shares = [marks[rows, c].sum() / marks[:, c].sum() for c in range(marks.shape[1])]
        part = [len(members) / len(set(subjects)), rows.mean()]
        total += np.mean((np.array(shares) - 1 / len(groups)) ** 2)
        total += sum((np.array(part) - 1 / len(groups)) ** 2)
    return total


@pytest.mark.parametrize("groups", [2, 3, 5, 17])
def test_every_subject_is_in_one_group_and_no_group_is_empty(groups):
    subjects, marks = draw(17, 4)
    parts = balance_groups(subjects, marks, groups)
    assert sorted(name for part in parts for name in part) == sorted(set(subjects))
    assert len(parts) == groups
    assert all(parts)


def test_the_order_of_rows_changes_no_group():
    subjects, marks = draw(17, 4)
    order = np.random.default_rng(1).permutation(len(subjects))
    assert balance_groups(subjects[order], marks[order], 3) == balance_groups(subjects, marks, 3)


@pytest.mark.parametrize("seed", range(5))
def test_six_subjects_are_divided_nearly_as_well_as_by_trying_all_ways(seed):
    subjects, marks = draw(6, 2, seed)
    names = sorted(set(subjects))
    ways = [
        (part, tuple(sorted({*names} - {*part})))
        for size in (1, 2, 3)
        for part in combinations(names, size)
    ]
    costs = sorted(deviate(subjects, marks, way) for way in ways)
    assert deviate(subjects, marks, balance_groups(subjects, marks, 2)) <= costs[2] + 1e-12


def test_groups_of_the_real_list_are_more_alike_than_the_best_of_300_random_divisions(megc2019):
    label, subjects = megc2019
    marks = label[:, None] == np.arange(3)
    actual = balance_groups(subjects, marks, 3)
    rng, names = np.random.default_rng(0), np.unique(subjects)
    drawn = [np.array_split(rng.permutation(names), 3) for _ in range(300)]
    assert (
        deviate(subjects, marks, actual) < min(deviate(subjects, marks, way) for way in drawn) / 10
    )
    for part in actual:
        rows = np.isin(subjects, part)
        assert rows.mean() == pytest.approx(1 / 3, abs=0.01)
        for of_class in marks.T:
            assert of_class[rows].sum() == pytest.approx(of_class.sum() / 3, abs=2)


@pytest.mark.parametrize("groups", [1, 7])
def test_as_many_groups_as_cannot_be_are_refused(groups):
    with pytest.raises(InputError, match=rf"task\.groups={groups}, .* 6 subjects; give 2 to 6"):
        balance_groups(*draw(6, 2), groups)


@pytest.fixture(scope="module")
def coded() -> Corpus:
    """Twelve subjects with action units, of which AU 9 is shown by three."""
    subjects, marks = draw(12, 3)
    marks[:, 2] &= np.isin(subjects, ["s01", "s04", "s09"])
    marks[np.flatnonzero(subjects == "s01")[0], 2] = True
    marks[np.flatnonzero(subjects == "s04")[0], 2] = True
    marks[np.flatnonzero(subjects == "s09")[0], 2] = True
    units = [
        tuple(ActionUnit(u) for u, has in zip((4, 12, 9), row, strict=True) if has) for row in marks
    ]
    ids = [f"{subject}_{row}" for row, subject in enumerate(subjects)]
    index = pd.DataFrame({"sample_id": ids, "corpus": "made", "subject": subjects, "clip": ids})
    index = index.assign(label=np.arange(len(ids)) % 3, action_units=units)
    return Corpus(describe_protocol("made", index, ("a", "b", "c")), index, None, ())


@pytest.mark.parametrize("target", ["emotion", "action_units"])
def test_each_group_is_held_out_once_under_a_name_and_all_others_are_trained_on(coded, target):
    corpus = set_target(coded, target, 1, 3)
    folds, protocol = split(corpus, "groups", None, 3)
    assert [fold.held_out for fold in folds] == ["group-1-of-3", "group-2-of-3", "group-3-of-3"]
    subject = corpus.index["subject"].to_numpy(str)
    for fold, members in zip(folds, protocol.groups, strict=True):
        assert set(subject[fold.test]) == set(members)
        assert not set(subject[fold.train]) & set(members)
        assert len(fold.train) + len(fold.test) == len(subject)
    assert protocol.folds == 3
    assert protocol.split == "leave-one-group-out, 3 groups"
    assert type(protocol).from_dict(protocol.to_dict()) == protocol
    rest = [split(corpus, "subject", None, None)[1], split(corpus, "groups", None, 2)[1]]
    for other in rest:
        with pytest.raises(InputError, match="leave-one-group-out, 3 groups"):
            assert_same_protocol(protocol, other, "one", "other")


@pytest.mark.parametrize(("hold_out", "groups"), [("subject", None), ("groups", 3)])
def test_fewer_training_subjects_are_among_more_and_nothing_else_changes(coded, hold_out, groups):
    whole, protocol = split(coded, hold_out, None, groups)
    subject = coded.index["subject"].to_numpy(str)
    before: list[set[str]] = [set()] * len(whole)
    for number in (2, 4, 8):
        folds, limited = split(coded, hold_out, None, groups, number)
        assert limited == protocol
        for fold, all_of_it in zip(folds, whole, strict=True):
            np.testing.assert_array_equal(fold.test, all_of_it.test)
            chosen = set(subject[fold.train])
            assert len(chosen) == number
            assert set(fold.train) == set(
                all_of_it.train[np.isin(subject[all_of_it.train], [*chosen])]
            )
            assert before[fold.number] < chosen
            before[fold.number] = chosen
    with pytest.raises(
        InputError, match=r"task\.train_subjects=12, .* training subjects; give 1 to"
    ):
        split(coded, hold_out, None, groups, 12)


@pytest.mark.parametrize("least", [1, 2, 3])
def test_scored_are_the_action_units_that_every_fold_has_learnt(coded, least):
    corpus = set_target(coded, "action_units", least, 3)
    folds, protocol = split(corpus, "groups", None, 3)
    learnt = [set(find_trained_units(corpus.index.iloc[fold.train], least)) for fold in folds]
    assert set(protocol.classes) == set.intersection(*learnt)
    assert ("AU9" in protocol.classes) == (least < 3)


@pytest.mark.parametrize(
    ("hold_out", "groups", "message"),
    [
        ("groups", None, r"their number is missing; set e\.g\. task\.groups=3"),
        ("subject", 3, r"task\.groups=3, but task\.hold_out=subject; set task\.hold_out=groups"),
        ("corpus", 3, r"task\.groups=3, but task\.hold_out=corpus"),
        ("groups", 13, r"task\.groups=13, but the corpus has 12 subjects"),
    ],
)
def test_groups_without_their_setting_and_the_reverse_are_refused(coded, hold_out, groups, message):
    with pytest.raises(InputError, match=message):
        split(coded, hold_out, None, groups)


def test_groups_do_not_go_with_data_sets_to_train_on(coded):
    with pytest.raises(InputError, match=r"task\.hold_out=groups with task\.train_on"):
        split(replace(coded), "groups", ["made"], 3)
