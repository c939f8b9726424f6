"""What the networks of a result looked at: pictures, and how well it agrees with the coded action units."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.evaluation.explanation import Explanation
from merec.evaluation.results import Result
from merec.presentation.figure_style import (
    LARGE,
    MEDIUM,
    ON_DARK,
    ON_LIGHT,
    SMALL,
    draw_cells,
    plain,
    wrap,
)
from merec.presentation.notation import (
    describe_interval,
    describe_results,
    format_interval,
    format_number,
)
from merec.presentation.table import Table

_CELL = 0.72  # inch


def draw_importance(explanation: Explanation, title: str) -> Figure:
    """Mean importance of each region for each predicted class.

    Args:
        explanation: What the networks looked at.
        title: The result's name.
    """
    mean = explanation.average_importance()
    most = float(np.nanmax(mean.abs().to_numpy())) or 1.0
    figure = _make_figure(mean, 1.6, title)
    axes = figure.subplots()
    _draw_numbers(axes, mean, "RdBu_r", -most, most)
    counts = explanation.count_predicted()
    names = [f"{name} ({count})" for name, count in zip(mean.index, counts, strict=True)]
    axes.set_yticks(range(len(names)), list(map(plain, names)), fontsize=SMALL)
    axes.set_ylabel("predicted class (samples)", fontsize=MEDIUM)
    return figure


def draw_adjacency(strength: pd.DataFrame, title: str) -> Figure:
    """How strongly each region takes from each.

    Args:
        strength: See `Explanation.average_adjacency`.
        title: The result's name.
    """
    figure = _make_figure(strength, 1.8, title)
    axes = figure.subplots()
    _draw_numbers(axes, strength, "Blues", 0.0, float(strength.to_numpy().max()) or 1.0)
    axes.set_yticks(range(len(strength)), list(strength.index), fontsize=SMALL)
    axes.set_ylabel("region", fontsize=MEDIUM)
    axes.set_xlabel("takes from", fontsize=MEDIUM)
    return figure


def _make_figure(values: pd.DataFrame, margin: float, title: str) -> Figure:
    """An empty figure for a table of cells under a title."""
    height, width = values.shape
    size = (_CELL * width + margin, 0.55 * _CELL * height + 1.6)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(wrap(title, 70), fontsize=LARGE)
    return figure


def _draw_numbers(
    axes: Axes, values: pd.DataFrame, colours: str, least: float, most: float
) -> None:
    """Cells with their numbers, none where there is none, and the regions below them."""
    draw_cells(axes, values.to_numpy(), colours, least, most)
    for (row, column), value in np.ndenumerate(values.to_numpy()):
        if np.isfinite(value):
            colour = ON_DARK if abs(value) > 0.7 * most else ON_LIGHT
            text = format_number(value, 3)
            axes.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=colour)
    axes.set_xticks(range(values.shape[1]), values.columns, fontsize=SMALL, rotation=30, ha="right")


def lay_out_agreement(explained: Sequence[tuple[Result, Explanation]]) -> Table | None:
    """The AUC of each result's importance for the coded regions; `None` where nothing is coded."""
    rows = []
    for result, explanation in explained:
        found = explanation.compare_with_action_units()
        if found is not None:
            interval = format_interval(found.auc.value, found.auc.low, found.auc.high)
            cells = {"Method": result.name, "n": str(found.samples)}
            rows.append(cells | {"Subjects": str(found.subjects), "AUC": interval})
    if not rows:
        return None
    caption = (
        f"{describe_results([result for result, _ in explained])} AUC: probability that a region which a "
        "coded action unit moves (FACS, Ekman, Friesen & Hager 2002) is more important to the network than "
        f"one that none moves, mean over samples and seeds "
        f"[{describe_interval()}]; chance is .5. n: samples with regions of both kinds."
    )
    return Table("Regions and coded action units", caption, pd.DataFrame(rows))
