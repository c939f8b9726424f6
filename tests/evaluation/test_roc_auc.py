"""Areas under the curve equal scikit-learn's, drawn and permuted as by naive loops."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from merec.evaluation.roc_auc import Ranking, auc_intervals, auc_per_unit, compare_auc, mean_auc
from merec.evaluation.subject_bootstrap import draw_subjects, t_interval

SUBJECTS, UNITS, DRAWN = 9, 3, 100


def draw(seed: int, skill: float = 0.5, samples: int = 80) -> Ranking:
    """Scores with ties; the last unit is shown by two subjects alone."""
    truth = np.random.default_rng(0)
    subject = truth.permutation(np.arange(samples) % SUBJECTS)
    present = truth.random((samples, UNITS)) < 0.3
    present[:, 2] &= subject < 2
    noise = np.random.default_rng(seed).random((samples, UNITS))
    return Ranking(np.round(skill * present + noise, 1), present, subject, SUBJECTS)


def score_naively(score, present) -> float:
    """Mean of scikit-learn's area over the units that have one."""
    areas = [
        roc_auc_score(present[:, unit], score[:, unit])
        for unit in range(present.shape[1])
        if 0 < present[:, unit].sum() < len(present)
    ]
    return float(np.mean(areas))


def repeat(ranking: Ranking, times: np.ndarray) -> np.ndarray:
    """Rows of a set of subjects drawn with replacement."""
    return np.repeat(np.arange(len(ranking.subject)), times[ranking.subject])


def test_areas_equal_scikit_learns_with_ties_and_repeated_subjects():
    ranking = draw(1)
    times = draw_subjects(SUBJECTS, 50, 0)
    actual = auc_per_unit([ranking], times)
    for number, one in enumerate(times):
        rows = repeat(ranking, one)
        for unit in range(UNITS):
            present = ranking.present[rows, unit]
            if 0 < present.sum() < len(rows):
                expected = roc_auc_score(present, ranking.score[rows, unit])
                assert actual[number, unit] == pytest.approx(expected, abs=1e-12)
            else:
                assert np.isnan(actual[number, unit])
    assert np.isnan(actual).any()


def test_intervals_are_those_of_a_naive_bootstrap():
    rankings = [draw(1), draw(2)]
    effective = np.array([8.0, 8.0, 2.0, 8.0])
    value, low, high = auc_intervals(rankings, effective, DRAWN)
    areas = np.full((DRAWN, UNITS), np.nan)
    for number, times in enumerate(draw_subjects(SUBJECTS, DRAWN, 0)):
        for unit in range(UNITS):
            rows = repeat(rankings[0], times)
            if rankings[0].present[rows, unit].any():
                areas[number, unit] = np.mean(
                    [roc_auc_score(r.present[rows, unit], r.score[rows, unit]) for r in rankings]
                )
    for unit in range(UNITS):
        part = areas[:, unit][np.isfinite(areas[:, unit])]
        expected = t_interval(value[unit], part, SUBJECTS, effective[unit])
        np.testing.assert_allclose([low[unit], high[unit]], expected, atol=1e-12)
    expected = t_interval(value[-1], np.nanmean(areas, axis=1), SUBJECTS, 8.0)
    np.testing.assert_allclose([low[-1], high[-1]], expected, atol=1e-12)
    assert value[-1] == pytest.approx(
        np.mean([score_naively(r.score, r.present) for r in rankings])
    )


def test_a_difference_and_its_p_are_those_of_naive_draws_and_permutations():
    a, b = draw(1, 0.2), draw(2, 0.6)
    actual = compare_auc([a], [b], 8.0, DRAWN)
    observed = score_naively(b.score, b.present) - score_naively(a.score, a.present)
    assert actual.value == pytest.approx(observed)
    drawn = []
    for times in draw_subjects(SUBJECTS, DRAWN, 0):
        rows = repeat(a, times)
        drawn.append(
            score_naively(b.score[rows], b.present[rows])
            - score_naively(a.score[rows], a.present[rows])
        )
    expected = t_interval(observed, np.array(drawn), SUBJECTS, 8.0, (-1.0, 1.0))
    np.testing.assert_allclose([actual.low, actual.high], expected, atol=1e-12)
    extreme = 0
    for swap in np.random.default_rng(0).integers(0, 2, size=(DRAWN, SUBJECTS)):
        taken = swap[a.subject][:, None] == 1
        one, other = np.where(taken, b.score, a.score), np.where(taken, a.score, b.score)
        change = score_naively(other, a.present) - score_naively(one, a.present)
        extreme += abs(change) >= abs(observed) - 1e-12
    assert actual.p == (1 + extreme) / (1 + DRAWN)


def test_several_seeds_stand_beside_one():
    a, several = draw(1, 0.2), [draw(2, 0.6), draw(3, 0.6)]
    actual = compare_auc([a], several, 8.0, DRAWN)
    alone = [compare_auc([a], [b], 8.0, DRAWN).value for b in several]
    assert actual.value == pytest.approx(np.mean(alone))


def test_a_unit_without_pairs_has_no_area_and_no_say_in_the_mean():
    areas = np.array([[0.5, np.nan, 0.9], [np.nan] * 3])
    np.testing.assert_allclose(mean_auc(areas), [0.7, np.nan])
