"""Scores of guesses equal those of scikit-learn's dummy classifiers."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, f1_score, recall_score

from merec.evaluation.guessing import BY_FREQUENCY, MAJORITY, UNIFORM, guess_units, score_guesses

LABEL = np.repeat([0, 1, 2], [50, 22, 17])
REFERENCES = {
    "uf1": lambda truth, guessed: f1_score(truth, guessed, average="macro", zero_division=0),
    "uar": lambda truth, guessed: recall_score(truth, guessed, average="macro", zero_division=0),
    "accuracy": accuracy_score,
}


@pytest.mark.parametrize(
    ("guess", "strategy"),
    [(MAJORITY, "most_frequent"), (UNIFORM, "uniform"), (BY_FREQUENCY, "stratified")],
)
def test_guesses_score_as_scikit_learns_dummies(guess: str, strategy: str) -> None:
    actual = score_guesses(LABEL, np.bincount(LABEL) / len(LABEL))[guess]
    empty = np.zeros((len(LABEL), 1))
    dummies = [DummyClassifier(strategy=strategy, random_state=seed) for seed in range(200)]
    guesses = [dummy.fit(empty, LABEL).predict(empty) for dummy in dummies]
    for name, reference in REFERENCES.items():
        scores = [reference(LABEL, predicted) for predicted in guesses]
        error = np.std(scores) / np.sqrt(len(scores))
        assert actual[name] == pytest.approx(np.mean(scores), abs=5 * error + 1e-12)


def test_the_majority_is_that_of_the_protocol_on_a_data_set_too() -> None:
    actual = score_guesses(np.array([1, 1, 1, 0]), np.array([0.6, 0.3, 0.1]))
    assert actual[MAJORITY]["accuracy"] == 0.25


def test_units_guessed_as_often_as_they_are_score_as_drawn() -> None:
    present, rng = np.array([30, 5, 0]), np.random.default_rng(1)
    truth = np.arange(80)[:, None] < present
    draws = [rng.random(truth.shape) < present / 80 for _ in range(1000)]
    expected = np.mean([f1_score(truth, d, average=None, zero_division=0) for d in draws], axis=0)
    np.testing.assert_allclose(guess_units(present, 80), expected, atol=0.02)
