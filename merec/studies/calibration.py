"""Calibration of probabilities: calibration error, Brier score, reliability diagrams."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.evaluation.reliability import (
    BINS,
    Reliability,
    bin_predictions,
    brier_of_samples,
    measure_calibration_error,
    measure_reliability,
    read_probability,
)
from merec.evaluation.results import IDENTITY, Result
from merec.evaluation.subject_bootstrap import (
    draw_subjects,
    effective_subjects,
    mean_interval,
    t_interval,
)
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, tidy, wrap
from merec.presentation.numbers_and_captions import (
    describe_interval,
    describe_results,
    format_interval,
    format_number,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer, Picture

DRAWS = 2_000  # of a second number beside the scores; its interval is read to two digits
# Classifiers without probabilities, of which scores are the softmax of their decision values.
_DECIDING = (
    "SVC",
    "LinearSVC",
    "NuSVC",
    "RidgeClassifier",
    "MirrorRidge",
    "HalfFaceCommittee",
)
CAPTION = (
    "Accuracy of predictions by their confidence, seeds pooled: on the dashed line probabilities mean "
    "what they say, below it they are too sure. Bars: share of the samples; figures: how many."
)


def answer(results: Sequence[Result]) -> Answer:
    """Score the calibration of each result, and draw its reliability diagram."""
    rows = score_calibration(results)
    table = lay_out_calibration(results, rows)
    figure = draw_reliability(results, rows)
    picture = Picture("reliability", figure, describe_reliability(results), CAPTION)
    return Answer("Calibration", [picture, table], {"calibration": table}, {"calibration": rows})


def score_calibration(results: Sequence[Result]) -> pd.DataFrame:
    """Compute calibration error and Brier score of every result, averaged over seeds, with subject intervals.

    Returns:
        One row per result: `kind` of score (see `name_scores`), mean `confidence`, `accuracy`, and `ece` and
        `brier` with the ends of their 95 % intervals (`ece_low`, …).
    """
    rows = []
    for result in results:
        classes = result.protocol.classes
        errors, gaps, subjects = [], [], result.predictions["subject"].to_numpy(str)
        for _, table in result.predictions.groupby("seed"):
            probability, label = read_probability(table, classes)
            errors.append(measure_calibration_error(probability, label))
            gaps.append(_draw_errors(probability, label, table["subject"].to_numpy(str)))
        probability, label = read_probability(result.predictions, classes)
        brier = brier_of_samples(probability, label)
        samples = np.unique(subjects, return_counts=True)[1]
        ece_low, ece_high = t_interval(
            float(np.mean(errors)),
            np.mean(gaps, axis=0),
            len(samples),
            effective_subjects(samples[:, None]),
        ).tolist()
        brier_low, brier_high = mean_interval(brier, subjects, DRAWS, limits=(0.0, 2.0))
        rows.append(
            {
                **result.identity,
                "kind": name_scores(result),
                "confidence": probability.max(1).mean(),
                "accuracy": (probability.argmax(1) == label).mean(),
                **{"ece": np.mean(errors), "ece_low": ece_low, "ece_high": ece_high},
                **{"brier": brier.mean(), "brier_low": brier_low, "brier_high": brier_high},
            }
        )
    columns = ["kind", "confidence", "accuracy"]
    columns += [f"{name}{end}" for name in ("ece", "brier") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*IDENTITY, *columns])


def _draw_errors(
    probability: np.ndarray, label: np.ndarray, subject: np.ndarray
) -> Float[np.ndarray, " draws"]:
    """Compute the calibration error of bootstrap draws of subjects."""
    confidence, right, where = bin_predictions(probability, label, BINS)
    _, number = np.unique(subject, return_inverse=True)
    gap = np.zeros((number.max() + 1, BINS))
    np.add.at(gap, (number, where), right - confidence)
    times = draw_subjects(len(gap), DRAWS, 0)
    return np.abs(times @ gap).sum(1) / (times @ np.bincount(number))


def name_scores(result: Result) -> str:
    """Name the kind of a result's probabilities: of the model, or normalised decision values."""
    settings = result.settings
    chosen = settings.get("estimators", {}).get(settings.get("estimator"))
    if chosen is not None and gives_decision_values(chosen):
        return "decision values"
    return "probabilities"


def gives_decision_values(estimator: Mapping[str, Any]) -> bool:
    """Return whether a configured estimator computes decision values instead of probabilities."""
    name = str(estimator.get("_target_", "")).rpartition(".")[2]
    if name in _DECIDING and not estimator.get("probability", False):
        return True
    children = [child for value in estimator.values() for child in _list_children(value)]
    return any(map(gives_decision_values, children))


def _list_children(value: object) -> list[Mapping[str, Any]]:
    """Return the child nodes of a config value."""
    return [
        child
        for child in (value if isinstance(value, list) else [value])
        if isinstance(child, Mapping)
    ]


def lay_out_calibration(results: Sequence[Result], rows: pd.DataFrame) -> Table:
    """Lay out calibration error and Brier score of every result; rows of `score_calibration`."""
    cells = [
        {
            "Method": row["result"],
            "Scores": "not calibrated" if row["kind"] == "decision values" else row["kind"],
            "ECE": format_interval(row["ece"], row["ece_low"], row["ece_high"]),
            "Brier": format_interval(row["brier"], row["brier_low"], row["brier_high"]),
            "Confidence": format_number(row["confidence"]),
            "Accuracy": format_number(row["accuracy"]),
        }
        for _, row in rows.iterrows()
    ]
    classes = len(results[0].protocol.classes)
    caption = (
        f"{describe_results(results)} Mean over seeds [{describe_interval(DRAWS)}]. "
        f"ECE: expected calibration error, mean |accuracy − confidence| of {BINS} equal bins of "
        "the highest probability; it is never negative, so that chance alone raises it. "
        f"Brier: squared distance of the probabilities to the truth, 0 to 2; guessing "
        f"all classes alike has {format_number(1 - 1 / classes, 3)}. Not calibrated: decision values made to "
        "sum to 1, which rank the classes and no more. No temperature is fitted."
    )
    return Table("Calibration", caption, pd.DataFrame(cells))


def draw_reliability(results: Sequence[Result], rows: pd.DataFrame) -> Figure:
    """Draw a reliability diagram for each result: accuracy against confidence, and numbers of samples."""
    across = len(results) if len(results) < 4 else 2 if len(results) == 4 else 3
    down = -(-len(results) // across)
    figure = Figure(figsize=(3.5 * across + 0.3, 3.6 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    kinds = rows["kind"]
    for axes, result, kind in zip(panels, results, kinds, strict=False):
        _draw_panel(axes, read_reliability(result))
        mark = " (decision values)" if kind == "decision values" else ""
        axes.set_title(wrap(f"{result.name}{mark}", 40), fontsize=MEDIUM, loc="left")
    for axes in panels[len(results) :]:
        axes.set_axis_off()
    return figure


def _draw_panel(axes: Axes, curve: Reliability) -> None:
    """Draw bars of the share of samples, a dot for each bin with samples, and the diagonal."""
    full = curve.samples > 0
    place, width = (np.arange(BINS) + 0.5) / BINS, 1 / BINS
    share = curve.samples / curve.samples.sum()
    axes.bar(place, share, width=0.92 * width, color=COLOURS[4], alpha=0.55)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    axes.plot(curve.confidence[full], curve.accuracy[full], "o-", color=COLOURS[0], ms=5)
    for x, y, n in zip(
        curve.confidence[full], curve.accuracy[full], curve.samples[full], strict=True
    ):
        number = axes.annotate(
            str(n),
            (x, y),
            xytext=(4, -9 if y > 0.12 else 5),
            textcoords="offset points",
            fontsize=SMALL - 1,
        )
        number.set_in_layout(False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("confidence", fontsize=MEDIUM)
    axes.set_ylabel("accuracy, share of samples", fontsize=MEDIUM)
    tidy(axes, "y")


def read_reliability(result: Result) -> Reliability:
    """Read the reliability curve of a result, seeds pooled."""
    return measure_reliability(*read_probability(result.predictions, result.protocol.classes))


def describe_reliability(results: Sequence[Result]) -> str:
    """Describe the diagrams."""
    sentences = []
    for result in results:
        curve = read_reliability(result)
        bins = [
            f"{format_number(confidence, 2)} right in {format_number(accuracy, 2)} of {n}"
            for confidence, accuracy, n in zip(
                curve.confidence, curve.accuracy, curve.samples, strict=True
            )
            if n
        ]
        sentences.append(f"{result.name} confidence {', '.join(bins)}")
    return f"Reliability diagrams: {'; '.join(sentences)}"
