"""Loss and accuracy by epoch, over all folds and seeds of a result."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from merec.evaluation.results import Result
from merec.presentation.figure_style import COLOURS, LARGE, MEDIUM, SMALL, tidy, wrap
from merec.presentation.numbers_and_captions import format_list, format_number
from merec.studies.answer import Answer, Picture

BAND = (10, 50, 90)  # percentiles over folds: the median and the band around it


def answer(results: Sequence[Result]) -> Answer:
    """Draw the learning curves of each result; empty if no epochs were recorded."""
    curves = [(result, read_curves(result)) for result in results]
    return Answer(
        "Learning curves", [_show(result, table) for result, table in curves if table is not None]
    )


def _show(result: Result, curves: pd.DataFrame) -> Picture:
    last = curves.iloc[-1]
    alt = (
        f"Learning curves of {result.name}: after {len(curves)} epochs the median training "
        f"loss is {last['train_loss_50']:.3g}, the median training accuracy "
        f"{format_number(last['train_accuracy_50'], 3)}, the held-out accuracy "
        f"{format_number(last['held_out_accuracy'], 3)}"
    )
    caption = f"{result.name}: all folds of seeds {format_list(result.seeds)}."
    figure = draw_learning_curves(curves, result.name)
    return Picture(f"curves-{result.key}", figure, alt, caption)


def read_curves(result: Result) -> pd.DataFrame | None:
    """Read the learning curves of a result; `None` if no epochs were recorded.

    Folds that stopped early (epochs chosen by inner subjects) are included up to their last epoch.

    Returns:
        One row per `epoch` from 1: `train_loss_10`, `_50` and `_90` percent quantiles over folds and seeds,
        likewise of `train_accuracy`, and `held_out_accuracy`, pooled over the held-out samples of all folds
        and averaged over seeds. For action units, accuracy is the share of units that are predicted
        correctly.
    """
    losses, accuracies, hits_of_seeds = [], [], []
    for seed in result.seeds:
        hits = []
        for run in result.runs:
            if seed not in run.predictions["seed"].to_numpy():
                continue
            for fold in run.read_epochs().values():
                losses.append(fold.train_loss)
                accuracies.append(fold.train_accuracy)
                right = fold.predicted == result.read_truth(fold.sample_id)[:, None]
                hits.extend(right.reshape(*right.shape[:2], -1).mean(2))
        if hits:
            hits_of_seeds.append(hits)
    if not losses:
        return None
    longest = max(map(len, losses))
    columns: dict[str, np.ndarray] = {"epoch": np.arange(1, longest + 1)}
    for name, lines in (("train_loss", losses), ("train_accuracy", accuracies)):
        quantiles = np.nanpercentile(_stack(lines, longest), BAND, axis=0)
        columns |= {f"{name}_{p}": line for p, line in zip(BAND, quantiles, strict=True)}
    pooled = [np.nanmean(_stack(hits, longest), axis=0) for hits in hits_of_seeds]
    columns["held_out_accuracy"] = np.mean(pooled, axis=0)
    return pd.DataFrame(columns)


def _stack(lines: list[np.ndarray], length: int) -> Float[np.ndarray, "lines epochs"]:
    """Return lines of different lengths as one array, padded with NaN."""
    stacked = np.full((len(lines), length), np.nan)
    for row, line in zip(stacked, lines, strict=True):
        row[: len(line)] = line
    return stacked


def draw_learning_curves(curves: pd.DataFrame, title: str) -> Figure:
    """Draw training loss, training accuracy and held-out accuracy by epoch.

    Args:
        curves: See `read_curves`.
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
