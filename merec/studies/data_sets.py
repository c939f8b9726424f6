"""UF1 and UAR as bars, of all samples and by data set."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.evaluation.results import Result
from merec.presentation.figure_style import (
    COLOURS,
    MEDIUM,
    SMALL,
    measure_reach,
    measure_row,
    plain,
    tidy,
    wrap,
)
from merec.presentation.numbers_and_captions import format_number, name_subset, spell_uf1
from merec.studies.answer import Answer, Picture
from merec.studies.scores import score_results

_LABEL_BOX = {"boxstyle": "round,pad=0.18", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}


def answer(results: Sequence[Result]) -> Answer:
    """Draw UF1 and UAR of every result, Full and by data set."""
    scores = score_results(results)
    alt = "UF1 with 95 % interval: " + "; ".join(
        f"{row['result']} on {name_subset(row['subset'])} {spell_uf1(row)}"
        for _, row in scores.iterrows()
    )
    caption = (
        "UF1 and UAR, mean over seeds, with 95 % intervals of whole subjects drawn with "
        "replacement. Data sets are subsets of the same predictions."
    )
    return Answer("Data sets", [Picture("bars", draw_bars(scores), alt, caption)])


def draw_bars(scores: pd.DataFrame) -> Figure:
    """Draw UF1 and UAR of every result with 95 % intervals, Full and by data set.

    Args:
        scores: See `score_results`.
    """
    subsets, results = scores["subset"].unique(), scores["result"].unique()
    names = [wrap(name, 30) for name in results]
    height = measure_row(names, 0.34) * len(results) + 0.5
    figure = Figure(figsize=(11, height * len(subsets) + 0.5), layout="constrained")
    grid = figure.subplots(len(subsets), 2, squeeze=False, sharex=True)
    for row, subset in zip(grid, subsets, strict=True):
        table = scores[scores["subset"] == subset].set_index("result").loc[results]
        for axes, metric in zip(row, ("uf1", "uar"), strict=True):
            _draw_bars_of(axes, table, metric)
            axes.set_yticks(
                range(len(results)),
                names if axes is row[0] else [],
                fontsize=SMALL,
            )
            title = f"{name_subset(subset)} (n = {table['samples'].iloc[0]}): {metric.upper()}"
            axes.set_title(plain(title), fontsize=MEDIUM, loc="left")
    return figure


def _draw_bars_of(axes: Axes, table: pd.DataFrame, metric: str) -> None:
    """Draw one horizontal bar per row of `table`, with its interval and its value."""
    place, value = np.arange(len(table)), table[metric].to_numpy()
    colours = [COLOURS[i % (len(COLOURS) - 1)] for i in place]
    axes.barh(place, value, color=colours, height=0.66, alpha=0.85)
    reach = measure_reach(table, metric)
    axes.errorbar(value, place, xerr=reach, fmt="none", ecolor="black", elinewidth=1.1, capsize=2.5)
    for y, x in enumerate(value.tolist()):
        axes.text(0.012, y, format_number(x, 3), va="center", fontsize=SMALL, bbox=_LABEL_BOX)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(table) - 0.5, -0.5)
    tidy(axes, "x")
