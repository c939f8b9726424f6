"""Networks beside controls: a table of scores, and the picture that a page begins with."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from merec.evaluation.controls import MODALITIES, describe_controls, name_control, name_modality
from merec.evaluation.guessing import MAJORITY, UNIFORM
from merec.evaluation.results import Result
from merec.evaluation.statistics import DRAWS
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, plain, tidy, wrap
from merec.presentation.notation import (
    describe_interval,
    describe_results,
    format_interval,
    format_list,
    format_number,
)
from merec.presentation.table import Table
from merec.reporting.elements import write_figure

ALWAYS, BY_FREQUENCY = "always present", "by frequency"
_WIDTH, _ROW = 4.6, 0.42  # inch; narrow, so that its text can be read on a phone
_LINE = 0.32  # of a row, for each further line of a name
_BOX = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}


def lay_out_unit_scores(results: Sequence[Result]) -> Table:
    """Mean F1 and mean area under the curve of each result, and of guesses that look at no face."""
    rows = []
    for result in results:
        scores = result.score()
        cells = {"Method": result.name}
        for metric, title in (("f1", "Mean F1"), ("auc", "Mean AUC")):
            score = scores[metric]
            cells[title] = format_interval(score.value, score.low, score.high)
        rows.append(cells | {"Seeds": format_list(result.seeds)})
    mean = results[0].score_units().iloc[-1]
    for guess, f1 in ((ALWAYS, mean["chance"]), (BY_FREQUENCY, mean["by_frequency"])):
        rows.append(
            {"Method": guess, "Mean F1": format_number(f1), "Mean AUC": ".5000", "Seeds": "–"}
        )
    caption = (
        f"{describe_results(results)} {describe_controls(results)} Mean over action units, then seeds, all "
        f"folds pooled [{describe_interval()}]. AUC: area under the ROC curve, chance .5. {ALWAYS}, "
        f"{BY_FREQUENCY}: guesses that look at no face."
    )
    return Table("Scores", " ".join(caption.split()), pd.DataFrame(rows))


def rank_beside_controls(results: Sequence[Result]) -> pd.DataFrame:
    """Sort results for the picture: by modality, networks before controls, the best first.

    Returns:
        One row per result: `result`, `modality`, `control`, the deciding score `value`, `low` and `high`.
    """
    rows = []
    for result in results:
        score = result.score()[result.target.metrics[0]]
        about = {"result": result.name, "modality": name_modality(result)}
        about["control"] = name_control(result) != ""  # type: ignore[assignment]
        rows.append(about | {"value": score.value, "low": score.low, "high": score.high})
    table = pd.DataFrame(rows)
    order = [*MODALITIES.values()]
    place = table["modality"].map(lambda name: order.index(name) if name in order else len(order))
    return (
        table.assign(place=place, below=-table["value"])
        .sort_values(["place", "modality", "control", "below"], kind="stable", ignore_index=True)
        .drop(columns=["place", "below"])
    )


def read_guesses(result: Result, guesses: pd.DataFrame | None = None) -> dict[str, float]:
    """Return the deciding score of guesses that look at no face, by name.

    Args:
        result: Of the protocol.
        guesses: See `score_all_guesses`; `None` where action units are predicted.
    """
    if guesses is None:
        return {ALWAYS: float(result.score_units()["chance"].iloc[-1])}
    full = guesses[guesses["subset"] == "Full"].set_index("guess")["uf1"]
    return {name: float(full[name]) for name in (MAJORITY, UNIFORM)}


def write_beside_controls(results: Sequence[Result], guesses: pd.DataFrame | None = None) -> str:
    """Return the page's first picture: each network against the controls; arguments as `read_guesses`."""
    table, lines = rank_beside_controls(results), read_guesses(results[0], guesses)
    metric = "Mean F1 of action units" if guesses is None else "UF1"
    alt = f"{metric} with 95 % interval: " + "; ".join(
        f"{row['result']} {format_interval(row['value'], row['low'], row['high'])}"
        for _, row in table.iterrows()
    )
    alt += "".join(f"; {name} {format_number(value)}" for name, value in lines.items())
    caption = (
        f"{metric} of held-out subjects, mean over seeds, 95 % interval by {DRAWS:,} draws of "
        f"whole subjects. Blue: networks. Grey: controls. Lines: guesses that look at no face. "
        f"{describe_controls(results)}"
    )
    return write_figure(draw_forest(table, lines, metric), alt, caption.strip(), "controls")


def draw_forest(table: pd.DataFrame, lines: dict[str, float], metric: str) -> Figure:
    """Draw a score with its interval for each result, in groups by modality, and lines of guesses.

    Args:
        table: See `rank_beside_controls`.
        lines: Scores of guesses, by name.
        metric: What is scored, for the axis.
    """
    names = [wrap(name, 58) for name in table["result"]]
    lines_of_names = sum(name.count("\n") for name in names)
    rows_high = len(table) + 0.95 * table["modality"].nunique() + _LINE * lines_of_names
    figure = Figure(figsize=(_WIDTH, _ROW * rows_high + 0.9), layout="constrained")
    axes = figure.subplots()
    place, most, modality = 0.0, 0.0, ""
    for name, (_, row) in zip(names, table.iterrows(), strict=True):
        if row["modality"] != modality:
            place += 0.25 * (modality != "")
            modality = row["modality"]
            title = axes.text(0, place, plain(modality), fontsize=MEDIUM, fontweight="bold")
            title.set(va="center", bbox=_BOX)
            place += 0.45
        axes.text(0, place, name, fontsize=SMALL, va="top", linespacing=1.1, bbox=_BOX)
        place += 0.5 + _LINE * name.count("\n")
        colour = GREY if row["control"] else COLOURS[0]
        ends = [row["value"] if np.isnan(row[end]) else row[end] for end in ("low", "high")]
        axes.plot(ends, [place] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(row["value"], place, "s" if row["control"] else "o", color=colour, ms=6)
        across = axes.get_yaxis_transform()
        value = axes.text(1.0, place, format_number(row["value"], 3), transform=across)
        value.set(fontsize=SMALL, ha="right", va="center")
        most = max(most, *ends)
        place += 0.5
    for (name, score), style in zip(lines.items(), ("--", ":"), strict=False):
        label = f"{name} {format_number(score, 3)}"
        axes.axvline(score, color="#000000", linewidth=1, linestyle=style, zorder=0, label=label)
    axes.set_ylim(place - 0.1, -0.4)
    axes.set_xlim(0, min(1.0, max(most, *lines.values()) * 1.02) * 1.12)
    axes.set_yticks([])
    axes.set_xlabel(metric, fontsize=MEDIUM)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper left", ncols=1, fontsize=SMALL, frameon=False)
    tidy(axes, "x")
    return figure
