"""Intervals and p values equal naive loops over rows, and mean what they say."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, recall_score
from statsmodels.stats.multitest import multipletests

from merec.errors import InputError
from merec.evaluation.significance_tests import compare_paired, correct_holm
from merec.evaluation.subject_bootstrap import (
    align_seeds,
    bootstrap,
    bootstrap_mean,
    draw_subjects,
    effective_subjects,
    mean_interval,
    paired_intervals,
    pooled,
    score_intervals,
    t_interval,
)
from merec.metrics import METRICS, accuracy, confusion_by_subject, f1_per_class, uar, uf1

KNOWN = {"average": "macro", "labels": range(3), "zero_division": 0}
REFERENCES = {
    "uf1": lambda label, predicted: f1_score(label, predicted, **KNOWN),
    "uar": lambda label, predicted: recall_score(label, predicted, **KNOWN),
    "accuracy": accuracy_score,
}


@pytest.fixture(autouse=True)
def _fast_sklearn():
    with sklearn.config_context(skip_parameter_validation=True):
        yield


@pytest.fixture
def two_runs(make_index, predict) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two configurations with two seeds each on the same samples."""
    index = make_index(subjects=8)
    return tuple(
        pd.concat([predict(index, seed=first + k, skill=skill) for k in range(2)]).assign(
            seed=lambda rows, first=first: rows["seed"] - first
        )
        for first, skill in ((0, 0.4), (10, 0.7))
    )


def score_rows(name: str, rows: pd.DataFrame) -> float:
    """A metric of each seed's rows, averaged over seeds, by scikit-learn."""
    return float(
        np.mean(
            [
                REFERENCES[name](part["label"].to_numpy(), part["predicted"].to_numpy())
                for _, part in rows.groupby("seed")
            ]
        )
    )


def repeat_subjects(rows: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
    """Literally the rows of each subject, as often as it was drawn."""
    drawn = np.repeat(sorted(rows["subject"].unique()), times)
    return pd.concat([rows[rows["subject"] == subject] for subject in drawn])


def simulate(
    rng: np.random.Generator, subjects: int, skills: list[float], spread: float, most: int = 12
) -> np.ndarray:
    """Matrices (runs, subjects, 3, 3) of runs on the same samples, each with its skill.

    A subject is easy or hard for every run alike, within `spread`, and mostly of one class, as in
    this field: its samples are far from independent.
    """
    subject = np.repeat(np.arange(subjects), rng.integers(2, most, size=subjects))
    upper = rng.dirichlet([0.5] * 3, size=subjects).cumsum(1)[subject]
    label = (rng.random((len(subject), 1)) > upper[:, :2]).sum(1)
    ease = rng.uniform(-spread, spread, size=subjects)[subject]
    counts = np.zeros((len(skills), subjects, 3, 3), dtype=np.int64)
    for run, skill in enumerate(skills):
        knows = rng.random(len(subject)) < skill + ease
        predicted = np.where(knows, label, rng.integers(3, size=len(subject)))
        np.add.at(counts[run], (subject, label, predicted), 1)
    return counts


def test_a_draw_takes_as_many_subjects_as_there_are_each_equally_often():
    times = draw_subjects(12, 20_000, seed=0)
    assert (times.sum(1) == 12).all()
    # Each count is binomial(12, 1/12): mean 1, and 5 standard errors of it either side.
    error = np.sqrt(12 * (1 / 12) * (11 / 12) / 20_000)
    np.testing.assert_allclose(times.mean(0), 1, atol=5 * error)
    never = stats.binom.pmf(0, 12, 1 / 12)
    assert (times == 0).mean() == pytest.approx(never, abs=0.01)
    np.testing.assert_array_equal(times, draw_subjects(12, 20_000, seed=0))
    assert not np.array_equal(times, draw_subjects(12, 20_000, seed=1))


@pytest.mark.parametrize("name", METRICS)
def test_the_pooled_score_equals_scikit_learns_averaged_over_seeds(name, two_runs):
    for rows in two_runs:
        _, counts = confusion_by_subject(rows, 3)
        assert pooled(METRICS[name], counts) == pytest.approx(score_rows(name, rows))


@pytest.mark.parametrize("name", METRICS)
def test_the_bootstrap_equals_concatenating_the_rows_of_drawn_subjects(name, two_runs):
    rows = two_runs[0]
    _, counts = confusion_by_subject(rows, 3)
    times = draw_subjects(8, 12, seed=3)
    naive = [score_rows(name, repeat_subjects(rows, drawn)) for drawn in times]
    np.testing.assert_allclose(bootstrap(METRICS[name], counts, 12, seed=3), naive, atol=1e-12)
    assert len(set(naive)) > 9


def test_the_bootstrap_is_the_same_for_a_seed(two_runs):
    _, counts = confusion_by_subject(two_runs[0], 3)
    values = bootstrap(uf1, counts, 500, seed=1)
    np.testing.assert_array_equal(values, bootstrap(uf1, counts, 500, seed=1))
    assert not np.array_equal(values, bootstrap(uf1, counts, 500, seed=2))


@pytest.mark.parametrize("subjects", [3, 8, 30])
def test_of_subjects_with_a_sample_each_the_interval_is_students(subjects):
    value = np.random.default_rng(subjects).uniform(0.3, 0.7, size=subjects)
    actual = mean_interval(value, np.arange(subjects), draws=200_000)
    expected = stats.t.interval(0.95, subjects - 1, value.mean(), stats.sem(value))
    assert actual == pytest.approx(expected, abs=0.01 * (expected[1] - expected[0]))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_the_interval_is_that_of_scipys_bootstrap_standard_error(level):
    sample = np.random.default_rng(0).exponential(size=30)
    reference = stats.bootstrap(
        (sample,), np.mean, n_resamples=999, method="percentile", rng=np.random.default_rng(1)
    )
    draws = reference.bootstrap_distribution
    error = np.hypot(reference.standard_error * np.sqrt(998 / 999), draws.mean() - sample.mean())
    expected = sample.mean() + stats.t(29).ppf([(1 - level) / 2, (1 + level) / 2]) * error * (
        np.sqrt(30 / 29)
    )
    actual = t_interval(sample.mean(), draws, 30, 30.0, (0.0, np.inf), level)
    np.testing.assert_allclose(actual, expected)


def test_the_effective_number_of_subjects_is_that_of_equal_ones_and_less_of_unequal_ones():
    assert effective_subjects(np.full((9, 1), 4)) == pytest.approx(9)
    assert effective_subjects(np.full((9, 3), 4)) == pytest.approx(9)
    # A class that three of nine equal subjects show: (6/18 + 3/18 + 3 (1/18 + 1/6) ...) by hand.
    rare = np.array([[4, 2]] * 3 + [[6, 0]] * 6)
    shares = np.array([(4 / 48 + 1 / 3) / 2] * 3 + [(6 / 48) / 2] * 6)
    assert effective_subjects(rare) == pytest.approx(1 / (shares**2).sum())
    sizes = np.array([[20], [1], [1], [1]])
    assert effective_subjects(sizes) == 2  # 1.31: no degree of freedom would be left
    assert effective_subjects(np.pad(rare, ((0, 0), (0, 1)))) == effective_subjects(rare)


@pytest.mark.parametrize("subjects", [1, 2])
def test_one_or_two_subjects_give_a_score_without_an_interval(subjects):
    a, b = np.random.default_rng(0).integers(1, 5, size=(2, 1, subjects, 3, 3))
    value, low, high = score_intervals(uf1, a, per_part=False)
    assert value == pytest.approx(pooled(uf1, a))
    assert np.isnan([low, high]).all()
    actual = compare_paired(uf1, a, b, draws=99)
    assert actual.value == pytest.approx(pooled(uf1, b) - pooled(uf1, a))
    assert np.isnan([actual.low, actual.high]).all()
    assert 0 < actual.p <= 1
    assert np.isnan(mean_interval(np.ones(subjects), np.arange(subjects))).all()


def test_a_class_that_two_subjects_show_has_no_interval_and_the_others_have():
    counts = np.random.default_rng(0).integers(1, 5, size=(1, 8, 3, 3))
    counts[:, 2:, 1] = 0
    _, low, high = score_intervals(f1_per_class, counts, per_part=True)
    assert np.isnan([low[1], high[1]]).all()
    assert np.isfinite([low[[0, 2]], high[[0, 2]]]).all()


def test_an_interval_ends_where_scores_do():
    counts = np.zeros((1, 4, 3, 3), dtype=np.int64)
    counts[..., range(3), range(3)] = 5
    counts[0, 0] = np.roll(counts[0, 0], 1, axis=0)
    _, low, high = score_intervals(uf1, counts, per_part=False)
    assert (low, high) == (0, 1)


def test_the_interval_of_subjects_covers_where_one_of_samples_does_not():
    # The truth is the score of a population; each study draws 40 of its subjects.
    rng = np.random.default_rng(0)
    population = simulate(rng, 1500, [0.4], spread=0.4, most=30)
    truth = pooled(uf1, population)
    covered, covered_by_samples, studies = 0, 0, 100
    for study in range(studies):
        counts = population[:, rng.integers(1500, size=40)]
        _, low, high = score_intervals(uf1, counts, per_part=False, draws=400, seed=study)
        covered += low <= truth <= high
        # What a bootstrap that draws samples and ignores faces would claim.
        cells = counts.sum((0, 1)).ravel()
        drawn = rng.multinomial(cells.sum(), cells / cells.sum(), size=400).reshape(-1, 3, 3)
        low, high = np.quantile(uf1(drawn), [0.025, 0.975])
        covered_by_samples += low <= truth <= high
    assert 0.9 <= covered / studies <= 0.99
    assert covered_by_samples / studies < 0.8


def test_a_run_against_itself_differs_by_nothing(two_runs):
    _, counts = confusion_by_subject(two_runs[0], 3)
    for metric in METRICS.values():
        difference = compare_paired(metric, counts, counts.copy(), draws=500)
        assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
        assert difference.p == 1.0


@pytest.mark.parametrize("name", METRICS)
def test_the_paired_interval_equals_concatenating_the_same_subjects_for_both(
    name, two_runs, reckon_interval
):
    a, b = two_runs
    counts = [confusion_by_subject(rows, 3)[1] for rows in two_runs]
    difference = compare_paired(METRICS[name], *counts, draws=10, seed=5)
    naive = [
        score_rows(name, repeat_subjects(b, drawn)) - score_rows(name, repeat_subjects(a, drawn))
        for drawn in draw_subjects(8, 10, seed=5)
    ]
    value = score_rows(name, b) - score_rows(name, a)
    low, high = reckon_interval(value, naive, counts[0][0].sum(-1), (-1, 1))
    assert difference.value == pytest.approx(value)
    assert (difference.low, difference.high) == pytest.approx((low, high))
    assert low < high


@pytest.mark.parametrize("name", METRICS)
def test_the_permutation_p_equals_swapping_the_rows_of_subjects(name, make_index, predict):
    # Skills are close and subjects few, so that p is far from both 0 and 1.
    index = make_index(subjects=6, seed=2)
    a, b = predict(index, seed=1, skill=0.4), predict(index, seed=3, skill=0.6).assign(seed=1)
    counts = [confusion_by_subject(rows, 3)[1] for rows in (a, b)]
    actual = compare_paired(METRICS[name], *counts, draws=30, seed=7)

    observed = score_rows(name, b) - score_rows(name, a)
    subjects = sorted(index["subject"].unique())
    extreme = 0
    for swap in np.random.default_rng(7).integers(0, 2, size=(30, 6)):
        swapped = [subject for subject, on in zip(subjects, swap, strict=True) if on]
        from_a = pd.concat([a[~a["subject"].isin(swapped)], b[b["subject"].isin(swapped)]])
        from_b = pd.concat([b[~b["subject"].isin(swapped)], a[a["subject"].isin(swapped)]])
        gap = score_rows(name, from_b) - score_rows(name, from_a)
        extreme += abs(gap) >= abs(observed) - 1e-12
    assert actual.p == pytest.approx((1 + extreme) / 31)
    assert 0 < extreme < 30


@pytest.mark.parametrize("metric", [uf1, uar])
def test_p_approaches_the_share_among_all_swaps_of_few_subjects(metric):
    a, b = simulate(np.random.default_rng(11), 7, [0.3, 0.6], spread=0.2)[:, None]
    observed = pooled(metric, b) - pooled(metric, a)
    gaps = []
    for swap in product([False, True], repeat=7):
        taken = np.array(swap)[None, :, None, None]
        gaps.append(pooled(metric, np.where(taken, a, b)) - pooled(metric, np.where(taken, b, a)))
    exact = np.mean(np.abs(gaps) >= abs(observed) - 1e-12)
    assert 0.02 < exact < 0.8
    draws = 20_000
    error = np.sqrt(exact * (1 - exact) / draws)
    assert compare_paired(metric, a, b, draws=draws).p == pytest.approx(exact, abs=5 * error)


def test_p_is_calibrated_when_nothing_differs_and_small_when_much_does():
    rng = np.random.default_rng(4)
    data_sets = 200
    p = {
        skill: np.array(
            [
                compare_paired(
                    uf1, *simulate(rng, 20, [0.4, skill], 0.2)[:, None], draws=500, seed=n
                ).p
                for n in range(data_sets if skill == 0.4 else 20)
            ]
        )
        for skill in (0.4, 0.8)
    }
    for level in (0.05, 0.2, 0.5):
        low, high = stats.binom.ppf([0.001, 0.999], data_sets, level)
        assert low <= (p[0.4] <= level).sum() <= high
    assert (p[0.8] <= 0.05).mean() > 0.8


def test_p_and_interval_do_not_depend_on_which_run_is_first_but_for_the_sign():
    a, b = simulate(np.random.default_rng(5), 15, [0.3, 0.5], spread=0.2)[:, None]
    forth, back = compare_paired(uf1, a, b, draws=400), compare_paired(uf1, b, a, draws=400)
    assert forth.value == pytest.approx(-back.value)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))
    assert forth.p == back.p


def test_p_is_never_0():
    right, wrong = np.zeros((2, 1, 30, 3, 3), dtype=np.int64)
    right[..., range(3), range(3)] = 5
    wrong[..., [0, 1, 2], [1, 2, 0]] = 5
    assert compare_paired(uf1, wrong, right, draws=99).p == pytest.approx(1 / 100)


def test_pairing_narrows_the_interval_of_runs_that_find_the_same_subjects_hard():
    a, b = simulate(np.random.default_rng(6), 60, [0.45, 0.5], spread=0.45)[:, None]
    paired = compare_paired(uf1, a, b, draws=2000)
    unpaired = np.subtract(bootstrap(uf1, b, 2000, seed=1), bootstrap(uf1, a, 2000, seed=2))
    low, high = np.quantile(unpaired, [0.025, 0.975])
    assert paired.high - paired.low < 0.9 * (high - low)


def test_one_seed_stands_beside_each_seed_of_the_other():
    one = np.random.default_rng(7).integers(0, 5, size=(1, 6, 3, 3))
    three = np.random.default_rng(8).integers(0, 5, size=(3, 6, 3, 3))
    for a, b in ((one, three), (three, one)):
        left, right = align_seeds(a, b)
        assert left.shape == right.shape == (3, 6, 3, 3)
        np.testing.assert_array_equal(left, np.broadcast_to(a, left.shape))
        np.testing.assert_array_equal(right, np.broadcast_to(b, right.shape))
    difference = compare_paired(uf1, one, three, draws=50)
    assert difference.value == pytest.approx(pooled(uf1, three) - pooled(uf1, one))


def test_equally_many_seeds_are_paired_as_they_are():
    a, b = np.random.default_rng(9).integers(0, 5, size=(2, 2, 6, 3, 3))
    left, right = align_seeds(a, b)
    np.testing.assert_array_equal(left, a)
    np.testing.assert_array_equal(right, b)


def test_unequal_numbers_of_seeds_are_an_error_that_names_both():
    a, b = np.ones((2, 4, 3, 3), dtype=np.int64), np.ones((3, 4, 3, 3), dtype=np.int64)
    with pytest.raises(InputError, match="2 seeds against 3"):
        compare_paired(uf1, a, b, draws=10)


def test_a_mean_of_drawn_subjects_is_the_mean_of_their_samples() -> None:
    rng = np.random.default_rng(4)
    subject = rng.permutation(np.repeat(["c", "a", "d", "b"], [1, 2, 5, 9]))
    value = rng.random(len(subject))
    expected = [
        np.mean(
            np.concatenate(
                [np.tile(value[subject == s], n) for s, n in zip("abcd", times, strict=True)]
            )
        )
        for times in draw_subjects(4, 50, 3)
    ]
    np.testing.assert_allclose(bootstrap_mean(value, subject, draws=50, seed=3), expected)


def test_holm_equals_statsmodels():
    rng = np.random.default_rng(0)
    families = [rng.random(n) ** 3 for n in (1, 2, 6, 45)] + [np.array([0.02, 0.01, 0.02, 0.9])]
    for p in families:
        np.testing.assert_allclose(correct_holm(p), multipletests(p, method="holm")[1])


@pytest.mark.parametrize("metric", [uf1, uar])
def test_p_approaches_scipys_exact_test_of_paired_subjects(metric):
    # scipy permutes numbers of subjects; those below 9 are of A, the others of B.
    both = np.concatenate(simulate(np.random.default_rng(12), 9, [0.3, 0.55], spread=0.2))

    def differ(a, b):
        return float(metric(both[b.astype(int)].sum(0)) - metric(both[a.astype(int)].sum(0)))

    exact = stats.permutation_test(
        (np.arange(9), np.arange(9, 18)),
        differ,
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=False,
    )
    actual = compare_paired(metric, both[None, :9], both[None, 9:], draws=20_000)
    assert actual.value == pytest.approx(exact.statistic)
    assert 0.01 < exact.pvalue < 0.8
    error = np.sqrt(exact.pvalue * (1 - exact.pvalue) / 20_000)
    assert actual.p == pytest.approx(exact.pvalue, abs=5 * error)


def test_the_paired_interval_approaches_scipys_of_paired_subjects():
    a, b = simulate(np.random.default_rng(13), 40, [0.3, 0.5], spread=0.2)
    hits_a, hits_b = (np.trace(side, axis1=1, axis2=2) for side in (a, b))

    def differ(before, after, samples, axis):
        return (after.sum(axis) - before.sum(axis)) / samples.sum(axis)

    reference = stats.bootstrap(
        (hits_a, hits_b, a.sum((1, 2))),
        differ,
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    )
    actual = compare_paired(accuracy, a[None], b[None], draws=20_000)
    degrees = effective_subjects(a.sum(-1)) - 1
    expected = 2 * stats.t(degrees).ppf(0.975) * reference.standard_error * np.sqrt(40 / 39)
    assert actual.high - actual.low == pytest.approx(expected, rel=0.03)
    assert (actual.high + actual.low) / 2 == pytest.approx(actual.value)


def test_intervals_of_each_class_count_the_subjects_that_show_it(two_runs, reckon_interval):
    counts = [confusion_by_subject(rows, 3)[1] for rows in two_runs]
    value, low, high = paired_intervals(f1_per_class, *counts, draws=300, seed=2)
    times = draw_subjects(8, 300, 2)
    for name in range(3):
        sides = [
            np.stack(
                [
                    f1_per_class(c)[..., name]
                    for c in np.tensordot(one, times, (1, 1)).transpose(0, 3, 1, 2)
                ]
            ).mean(0)
            for one in counts
        ]
        alone = [np.mean([f1_per_class(c.sum(0))[name] for c in one]) for one in counts]
        samples = counts[0].sum((0, -1))[:, [name]]
        ends = reckon_interval(alone[1] - alone[0], sides[1] - sides[0], samples, (-1, 1))
        assert (value[name], low[name], high[name]) == pytest.approx((alone[1] - alone[0], *ends))
