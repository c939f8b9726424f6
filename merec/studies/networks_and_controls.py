"""First picture of a page: networks compared with controls."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from merec.evaluation.guessing import MAJORITY, UNIFORM, score_guesses
from merec.evaluation.results import Result
from merec.evaluation.subject_bootstrap import DRAWS
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, plain, tidy, wrap
from merec.presentation.numbers_and_captions import (
    format_interval,
    format_number,
)
from merec.studies.answer import Answer, Picture
from merec.studies.pretraining_gain import probes_random_encoder

_CEILING = "true_action_units"
MODALITIES = {"rgb": "Colour", "depth": "Depth", "fused": "Colour and depth"}
ALWAYS = "always present"
_WIDTH, _ROW = 4.6, 0.42  # inch; narrow, so that its text can be read on a phone
_LINE = 0.32  # of a row, for each further line of a name
_BOX = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}


def answer(results: Sequence[Result]) -> Answer:
    """Draw networks, controls and guesses."""
    table, lines = rank_beside_controls(results), read_guesses(results[0])
    metric = "Mean F1 of action units" if results[0].target.multilabel else "UF1"
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
    picture = Picture("controls", draw_forest(table, lines, metric), alt, caption.strip())
    return Answer("Networks and controls", [picture])


def name_control(result: Result) -> str:
    """Return the kind of control of a result; empty for a trained network."""
    settings = result.settings
    estimator = settings.get("estimator")
    if estimator == _CEILING:
        return "class from the true action units by logistic regression, the ceiling of the emotion"
    if estimator:
        return f"{estimator} on flow maps, no network"
    if probes_random_encoder(result):
        return "linear probe of an encoder with random weights"
    return ""


def describe_controls(results: Sequence[Result]) -> str:
    """Describe which results are controls; empty if none is."""
    names: dict[str, list[str]] = {}
    for result in results:
        if what := name_control(result):
            names.setdefault(what, []).append(result.name)
    parts = [f"{what} ({', '.join(result_names)})" for what, result_names in names.items()]
    return f"Controls: {'; '.join(parts)}." if parts else ""


def name_modality(result: Result) -> str:
    """Return the name of a result's inputs: colour, depth, both, or the two views."""
    if result.settings.get("estimator") == _CEILING:
        return "True action units"
    data = result.settings.get("datamodule") or {}
    if views := data.get("views"):
        return f"Views: {' and '.join(map(str, views))}"
    return MODALITIES.get(str(data.get("modality")), "Other")


def rank_beside_controls(results: Sequence[Result]) -> pd.DataFrame:
    """Sort results for the picture: by modality, networks before controls, the best first.

    Returns:
        One row per result: `result`, `modality`, `control`, the main score `value`, `low` and `high`.
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


def score_all_guesses(result: Result) -> pd.DataFrame:
    """Score guesses on the samples of a protocol, for Full and by data set.

    Returns:
        One row per `guess` (see `score_guesses`) and `subset` with all `METRICS`.
    """
    classes = len(result.protocol.classes)
    labels = {
        subset: rows.drop_duplicates("sample_id")["label"].to_numpy()
        for subset, rows in result.subsets.items()
    }
    frequency = np.bincount(labels["Full"], minlength=classes) / len(labels["Full"])
    protocol_cells = {"protocol": result.protocol.name, "protocol_hash": result.protocol.hash}
    rows = [
        protocol_cells | {"guess": guess, "subset": subset, "samples": len(label)} | scores
        for subset, label in labels.items()
        for guess, scores in score_guesses(label, frequency).items()
    ]
    return pd.DataFrame(rows).sort_values("guess", kind="stable", ignore_index=True)


def read_guesses(result: Result) -> dict[str, float]:
    """Return the main score of guesses on the samples of a result, by name."""
    if result.target.multilabel:
        return {ALWAYS: float(result.score_units()["chance"].iloc[-1])}
    guesses = score_all_guesses(result)
    full = guesses[guesses["subset"] == "Full"].set_index("guess")["uf1"]
    return {name: float(full[name]) for name in (MAJORITY, UNIFORM)}


def draw_forest(table: pd.DataFrame, lines: dict[str, float], metric: str) -> Figure:
    """Draw the score of each result with its interval, grouped by modality, and lines for guesses.

    Args:
        table: See `rank_beside_controls`.
        lines: Scores of guesses, by name.
        metric: Metric, for the axis.
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
