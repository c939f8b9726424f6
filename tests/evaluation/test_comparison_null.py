"""Sides that differ by chance alone are told apart as seldom as alpha allows, and sides that differ are told.

Simulated on the shape of the MEGC2019 composite: 442 samples of 68 subjects, of unequal numbers and classes.
All sides draw what they say of a sample from the same probabilities, as seeds of one model would; these are
those of a subject that is easy or hard, and of a sample that is.
"""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

from merec.evaluation.significance_tests import compare_paired, correct_holm
from merec.metrics import uf1

ALPHA = 0.05
# Subjects, and samples of each class, of CASME II, SAMM and SMIC.
COMPOSITE = ((24, (88, 32, 25)), (28, (92, 26, 15)), (16, (70, 51, 43)))
DRAWS = 999


def lay_out_composite() -> tuple[np.ndarray, np.ndarray]:
    """Subject and label of each sample."""
    rng = np.random.default_rng(2019)
    subject, label, first = [], [], 0
    for subjects, classes in COMPOSITE:
        more = rng.multinomial(sum(classes) - subjects, rng.dirichlet(np.ones(subjects)))
        subject.append(np.repeat(np.arange(first, first + subjects), 1 + more))
        label.append(rng.permutation(np.repeat([0, 1, 2], classes)))
        first += subjects
    return np.concatenate(subject), np.concatenate(label)


SUBJECT, LABEL = lay_out_composite()


def simulate(rng: np.random.Generator, gains: list[float], seeds: int) -> np.ndarray:
    """Counts by side, seed and subject of one study; a gain favours a side's true class."""
    skill = rng.normal(1.8, 0.8, size=68)[SUBJECT] + rng.normal(0, 0.8, size=442)
    logits = rng.normal([0.6, 0.0, 0.0], 0.7, size=(442, 3))
    counts = np.zeros((len(gains), seeds, 68, 3, 3), dtype=np.int64)
    for side, gain in enumerate(gains):
        favour = (skill + gain)[:, None] * np.eye(3)[LABEL]
        edges = softmax(logits + favour, axis=1).cumsum(1)[:, :2]
        for seed in range(seeds):
            predicted = (edges < rng.random((442, 1))).sum(1)
            np.add.at(counts[side, seed], (SUBJECT, LABEL, predicted), 1)
    return counts


def count_called(cases: int, gains: list[float], seeds: int = 1) -> int:
    """In how many studies any pair is called different, after Holm's correction over the pairs."""
    called = 0
    for case in range(cases):
        sides = simulate(np.random.default_rng([8, case]), gains, seeds)
        p = [compare_paired(uf1, a, b, draws=DRAWS, seed=case).p for a, b in combinations(sides, 2)]
        called += bool(correct_holm(np.array(p)).min() <= ALPHA)
    return called


def test_the_composite_is_as_large_and_as_unequal() -> None:
    assert np.bincount(LABEL).tolist() == [250, 109, 83]
    samples = np.bincount(SUBJECT)
    assert (len(samples), samples.sum(), samples.min()) == (68, 442, 1)
    assert samples.max() > 20
    scores = [uf1(simulate(np.random.default_rng(n), [0.0], 1).sum((0, 1, 2))) for n in range(20)]
    assert 0.6 < np.mean(scores) < 0.75  # about as hard as the real one


@pytest.mark.parametrize("seeds", [1, 3])
def test_few_nulls_are_called(seeds: int) -> None:
    # Were the rate .05, one in ten thousand such tests would count more.
    assert count_called(120, [0.0, 0.0], seeds) <= stats.binom.ppf(0.9999, 120, ALPHA)


def test_a_real_difference_is_told_and_more_often_by_three_seeds() -> None:
    one, three = (count_called(60, [0.0, 0.35], seeds) for seeds in (1, 3))
    assert one >= 20
    assert three > one


@pytest.mark.slow
@pytest.mark.parametrize(("sides", "seeds"), [(2, 1), (2, 3), (4, 1)])
def test_at_most_6_percent_of_1000_nulls_are_called(sides: int, seeds: int) -> None:
    assert count_called(1000, [0.0] * sides, seeds) <= 60
