"""Importance of facial regions for networks on points, compared with coded action units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.evaluation.results import Result, Score
from merec.evaluation.subject_bootstrap import mean_interval
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
from merec.presentation.numbers_and_captions import (
    describe_interval,
    describe_results,
    format_interval,
    format_number,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer, Picture

# Of a fold: columns and their kinds.
TABLES = {
    "regions": {
        "sample_id": "text",
        "region": "text",
        "importance": "number",
        "coded": "truth",
    },
    "adjacency": {
        "layer": "whole",
        "from_region": "text",
        "to_region": "text",
        "weight": "number",
    },
}
_CELL = 0.72  # inch


@dataclass(frozen=True)
class Agreement:
    """Agreement of importance with coded action units: whether moved regions are more important.

    Attributes:
        auc: Probability that a moved region is more important, mean over samples and seeds; chance is .5.
        samples: Number of samples with moved and unmoved regions.
        subjects: Number of subjects of these samples.
    """

    auc: Score
    samples: int
    subjects: int


@dataclass(frozen=True)
class Explanation:
    """Importance of each region for the networks of a result.

    Attributes:
        regions: One row per seed, sample and region: `importance` and `coded` of the folds, `subject` and
            `predicted` of the sample.
        adjacency: One row per seed, fold, layer and pair of regions: `from_region`, `to_region`, `weight`;
            empty if no graph is learned.
        names: Regions in order.
        classes: Class names in label order.
    """

    regions: pd.DataFrame
    adjacency: pd.DataFrame
    names: list[str]
    classes: tuple[str, ...]

    def average_importance(self) -> pd.DataFrame:
        """Compute mean importance of each region (columns) over the samples of each predicted class (rows).

        NaN if a class is never predicted.
        """
        mean = self.regions.groupby(["predicted", "region"])["importance"].mean().unstack()
        mean = mean.reindex(index=range(len(self.classes)), columns=self.names)
        return mean.set_axis(list(self.classes))

    def count_predicted(self) -> list[int]:
        """Count the predictions of each class over all seeds."""
        counts = self.regions["predicted"].value_counts() // len(self.names)
        return [int(counts.get(number, 0)) for number in range(len(self.classes))]

    def average_adjacency(self) -> pd.DataFrame | None:
        """Return the absolute adjacency weights, averaged over layers and folds.

        Entry (i, j) is the weight of region j when region i aggregates the others; `None` if none is learned.
        """
        if self.adjacency.empty:
            return None
        strength = self.adjacency.assign(weight=self.adjacency["weight"].abs())
        mean = strength.groupby(["to_region", "from_region"])["weight"].mean().unstack()
        return mean.loc[self.names, self.names]

    def compare_with_action_units(self) -> Agreement | None:
        """Compute the AUC of the importance for the coded regions; `None` if no sample can be compared."""
        wide = self.regions.pivot(index=["seed", "subject", "sample_id"], columns="region")
        auc = rank_coded(wide["importance"].to_numpy(), wide["coded"].to_numpy(bool))
        compared = np.isfinite(auc)
        if not compared.any():
            return None
        values = wide.index[compared]
        subjects = values.get_level_values("subject").to_numpy(str)
        interval = mean_interval(auc[compared], subjects)
        return Agreement(
            Score(float(auc[compared].mean()), *interval),
            values.get_level_values("sample_id").nunique(),
            len(np.unique(subjects)),
        )


def answer(results: Sequence[Result]) -> Answer:
    """Show the importance of each region for each result; empty if no network reads points."""
    explanations = [(result, read_explanation(result)) for result in results]
    explained = [(result, explanation) for result, explanation in explanations if explanation]
    parts: list[object] = []
    for result, explanation in explained:
        parts.append(_show_importance(result, explanation))
        strength = explanation.average_adjacency()
        if strength is not None:
            parts.append(_show_adjacency(result, strength))
    table = lay_out_agreement(explained)
    return Answer("Regions", [table, *parts] if table else parts)


def _show_importance(result: Result, explanation: Explanation) -> Picture:
    mean = explanation.average_importance()
    alt = f"Importance of each region to {result.name}, by predicted class: " + "; ".join(
        f"{name} most {row.idxmax()} {format_number(row.max(), 3)}"
        for name, row in mean.dropna().iterrows()
    )
    caption = (
        f"{result.name}: probability of the predicted class less that with the region at rest (its "
        "motion zero, its structure kept), mean over the held-out samples of each predicted class, all "
        "folds and seeds. Left is the image's left, the subject's right."
    )
    figure = draw_importance(explanation, result.name)
    return Picture(f"importance-{result.key}", figure, alt, caption)


def _show_adjacency(result: Result, strength: pd.DataFrame) -> Picture:
    region, source = strength.stack().idxmax()
    alt = (
        f"Learned adjacency of {result.name}, a heat map of {len(strength)} regions: most "
        f"{format_number(strength.to_numpy().max(), 3)}, {region} from {source}"
    )
    caption = f"{result.name}: learned adjacency, mean |weight| of all layers, folds and seeds."
    figure = draw_adjacency(strength, result.name)
    return Picture(f"adjacency-{result.key}", figure, alt, caption)


def read_explanation(result: Result) -> Explanation | None:
    """Read the importance tables of a result; `None` if its networks do not read points."""
    tables = {
        name: pd.concat([run.read_table(name, kinds) for run in result.runs], ignore_index=True)
        for name, kinds in TABLES.items()
    }
    if tables["regions"].empty:
        return None
    predictions = result.predictions[["seed", "sample_id", "subject", "predicted"]]
    regions = tables["regions"].merge(predictions, on=["seed", "sample_id"], validate="many_to_one")
    names = regions["region"].unique().tolist()
    return Explanation(regions, tables["adjacency"], names, result.protocol.classes)


def rank_coded(
    importance: Float[np.ndarray, "samples regions"], coded: Bool[np.ndarray, "samples regions"]
) -> Float[np.ndarray, " samples"]:
    """Compute the probability that a coded region is more important than an uncoded one; ties count half.

    NaN if all or none are coded. It is the area under the ROC curve (Hanley & McNeil 1982).
    """
    difference = importance[:, :, None] - importance[:, None, :]
    pairs = coded[:, :, None] & ~coded[:, None, :]
    wins = (pairs * (np.sign(difference) + 1) / 2).sum((1, 2))
    count = pairs.sum((1, 2))
    return np.divide(wins, count, out=np.full(len(count), np.nan), where=count > 0)


def draw_importance(explanation: Explanation, title: str) -> Figure:
    """Draw the mean importance of each region for each predicted class.

    Args:
        explanation: Importance of regions for the networks.
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
    """Draw the learned adjacency matrix; row i weighs the regions that region i aggregates.

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
    """Return an empty figure for a table of cells under a title."""
    height, width = values.shape
    size = (_CELL * width + margin, 0.55 * _CELL * height + 1.6)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(wrap(title, 70), fontsize=LARGE)
    return figure


def _draw_numbers(
    axes: Axes, values: pd.DataFrame, colours: str, least: float, most: float
) -> None:
    """Draw cells with their numbers (blank for NaN), and the names of regions below."""
    draw_cells(axes, values.to_numpy(), colours, least, most)
    for (row, column), value in np.ndenumerate(values.to_numpy()):
        if np.isfinite(value):
            colour = ON_DARK if abs(value) > 0.7 * most else ON_LIGHT
            text = format_number(value, 3)
            axes.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=colour)
    axes.set_xticks(range(values.shape[1]), values.columns, fontsize=SMALL, rotation=30, ha="right")


def lay_out_agreement(explained: Sequence[tuple[Result, Explanation]]) -> Table | None:
    """Lay out the AUC of each result's importance for the coded regions; `None` if nothing is coded."""
    rows = []
    for result, explanation in explained:
        agreement = explanation.compare_with_action_units()
        if agreement is not None:
            interval = format_interval(agreement.auc.value, agreement.auc.low, agreement.auc.high)
            cells = {"Method": result.name, "n": str(agreement.samples)}
            rows.append(cells | {"Subjects": str(agreement.subjects), "AUC": interval})
    if not rows:
        return None
    caption = (
        f"{describe_results([result for result, _ in explained])} AUC: probability that a region which a "
        "coded action unit moves (FACS, Ekman, Friesen & Hager 2002) is more important to the network than "
        f"one that none moves, mean over samples and seeds "
        f"[{describe_interval()}]; chance is .5. n: samples with regions of both kinds."
    )
    return Table("Regions and coded action units", caption, pd.DataFrame(rows))
