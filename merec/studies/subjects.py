"""Scores of each held-out subject."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.evaluation.results import Result
from merec.presentation.figure_style import (
    MEDIUM,
    ON_DARK,
    ON_LIGHT,
    SMALL,
    draw_cells,
    measure_row,
    plain,
    wrap,
)
from merec.presentation.numbers_and_captions import (
    describe_results,
    format_number,
    make_slugs,
    name_subset,
    order_naturally,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer, Folded, Picture


def answer(results: Sequence[Result]) -> Answer:
    """Draw the accuracy of each subject, with a collapsed table of the numbers."""
    subjects = score_subjects(results)
    by_result = subjects.groupby(["result", "corpus", "subject"], sort=False)["accuracy"]
    spread = by_result.mean().groupby("result", sort=False).describe()
    alt = f"Heat map: accuracy of each of {results[0].protocol.subjects} subjects: " + "; ".join(
        f"{name} median {format_number(row['50%'], 3)}, from {format_number(row['min'], 3)} to "
        f"{format_number(row['max'], 3)}"
        for name, row in spread.iterrows()
    )
    caption = (
        "Percent of each held-out subject's samples named rightly, mean over seeds; in brackets "
        "the number of samples."
    )
    picture = Picture("subjects", draw_subjects(subjects), alt, caption)
    table = lay_out_subjects(results)
    anchors = {
        (name_subset(corpus), subject): anchor
        for (corpus, subject), anchor in name_anchors(results).items()
    }
    links = {
        (number, "Subject"): f"#{anchors[cells[0], cells[1]]}"
        for number, cells in enumerate(table.cells)
    }
    return Answer("Subjects", [picture, Folded(table, links)], frames={"subjects": subjects})


def name_anchors(results: Sequence[Result]) -> dict[tuple[str, str], str]:
    """Return the id of each subject's samples on a page, by data set and subject."""
    by_subject = results[0].predictions.groupby(["corpus", "subject"])
    keys = [(str(corpus), str(subject)) for corpus, subject in by_subject.groups]
    slugs = make_slugs([f"samples of {corpus} {subject}" for corpus, subject in keys])
    return dict(zip(keys, slugs, strict=True))


def score_subjects(results: Sequence[Result]) -> pd.DataFrame:
    """Count correctly predicted samples, one row per result, seed and subject.

    UF1 per subject is not computed, since a subject has few samples and rarely all classes.
    """
    rows = []
    for result in results:
        table = result.predictions
        table = table.assign(correct=(table["label"] == table["predicted"]).astype(int))
        by = table.groupby(["seed", "corpus", "subject", "fold"], as_index=False)
        counted = by.agg(samples=("correct", "size"), correct=("correct", "sum"))
        for place, (name, value) in enumerate(result.identity.items()):
            counted.insert(place, name, value)
        rows.append(counted.assign(accuracy=counted["correct"] / counted["samples"]))
    return pd.concat(rows, ignore_index=True)


def lay_out_subjects(results: Sequence[Result]) -> Table:
    """Lay out accuracy of each subject, one column per result."""
    by = ["corpus", "subject", "samples", "result"]
    mean = score_subjects(results).groupby(by, sort=False)["accuracy"].mean()
    wide = _sort(mean.unstack("result")[[result.name for result in results]])
    rows = [
        {
            "Data set": name_subset(row["corpus"]),
            "Subject": row["subject"],
            "n": str(row["samples"]),
        }
        | {result.name: format_number(row[result.name], 3) for result in results}
        for row in wide.reset_index().to_dict("records")
    ]
    caption = f"{describe_results(results)} Accuracy of each held-out subject, mean over seeds."
    return Table("Per subject", caption, pd.DataFrame(rows))


def _sort(table: pd.DataFrame) -> pd.DataFrame:
    """Sort the rows by data set and subject, with numbers by value."""
    return table.loc[sorted(table.index, key=lambda row: order_naturally(*row))]


def draw_subjects(subjects: pd.DataFrame) -> Figure:
    """Draw the accuracy of each subject for each result, averaged over seeds, in blocks by data set.

    Args:
        subjects: See `score_subjects`.
    """
    by = ["corpus", "subject", "samples", "result"]
    mean = subjects.groupby(by, sort=False)["accuracy"].mean().unstack("result")
    mean = _sort(mean[subjects["result"].unique()])
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
    """Draw cells of percent, dark for low."""
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
