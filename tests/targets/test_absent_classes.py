"""A class without samples is named, and the score that it leaves possible is right."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from merec.evaluation.splits import leave_one_subject_out
from merec.metrics import confusion, uar, uf1
from merec.targets.absent_classes import (
    describe_absent_classes,
    describe_untrained_classes,
    find_absent_classes,
)

CLASSES = ("negative", "positive", "surprise", "others")


@pytest.mark.parametrize(
    ("label", "absent"),
    [
        ([0, 1, 2, 3], []),
        ([2, 0, 1, 1], ["others"]),
        ([3, 3], ["negative", "positive", "surprise"]),
    ],
)
def test_absent_classes_are_those_that_no_label_names(label, absent):
    assert find_absent_classes(np.array(label), CLASSES) == absent


def test_perfect_predictions_reach_the_score_that_is_called_the_highest():
    label = np.array([0, 1, 1, 2, 2, 2])
    counts = confusion(label, label, 4)
    line = describe_absent_classes(find_absent_classes(label, CLASSES), CLASSES)
    assert "others" in line
    assert "cannot exceed 3/4 = 0.750" in line
    assert uf1(counts) == uar(counts) == pytest.approx(0.75)


def test_over_present_classes_scores_are_those_of_scikit_learn_restricted_to_them():
    rng = np.random.default_rng(0)
    label, predicted = rng.integers(0, 3, 50), rng.integers(0, 4, 50)
    counts = confusion(label, predicted, 4)
    given = {"labels": [0, 1, 2], "average": "macro", "zero_division": 0}
    assert uf1(counts) * 4 / 3 == pytest.approx(f1_score(label, predicted, **given))
    assert uar(counts) * 4 / 3 == pytest.approx(recall_score(label, predicted, **given))


def test_a_class_of_one_subject_cannot_be_trained_while_that_subject_is_held_out():
    subject = ["a", "a", "b", "b", "c"]
    label = np.array([0, 1, 0, 2, 1])  # only b shows class 2
    training = {fold.held_out: fold.train for fold in leave_one_subject_out(subject)}
    line = describe_untrained_classes(training, label, CLASSES[:3])
    assert "1 of 3 folds" in line
    assert "b (surprise)" in line
    assert describe_untrained_classes(training, [0, 1, 0, 1, 1], CLASSES) == ""
