"""Page, pictures and table of explained predictions."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.csv_export import write_csv
from merec.evaluation.subject_bootstrap import mean_interval
from merec.explain.explained_sample import ExplainedSample
from merec.features.regions import REGIONS
from merec.files import write_text
from merec.presentation.figure_style import plain
from merec.presentation.numbers_and_captions import format_interval, format_number
from merec.reporting.page import fill

_DPI = 100
_COLOURS = "viridis"


def write_explanations(
    samples: Sequence[ExplainedSample], heading: str, method: str, out: Path
) -> tuple[Path, Path, str]:
    """Write a page with a picture of each sample, and a table with the scores.

    Args:
        samples: Explained samples.
        heading: Names the network.
        method: Method of the explanation.
        out: Folder to write to.

    Returns:
        The page (HTML, self-contained), the table (CSV), and a sentence that sums up.
    """
    table = tabulate(samples)
    summary = sum_up(table, method)
    pictures = [
        {"title": _describe(sample), "png": _encode(draw_explanation(sample)), "reason": ""}
        for sample in samples
    ]
    page, file = out / "explanation.html", out / "explanation.csv"
    write_text(page, fill("sheets.html", heading=heading, note=summary, samples=pictures))
    write_csv(file, table)
    return page, file, summary


def tabulate(samples: Sequence[ExplainedSample]) -> pd.DataFrame:
    """Tabulate the AUC of importance, and of the measured motion itself, for the truly moving places.

    Returns:
        One row per sample: `sample_id`, `subject`, `predicted`, `auc_importance`, `auc_motion` (NaN where the
        truth is not known, or all or no places move).
    """
    return pd.DataFrame(
        {
            "sample_id": [sample.sample_id for sample in samples],
            "subject": [sample.subject for sample in samples],
            "predicted": [" ".join(sample.predicted) for sample in samples],
            "auc_importance": [sample.rank(sample.importance) for sample in samples],
            "auc_motion": [sample.rank(sample.length) for sample in samples],
        }
    )


def sum_up(table: pd.DataFrame, method: str) -> str:
    """Say how well importance finds the truly moving places, beside the measured motion as a control."""
    judged = table.dropna(subset=["auc_importance"])
    if judged.empty:
        return (
            f"Importance of the motion of each place by {method}. Where the skin truly moves is known of "
            "rendered faces only, so nothing judges these explanations."
        )
    subjects = judged["subject"].to_numpy(str)
    scores = []
    for column in ("auc_importance", "auc_motion"):
        values = judged[column].to_numpy()
        scores.append(format_interval(float(values.mean()), *mean_interval(values, subjects)))
    return (
        f"Importance of the motion of each place by {method}, judged by where the skin of the rendered face "
        f"truly moves: AUC {scores[0]}; the length of the measured motion, without any network, {scores[1]}; "
        f"chance .5. {len(judged)} samples of {len(np.unique(subjects))} subjects, intervals over subjects."
    )


def draw_explanation(sample: ExplainedSample) -> Figure:
    """Draw the importance of each point and each region, and the true motion if it is known."""
    panels = 1 + (sample.moving is not None) + bool(len(sample.regions))
    figure = Figure(figsize=(4.4 * panels, 4.4), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, panels)))
    largest = sample.importance.max() or 1.0
    _scatter(axes[0], sample, sample.importance / largest, "importance, largest = 1")
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), _COLOURS)
    figure.colorbar(scale, ax=axes[0], shrink=0.7)
    if sample.moving is not None:
        _scatter(axes[1], sample, sample.moving.astype(float), "the skin truly moves")
    if len(sample.regions):
        names = [name.replace(" and ", "\nand ") for name in REGIONS]
        axes[-1].barh(names[::-1], sample.regions[::-1], color="#0072B2")
        axes[-1].axvline(0, color="black", linewidth=0.8)
        axes[-1].set_title("probability lost if a region is at rest", fontsize=9)
        axes[-1].tick_params(labelsize=8)
    figure.suptitle(plain(_describe(sample)), fontsize=10)
    return figure


def _scatter(axes: Axes, sample: ExplainedSample, value: np.ndarray, title: str) -> None:
    axes.imshow(sample.onset)
    order = value.argsort(kind="stable")
    column, row = sample.place[order].T
    axes.scatter(column, row, c=value[order], s=9, cmap=_COLOURS, vmin=0, vmax=1)
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def _describe(sample: ExplainedSample) -> str:
    score = sample.rank(sample.importance)
    rating = f" · AUC {format_number(score, 3)}" if np.isfinite(score) else ""
    return f"{sample.sample_id} · predicted {' '.join(sample.predicted) or 'nothing'}{rating}"


def _encode(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return base64.b64encode(buffer.getvalue()).decode()
