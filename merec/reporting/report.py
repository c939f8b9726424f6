"""Report: pools run folders and writes tables and a page."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from merec.csv_export import write_csv
from merec.evaluation.pooling import pool_runs
from merec.evaluation.predictions import export_megc2019_log
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.files import write_text
from merec.presentation.numbers_and_captions import describe_remarks, describe_results, make_slugs
from merec.presentation.table import Table
from merec.presentation.table_formats import print_table, write_latex, write_markdown, write_notes
from merec.reporting.contents import answer_action_units, answer_emotions
from merec.reporting.leaderboard import rank_results
from merec.reporting.notes import collect_warnings
from merec.reporting.page import write_page
from merec.reporting.sample_sheets import SHEETS
from merec.studies.answer import Answer
from merec.studies.scores import lay_out_scores_briefly

# Tables of results come before and between those of studies; further ones follow in the order of the page.
_ORDER = (
    *("scores", "classes", "seeds", "optimism", "published", "pretraining", "threshold"),
    *("modalities", "jitter", "leaderboard"),
)
# The page has these, which are wide.
_ON_PAGE_ONLY = ("classes", "ablation", "leaderboard")


def write_report(
    paths: Sequence[Path],
    out: Path,
    published: bool,
    console: Console | None = None,
    sheets: Path = SHEETS,
) -> list[Result]:
    """Pool finished runs and write the report.

    Nothing is written until everything is computed.

    Args:
        paths: Run folders, or folders that contain run folders; all must have the same protocol.
        out: Output folder for `report.html`, `table.md` and `table.tex`, a CSV with the numbers of each
            table, `predictions.csv`, and on MEGC2019 the challenge's logs in `megc2019-log/`.
        published: Whether published numbers are shown, if there are any.
        console: Console for the main table; the terminal by default.
        sheets: Folder in which `merec inspect` wrote sheets of samples, to which the page links.

    Raises:
        InputError: If a path contains no run, protocols differ, or a sample is missing or predicted twice.
    """
    with collect_warnings() as notes:
        results = pool_runs(find_runs(paths))
        if results[0].target.multilabel:
            answers = answer_action_units(results, notes)
        else:
            answers = answer_emotions(results, notes, published, out, sheets)
    page = _write_page(results, answers)
    frames = {"predictions": pool_predictions(results)}
    tables: dict[str, Table] = {}
    for answer in answers:
        frames |= answer.frames
        tables |= {label: table for label, table in answer.tables.items() if table}
    brief = dict(tables)  # a page and a terminal are narrow
    if not results[0].target.multilabel:
        tables = dict(sorted(tables.items(), key=lambda item: _place(item[0])))
        brief = tables | {"scores": lay_out_scores_briefly(results)}
        frames["leaderboard"] = rank_results(results)
        _write_logs(results, out)
    for name, frame in frames.items():
        write_csv(out / f"{name}.csv", frame)
    parts = [write_notes(notes), *map(write_markdown, tables.values())]
    write_text(out / "table.md", "\n".join(filter(None, parts)))
    latex = [write_latex(table, name) for name, table in brief.items()]
    write_text(out / "table.tex", "\n".join(["% needs \\usepackage{booktabs}", *latex]))
    write_text(out / "report.html", page)
    console = console or Console()
    for name, table in brief.items():
        if name not in _ON_PAGE_ONLY:
            print_table(console, table)
    for note in notes:
        if "passed over" in note:  # again, since tables have scrolled the warning away
            console.print(Text(f"Not in these tables, {note}"))
    # Unwrapped, so that it can be copied or clicked.
    console.print(out / "report.html", soft_wrap=True)
    return results


def _place(label: str) -> int:
    return _ORDER.index(label) if label in _ORDER else len(_ORDER)


def _write_page(results: Sequence[Result], answers: Sequence[Answer]) -> str:
    protocol = results[0].protocol
    title = f"{protocol.name}, {protocol.split}"
    if results[0].target.multilabel:
        title = f"Action units of {title}"
    return write_page(title, describe_remarks(results), describe_results(results), answers)


def pool_predictions(results: Sequence[Result]) -> pd.DataFrame:
    """Return all predictions, one row per result, seed and sample."""
    tables = [result.predictions.copy() for result in results]
    for result, table in zip(results, tables, strict=True):
        table.insert(0, "result", result.name)
    return pd.concat(tables, ignore_index=True)


def _write_logs(results: Sequence[Result], out: Path) -> None:
    """Write the logs of the MEGC2019 challenge, if this is its protocol."""
    slugs = make_slugs([result.name for result in results])
    for slug, result in zip(slugs, results, strict=True):
        if not result.protocol.name.startswith("megc2019"):
            continue
        for seed, predictions in result.predictions.groupby("seed"):
            export_megc2019_log(out / "megc2019-log" / f"{slug}-seed{seed}.txt", predictions)
