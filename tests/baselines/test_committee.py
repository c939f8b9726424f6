"""A committee over half faces: closed forms are what fitting again would give, and sides do not matter."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import roc_auc_score

from merec.baselines.committee import HalfFaceCommittee, compare, measure_halves
from merec.features.deformation import FIELDS, SCALES

ROWS, CELLS = 48, (2, 4)
SIZES = [len(FIELDS) * cells * cells // 2 for cells in CELLS]  # of half a face in each grid


@pytest.fixture
def samples() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features by scale, grid and half; labels; subjects. Half of the faces move on the left only."""
    rng = np.random.default_rng(0)
    label, subject = rng.integers(3, size=ROWS), rng.integers(6, size=ROWS)
    side = rng.integers(2, size=ROWS)
    parts = []
    for _ in SCALES:
        for size in SIZES:
            halves = rng.normal(size=(ROWS, 2, size))
            halves[np.arange(ROWS), side, 0] += 2.5 * label
            parts.append(halves.reshape(ROWS, -1))
    return np.concatenate(parts, axis=1), label, subject


def committee(**changes) -> HalfFaceCommittee:
    usual = {"cells": CELLS, "widths": [0.5, 2.0], "ridges": [0.1, 1.0]}
    return HalfFaceCommittee(**usual | changes)


def mirror(rows: np.ndarray) -> np.ndarray:
    """The same faces with their halves the other way round."""
    parts = np.split(rows, np.cumsum([2 * size for size in SIZES] * len(SCALES))[:-1], axis=1)
    turned = [part.reshape(len(rows), 2, -1)[:, ::-1].reshape(len(rows), -1) for part in parts]
    return np.concatenate(turned, axis=1)


def test_a_face_and_its_mirror_image_are_classified_alike(samples):
    rows, label, subject = samples
    fitted = committee().fit(rows, label, subject)
    predicted = fitted.decision_function(rows)
    np.testing.assert_allclose(fitted.decision_function(mirror(rows)), predicted, atol=1e-10)
    again = committee().fit(mirror(rows), label, subject)
    np.testing.assert_allclose(again.decision_function(rows), predicted, atol=1e-8)


@pytest.mark.parametrize("comparison", ["whole", "halves"])
def test_the_kernel_is_that_of_its_definition(comparison):
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 4, 5))
    actual = compare(measure_halves(one, other), comparison, 3.0)
    for a, b in np.ndindex(3, 4):
        near = lambda p, q, a=a, b=b: ((one[p, a] - other[q, b]) ** 2).sum()  # noqa: E731
        if comparison == "halves":
            apart = [near(0, 0), near(0, 1), near(1, 0), near(1, 1)]
        else:
            apart = [near(0, 0) + near(1, 1), near(0, 1) + near(1, 0)]
        assert actual[a, b] == pytest.approx(np.mean(np.exp(-np.array(apart) / 6)))


def test_what_is_left_out_and_what_is_said_are_means_of_fits_of_scikit_learn(samples):
    rows, label, subject = samples
    fitted = committee(widths=[0.7]).fit(rows, label, subject)
    target = np.eye(3)[label] - 1 / 3
    weight = ROWS / (3 * np.bincount(label)[label])
    predicted, left_out = np.zeros((2, ROWS, 3))
    for halves, fit in zip(fitted.seen_, fitted.fits_, strict=True):
        kernel = compare(
            measure_halves(halves, halves), fitted.best_params_["comparison"], fit.spread
        )
        for ridge in (0.1, 1.0):
            share = 1 / (2 * len(CELLS))
            theirs = KernelRidge(alpha=ridge, kernel="precomputed")
            predicted += share * theirs.fit(kernel, target, sample_weight=weight).predict(kernel)
            for name in np.unique(subject):
                out = subject == name
                theirs.fit(kernel[~out][:, ~out], target[~out], sample_weight=weight[~out])
                left_out[out] += share * theirs.predict(kernel[out][:, ~out])
    np.testing.assert_allclose(fitted.decision_function(rows), predicted, atol=1e-8)
    mean = np.mean([fit.left_out for fit in fitted.fits_], axis=0)
    np.testing.assert_allclose(mean, left_out, atol=1e-8)
    auc = roc_auc_score(np.eye(3)[label], left_out, average="macro")
    assert fitted.best_score_ == pytest.approx(auc)


def test_movement_on_either_side_makes_it_compare_halves(samples):
    rows, label, subject = samples
    fitted = committee().fit(rows, label, subject)
    assert fitted.best_params_["comparison"] == "halves"
    assert fitted.tried_ == len(SCALES) * 2 * 2


def test_the_held_out_rows_have_no_say(samples):
    rows, label, subject = samples
    train = subject != 0
    fitted = committee().fit(rows[train], label[train], subject[train])
    alone = [fitted.decision_function(rows[~train][[i]])[0] for i in range((~train).sum())]
    np.testing.assert_allclose(alone, fitted.decision_function(rows[~train]), atol=1e-12)


def test_features_of_other_grids_are_refused(samples):
    rows, label, subject = samples
    with pytest.raises(ValueError, match="were expected"):
        committee(cells=(2, 6)).fit(rows, label, subject)


def test_it_can_be_cloned_and_keeps_what_it_was_given():
    assert clone(committee()).get_params() == committee().get_params()
