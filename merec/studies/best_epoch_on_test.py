"""Score with the best epoch of each fold, chosen on its held-out samples."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from merec.evaluation.results import IDENTITY, Result
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, measure_row, tidy, wrap
from merec.presentation.numbers_and_captions import describe_results, format_list, format_number
from merec.presentation.table import Table
from merec.studies.answer import Answer, Paragraph, Picture

READINGS = ("honest", "best_common_epoch", "best_epoch", "random_guess")
BELOW_HONEST = (
    "That epoch is chosen fold by fold, by most samples right and the earliest of equals, not by the pooled "
    "UF1: the claim can lie below the honest number."
)
_UNITS_BELOW_HONEST = (
    "That epoch is chosen fold by fold, by the F1 of its samples and units together and the earliest of "
    "equals, not by the pooled mean F1: the claim can lie below the honest number."
)
_MARKERS = (
    ("honest", "honest: last epoch", "o", COLOURS[0]),
    ("best_common_epoch", "best common epoch", "D", COLOURS[2]),
    ("best_epoch", "best epoch on test", "s", COLOURS[5]),
    ("random_guess", "random guessing, best epoch on test", "|", GREY),
)


def answer(results: Sequence[Result]) -> Answer:
    """Return the comparison of honest scores with the best epoch on test; without epochs, no section."""
    title, optimism = "Honest and best epoch on test", read_optimism(results)
    if optimism.empty:
        return Answer(title, frames={"optimism": optimism})
    table = lay_out_optimism(results)
    parts = [table] if results[0].target.multilabel else [*_explain(results, optimism), table]
    return Answer(title, parts, {"optimism": table}, {"optimism": optimism})


def _explain(results: Sequence[Result], optimism: pd.DataFrame) -> tuple[Paragraph, Picture]:
    """Explain the comparison and show it."""
    unit = results[0].protocol.unit
    text = (
        f"Our numbers are those of the last epoch, which the held-out {unit} had no part in "
        f"choosing. Much released code instead keeps the epoch that is best on the held-out {unit} "
        "itself; what that would have claimed here, and what random guessing reaches by the same "
        "choice, is measured and never used."
    )
    mean = optimism.groupby("result", sort=False).mean(numeric_only=True)
    alt = "UF1 honest and with the best epoch on test: " + "; ".join(
        f"{name} {format_number(row['honest_uf1'])} and {format_number(row['best_epoch_uf1'])}"
        for name, row in mean.iterrows()
    )
    picture = Picture("optimism", draw_optimism(optimism), alt, "Mean over seeds.")
    return Paragraph(text), picture


def read_optimism(results: Sequence[Result]) -> pd.DataFrame:
    """Read the optimism meter of every result whose epochs were all recorded.

    Returns:
        One row per result and seed: `epochs`, and UF1 and UAR of each of `READINGS`, such as `honest_uf1`;
        for action units the mean F1, e.g. `honest_f1`.
    """
    rows, metrics = [], results[0].target.metrics_of_decisions
    for result in results:
        readings = result.read_optimism()
        if len(readings) != len(result.seeds):
            continue  # a claim over fewer seeds than the honest number must not stand beside it
        for seed, reading in zip(result.seeds, readings, strict=True):
            scores = {
                f"{name}_{metric}": value
                for name in READINGS
                for metric, value in zip(metrics, getattr(reading, name), strict=True)
            }
            rows.append(result.identity | {"seed": seed, "epochs": reading.epochs} | scores)
    columns = [f"{name}_{metric}" for name in READINGS for metric in metrics]
    return pd.DataFrame(rows, columns=[*IDENTITY, "seed", "epochs", *columns])


def lay_out_optimism(results: Sequence[Result]) -> Table:
    """Lay out honest scores and the scores of other choices of the epoch (UF1/UAR, or F1).

    Args:
        results: Results of one protocol, at least one of which recorded its epochs.
    """
    titles = ("Honest", "Best common epoch", "Best epoch on test", "Random guessing")
    rows, metrics = [], results[0].target.metrics_of_decisions
    for name, readings in read_optimism(results).groupby("result", sort=False):
        mean = readings.mean(numeric_only=True)
        cells = {"Method": str(name), "Epochs": format_list(sorted(readings["epochs"].unique()))}
        for reading, title in zip(READINGS, titles, strict=True):
            cells[title] = "/".join(
                format_number(mean[f"{reading}_{metric}"]) for metric in metrics
            )
        rows.append(cells)
    unit, scores = results[0].protocol.unit, "/".join(metrics).upper()
    below = _UNITS_BELOW_HONEST if results[0].target.multilabel else BELOW_HONEST
    caption = (
        f"{describe_results(results)} {scores}, mean over seeds. Honest: the last epoch. "
        f"Best epoch on test: chosen by each held-out {unit}. {below} Random guessing: guesses in the "
        "labels' frequencies in place of predictions, with the same choice."
    )
    return Table("Honest and best epoch on test", caption, pd.DataFrame(rows))


def draw_optimism(optimism: pd.DataFrame) -> Figure:
    """Draw the honest scores of each result and the scores with epochs chosen on the test.

    Args:
        optimism: See `read_optimism`; at least one row.
    """
    sign = "honest_"
    metrics = [name.removeprefix(sign) for name in optimism if name.startswith(sign)]
    mean = optimism.groupby("result", sort=False).mean(numeric_only=True)
    names = [wrap(name, 30) for name in mean.index]
    height = measure_row(names, 0.5) * len(mean) + 1.3
    figure = Figure(figsize=(11, height), layout="constrained")
    place = np.arange(len(mean))
    panels = figure.subplots(1, len(metrics), sharex=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        axes.hlines(
            place,
            mean[f"honest_{metric}"],
            mean[f"best_epoch_{metric}"],
            color=COLOURS[5],
            linewidth=2,
        )
        for name, label, marker, colour in _MARKERS:
            x = mean[f"{name}_{metric}"]
            # A tall stroke stays visible under a marker at the same place.
            size, edge = (20, 2.5) if marker == "|" else (8, 0)
            axes.plot(x, place, marker, color=colour, ms=size, mew=edge, label=label)
        for name, dy, colour in (("honest", -0.3, COLOURS[0]), ("best_epoch", 0.38, COLOURS[5])):
            for y, x in zip(place, mean[f"{name}_{metric}"], strict=True):
                text = format_number(x, 3)
                axes.text(x, y + dy, text, ha="center", va="center", fontsize=SMALL, color=colour)
        axes.set_yticks(place, names if axes is panels[0] else [], fontsize=SMALL)
        axes.set_ylim(len(mean) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_title(metric.upper(), fontsize=MEDIUM, loc="left")
        tidy(axes, "x")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=4, fontsize=SMALL, frameon=False
    )
    return figure
