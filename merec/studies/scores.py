"""Scores of every result: UF1, UAR and accuracy, for all samples and by data set."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merec.evaluation.results import Result
from merec.metrics import METRICS
from merec.presentation.numbers_and_captions import (
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
from merec.studies.answer import Answer
from merec.studies.best_epoch_on_test import BELOW_HONEST, read_optimism
from merec.studies.networks_and_controls import describe_controls, score_all_guesses

INDENT = "\N{NO-BREAK SPACE}" * 2
_HOW_SCORED = (
    f"Mean over seeds of all folds pooled [{describe_interval()}]; "
    "data sets are subsets of the same predictions."
)
GUESSES = (
    "Majority class: always the largest class of the protocol. Chance: random guesses, all classes alike or "
    "as frequent as they are, mean of draws."
)


def answer(results: Sequence[Result]) -> Answer:
    """Score each result, and guesses as baselines."""
    table = lay_out_scores(results)
    frames = {"table": score_results(results), "guesses": score_all_guesses(results[0])}
    return Answer("Scores", [table], {"scores": table}, frames)


def score_results(results: Sequence[Result]) -> pd.DataFrame:
    """Score every result, for Full and by data set (subsets of the same predictions).

    Returns:
        One row per result and subset: each of `METRICS` with the ends of its interval (`uf1`, `uf1_low`,
        `uf1_high`, …), its values by seed (`uf1_seeds`) with minimum, maximum and standard deviation
        (`uf1_min`, `uf1_max`, `uf1_sd`; NaN for one seed), on Full the score of the best epoch on test
        (`claimed_uf1`, …), the classes without samples (`absent`), and the scores as means over the other
        classes only (`present_uf1`, …).
    """
    claims = (
        read_optimism(results)
        .groupby("result")[["best_epoch_uf1", "best_epoch_uar"]]
        .mean()
        .to_dict("index")
    )
    rows = []
    for result in results:
        for subset, predictions in result.subsets.items():
            row = result.identity | {
                "subset": subset,
                "samples": predictions["sample_id"].nunique(),
                "subjects": predictions["subject"].nunique(),
                "seeds": " ".join(map(str, result.seeds)),
                "transductive": result.transductive,
            }
            for metric, score in result.score(subset).items():
                row |= score.to_columns(metric)
            for metric, values in result.score_seeds(subset).items():
                spread = np.std(values, ddof=1) if len(values) > 1 else np.nan
                row |= {
                    f"{metric}_seeds": " ".join(map(repr, values)),
                    f"{metric}_min": min(values),
                    f"{metric}_max": max(values),
                    f"{metric}_sd": spread,
                }
            absent = result.find_absent_classes(subset)
            classes = len(result.protocol.classes)
            # F1 and recall of a class without samples are 0, whatever is predicted.
            larger = classes / max(1, classes - len(absent))
            row["absent"] = ", ".join(absent)
            for metric in ("uf1", "uar"):
                row[f"present_{metric}"] = larger * result.score(subset)[metric].value
            has_claim = subset == "Full" and result.name in claims
            claimed = claims[result.name] if has_claim else {}
            row |= {f"claimed_{m}": claimed.get(f"best_epoch_{m}", np.nan) for m in ("uf1", "uar")}
            rows.append(row)
    return pd.DataFrame(rows)


def lay_out_scores(results: Sequence[Result]) -> Table:
    """Lay out the main table: every result, for Full and by data set."""
    rows, scores = [], score_results(results)
    for _, row in scores.iterrows():
        cells = {
            "Method": row["result"],
            "Samples of": _name_samples(row),
            "n": str(row["samples"]),
            **{
                title: format_interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])
                for metric, title in zip(METRICS, ("UF1", "UAR", "Accuracy"), strict=True)
            },
            **_score_present_classes(scores, row),
            "Claimed": format_pair(row["claimed_uf1"], row["claimed_uar"]),
            "Seeds": format_list(row["seeds"].split()),
            "Transductive": "YES" if row["transductive"] else "no",
        }
        rows.append(cells)
    for _, row in score_all_guesses(results[0]).iterrows():
        cells = dict.fromkeys(rows[0], NOTHING) | {
            "Method": row["guess"],
            "Samples of": name_subset(row["subset"]),
            "n": str(row["samples"]),
        }
        rows.append(cells | _format_guess(row, ("UF1", "UAR", "Accuracy")))
    caption = _caption_scores(results)
    table = pd.DataFrame(rows)
    if read_optimism(results).empty:
        return Table("Scores", caption, table.drop(columns="Claimed"))
    unit = results[0].protocol.unit
    claimed = f"Claimed: UF1/UAR if each held-out {unit} chose its best epoch; never used."
    return Table("Scores", f"{caption} {claimed} {BELOW_HONEST}", table)


def lay_out_scores_briefly(results: Sequence[Result]) -> Table:
    """Lay out the main table for narrow pages: data sets below each method, other facts in the caption."""
    rows, scores, guesses = [], score_results(results), score_all_guesses(results[0])
    for _, row in scores.iterrows():
        full = row["subset"] == "Full"
        cells = {
            "Method": row["result"] if full else f"{INDENT}{_name_samples(row)}",
            "n": str(row["samples"]),
        }
        for metric, title in (("uf1", "UF1"), ("uar", "UAR")):
            cells[title] = format_interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])
        cells |= _score_present_classes(scores, row)
        rows.append(cells | {"Acc.": format_number(row["accuracy"])})
    for _, row in guesses[guesses["subset"] == "Full"].iterrows():
        cells = dict.fromkeys(rows[0], NOTHING) | {"Method": row["guess"], "n": str(row["samples"])}
        rows.append(cells | _format_guess(row, ("UF1", "UAR", "Acc.")))
    caption = _caption_scores(results)
    return Table("Scores", caption, pd.DataFrame(rows))


def _caption_scores(results: Sequence[Result]) -> str:
    parts = (
        describe_results(results),
        _HOW_SCORED,
        GUESSES,
        describe_controls(results),
    )
    return " ".join(filter(None, parts))


def _format_guess(row: pd.Series, titles: Sequence[str]) -> dict[str, str]:
    """Return the cells of a guess, by column title of `METRICS`."""
    return {
        title: format_number(row[metric]) for metric, title in zip(METRICS, titles, strict=True)
    }


def _name_samples(row: pd.Series) -> str:
    """Name a subset, and its classes without samples."""
    absent = f" (no {row['absent']})" if row["absent"] else ""
    return f"{name_subset(row['subset'])}{absent}"


def _score_present_classes(scores: pd.DataFrame, row: pd.Series) -> dict[str, str]:
    """Return UF1/UAR over the classes with samples, if some result lacks a class."""
    if not scores["absent"].any():
        return {}
    pair = format_pair(row["present_uf1"], row["present_uar"]) if row["absent"] else NOTHING
    return {"Present classes": pair}
