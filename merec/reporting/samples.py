"""What each held-out sample was taken for, subject by subject, with its sheet to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import pandas as pd

from merec.evaluation.results import Result
from merec.presentation.notation import (
    describe_results,
    format_list,
    format_number,
    make_slugs,
    name_subset,
)
from merec.presentation.table import Table
from merec.reporting.elements import write_table
from merec.reporting.sheets import SHEETS, tell_command

_ABOUT = "about-samples"


@dataclass(frozen=True)
class Sheets:
    """Sheets of samples.

    Attributes:
        folder: Where `merec inspect` writes them.
        links: Where each sample's lies, as a page refers to it.
    """

    folder: Path = SHEETS
    links: Mapping[str, str] = field(default_factory=dict)


def name_anchors(results: Sequence[Result]) -> dict[tuple[str, str], str]:
    """The id of each subject's samples on a page, by data set and subject."""
    by_subject = results[0].predictions.groupby(["corpus", "subject"])
    keys = [(str(corpus), str(subject)) for corpus, subject in by_subject.groups]
    slugs = make_slugs([f"samples of {corpus} {subject}" for corpus, subject in keys])
    return dict(zip(keys, slugs, strict=True))


def write_samples(results: Sequence[Result], sheets: Sheets) -> str:
    """Every subject's samples folded away, each linked with its sheet, or the command that makes it."""
    samples = results[0].predictions.drop_duplicates("sample_id").sort_values("sample_id")
    said = {result.name: _say_predictions(result) for result in results}
    classes = results[0].protocol.classes
    about = f"{describe_results(results)} {_describe(results[0], sheets)}"
    parts = [f'<p class="caption" id="{_ABOUT}">{escape(about)}</p>', '<div class="folded">']
    anchors = name_anchors(results)
    for (corpus, subject), rows in samples.groupby(["corpus", "subject"]):
        ids = [str(sample_id) for sample_id in rows["sample_id"]]
        cells = pd.DataFrame(
            {
                "Sample": ids,
                "True class": [classes[label] for label in rows["label"]],
                **{name: [words[sample_id] for sample_id in ids] for name, words in said.items()},
            }
        )
        links = {
            (number, "Sample"): sheets.links[sample_id]
            for number, sample_id in enumerate(ids)
            if sample_id in sheets.links
        }
        title = f"{name_subset(str(corpus))}, subject {subject}"
        table = write_table(Table(title, "", cells), links=links, about=_ABOUT)
        absent = [sample_id for sample_id in ids if sample_id not in sheets.links]
        command = tell_command(results[0], absent, sheets.folder) if absent else None
        todo = f"<p>Not looked at yet:</p><pre>{escape(command)}</pre>" if command else ""
        parts.append(
            f"<details><summary>{escape(title)} (n = {len(ids)})</summary>"
            f'<div id="{anchors[str(corpus), str(subject)]}">{table}{todo}</div></details>'
        )
    return "\n".join([*parts, "</div>"])


def _describe(result: Result, sheets: Sheets) -> str:
    """How to read the tables, and what the links are."""
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
    """What a result took each sample for, in a few words."""
    classes, said = result.protocol.classes, {}
    for sample_id, rows in result.predictions.groupby("sample_id", sort=False):
        right = (rows["label"] == rows["predicted"]).tolist()
        mark = "✓" if all(right) else "~" if any(right) else "✗"
        if len(rows) == 1:
            name = classes[int(rows["predicted"].iloc[0])]
            words = f"{name} {format_number(float(rows[f'p_{name}'].iloc[0]), 3)}"
        else:
            counts = rows["predicted"].value_counts().sort_index()
            words = format_list([f"{classes[int(c)]} {n}×" for c, n in counts.items()])
        said[str(sample_id)] = f"{mark} {words}"
    return said
