"""Pictures of results; every function returns a matplotlib `Figure`, which `to_svg` makes text of."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.evaluation.results import Result
from merec.presentation.figure_style import (
    COLOURS,
    GREY,
    LARGE,
    MEDIUM,
    ON_DARK,
    ON_LIGHT,
    SMALL,
    draw_cells,
    measure_reach,
    measure_row,
    plain,
    tidy,
    wrap,
)
from merec.presentation.notation import format_number, name_subset


def plot_confusion(result: Result) -> Figure:
    """The confusion matrices of a result, Full and by data set; see `draw_confusion`."""
    counts = {subset: result.confusions(subset)[1].sum(1) for subset in result.subsets}
    return draw_confusion(counts, result.protocol.classes, result.name)


def draw_confusion(
    counts: dict[str, Int[np.ndarray, "seeds classes classes"]], classes: Sequence[str], title: str
) -> Figure:
    """Pooled confusion matrices, one panel per subset: counts and percent of the true class.

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


def draw_bars(scores: pd.DataFrame) -> Figure:
    """UF1 and UAR of every result with 95 % intervals, Full and by data set.

    Args:
        scores: See `tables.score_results`.
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
    """One horizontal bar per row of `table`, with its interval and its value."""
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


def draw_units(scores: Mapping[str, pd.DataFrame]) -> Figure:
    """F1 of every action unit with 95 % intervals, beside that of saying that it is always there.

    Args:
        scores: See `Result.score_units`, by name of the result.
    """
    first = next(iter(scores.values()))
    names = [
        f"{unit} (n = {samples})"
        for unit, samples in zip(first["unit"], first["samples"], strict=True)
    ]
    apart = 0.62 / len(scores)
    figure = Figure(figsize=(9, (0.2 * len(scores) + 0.2) * len(names) + 1.2), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(names))
    for number, (name, table) in enumerate(scores.items()):
        at = place + apart * (number - (len(scores) - 1) / 2)
        reach = measure_reach(table.rename(columns={"low": "f1_low", "high": "f1_high"}), "f1")
        colour = COLOURS[number % (len(COLOURS) - 1)]
        axes.errorbar(
            table["f1"],
            at,
            xerr=reach,
            fmt="o",
            ms=5,
            color=colour,
            elinewidth=1.3,
            label=wrap(name, 60),
        )
    axes.plot(
        first["chance"], place, "|", color=GREY, ms=18, mew=2, label="always said to be present"
    )
    axes.axhline(len(names) - 1.5, color=GREY, linewidth=0.6)  # what follows is the mean
    axes.set_yticks(place, names, fontsize=SMALL)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("F1", fontsize=MEDIUM)
    figure.legend(loc="outside upper center", ncols=2, fontsize=SMALL, frameon=False)
    tidy(axes, "x")
    return figure


_LABEL_BOX = {"boxstyle": "round,pad=0.18", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}


def draw_subjects(subjects: pd.DataFrame) -> Figure:
    """Accuracy of each held-out subject under each result, mean over seeds, in blocks by data set.

    Args:
        subjects: See `tables.score_subjects`.
    """
    by = ["corpus", "subject", "samples", "result"]
    mean = subjects.groupby(by, sort=False)["accuracy"].mean().unstack("result").sort_index()
    mean = mean[subjects["result"].unique()]
    blocks = []
    for corpus, table in mean.groupby(mean.index.get_level_values("corpus")):
        for part in np.array_split(np.arange(len(table)), -(-len(table) // 32)):
            blocks.append((str(corpus), table.iloc[part]))
    widest = max(len(table) for _, table in blocks)
    cell = 0.31  # inch; blocks of unlike length keep cells of one size
    names = [wrap(name, 26) for name in mean.columns]
    margin = 0.35 + 0.062 * max(len(line) for name in names for line in name.split("\n"))
    tall = (measure_row(names, 0.0) + 0.13) * len(names)
    width, gap = margin + widest * cell + 0.1, 1.05
    height = len(blocks) * (tall + gap) + 0.1
    figure = Figure(figsize=(width, height))
    for number, (corpus, table) in enumerate(blocks):
        bottom = height - (number + 1) * tall - number * gap - 0.32
        place = (margin / width, bottom / height, len(table) * cell / width, tall / height)
        axes = figure.add_axes(place)
        _draw_accuracies(axes, table.to_numpy().T)
        labels = [plain(f"{subject} ({n})") for _, subject, n in table.index]
        axes.set_xticks(range(len(table)), labels, fontsize=SMALL, rotation=90)
        axes.set_yticks(range(len(names)), names, fontsize=SMALL)
        axes.set_title(plain(name_subset(corpus)), fontsize=MEDIUM, loc="left")
    return figure


def _draw_accuracies(axes: Axes, accuracy: np.ndarray) -> None:
    """Cells of percent, dark for low."""
    draw_cells(axes, accuracy, "cividis")
    for (row, column), value in np.ndenumerate(accuracy):
        axes.text(
            column,
            row,
            f"{100 * value:.0f}",
            ha="center",
            va="center",
            fontsize=SMALL,
            color=ON_LIGHT if value >= 0.5 else ON_DARK,
        )


def draw_learning_curves(curves: pd.DataFrame, title: str) -> Figure:
    """Training loss, and training beside held-out accuracy, by epoch.

    Args:
        curves: See `curves.read_curves`.
        title: The result's name.
    """
    figure = Figure(figsize=(10, 3.5), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    epoch = curves["epoch"]
    for axes, name in ((loss, "train_loss"), (accuracy, "train_accuracy")):
        low, median, high = (curves[f"{name}_{p}"] for p in (10, 50, 90))
        axes.fill_between(epoch, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.plot(epoch, median, color=COLOURS[0], label="training: median and 10–90 % of folds")
        axes.set_xlabel("epoch", fontsize=MEDIUM)
        axes.margins(x=0)
        tidy(axes, "y")
    accuracy.plot(
        epoch,
        curves["held_out_accuracy"],
        color=COLOURS[5],
        linestyle="--",
        label="held-out: all folds pooled",
    )
    accuracy.set_ylim(0, 1.02)
    loss.set_ylim(bottom=0)
    loss.set_title("Training loss", fontsize=MEDIUM, loc="left")
    accuracy.set_title("Accuracy", fontsize=MEDIUM, loc="left")
    accuracy.legend(fontsize=SMALL, loc="lower right")
    if len(epoch) == 1:
        for line in [*loss.lines, *accuracy.lines]:
            line.set_marker("o")
    figure.suptitle(wrap(title, 90), fontsize=LARGE)
    return figure


_READINGS = (
    ("honest", "honest: last epoch", "o", COLOURS[0]),
    ("best_common_epoch", "best common epoch", "D", COLOURS[2]),
    ("best_epoch", "best epoch on test", "s", COLOURS[5]),
    ("random_guess", "random guessing, best epoch on test", "|", GREY),
)


def draw_optimism(optimism: pd.DataFrame) -> Figure:
    """The honest scores of each result beside what choosing epochs on the test would claim.

    Args:
        optimism: See `summary.read_optimism`; at least one row.
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
        for name, label, marker, colour in _READINGS:
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
