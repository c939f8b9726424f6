"""Results as tables, laid out for people."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merec.evaluation.controls import describe_controls
from merec.evaluation.results import Result
from merec.metrics import METRICS
from merec.presentation.notation import (
    NOTHING,
    describe_interval,
    describe_results,
    format_interval,
    format_list,
    format_number,
    format_pair,
    name_subset,
)
from merec.presentation.table import Table
from merec.reporting.published import load_published
from merec.reporting.summary import READINGS, Summary

INDENT = "\N{NO-BREAK SPACE}" * 2
_HOW_SCORED = (
    f"Mean over seeds of all folds pooled [{describe_interval()}]; "
    "data sets are subsets of the same predictions."
)


GUESSES = (
    "Majority class: always the largest class of the protocol. Chance: random guesses, all classes alike or "
    "as frequent as they are, mean of draws."
)
BELOW_HONEST = (
    "That epoch is chosen fold by fold, by most samples right and the earliest of equals, not by the pooled "
    "UF1: the claim can lie below the honest number."
)
_UNITS_BELOW_HONEST = (
    "That epoch is chosen fold by fold, by the F1 of its samples and units together and the earliest of "
    "equals, not by the pooled mean F1: the claim can lie below the honest number."
)


def lay_out_scores(summary: Summary) -> Table:
    """The main table: every result, Full and by data set."""
    rows = []
    for _, row in summary.scores.iterrows():
        cells = {
            "Method": row["result"],
            "Samples of": _name_samples(row),
            "n": str(row["samples"]),
            **{
                title: format_interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])
                for metric, title in zip(METRICS, ("UF1", "UAR", "Accuracy"), strict=True)
            },
            **_score_present_classes(summary, row),
            "Claimed": format_pair(row["claimed_uf1"], row["claimed_uar"]),
            "Seeds": format_list(row["seeds"].split()),
            "Transductive": "YES" if row["transductive"] else "no",
        }
        rows.append(cells)
    for _, row in summary.guesses.iterrows():
        cells = dict.fromkeys(rows[0], NOTHING) | {
            "Method": row["guess"],
            "Samples of": name_subset(row["subset"]),
            "n": str(row["samples"]),
        }
        rows.append(cells | _format_guess(row, ("UF1", "UAR", "Accuracy")))
    caption = _caption_scores(summary)
    table = pd.DataFrame(rows)
    if summary.optimism.empty:
        return Table("Scores", caption, table.drop(columns="Claimed"))
    unit = summary.results[0].protocol.unit
    claimed = f"Claimed: UF1/UAR if each held-out {unit} chose its best epoch; never used."
    return Table("Scores", f"{caption} {claimed} {BELOW_HONEST}", table)


def lay_out_scores_briefly(summary: Summary) -> Table:
    """The main table for a narrow page: data sets below each method, the rest in the caption."""
    rows = []
    for _, row in summary.scores.iterrows():
        full = row["subset"] == "Full"
        cells = {
            "Method": row["result"] if full else f"{INDENT}{_name_samples(row)}",
            "n": str(row["samples"]),
        }
        for metric, title in (("uf1", "UF1"), ("uar", "UAR")):
            cells[title] = format_interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])
        cells |= _score_present_classes(summary, row)
        rows.append(cells | {"Acc.": format_number(row["accuracy"])})
    for _, row in summary.guesses[summary.guesses["subset"] == "Full"].iterrows():
        cells = dict.fromkeys(rows[0], NOTHING) | {"Method": row["guess"], "n": str(row["samples"])}
        rows.append(cells | _format_guess(row, ("UF1", "UAR", "Acc.")))
    caption = _caption_scores(summary)
    return Table("Scores", caption, pd.DataFrame(rows))


def _caption_scores(summary: Summary) -> str:
    parts = (
        describe_results(summary.results),
        _HOW_SCORED,
        GUESSES,
        describe_controls(summary.results),
    )
    return " ".join(filter(None, parts))


def _format_guess(row: pd.Series, titles: Sequence[str]) -> dict[str, str]:
    """Return the cells of a guess, by the titles of the columns of `METRICS`."""
    return {
        title: format_number(row[metric]) for metric, title in zip(METRICS, titles, strict=True)
    }


def lay_out_seeds(results: Sequence[Result]) -> Table | None:
    """Lay out the scores of each seed and their spread on all samples; `None` if all have one seed."""
    rows = []
    for result in results:
        scores = result.score_seeds()
        cells = {"Method": result.name, "Seeds": format_list(result.seeds)}
        for metric in result.target.metrics:
            values = scores[metric]
            several = len(values) > 1
            cells[metric.upper()] = format_list([format_number(value) for value in values])
            ends = f"{format_number(min(values))} – {format_number(max(values))}"
            cells[f"{metric.upper()} range"] = ends if several else NOTHING
            spread = float(np.std(values, ddof=1)) if several else np.nan
            cells[f"{metric.upper()} SD"] = format_number(spread)
        rows.append(cells)
    if all(len(result.seeds) == 1 for result in results):
        return None
    caption = (
        f"{describe_results(results)} All folds of each seed pooled, in the order of the seeds; range and "
        "standard deviation over seeds, which say nothing of other subjects."
    )
    return Table("Seeds", caption, pd.DataFrame(rows))


def _name_samples(row: pd.Series) -> str:
    """Name a subset, and the classes that it has no samples of."""
    absent = f" (no {row['absent']})" if row["absent"] else ""
    return f"{name_subset(row['subset'])}{absent}"


def _score_present_classes(summary: Summary, row: pd.Series) -> dict[str, str]:
    """Return UF1/UAR over the classes that have samples, where some result lacks a class."""
    if not summary.scores["absent"].any():
        return {}
    pair = format_pair(row["present_uf1"], row["present_uar"]) if row["absent"] else NOTHING
    return {"Present classes": pair}


def lay_out_optimism(results: Sequence[Result], optimism: pd.DataFrame) -> Table:
    """Honest numbers beside what other ways to choose an epoch would have claimed; UF1/UAR, or F1.

    Args:
        results: Of one protocol.
        optimism: See `read_optimism`; at least one row.
    """
    titles = ("Honest", "Best common epoch", "Best epoch on test", "Random guessing")
    rows, metrics = [], results[0].target.metrics_of_decisions
    for name, readings in optimism.groupby("result", sort=False):
        mean = readings.mean(numeric_only=True)
        cells = {"Method": str(name), "Epochs": format_list(sorted(readings["epochs"].unique()))}
        for reading, title in zip(READINGS, titles, strict=True):
            cells[title] = "/".join(format_number(mean[f"{reading}_{each}"]) for each in metrics)
        rows.append(cells)
    unit, scores = results[0].protocol.unit, "/".join(metrics).upper()
    below = _UNITS_BELOW_HONEST if results[0].target.multilabel else BELOW_HONEST
    caption = (
        f"{describe_results(results)} {scores}, mean over seeds. Honest: the last epoch. "
        f"Best epoch on test: chosen by each held-out {unit}. {below} Random guessing: guesses in the "
        "labels' frequencies in place of predictions, with the same choice."
    )
    return Table("Honest and best epoch on test", caption, pd.DataFrame(rows))


def lay_out_classes(summary: Summary) -> Table:
    """F1/recall of each class on Full, one row per result."""
    full = summary.classes[summary.classes["subset"] == "Full"]
    rows = []
    for name, classes in full.groupby("result", sort=False):
        cells = {"Method": str(name)}
        for _, row in classes.iterrows():
            scores = f"{format_number(row['f1'])}/{format_number(row['recall'])}"
            scores = scores if row["samples"] else "absent"
            cells[f"{row['class']} (n = {row['samples']})"] = scores
        rows.append(cells)
    caption = f"{describe_results(summary.results)} F1/recall of all folds pooled, mean over seeds."
    return Table("Per class", caption, pd.DataFrame(rows))


def lay_out_subjects(summary: Summary) -> Table:
    """Accuracy of each subject, one column per result."""
    mean = summary.subjects.groupby(["corpus", "subject", "samples", "result"], sort=False)[
        "accuracy"
    ]
    wide = mean.mean().unstack("result")[[result.name for result in summary.results]].sort_index()
    rows = [
        {
            "Data set": name_subset(row["corpus"]),
            "Subject": row["subject"],
            "n": str(row["samples"]),
        }
        | {result.name: format_number(row[result.name], 3) for result in summary.results}
        for row in wide.reset_index().to_dict("records")
    ]
    caption = (
        f"{describe_results(summary.results)} Accuracy of each held-out subject, mean over seeds."
    )
    return Table("Per subject", caption, pd.DataFrame(rows))


def lay_out_published(summary: Summary) -> Table | None:
    """Published rows and ours below them; `None` where nothing is published on the protocol and its split.

    Published numbers are printed word for word, with as many digits as were given.
    """
    protocol = summary.results[0].protocol
    published = load_published(protocol.name)
    # They all leave one subject out.
    if not published.rows or not protocol.leaves_one_subject_out:
        return None
    subsets = list(summary.results[0].subsets)
    rows = []
    for row in (version for method in published.rows for version in method.list_versions()):
        rows.append(
            {"Method": row.method, "Modality": row.modality or NOTHING}
            | {name_subset(subset): row.scores.get(subset, NOTHING) for subset in subsets}
            | {"Source": f"{row.source}, LEAK" if row.leak else row.source}
        )
    for result in summary.results:
        own = summary.scores[summary.scores["result"] == result.name]
        own_scores = own.set_index("subset").to_dict("index")
        cells = {"Method": result.name, "Modality": NOTHING}
        for subset in subsets:
            cells[name_subset(subset)] = format_pair(
                own_scores[subset]["uf1"], own_scores[subset]["uar"]
            )
        source = "ours, TRANSDUCTIVE" if result.transductive else "ours"
        rows.append(cells | {"Source": source})
    table = pd.DataFrame(rows)
    if (table["Modality"] == NOTHING).all():
        table = table.drop(columns="Modality")
    notes = [f"{row.method}: {row.note}." for row in published.rows if row.note]
    caption = (
        f"{describe_results(summary.results)} UF1/UAR. C: authors' repository or official "
        "challenge paper. T: a third party's table. LEAK: the code chooses the best "
        "epoch on the held-out subject. "
        f"{' '.join([*notes, published.note])}"
    )
    return Table("Published numbers", caption.strip(), table)
