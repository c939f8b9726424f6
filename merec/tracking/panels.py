"""What a dashboard shows: W&B panels over names that the runs logged, and over no others."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import wandb_workspaces.reports.v2 as wr
from wandb_workspaces.reports.v2.interface import MetricType, Panel

from merec.run_folder.logged_keys import Keys

METHOD, MODALITY = "choices.method", "choices.datamodule"
_CONFUSION = {"Actual": "true", "Predicted": "predicted", "nPredictions": "samples"}
_MOST_RUNS = 500  # W&B draws ten unless told otherwise


@dataclass(frozen=True)
class Shown:
    """A panel, what it is called, and the names of what it reads."""

    title: str
    panel: Panel
    names: list[str]


@dataclass(frozen=True)
class Section:
    """Panels that answer one question, and how to read them in a sentence or two."""

    title: str
    note: str
    shown: list[Shown]


def make_sections(keys: Keys, varied: Sequence[str]) -> list[Section]:
    """All sections for which something was logged.

    Args:
        keys: What the runs logged.
        varied: Settings, besides the choices, that differ between runs of one method.
    """
    choices = [name for name in (METHOD, MODALITY, *varied) if name in keys.config]
    by = choices[0] if choices else None
    sections = [
        Section(
            "UF1 by choice",
            "UF1 of all folds pooled, between the ends of its 95 % interval of draws of whole subjects. Bars "
            "are means over runs; the interval of a mean over seeds is in the table.",
            [
                *_picture("UF1 and UAR with intervals, each run", "scores", keys),
                *(
                    shown
                    for choice in choices
                    for metric in ("uf1", "uar")
                    for shown in _bars(
                        f"{metric.upper()} by {_last(choice)}",
                        [f"{metric}_low", metric, f"{metric}_high"],
                        keys,
                        choice,
                    )
                ),
                *_bars("UF1 by data set", _find(keys, "/uf1"), keys, by),
            ],
        ),
        Section(
            "Parallel coordinates",
            "A line is a run: what was chosen to the left, what came of it to the right.",
            _parallel(
                [*choices, "seed"],
                ["cost/parameters", "cost/seconds", "optimism/gap_uf1", "uar", "uf1"],
                keys,
            ),
        ),
        Section(
            "Confusion matrices",
            "Counts of all folds pooled, true classes in rows.",
            [
                *_picture("Confusion, each run", "confusion", keys),
                *_confusion(keys),
                *_bars("F1 by class", _find(keys, "_f1", "class/"), keys, by),
                *_bars("Recall by class", _find(keys, "_recall", "class/"), keys, by),
            ],
        ),
        Section(
            "Subjects",
            "Samples of each held-out subject that were named rightly.",
            _table("Subjects", "subjects", keys),
        ),
        Section(
            "Predictions",
            "One row per held-out sample, with its probabilities: sort, filter and group them.",
            _table("Predictions", "predictions", keys),
        ),
        Section(
            "Optimism",
            "The honest UF1 beside what choosing the best epoch on each held-out subject would have claimed, "
            "and beside what random guesses reach by it. Nothing of this is ever used.",
            [
                *_bars(
                    "Honest UF1 and best epoch on test",
                    [
                        "uf1",
                        "optimism/best_common_epoch_uf1",
                        "optimism/best_epoch_uf1",
                        "optimism/random_guess_uf1",
                    ],
                    keys,
                    by,
                    needs="optimism/best_epoch_uf1",
                ),
                *_scatter("Claimed over honest", "uf1", "optimism/best_epoch_uf1", keys),
                *_bars("Optimism gap", ["optimism/gap_uf1"], keys, by),
                *_picture("Optimism meter, each run", "optimism_meter", keys),
            ],
        ),
        Section(
            "Calibration",
            "Expected calibration error with the ends of its interval, and Brier score, of held-out "
            "probabilities as they are.",
            [
                *_bars("Calibration error", _find(keys, "", "calibration/ece"), keys, by),
                *_bars("Brier score", ["calibration/brier"], keys, by),
                *_scatter("Calibration error over UF1", "uf1", "calibration/ece", keys),
            ],
        ),
        Section(
            "Learning curves",
            "Quantiles over the folds of a run, epoch by epoch.",
            [
                *_curves("Training loss", _quantiles("train_loss"), keys, by),
                *_curves("Training accuracy", _quantiles("train_accuracy"), keys, by),
                *_curves("Held-out accuracy", ["curves/held_out_accuracy"], keys, by),
                *_picture("Learning curves, each run", "learning_curves", keys),
            ],
        ),
        Section(
            "Regions and pairs",
            "What each region of the face is worth to a network of points; pairs that were pretrained on.",
            [
                *_picture("Importance of regions", "region_importance", keys),
                *_picture("Learnt adjacency", "region_adjacency", keys),
                *_picture("Intensity of pairs", "pair_intensities", keys),
            ],
        ),
        Section(
            "Cost",
            "What a score costs: seconds of all folds, parameters of a network.",
            [
                *_scatter("UF1 over seconds", "cost/seconds", "uf1", keys),
                *_scatter("UF1 over parameters", "cost/parameters", "uf1", keys),
                *_bars("Seconds", ["cost/seconds"], keys, by),
            ],
        ),
    ]
    return [section for section in sections if section.shown]


def _show(title: str, panel: Panel, names: list[str], wide: bool = False) -> list[Shown]:
    """A panel under an id that follows from what it is, so that the same runs give the same file."""
    panel.layout = wr.Layout(w=24 if wide else 12, h=12 if wide else 9)
    panel._id = sha256(" ".join([title, *names]).encode()).hexdigest()[:11]
    return [Shown(title, panel, names)]


def _find(keys: Keys, end: str, start: str = "") -> list[str]:
    return [name for name in keys.scores if name.endswith(end) and name.startswith(start)]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _quantiles(name: str) -> list[str]:
    return [f"curves/{name}_{percent}" for percent in (10, 50, 90)]


def _bars(
    title: str, metrics: list[str], keys: Keys, by: str | None, needs: str | None = None
) -> list[Shown]:
    """Bars of scores, averaged over the runs of each kind."""
    metrics = [name for name in metrics if name in keys.scores]
    if not metrics or (needs is not None and needs not in metrics):
        return []
    panel = wr.BarPlot(
        title=title,
        metrics=list[MetricType](metrics),
        orientation="h",
        groupby=wr.Config(by) if by else None,
        groupby_aggfunc="mean" if by else None,
        groupby_rangefunc="none" if by else None,
        max_runs_to_show=_MOST_RUNS,
        max_bars_to_show=100,
    )
    return _show(title, panel, [*metrics, *([by] if by else [])])


def _scatter(title: str, x: str, y: str, keys: Keys) -> list[Shown]:
    if not {x, y} <= set(keys.scores):
        return []
    panel = wr.ScatterPlot(title=title, x=wr.SummaryMetric(x), y=wr.SummaryMetric(y))
    return _show(title, panel, [x, y])


def _parallel(settings: list[str], scores: list[str], keys: Keys) -> list[Shown]:
    settings = [name for name in settings if name in keys.config]
    scores = [name for name in scores if name in keys.scores]
    if not settings or not scores:
        return []
    title = "What was chosen and what came of it"
    columns = [
        *(wr.ParallelCoordinatesPlotColumn(wr.Config(name), _last(name)) for name in settings),
        *(wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(name), name) for name in scores),
    ]
    panel = wr.ParallelCoordinatesPlot(title=title, columns=columns)
    return _show(title, panel, [*settings, *scores], wide=True)


def _curves(title: str, lines: list[str], keys: Keys, by: str | None) -> list[Shown]:
    lines = [name for name in lines if name in keys.curves]
    if not lines:
        return []
    panel = wr.LinePlot(
        title=title,
        x="curves/epoch",
        y=list[MetricType](lines),
        groupby=wr.Config(by) if by else None,
        groupby_aggfunc="mean" if by else None,
        groupby_rangefunc="minmax" if by else None,
        max_runs_to_show=_MOST_RUNS,
    )
    return _show(title, panel, ["curves/epoch", *lines, *([by] if by else [])])


def _picture(title: str, name: str, keys: Keys) -> list[Shown]:
    if name not in keys.pictures:
        return []
    panel = wr.MediaBrowser(title=title, media_keys=[name], mode="gallery", gallery_axis="run")
    return _show(title, panel, [name], wide=True)


def _table(title: str, name: str, keys: Keys) -> list[Shown]:
    if name not in keys.tables:
        return []
    return _show(title, wr.WeavePanelSummaryTable(table_name=name), [name], wide=True)


def _confusion(keys: Keys) -> list[Shown]:
    """W&B's own confusion matrix, which lays the runs that are chosen side by side."""
    name, title = "confusion_counts", "Confusion, runs side by side"
    if name not in keys.tables:
        return []
    panel = wr.CustomChart.from_table(name, _CONFUSION, {"title": title})
    panel.chart_name = "wandb/confusion_matrix/v1"
    return _show(title, panel, [name], wide=True)
