"""The page says how far probabilities can be believed."""

import re
from pathlib import Path

import numpy as np
import pytest

from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.studies.calibration import (
    describe_reliability,
    draw_reliability,
    lay_out_calibration,
    read_reliability,
    score_calibration,
)


@pytest.fixture(scope="module")
def results(runs: Path) -> list[Result]:
    return pool_runs(find_runs([runs]))


def test_every_result_has_a_row_and_a_panel_whose_dots_are_its_curve(results: list[Result]) -> None:
    table = lay_out_calibration(results, score_calibration(results))
    assert table.rows["Method"].tolist() == [result.name for result in results]
    figure = draw_reliability(results, score_calibration(results))
    output = [axes for axes in figure.axes if axes.axison]
    for axes, result in zip(output, results, strict=True):
        curve = read_reliability(result)
        full = curve.samples > 0
        dots = next(line for line in axes.lines if line.get_marker() == "o")
        np.testing.assert_array_equal(dots.get_xdata(), curve.confidence[full])
        np.testing.assert_array_equal(dots.get_ydata(), curve.accuracy[full])
        assert [text.get_text() for text in axes.texts] == list(map(str, curve.samples[full]))
        assert curve.samples.sum() == len(result.predictions)
    assert "rbf_svm & <b>friends</b> 100% confidence" in describe_reliability(results)


def test_the_row_is_the_mean_gap_of_the_curve_of_one_seed(results: list[Result]) -> None:
    curve = read_reliability(results[1])
    full = curve.samples > 0
    gap = np.abs(curve.accuracy - curve.confidence)[full] @ curve.samples[full]
    cell = lay_out_calibration(results, score_calibration(results)).rows["ECE"][1]
    assert float(re.match(r"\.\d+", cell)[0]) == pytest.approx(gap / curve.samples.sum(), abs=5e-5)


def test_decision_values_are_marked_in_table_and_picture(runs: Path) -> None:
    results = pool_runs(find_runs([runs / "svm"]))
    svm = {"_target_": "sklearn.svm.SVC"}
    results[0].runs[0].config["task"] = {"estimator": "svm", "estimators": {"svm": svm}}
    assert lay_out_calibration(results, score_calibration(results)).rows["Scores"].tolist() == [
        "not calibrated"
    ]
    title = draw_reliability(results, score_calibration(results)).axes[0].get_title(loc="left")
    assert "(decision values)" in title.replace("\n", " ")


def test_probabilities_are_not_marked(results: list[Result]) -> None:
    assert set(lay_out_calibration(results, score_calibration(results)).rows["Scores"]) == {
        "probabilities"
    }
