"""Action units, for people: how well each is told, beside saying that it is always there."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from merec.evaluation.pretraining import compare_starts
from merec.evaluation.results import IDENTITY, Result
from merec.evaluation.roc_auc import STABLE
from merec.files import write_csv, write_text
from merec.presentation.notation import (
    describe_interval,
    describe_remarks,
    describe_results,
    format_interval,
    format_number,
)
from merec.presentation.table import Table
from merec.presentation.table_formats import print_table, write_latex, write_markdown, write_notes
from merec.reporting.elements import write_document, write_figure, write_list, write_table
from merec.reporting.figures import draw_units
from merec.reporting.forest import lay_out_unit_scores, write_beside_controls
from merec.reporting.html import write_curves, write_pretraining, write_runs
from merec.reporting.pretraining import lay_out_pretraining
from merec.reporting.setting_curves import name_study, show_studies, write_studies
from merec.reporting.summary import pool_predictions, read_optimism
from merec.reporting.tables import lay_out_optimism, lay_out_seeds
from merec.targets.action_units import THRESHOLD


def lay_out_units(results: Sequence[Result]) -> Table:
    """F1 of each action unit and their mean, one column per result; of a single one the area too."""
    scores = {result.name: result.score_units() for result in results}
    rows = []
    for number, (_, unit) in enumerate(next(iter(scores.values())).iterrows()):
        cells = {
            "Action unit": unit["unit"] if unit["stable"] else f"{unit['unit']} *",
            "n": str(unit["samples"]),
            "Subjects": str(unit["subjects"]),
            "Always present": format_number(unit["chance"]),
            "By frequency": format_number(unit["by_frequency"]),
        }
        for name, table in scores.items():
            own = table.iloc[number]
            title = "F1" if len(scores) == 1 else name
            cells[title] = format_interval(own["f1"], own["low"], own["high"])
            if len(scores) == 1:
                cells["AUC"] = format_interval(own["auc"], own["auc_low"], own["auc_high"])
        rows.append(cells)
    unstable = [str(row["Action unit"]) for row in rows if str(row["Action unit"]).endswith("*")]
    if unstable:
        unstable = [f"*: shown by fewer than {STABLE} samples, so that its scores are unstable."]
    caption = (
        f"{describe_results(results)} F1 of being present, all folds pooled, mean over seeds "
        f"[{describe_interval()}]; present: a probability of {THRESHOLD:g} or more, fixed "
        "beforehand. n, Subjects: that show it. Always present: F1 of saying so of every sample; never: 0. "
        "By frequency: of random guesses as frequent as the unit is, mean of draws. mean: of "
        "all action units alike."
    )
    caption = " ".join([caption, *unstable])
    return Table("Action units", caption, pd.DataFrame(rows))


def lay_out_areas(results: Sequence[Result]) -> list[Table]:
    """Area under the curve of each action unit, one column per result; of a single one it is beside F1."""
    if len(results) == 1:
        return []
    scores = {result.name: result.score_units() for result in results}
    first = next(iter(scores.values()))
    rows = pd.DataFrame(
        {
            "Action unit": [
                unit if stable else f"{unit} *"
                for unit, stable in zip(first["unit"], first["stable"], strict=True)
            ],
            "n": first["samples"].astype(str),
        }
    )
    for name, table in scores.items():
        ends = zip(table["auc"], table["auc_low"], table["auc_high"], strict=True)
        rows[name] = [format_interval(*each) for each in ends]
    caption = (
        f"{describe_results(results)} Area under the ROC curve, all folds pooled, mean over seeds "
        f"[{describe_interval()}]; chance .5. *: shown by fewer than {STABLE} samples, hence unstable."
    )
    return [Table("Area under the curve", caption, rows)]


def write_units_report(
    results: Sequence[Result], out: Path, console: Console, notes: Sequence[str] = ()
) -> None:
    """Write what can be said of results whose target is action units.

    Args:
        results: Of one protocol.
        out: Where to: `report.html`, `table.md`, `table.tex`; raw numbers in `action_units.csv`,
            `optimism.csv`, `seeds.csv`, `pretraining.csv` and `predictions.csv`.
        console: Where to print the table.
        notes: What the terminal was warned of while the results were read.
    """
    tables = [lay_out_unit_scores(results), lay_out_units(results), *lay_out_areas(results)]
    labels = ["scores", "action-units", "areas"][: len(tables)]
    optimism = read_optimism(results)
    scores = {result.name: result.score_units() for result in results}
    if not optimism.empty:
        tables.append(lay_out_optimism(results, optimism))
        labels.append("optimism")
    by_seed = lay_out_seeds(results)
    if by_seed is not None:
        tables.append(by_seed)
        labels.append("seeds")
    protocol, starts = results[0].protocol, compare_starts(results)
    sections = {table.title: write_table(table) for table in tables}
    studies = show_studies(results)
    sections |= {one.study.title: one.html for one in studies}
    tables += [one.table for one in studies]
    labels += [name_study(one.study) for one in studies]
    means = "; ".join(f"{name} {format_number(f1['f1'].iloc[-1])}" for name, f1 in scores.items())
    alt = f"F1 of each action unit with its interval; mean: {means}"
    picture = write_figure(draw_units(scores), alt, "Mean over seeds, 95 % intervals.", "units")
    sections["Action units"] = picture + sections["Action units"]
    page = write_document(
        f"Action units of {protocol.name}, {protocol.split}",
        describe_remarks(results),
        describe_results(results),
        {"Networks and controls": write_beside_controls(results), "Notes": write_list(notes)}
        | sections
        | {"What pretraining brings": write_pretraining(results, starts)}
        | {"Learning curves": write_curves(results), "What was run": write_runs(results)},
    )
    for result, frame in zip(results, scores.values(), strict=True):
        for place, (name, value) in enumerate(result.identity.items()):
            frame.insert(place, name, value)
    frames = {"action_units": pd.concat(scores.values()), "optimism": optimism}
    frames["pretraining"] = starts
    frames["predictions"] = pool_predictions(results)
    seeds = [
        pd.DataFrame({"seed": r.seeds} | r.score_seeds()).assign(**r.identity) for r in results
    ]
    frames["seeds"] = pd.concat(seeds)[[*IDENTITY, "seed", *results[0].target.metrics]]
    write_studies(studies, out)
    for name, frame in frames.items():
        write_csv(out / f"{name}.csv", frame)
    by_start = lay_out_pretraining(results, starts)
    if by_start is not None:
        tables.append(by_start)
        labels.append("pretraining")
    latex = "\n".join(map(write_latex, tables, labels))
    parts = [write_notes(notes), *map(write_markdown, tables)]
    write_text(out / "table.md", "\n".join(filter(None, parts)))
    write_text(out / "table.tex", f"% needs \\usepackage{{booktabs}}\n{latex}")
    write_text(out / "report.html", page)
    for table in tables:
        print_table(console, table)
    console.print(out / "report.html", soft_wrap=True)
