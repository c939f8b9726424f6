"""Calibration equals references, and a temperature mends what it is fitted to mend."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.classification import MulticlassCalibrationError

from merec.config import build, compose_node
from merec.evaluation.pooling import pool_runs
from merec.evaluation.reliability import (
    BINS,
    apply_temperature,
    brier_of_samples,
    fit_temperature,
    measure_calibration_error,
    measure_reliability,
)
from merec.evaluation.results import Result
from merec.evaluation.runs import read_run
from merec.evaluation.subject_bootstrap import draw_subjects
from merec.studies.calibration import (
    gives_decision_values,
    name_scores,
    score_calibration,
)


def draw(temperature: float, samples: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities that are `temperature` times too sure, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(samples, 3))
    label = (softmax(logits, axis=1).cumsum(1) < rng.random((samples, 1))).sum(1)
    return log_softmax(logits * temperature, axis=1), label


@pytest.fixture
def result(make_small_index, predict, write_predicted, tmp_path) -> Result:
    """Two seeds of one configuration."""
    index = make_small_index(subjects=9)
    predicted = [predict(index, seed=seed) for seed in (0, 1)]
    runs = [write_predicted(tmp_path / str(n), rows, index) for n, rows in enumerate(predicted)]
    return pool_runs([read_run(run) for run in runs])[0]


@pytest.mark.parametrize("bins", [5, 10, 15])
def test_the_calibration_error_equals_torchmetrics(bins: int) -> None:
    logs, label = draw(3.0)
    reference = MulticlassCalibrationError(num_classes=3, n_bins=bins, norm="l1")
    expected = float(reference(torch.from_numpy(np.exp(logs)), torch.from_numpy(label)))
    actual = measure_calibration_error(np.exp(logs), label, bins)
    assert actual == pytest.approx(expected, abs=1e-6)
    assert actual > 0.1


def test_the_brier_score_equals_scikit_learns() -> None:
    logs, label = draw(2.0)
    expected = brier_score_loss(label, np.exp(logs), scale_by_half=False)
    assert brier_of_samples(np.exp(logs), label).mean() == pytest.approx(expected)


def test_the_error_is_the_mean_gap_of_the_reliability_curve() -> None:
    logs, label = draw(2.0)
    curve = measure_reliability(np.exp(logs), label)
    full = curve.samples > 0
    assert curve.samples.sum() == len(label)
    assert not full[:3].any()  # the highest of three probabilities is a third at least
    assert np.isnan(curve.accuracy[~full]).all()
    edges = np.linspace(0, 1, BINS + 1)
    assert (curve.confidence >= edges[:-1])[full].all()
    assert (curve.confidence <= edges[1:])[full].all()
    gap = np.abs(curve.accuracy - curve.confidence)[full] @ curve.samples[full] / len(label)
    assert measure_calibration_error(np.exp(logs), label) == pytest.approx(gap)


def test_one_who_is_sure_and_right_has_no_error() -> None:
    sure, label = np.eye(3), np.arange(3)
    assert measure_calibration_error(sure, label) == 0
    assert measure_reliability(sure, label).samples[-1] == 3
    assert measure_calibration_error(sure, (label + 1) % 3) == 1
    assert brier_of_samples(sure, (label + 1) % 3).tolist() == [2, 2, 2]


def test_intervals_equal_concatenating_the_rows_of_drawn_subjects(
    result: Result, monkeypatch: pytest.MonkeyPatch, reckon_interval: Callable
) -> None:
    monkeypatch.setattr("merec.studies.calibration.DRAWS", 40)
    row = score_calibration([result]).iloc[0]
    columns = [f"p_{name}" for name in result.protocol.classes]
    tables = [rows for _, rows in result.predictions.groupby("seed")]
    subjects = sorted(tables[0]["subject"].unique())
    errors, briers = [], []
    for times in draw_subjects(len(subjects), 40, 0):
        repeated = [
            pd.concat(
                [
                    rows[rows["subject"] == name]
                    for name, n in zip(subjects, times, strict=True)
                    for _ in range(n)
                ]
            )
            for rows in tables
        ]
        pairs = [(rows[columns].to_numpy(), rows["label"].to_numpy()) for rows in repeated]
        errors.append(np.mean([measure_calibration_error(*pair) for pair in pairs]))
        briers.append(np.mean([brier_of_samples(*pair).mean() for pair in pairs]))
    samples = tables[0].groupby("subject").size().to_numpy()[:, None]
    for name, values in (("ece", errors), ("brier", briers)):
        expected = reckon_interval(row[name], values, samples, (0, 2 if name == "brier" else 1))
        np.testing.assert_allclose(row[[f"{name}_low", f"{name}_high"]].astype(float), expected)
        assert expected[0] < expected[1]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_temperature_fitted_to_held_out_predictions_mends_unseen_ones(temperature: float) -> None:
    actual = fit_temperature(*draw(temperature, samples=4000))
    assert actual == pytest.approx(temperature, rel=0.1)
    logs, label = draw(temperature, seed=1)
    mended = apply_temperature(logs, actual)
    np.testing.assert_allclose(mended.sum(1), 1)
    np.testing.assert_array_equal(mended.argmax(1), logs.argmax(1))
    if temperature != 1:
        assert log_loss(label, mended) < log_loss(label, np.exp(logs)) - 0.01
        error = measure_calibration_error(mended, label)
        assert error < 0.7 * measure_calibration_error(np.exp(logs), label)


def test_a_temperature_minimises_the_loss_and_asks_for_no_normalisation() -> None:
    logs, label = draw(2.0)
    actual = fit_temperature(logs, label)
    losses = [
        log_loss(label, apply_temperature(logs, actual * factor)) for factor in (0.97, 1, 1.03)
    ]
    assert losses[1] == min(losses)
    shifted = logs + np.random.default_rng(0).normal(size=(len(label), 1))
    assert fit_temperature(shifted, label) == pytest.approx(actual, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_predictions_that_are_all_right_or_all_wrong_determine_no_temperature(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logs = log_softmax(rng.normal(size=(60, 3)), axis=1)
    assert fit_temperature(logs, logs.argmax(1)) is None
    assert fit_temperature(logs, logs.argmin(1)) is None
    assert fit_temperature(np.zeros((60, 3)), rng.integers(3, size=60)) is None
    with np.errstate(divide="ignore"):
        sure = np.log(np.eye(3))
    assert fit_temperature(sure, np.arange(3)) is None
    assert fit_temperature(sure, (np.arange(3) + 1) % 3) is None
    assert np.isfinite(apply_temperature(sure, 1.7)).all()


@pytest.mark.parametrize("temperature", [0.02, 50.0])
def test_a_temperature_out_of_bounds_is_not_determined(temperature: float) -> None:
    logs, label = draw(1.0, samples=2000)
    assert fit_temperature(logs * temperature, label) is None


def test_one_mistake_among_sure_predictions_determines_a_temperature() -> None:
    logs, label = draw(1.0)
    label = logs.argmax(1)
    sure = logs.max(1).argmax()
    label[sure] = logs[sure].argmin()
    actual = fit_temperature(logs, label)
    assert actual is not None
    cooled = [log_softmax(logs / actual / factor, axis=1) for factor in (0.97, 1, 1.03)]
    likelihood = [entry[np.arange(len(label)), label].mean() for entry in cooled]
    assert likelihood[1] == max(likelihood)


def test_a_finished_runs_held_out_predictions_can_be_fitted(result: Result) -> None:
    columns = [f"p_{name}" for name in result.protocol.classes]
    logs = np.log(result.predictions[columns].to_numpy())
    label = result.predictions["label"].to_numpy()
    before = log_loss(label, np.exp(logs))
    assert log_loss(label, apply_temperature(logs, fit_temperature(logs, label))) <= before


def test_estimators_without_probabilities_are_known_by_their_config() -> None:
    configured = compose_node("task", ["task=baseline"])["estimators"]
    estimators = OmegaConf.to_container(configured, resolve=True)
    recorded = {name: gives_decision_values(node) for name, node in estimators.items()}
    giving = (
        "predict_proba",
        "fit_and_score",
    )  # the second of a control that is given no flow maps
    built = {
        name: not any(hasattr(build(node), method) for method in giving)
        for name, node in configured.items()
    }
    assert recorded == built
    assert set(recorded.values()) == {True, False}


def test_results_say_what_their_scores_are(result: Result) -> None:
    assert name_scores(result) == "probabilities"
    task = {"estimator": "svm", "estimators": {"svm": {"_target_": "sklearn.svm.SVC"}}}
    result.runs[0].config["task"] = task
    assert name_scores(result) == "decision values"
    assert score_calibration([result])["kind"].tolist() == ["decision values"]
