"""Run folders in, tables and a page out."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from rich.console import Console

from merec.evaluation.pooling import pool_runs
from merec.evaluation.predictions import export_megc2019_log
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.files import write_csv, write_text
from merec.presentation.notation import make_slugs
from merec.presentation.table_formats import print_table, write_latex, write_markdown, write_notes
from merec.reporting.ablation import lay_out_ablation, lay_out_modalities
from merec.reporting.action_units import write_units_report
from merec.reporting.calibration import lay_out_calibration
from merec.reporting.html import write_page
from merec.reporting.jitter import lay_out_jitter
from merec.reporting.leaderboard import lay_out_leaderboard, rank_results
from merec.reporting.notes import collect_warnings
from merec.reporting.pretraining import lay_out_pretraining
from merec.reporting.samples import Sheets
from merec.reporting.setting_curves import name_study, show_studies, write_studies
from merec.reporting.sheets import SHEETS, find_sheets
from merec.reporting.summary import Summary, pool_predictions, summarize
from merec.reporting.tables import (
    lay_out_classes,
    lay_out_optimism,
    lay_out_published,
    lay_out_scores,
    lay_out_scores_briefly,
    lay_out_seeds,
)
from merec.reporting.threshold import lay_out_thresholds


def write_report(
    paths: Sequence[Path],
    out: Path,
    published: bool,
    console: Console | None = None,
    sheets: Path = SHEETS,
) -> list[Result]:
    """Pool finished runs and write everything that can be said about them.

    Nothing is written unless all of it could be computed.

    Args:
        paths: Run folders, or folders that hold some; all of one protocol.
        out: Where to: `report.html`, `table.md` and `table.tex`; raw numbers in `table.csv`
            (scores), `guesses.csv`, `leaderboard.csv`, `classes.csv`, `subjects.csv`, `optimism.csv`,
            `pretraining.csv`, `threshold.csv`, `modalities.csv`, `ablation.csv` (of classes),
            `calibration.csv`, `jitter.csv`, `depth_noise.csv`, `train_subjects.csv` (rows only where that was
            varied) and `predictions.csv`; on MEGC2019 the challenge's logs in
            `megc2019-log/`. Of action units see `write_units_report`.
        published: Whether published numbers stand beside ours, where there are any.
        console: Where to print the main table; the terminal by default.
        sheets: Where `merec inspect` wrote sheets of samples, which the page refers to from `out`.

    Raises:
        InputError: If a path holds no run, protocols differ, or a sample is missing or predicted
            twice.
    """
    with collect_warnings() as notes:
        results = pool_runs(find_runs(paths))
        if results[0].target.multilabel:
            write_units_report(results, out, console or Console(), notes)
            return results
        summary = summarize(results)
    summary = replace(summary, notes=tuple(notes))
    tables = {"scores": lay_out_scores(summary), "classes": lay_out_classes(summary)}
    by_seed = lay_out_seeds(summary.results)
    if by_seed is not None:
        tables["seeds"] = by_seed
    if not summary.optimism.empty:
        tables["optimism"] = lay_out_optimism(summary.results, summary.optimism)
    beside = lay_out_published(summary) if published else None
    if beside is not None:
        tables["published"] = beside
    studies = {
        "pretraining": lay_out_pretraining(summary.results, summary.pretraining),
        "threshold": lay_out_thresholds(summary),
        "modalities": lay_out_modalities(summary),
        "jitter": lay_out_jitter(summary),
        "leaderboard": lay_out_leaderboard(summary) if published else None,
    }
    tables |= {name: table for name, table in studies.items() if table is not None}
    curves = show_studies(summary.results, summary.guesses)
    tables |= {name_study(one.study): one.table for one in curves}
    tables["ablation"] = lay_out_ablation(summary)
    tables["calibration"] = lay_out_calibration(summary)
    links = Sheets(sheets, _link_sheets(results, out, sheets))
    page = write_page(summary, published, links, curves)

    _write_raw(summary, out)
    write_studies(curves, out)
    parts = [write_notes(summary.notes), *map(write_markdown, tables.values())]
    write_text(out / "table.md", "\n".join(filter(None, parts)))
    brief = lay_out_scores_briefly(summary)  # a page and a terminal are narrow
    latex = [write_latex(table, name) for name, table in (tables | {"scores": brief}).items()]
    write_text(out / "table.tex", "\n".join(["% needs \\usepackage{booktabs}", *latex]))
    write_text(out / "report.html", page)

    console = console or Console()
    for name, table in (tables | {"scores": brief}).items():
        # The page has these, which are wide; beside a score its optimism is always shown.
        if name not in ("classes", "ablation", "leaderboard"):
            print_table(console, table)
    # Unwrapped, so that it can be copied or clicked.
    console.print(out / "report.html", soft_wrap=True)
    return results


def _link_sheets(results: Sequence[Result], out: Path, sheets: Path) -> dict[str, str]:
    """Where the sheet of each sample lies, seen from the page."""
    found = find_sheets(results[0].predictions, sheets)
    return {
        sample_id: quote(Path(os.path.relpath(sheet, out)).as_posix())
        for sample_id, sheet in found.items()
    }


def _write_raw(summary: Summary, out: Path) -> None:
    """CSV files with every digit, and the logs of the MEGC2019 challenge."""
    frames: dict[str, pd.DataFrame] = {
        "table": summary.scores,
        "guesses": summary.guesses,
        "leaderboard": rank_results(summary),
        "classes": summary.classes,
        "subjects": summary.subjects,
        "predictions": pool_predictions(summary.results),
        # Without rows where there is nothing to say: an older report's must not stay behind.
        "optimism": summary.optimism,
        "pretraining": summary.pretraining,
        "threshold": summary.thresholds,
        "modalities": summary.modalities,
        "ablation": summary.ablation,
        "calibration": summary.calibration,
        "jitter": summary.jitters,
    }
    for name, frame in frames.items():
        write_csv(out / f"{name}.csv", frame)
    slugs = make_slugs([result.name for result in summary.results])
    for slug, result in zip(slugs, summary.results, strict=True):
        if not result.protocol.name.startswith("megc2019"):
            continue
        for seed, predictions in result.predictions.groupby("seed"):
            export_megc2019_log(out / "megc2019-log" / f"{slug}-seed{seed}.txt", predictions)
