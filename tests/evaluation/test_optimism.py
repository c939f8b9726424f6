"""The optimism meter: what choosing the epoch on the held-out subject would have claimed."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from merec.evaluation.optimism import choose_best_epoch_per_fold, measure_optimism
from merec.targets.action_units import ActionUnits
from merec.targets.emotion import Emotion

EMOTION = Emotion(("negative", "positive", "surprise"))
UNITS = ActionUnits(("AU1", "AU4", "AU12"))


def score(label: np.ndarray, predicted_labels: np.ndarray) -> tuple[float, float]:
    options = {"average": "macro", "labels": range(3), "zero_division": 0}
    return float(f1_score(label, predicted_labels, **options)), float(
        recall_score(label, predicted_labels, **options)
    )


@pytest.fixture(params=range(3))
def training(request) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of 40 samples of 9 subjects after each of 12 epochs, with labels and subjects."""
    rng = np.random.default_rng(request.param)
    label = rng.integers(3, size=40)
    subject = rng.choice([f"s{number}" for number in range(9)], size=40)
    right = rng.random((40, 12)) < 0.5
    predicted = np.where(right, label[:, None], rng.integers(3, size=(40, 12)))
    return predicted.astype(np.int8), label, subject


def test_each_subject_takes_the_first_epoch_that_names_most_of_its_samples(training):
    predicted, label, subject = training
    expected = np.full(len(label), -1)
    for name in set(subject):
        best, best_score = 0, -1.0
        for epoch in range(predicted.shape[1]):
            rows = subject == name
            actual = accuracy_score(label[rows], predicted[rows, epoch])
            if actual > best_score:
                best, best_score = epoch, actual
        expected[subject == name] = predicted[subject == name, best]
    np.testing.assert_array_equal(choose_best_epoch_per_fold(predicted, label, subject), expected)
    assert not np.array_equal(expected, predicted[:, -1])


def test_the_three_readings_equal_naive_loops(training):
    predicted, label, subject = training
    actual = measure_optimism(predicted, label, subject, EMOTION)
    by_epoch = [score(label, predicted[:, epoch]) for epoch in range(predicted.shape[1])]
    chosen = choose_best_epoch_per_fold(predicted, label, subject)
    assert actual.epochs == 12
    assert actual.honest == pytest.approx(by_epoch[-1])
    assert actual.best_common_epoch == pytest.approx(max(by_epoch, key=lambda reading: reading[0]))
    assert actual.best_epoch == pytest.approx(score(label, chosen))
    # Peeking helps, and per subject more than for all together.
    assert actual.honest[0] < actual.best_common_epoch[0] < actual.best_epoch[0]


def test_with_one_epoch_there_is_nothing_to_choose(training):
    predicted, label, subject = training
    actual = measure_optimism(predicted[:, :1], label, subject, EMOTION)
    assert actual.epochs == 1
    assert actual.honest == actual.best_epoch == actual.best_common_epoch
    assert actual.honest == pytest.approx(score(label, predicted[:, 0]))


def test_no_reading_but_the_honest_one_depends_on_the_order_of_epochs(training):
    predicted, label, subject = training
    actual = measure_optimism(predicted, label, subject, EMOTION)
    # Every epoch has its copy at the end, so that the last one changes and the choice does not.
    again = measure_optimism(
        np.concatenate([predicted, predicted[:, :3]], axis=1), label, subject, EMOTION
    )
    assert again.best_epoch == actual.best_epoch
    assert again.best_common_epoch == actual.best_common_epoch
    assert again.honest == pytest.approx(score(label, predicted[:, 2]))


def test_the_order_of_samples_carries_no_meaning(training):
    predicted, label, subject = training
    order = np.random.default_rng(9).permutation(len(label))
    actual = measure_optimism(predicted, label, subject, EMOTION)
    again = measure_optimism(predicted[order], label[order], subject[order], EMOTION)
    for name in ("honest", "best_epoch", "best_common_epoch"):
        assert getattr(actual, name) == pytest.approx(getattr(again, name))


def test_random_guessing_reaches_82_percent_by_the_best_of_800_epochs(megc2019):
    label, subject = megc2019
    constant = np.zeros((len(label), 800), dtype=np.int8)
    actual = measure_optimism(constant, label, subject, EMOTION)
    # results read elsewhere for the same game: .829
    assert actual.random_guess[0] == pytest.approx(0.825, abs=0.015)
    # The control is of guesses alone: what was predicted has no part in it.
    assert actual.honest == actual.best_epoch
    better = measure_optimism(np.repeat(label[:, None], 800, axis=1), label, subject, EMOTION)
    assert better.random_guess == actual.random_guess
    assert better.honest == pytest.approx((1.0, 1.0))


def test_random_guessing_is_chance_with_one_epoch_and_gains_with_every_more(megc2019):
    label, subject = megc2019
    reached = [
        measure_optimism(
            np.zeros((len(label), epochs), dtype=np.int8), label, subject, EMOTION
        ).random_guess[0]
        for epochs in (1, 10, 100)
    ]
    # Guessing in their frequencies names each class rightly as often as it occurs: a third on average.
    assert 0.27 < reached[0] < 0.36
    assert reached[0] + 0.15 < reached[1] < reached[2] - 0.1


def test_a_fold_that_ended_earlier_stands_by_its_last_epoch_and_has_no_more_to_choose_from():
    label, subject = np.array([0, 1, 2, 0]), np.array(["a", "a", "b", "b"])
    early = [np.array(row, dtype=np.int8) for row in ([0, 1], [0, 1])]
    late = [np.array(row, dtype=np.int8) for row in ([0, 0, 2, 1], [1, 1, 0, 1])]
    actual = measure_optimism([*early, *late], label, subject, EMOTION)
    by_hand = np.array([[0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 2, 1], [1, 1, 0, 1]], dtype=np.int8)
    again = measure_optimism(by_hand, label, subject, EMOTION)
    for name in ("honest", "best_epoch", "best_common_epoch", "epochs"):
        assert getattr(actual, name) == getattr(again, name)
    # The guesses of a subject with two epochs are two, not four.
    assert actual.random_guess[0] < again.random_guess[0]


@pytest.fixture(params=range(3))
def taught(request) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of three action units in 40 samples of 9 subjects after each of 12 epochs."""
    rng = np.random.default_rng(request.param)
    marks = rng.random((40, 3)) < [0.6, 0.4, 0.2]
    subject = rng.choice([f"s{number}" for number in range(9)], size=40)
    right = rng.random((40, 12, 3)) < 0.6
    predicted = np.where(right, marks[:, None], ~marks[:, None])
    return predicted.astype(np.int8), marks, subject


def mean_f1_of(marks: np.ndarray, predicted_labels: np.ndarray) -> float:
    return float(f1_score(marks, predicted_labels, average="macro", zero_division=0))


def test_readings_of_action_units_equal_naive_loops(taught):
    predicted, marks, subject = taught
    actual = measure_optimism(list(predicted), marks, subject, UNITS)
    by_epoch = [mean_f1_of(marks, predicted[:, epoch]) for epoch in range(12)]
    chosen = np.empty_like(predicted[:, 0])
    for name in set(subject):
        rows = subject == name
        together = [
            f1_score(marks[rows], predicted[rows, epoch], average="micro", zero_division=1)
            for epoch in range(12)
        ]
        chosen[rows] = predicted[rows, int(np.argmax(np.round(together, 12)))]
    assert actual.epochs == 12
    assert actual.honest == pytest.approx((by_epoch[-1],))
    assert actual.best_common_epoch == pytest.approx((max(by_epoch),))
    assert actual.best_epoch == pytest.approx((mean_f1_of(marks, chosen),))
    assert actual.honest[0] < actual.best_epoch[0]


def test_guesses_of_action_units_are_whole_labels_and_gain_by_choice(taught):
    predicted, marks, subject = taught
    reached = [
        measure_optimism(list(predicted[:, :epochs]), marks, subject, UNITS).random_guess[0]
        for epochs in (1, 12)
    ]
    assert reached[0] < reached[1] - 0.05
    # Where all samples show the same, whoever guesses whole labels is always right.
    alike = np.tile([[True, False, True]], (40, 1))
    actual = measure_optimism(list(predicted), alike, subject, UNITS)
    assert actual.random_guess == pytest.approx((2 / 3,))  # AU that is never there: 0


def test_of_rare_units_the_epochs_that_say_nothing_are_not_the_best():
    rng = np.random.default_rng(0)
    marks = rng.random((96, 9)) < 0.1
    subject = np.repeat(np.arange(12), 8)
    eager = np.linspace(0, 1, 40)[:, None]  # the later, the more is said
    predicted = rng.random((96, 40, 9)) < np.where(marks[:, None], 0.6 * eager, 0.15 * eager)
    actual = measure_optimism(list(predicted.astype(np.int8)), marks, subject, UNITS)
    assert actual.best_epoch[0] > actual.honest[0] + 0.05
    # As epochs of fewest mistakes would be, which say nothing.
    mistakes = (predicted != marks[:, None]).sum((0, 2))
    silent = int(mistakes.argmin())
    assert mean_f1_of(marks, predicted[:, silent]) < actual.honest[0]
