"""Ridge regression onto classes: its closed forms are what fitting again would give."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from merec.baselines.ridge import MirrorRidge, leave_out

ROWS, SIZE = 60, 10  # samples; features of a sample, in two blocks
FAMILIES = {"both": [0, 1], "first": [0]}


@pytest.fixture
def samples() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (a mirror reverses them), labels and subjects."""
    rng = np.random.default_rng(0)
    label, subject = rng.integers(3, size=ROWS), rng.integers(7, size=ROWS)
    seen = rng.normal(size=(ROWS, SIZE))
    seen[:, 0] += 1.5 * label
    mirrored = seen.reshape(ROWS, 2, -1)[..., ::-1].reshape(ROWS, -1)
    return np.concatenate([seen, mirrored], axis=1), label, subject


def ridge(**changes) -> MirrorRidge:
    usual = {"families": FAMILIES, "blocks": 2, "widths": [0.5, 2.0], "ridges": [0.1, 1.0]}
    return MirrorRidge(**usual | changes)


def compare(one: np.ndarray, other: np.ndarray, scale: float) -> np.ndarray:
    """The kernel as it is defined."""
    output, mirrored = other[:, :SIZE], other[:, SIZE:]
    kernels = [rbf_kernel(one[:, :SIZE], entry, 1 / (2 * scale)) for entry in (output, mirrored)]
    return sum(kernels) / 2


def balance(label: np.ndarray) -> np.ndarray:
    return len(label) / (3 * np.bincount(label)[label])


def test_the_fit_is_that_of_scikit_learn(samples):
    rows, label, subject = samples
    fitted = ridge(families={"both": [0, 1]}, widths=[0.7], ridges=[0.3]).fit(rows, label, subject)
    kernel = compare(rows, rows, fitted.scale_)
    target = np.eye(3)[label] - 1 / 3
    theirs = KernelRidge(alpha=0.3, kernel="precomputed")
    theirs.fit(kernel, target, sample_weight=balance(label))
    np.testing.assert_allclose(fitted.decision_function(rows), theirs.predict(kernel), atol=1e-8)


def test_leaving_out_in_closed_form_is_fitting_again(samples):
    rows, label, subject = samples
    kernel, weight, target = compare(rows, rows, 5.0), balance(label), np.eye(3)[label] - 1 / 3
    inverse = np.linalg.inv(kernel + np.diag(0.3 / weight))
    groups = [np.flatnonzero(subject == name) for name in np.unique(subject)]
    missed = leave_out(inverse, inverse @ target, groups)
    for group in groups:
        rest = np.setdiff1d(np.arange(ROWS), group)
        again = KernelRidge(alpha=0.3, kernel="precomputed")
        again.fit(kernel[np.ix_(rest, rest)], target[rest], sample_weight=weight[rest])
        predicted = again.predict(kernel[np.ix_(group, rest)])
        np.testing.assert_allclose(target[group] - missed[group], predicted, atol=1e-8)


def test_a_sample_and_its_mirror_image_are_classified_alike(samples):
    rows, label, subject = samples
    fitted = ridge().fit(rows, label, subject)
    turned = np.roll(rows, SIZE, axis=1)
    np.testing.assert_allclose(
        fitted.decision_function(turned), fitted.decision_function(rows), atol=1e-10
    )


def test_the_best_of_all_candidates_is_chosen(samples):
    rows, label, subject = samples
    fitted = ridge().fit(rows, label, subject)
    scores = {}
    for name, blocks in FAMILIES.items():
        for width in (0.5, 2.0):
            for held in (0.1, 1.0):
                one = ridge(families={name: blocks}, widths=[width], ridges=[held])
                scores[name, width, held] = one.fit(rows, label, subject).best_score_
    best = fitted.best_params_
    assert fitted.tried_ == len(scores)
    assert fitted.best_score_ == max(scores.values())
    assert scores[best["family"], best["width"], best["ridge"]] == fitted.best_score_
    assert len(set(scores.values())) > 1


def test_it_can_be_cloned_and_keeps_what_it_was_given():
    assert clone(ridge()).get_params() == ridge().get_params()
