"""Whether probabilities mean what they say, for people: a table, and reliability diagrams."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.evaluation.calibration import (
    BINS,
    DRAWS,
    Reliability,
    measure_reliability,
    read_probability,
)
from merec.evaluation.results import Result
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, tidy, wrap
from merec.presentation.notation import (
    describe_interval,
    describe_results,
    format_interval,
    format_number,
)
from merec.presentation.table import Table
from merec.reporting.summary import Summary


def lay_out_calibration(summary: Summary) -> Table:
    """Calibration error and Brier score of every result."""
    rows = [
        {
            "Method": row["result"],
            "Scores": "not calibrated" if row["kind"] == "decision values" else row["kind"],
            "ECE": format_interval(row["ece"], row["ece_low"], row["ece_high"]),
            "Brier": format_interval(row["brier"], row["brier_low"], row["brier_high"]),
            "Confidence": format_number(row["confidence"]),
            "Accuracy": format_number(row["accuracy"]),
        }
        for _, row in summary.calibration.iterrows()
    ]
    classes = len(summary.results[0].protocol.classes)
    caption = (
        f"{describe_results(summary.results)} Mean over seeds [{describe_interval(DRAWS)}]. "
        f"ECE: expected calibration error, mean |accuracy − confidence| of {BINS} equal bins of "
        "the highest probability; it is never negative, so that chance alone raises it. "
        f"Brier: squared distance of the probabilities to the truth, 0 to 2; guessing "
        f"all classes alike has {format_number(1 - 1 / classes, 3)}. Not calibrated: decision values made to "
        "sum to 1, which rank the classes and no more. No temperature is fitted."
    )
    return Table("Calibration", caption, pd.DataFrame(rows))


def draw_reliability(summary: Summary) -> Figure:
    """A reliability diagram for each result: accuracy against confidence, and how many samples there are."""
    results = summary.results
    across = len(results) if len(results) < 4 else 2 if len(results) == 4 else 3
    down = -(-len(results) // across)
    figure = Figure(figsize=(3.5 * across + 0.3, 3.6 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    kinds = summary.calibration["kind"]
    for axes, result, kind in zip(panels, results, kinds, strict=False):
        _draw_panel(axes, read_reliability(result))
        mark = " (decision values)" if kind == "decision values" else ""
        axes.set_title(wrap(f"{result.name}{mark}", 40), fontsize=MEDIUM, loc="left")
    for axes in panels[len(results) :]:
        axes.set_axis_off()
    return figure


def _draw_panel(axes: Axes, curve: Reliability) -> None:
    """Bars of the share of samples below, a dot for each bin that has any, and the diagonal of honesty."""
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
    """The reliability curve of a result, seeds pooled."""
    return measure_reliability(*read_probability(result.predictions, result.protocol.classes))


def describe_reliability(results: Sequence[Result]) -> str:
    """Say what the diagrams show."""
    said = []
    for result in results:
        curve = read_reliability(result)
        bins = [
            f"{format_number(confidence, 2)} right in {format_number(accuracy, 2)} of {n}"
            for confidence, accuracy, n in zip(
                curve.confidence, curve.accuracy, curve.samples, strict=True
            )
            if n
        ]
        said.append(f"{result.name} confidence {', '.join(bins)}")
    return f"Reliability diagrams: {'; '.join(said)}"


CAPTION = (
    "Accuracy of predictions by their confidence, seeds pooled: on the dashed line probabilities mean "
    "what they say, below it they are too sure. Bars: share of the samples; figures: how many."
)
