"""Pooled confusion matrices of all folds."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from jaxtyping import Int
from matplotlib.figure import Figure

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
from merec.presentation.numbers_and_captions import format_list, name_subset
from merec.studies.answer import Answer, Picture


def answer(results: Sequence[Result]) -> Answer:
    """Draw the confusion matrices of each result."""
    return Answer("Confusion matrices", list(map(_show, results)))


def _show(result: Result) -> Picture:
    pooled = result.confusions()[1].sum((0, 1))
    alt = f"Confusion matrix of {result.name}, rows true, columns predicted: " + "; ".join(
        f"{name} {format_list(row)}"
        for name, row in zip(result.protocol.classes, pooled.tolist(), strict=True)
    )
    caption = f"{result.name}: samples of all folds pooled, and percent of their true class."
    return Picture(f"confusion-{result.key}", plot_confusion(result), alt, caption)


def plot_confusion(result: Result) -> Figure:
    """Draw the confusion matrices of a result, Full and by data set; see `draw_confusion`."""
    counts = {subset: result.confusions(subset)[1].sum(1) for subset in result.subsets}
    return draw_confusion(counts, result.protocol.classes, result.name)


def draw_confusion(
    counts: dict[str, Int[np.ndarray, "seeds classes classes"]], classes: Sequence[str], title: str
) -> Figure:
    """Draw pooled confusion matrices, one panel per subset: counts and percent of the true class.

    Args:
        counts: For each subset, matrices of true (rows) by predicted (columns) class.
        classes: Class names in label order.
        title: The result's name.
    """
    size = 0.72 * len(classes) + 0.25
    figure = Figure(figsize=(size * len(counts) + 1.3, size + 1.35), layout="constrained")
    panels = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (subset, by_seed) in zip(panels, counts.items(), strict=True):
        pooled = by_seed.sum(0)
        share = pooled / np.maximum(pooled.sum(1, keepdims=True), 1)
        draw_cells(axes, share, "Blues")
        for row, column in product(range(len(classes)), repeat=2):
            axes.text(
                column,
                row,
                f"{pooled[row, column]}\n{100 * share[row, column]:.0f} %",
                ha="center",
                va="center",
                fontsize=SMALL,
                color=ON_DARK if share[row, column] > 0.7 else ON_LIGHT,
            )
        axes.set_title(f"{plain(name_subset(subset))} (n = {by_seed[0].sum()})", fontsize=MEDIUM)
        names = [plain(name) for name in classes]
        axes.set_xticks(range(len(classes)), names, fontsize=SMALL, rotation=30, ha="right")
        axes.set_yticks(range(len(classes)), names if axes is panels[0] else [], fontsize=SMALL)
    panels[0].set_ylabel("true class", fontsize=MEDIUM)
    figure.supxlabel("predicted class", fontsize=MEDIUM)
    seeds = len(next(iter(counts.values())))
    summed = f" (counts summed over {seeds} seeds)" if seeds > 1 else ""
    figure.suptitle(wrap(f"{title}{summed}", 90), fontsize=LARGE)
    return figure
