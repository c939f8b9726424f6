"""Section of the predictions of all held-out samples, by subject, with links to their sheets."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd

from merec.evaluation.results import Result
from merec.presentation.numbers_and_captions import (
    describe_results,
    format_list,
    format_number,
    name_subset,
    order_naturally,
)
from merec.presentation.table import Table
from merec.reporting.sample_sheets import SHEETS, find_sheets, tell_command
from merec.studies.answer import Answer
from merec.studies.subjects import name_anchors


class SubjectSamples(NamedTuple):
    """Samples of a subject.

    Attributes:
        anchor: Id of the subject on the page.
        table: Table with one row per sample.
        links: Links of cells, by row and column.
        command: Command that creates missing sheets; empty if none are missing or none can be created.
    """

    anchor: str
    table: Table
    links: Mapping[tuple[int, str], str]
    command: str


class Samples(NamedTuple):
    """Samples of a report by subject, with an explanation."""

    about: str
    subjects: Sequence[SubjectSamples]


@dataclass(frozen=True)
class Sheets:
    """Sheets of samples.

    Attributes:
        folder: Output folder of `merec inspect`.
        links: Link of each sample's sheet, relative to the page.
    """

    folder: Path = SHEETS
    links: Mapping[str, str] = field(default_factory=dict)


def answer_samples(results: Sequence[Result], out: Path, sheets: Path) -> Answer:
    """Show the prediction of each sample; a page in `out` links to the sheets in `sheets`."""
    links = {
        sample_id: quote(Path(os.path.relpath(sheet, out)).as_posix())
        for sample_id, sheet in find_sheets(results[0].predictions, sheets).items()
    }
    return Answer("Samples", [list_samples(results, Sheets(sheets, links))])


def list_samples(results: Sequence[Result], sheets: Sheets) -> Samples:
    """List the samples of every subject with links to sheets, and the command for missing sheets."""
    samples = results[0].predictions.drop_duplicates("sample_id")
    names = samples[["corpus", "subject", "sample_id"]]
    order = sorted(samples.index, key=lambda row: order_naturally(*names.loc[row]))
    predictions = {result.name: _say_predictions(result) for result in results}
    classes, anchors = results[0].protocol.classes, name_anchors(results)
    subjects = []
    for (corpus, subject), rows in samples.loc[order].groupby(["corpus", "subject"], sort=False):
        ids = [str(sample_id) for sample_id in rows["sample_id"]]
        cells = pd.DataFrame(
            {
                "Sample": ids,
                "True class": [classes[label] for label in rows["label"]],
                **{
                    name: [words[sample_id] for sample_id in ids]
                    for name, words in predictions.items()
                },
            }
        )
        links = {
            (number, "Sample"): sheets.links[sample_id]
            for number, sample_id in enumerate(ids)
            if sample_id in sheets.links
        }
        absent = [sample_id for sample_id in ids if sample_id not in sheets.links]
        command = tell_command(results[0], absent, sheets.folder) if absent else None
        table = Table(f"{name_subset(str(corpus))}, subject {subject}", "", cells)
        anchor = anchors[str(corpus), str(subject)]
        subjects.append(SubjectSamples(anchor, table, links, command or ""))
    return Samples(f"{describe_results(results)} {_describe(results[0], sheets)}", subjects)


def _describe(result: Result, sheets: Sheets) -> str:
    """Explain the tables and their links."""
    text = (
        "The class each held-out sample was taken for, with its probability; of several seeds, how many "
        "said so. ✓ right, ✗ wrong, ~ right under some seeds."
    )
    if sheets.links:
        return f"{text} A sample leads to its sheet in {sheets.folder}; see merec inspect."
    if tell_command(result, ["SAMPLE"], sheets.folder):
        return f"{text} Once merec inspect has made its sheet, a new report links a sample with it."
    return text


def _say_predictions(result: Result) -> dict[str, str]:
    """Return the prediction of a result for each sample as short text."""
    classes, predictions = result.protocol.classes, {}
    for sample_id, rows in result.predictions.groupby("sample_id", sort=False):
        right = (rows["label"] == rows["predicted"]).tolist()
        mark = "✓" if all(right) else "~" if any(right) else "✗"
        if len(rows) == 1:
            name = classes[int(rows["predicted"].iloc[0])]
            words = f"{name} {format_number(float(rows[f'p_{name}'].iloc[0]), 3)}"
        else:
            counts = rows["predicted"].value_counts().sort_index()
            words = format_list([f"{classes[int(c)]} {n}×" for c, n in counts.items()])
        predictions[str(sample_id)] = f"{mark} {words}"
    return predictions
