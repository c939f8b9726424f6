"""Prediction of each held-out sample, by subject, with its sheet to look at."""

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
    """The samples of a subject.

    Attributes:
        anchor: Its id on the page.
        table: A row per sample.
        links: Where samples lead to, by row and column.
        command: What makes the sheets that are missing; empty if none is or none can be made.
    """

    anchor: str
    table: Table
    links: Mapping[tuple[int, str], str]
    command: str


class Samples(NamedTuple):
    """Samples of a report and how to read them, by subject."""

    about: str
    subjects: Sequence[SubjectSamples]


@dataclass(frozen=True)
class Sheets:
    """Sheets of samples.

    Attributes:
        folder: Folder in which `merec inspect` writes them.
        links: Where each sample's lies, as a page refers to it.
    """

    folder: Path = SHEETS
    links: Mapping[str, str] = field(default_factory=dict)


def answer_samples(results: Sequence[Result], out: Path, sheets: Path) -> Answer:
    """Show what each sample was taken for, linked from a page in `out` with its sheet in `sheets`."""
    links = {
        sample_id: quote(Path(os.path.relpath(sheet, out)).as_posix())
        for sample_id, sheet in find_sheets(results[0].predictions, sheets).items()
    }
    return Answer("Samples", [list_samples(results, Sheets(sheets, links))])


def list_samples(results: Sequence[Result], sheets: Sheets) -> Samples:
    """List every subject's samples, each linked with its sheet, and the command that makes missing ones."""
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
    """Say how to read the tables, and what the links are."""
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
    """Say what a result took each sample for, in a few words."""
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
