"""Kinds of W&B panels of a dashboard; panels are created only for logged keys."""

from dataclasses import dataclass
from hashlib import sha256

import wandb_workspaces.reports.v2 as wr
from wandb_workspaces.reports.v2.interface import MetricType, Panel

from merec.run_folder.logged_keys import Keys

_CONFUSION = {"Actual": "true", "Predicted": "predicted", "nPredictions": "samples"}
_MOST_RUNS = 500  # W&B draws ten unless told otherwise


@dataclass(frozen=True)
class Chart:
    """Panel with its title and the keys that it reads."""

    title: str
    panel: Panel
    names: list[str]


def _show(title: str, panel: Panel, names: list[str], wide: bool = False) -> list[Chart]:
    """Return a panel with an id derived from its content, so that files are reproducible."""
    panel.layout = wr.Layout(w=24 if wide else 12, h=12 if wide else 9)
    panel._id = sha256(" ".join([title, *names]).encode()).hexdigest()[:11]
    return [Chart(title, panel, names)]


def shorten(name: str) -> str:
    """Return the last part of a dotted name."""
    return name.rpartition(".")[2]


def draw_bars(
    title: str, metrics: list[str], keys: Keys, by: str | None, needs: str | None = None
) -> list[Chart]:
    """Draw bars of scores, averaged over the runs of each kind; none if `needs` was not logged."""
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


def draw_scatter(title: str, x: str, y: str, keys: Keys) -> list[Chart]:
    """Draw one score over another."""
    if not {x, y} <= set(keys.scores):
        return []
    panel = wr.ScatterPlot(title=title, x=wr.SummaryMetric(x), y=wr.SummaryMetric(y))
    return _show(title, panel, [x, y])


def draw_parallel(settings: list[str], scores: list[str], keys: Keys) -> list[Chart]:
    """Draw the settings and scores of each run as a line."""
    settings = [name for name in settings if name in keys.config]
    scores = [name for name in scores if name in keys.scores]
    if not settings or not scores:
        return []
    title = "What was chosen and what came of it"
    columns = [
        *(wr.ParallelCoordinatesPlotColumn(wr.Config(name), shorten(name)) for name in settings),
        *(wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(name), name) for name in scores),
    ]
    panel = wr.ParallelCoordinatesPlot(title=title, columns=columns)
    return _show(title, panel, [*settings, *scores], wide=True)


def draw_curves(title: str, lines: list[str], keys: Keys, by: str | None) -> list[Chart]:
    """Draw curves over epochs."""
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


def draw_picture(title: str, name: str, keys: Keys) -> list[Chart]:
    """Draw a picture of each run."""
    if name not in keys.pictures:
        return []
    panel = wr.MediaBrowser(title=title, media_keys=[name], mode="gallery", gallery_axis="run")
    return _show(title, panel, [name], wide=True)


def draw_table(title: str, name: str, keys: Keys) -> list[Chart]:
    """Draw a table of each run."""
    if name not in keys.tables:
        return []
    return _show(title, wr.WeavePanelSummaryTable(table_name=name), [name], wide=True)


def draw_confusion(keys: Keys) -> list[Chart]:
    """Draw W&B's confusion matrix, which compares the selected runs."""
    name, title = "confusion_counts", "Confusion, runs side by side"
    if name not in keys.tables:
        return []
    panel = wr.CustomChart.from_table(name, _CONFUSION, {"title": title})
    panel.chart_name = "wandb/confusion_matrix/v1"
    return _show(title, panel, [name], wide=True)
