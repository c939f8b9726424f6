"""Findings of `merec doctor` as tables for the terminal, and as a CSV."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from merec.corpora.doctor import SEVERITIES, Examination
from merec.csv_export import write_csv
from merec.presentation.numbers_and_captions import format_list
from merec.presentation.table import Table
from merec.presentation.table_formats import print_table
from merec.types import Finding

MOST = 20  # rows of one kind on the screen
WHOLE = ("erratum",)  # shown to the last row: they are part of the protocol


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write all findings as a CSV, atomically; without findings only its header."""
    table = pd.DataFrame(findings, columns=list(Finding._fields))
    table["row"] = table["row"].astype("Int64")
    write_csv(path, table.rename(columns={"row": "row_from_0"}))


def print_findings(
    examination: Examination, written: Path | None, console: Console | None = None
) -> None:
    """Print the findings by severity and kind, errors last, and a summary of the examination.

    Args:
        examination: Result of the doctor, with its findings.
        written: CSV with all findings, if it was written.
        console: Console; the terminal by default.
    """
    console = console or Console()
    errors_last = sorted(
        examination.findings, key=lambda finding: -SEVERITIES.index(finding.severity)
    )
    for (severity, kind), group in groupby(
        errors_last, key=lambda finding: (finding.severity, finding.kind)
    ):
        print_table(console, lay_out_findings(severity, kind, list(group), written))
    console.print(Text(describe_examination(examination)))
    if written:
        console.print(Text(f"All findings: {written}"))


def lay_out_findings(
    severity: str, kind: str, findings: Sequence[Finding], written: Path | None
) -> Table:
    """Lay out the findings of one kind as a table; a common remedy is placed below it."""
    listed = findings if kind in WHOLE else findings[:MOST]
    remedies = {finding.remedy for finding in listed}
    rows = pd.DataFrame(
        [
            {
                "Row from 0": "" if finding.row is None else str(finding.row),
                "Sample": finding.sample_id,
                "Where": finding.where,
                "Found": finding.found,
                "What to do": finding.remedy,
            }
            for finding in listed
        ]
    )
    empty = [name for name in ("Row from 0", "Sample", "Where") if not rows[name].any()]
    rows = rows.drop(columns=empty)
    notes = []
    if len(remedies) == 1 and len(listed) > 1:
        rows = rows.drop(columns="What to do")
        notes.append(f"What to do: {next(iter(remedies))}.")
    if len(findings) > len(listed):
        place = "in the CSV" if written else "(out=FILE.csv lists all)"
        notes.append(f"… and {len(findings) - len(listed)} more {place}.")
    return Table(f"{severity}: {kind} ({len(findings)})", " ".join(notes), rows)


def describe_examination(examination: Examination) -> str:
    """Describe samples, classes, frames and the verdict in a few lines."""
    corpus, protocol = examination.corpus, examination.corpus.protocol
    counts = corpus.index["label"].value_counts()
    classes = [f"{name} {counts.get(n, 0)}" for n, name in enumerate(protocol.classes)]
    lines = [
        f"{protocol.name} ({protocol.hash}): {protocol.samples} samples, {protocol.subjects} "
        f"subjects; {format_list(classes)}."
    ]
    if corpus.flow_maps is not None:
        lines.append(f"{len(corpus.flow_maps)} flow maps; there are no frames to look at.")
    else:
        other_findings = [
            f"{len(table)} {what}"
            for table, what in (
                (corpus.macro, "macro-expressions"),
                (corpus.unlabelled, "unlabelled clips"),
            )
            if table is not None
        ]
        beside = f" (with {' and '.join(other_findings)})" if other_findings else ""
        lines.append(
            f"{examination.clips:,} clips{beside}; of {examination.wanted:,} frames from onset to "
            f"offset {examination.color:,} lie there in colour and {examination.depth:,} in depth; "
            f"{examination.opened:,} images were opened."
        )
        if examination.sparse:
            lines.append(f"Of {format_list(examination.sparse)} only key frames lie there.")
    verdict = [
        f"{number} {severity}{'' if number == 1 else 's'}"
        for severity in ("error", "warning", "note")
        if (number := examination.count(severity))
    ]
    lines.append(f"Found: {format_list(verdict)}." if verdict else "Nothing was found.")
    return "\n".join(lines)
