"""Leaderboard of all methods on a protocol: honest score, best epoch on test, published score and cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from merec.evaluation.comparison import compare_if_paired
from merec.evaluation.results import Result
from merec.evaluation.significance_tests import correct_holm
from merec.presentation.numbers_and_captions import (
    NOTHING,
    describe_interval,
    describe_results,
    format_interval,
    format_number,
    format_pair,
    name_subset,
)
from merec.presentation.table import Table
from merec.reporting.published import Published, load_published
from merec.studies.answer import Answer, Paragraph
from merec.studies.best_epoch_on_test import BELOW_HONEST
from merec.studies.networks_and_controls import score_all_guesses
from merec.studies.paired_comparison import ALPHA
from merec.studies.scores import GUESSES, score_results


def answer_leaderboard(results: Sequence[Result]) -> Answer:
    """Rank all results with published scores; no table for a single result or without published scores."""
    table = lay_out_leaderboard(results)
    conclusion = Paragraph(conclude(results)) if table else None
    return Answer("Leaderboard", [table, conclusion], {"leaderboard": table})


def conclude(results: Sequence[Result]) -> str:
    """Describe which rows the best row is better than, by paired tests.

    Args:
        results: Two or more results of one protocol.

    Returns:
        Sentences, which also name results that cannot be paired with the best one because their seeds differ.
    """
    scores = {result.name: result.score("Full")["uf1"] for result in results}
    best = max(results, key=lambda result: scores[result.name].value)
    p_values, unpaired = {}, []
    for result in results:
        if result is best:
            continue
        comparison = compare_if_paired(best, result)
        if comparison is None:
            unpaired.append(result.name)
        else:
            full = comparison.query("subset == 'Full' and metric == 'uf1'")
            p_values[result.name] = float(full["p"].iloc[0])
    adjusted = dict(zip(p_values, correct_holm(np.array([*p_values.values()])), strict=True))
    worse = [name for name, p in adjusted.items() if p <= ALPHA]
    alike = [name for name, p in adjusted.items() if p > ALPHA]
    majority = score_all_guesses(results[0]).query("subset == 'Full' and guess == 'majority class'")
    floor = float(majority["uf1"].iloc[0])
    unclear = [name for name, score in scores.items() if not score.low > floor]
    test = (
        f"(Paired permutation test of subjects, {len(adjusted)} comparisons adjusted by Holm's method, alpha "
        f"{format_number(ALPHA, 2)}.)"
    )
    sentences = [
        f"What may be concluded: {best.name} has the highest UF1, {format_number(scores[best.name].value)}.",
        "It was picked as the best on these subjects, so its score is a little too high.",
        f"It is better than {', '.join(worse)}." if worse else "",
        f"No difference from {', '.join(alike)} is shown." if alike else "",
        f"Not compared: {', '.join(unpaired)}; run the same seeds." if unpaired else "",
        test if adjusted else "",
        f"Not above the majority class ({format_number(floor)}) by their intervals: {', '.join(unclear)}."
        if unclear
        else f"All intervals are above the majority class ({format_number(floor)}).",
    ]
    return " ".join(filter(None, sentences))


def rank_results(results: Sequence[Result]) -> pd.DataFrame:
    """Rank results by UF1, with their cost and the published scores of the same method.

    Returns:
        One row per result: the columns of `score_results`, on all data sets together; `uf1_CORPUS`,
        `uf1_low_CORPUS` (lower end of the interval), … on each data set; `published_method`, `published`
        ("UF1/UAR" on all data sets, verbatim), `source`, `leak`; `seconds` (for one seed and all folds,
        summed over workers), `parameters` (of the network, NaN for estimators) and `tried` (number of
        configurations among which each fold chose).
    """
    published_rows = load_published(results[0].protocol.name).rows
    by_backbone = {row.backbone: row for row in published_rows if row.backbone}
    scores_of_results = score_results(results)
    by_subset = scores_of_results.set_index(["result", "subset"])
    rows = []
    for result in results:
        full = scores_of_results.query("result == @result.name and subset == 'Full'")
        row = full.iloc[0].to_dict()
        for subset in result.subsets:
            scores = by_subset.loc[(result.name, subset)]
            if subset != "Full":
                ends = [
                    f"{metric}{end}" for metric in ("uf1", "uar") for end in ("", "_low", "_high")
                ]
                row |= {f"{name}_{subset}": scores[name] for name in ends}
        name, settings = _read_backbone(result)
        published = by_backbone[name].choose_version(settings) if name in by_backbone else None
        rows.append(row | _cite(published) | _cost(result))
    return pd.DataFrame(rows).sort_values("uf1", ascending=False, ignore_index=True)


def lay_out_leaderboard(results: Sequence[Result]) -> Table | None:
    """Lay out the ranking; `None` for a single result or without published scores."""
    protocol = results[0].protocol
    if len(results) < 2 or not protocol.leaves_one_subject_out:
        return None
    if not load_published(protocol.name).rows:
        return None
    subsets = [name for name in results[0].subsets if name != "Full"]
    rows = []
    for _, row in rank_results(results).iterrows():
        cells = {
            "Method": row["result"],
            "UF1": format_interval(row["uf1"], row["uf1_low"], row["uf1_high"]),
            "UAR": format_interval(row["uar"], row["uar_low"], row["uar_high"]),
        }
        for subset in subsets:
            cells[name_subset(subset)] = format_pair(row[f"uf1_{subset}"], row[f"uar_{subset}"])
        cells |= {
            "Claimed": format_pair(row["claimed_uf1"], row["claimed_uar"]),
            "Published": _spell_published(row),
            "Seconds": _count(row["seconds"]),
            "Parameters": _count(row["parameters"]),
            "Tried": _count(row["tried"]),
        }
        rows.append(cells)
    for guess, table in score_all_guesses(results[0]).groupby("guess", sort=False):
        scores = table.set_index("subset").to_dict("index")
        cells = dict.fromkeys(rows[0], NOTHING) | {"Method": str(guess)}
        cells |= {title: format_number(scores["Full"][title.lower()]) for title in ("UF1", "UAR")}
        for subset in subsets:
            pair = format_pair(scores[subset]["uf1"], scores[subset]["uar"])
            cells[name_subset(subset)] = pair
        rows.append(cells)
    caption = (
        f"{describe_results(results)} Mean over seeds of all folds pooled [{describe_interval()}]; "
        "data sets, UF1/UAR, are subsets of the same predictions. Claimed: what "
        "would have been claimed if each held-out subject had chosen its epoch; never used. "
        f"{BELOW_HONEST} {GUESSES} Published: "
        "UF1/UAR of the method's own paper or of a table (C: authors' repository or challenge paper, "
        "T: a third party's table; LEAK: the code chooses the best epoch on the held-out subject). "
        "Seconds: one seed, all folds, summed over workers. Tried: configurations among which each fold "
        "chose, without the held-out subject."
    )
    return Table("Leaderboard", caption, pd.DataFrame(rows))


def _read_backbone(result: Result) -> tuple[str, Mapping[str, Any]]:
    """Return class and settings of the network from the config; empty for an estimator."""
    backbone = (result.runs[0].config.get("task") or {}).get("backbone")
    settings = backbone if isinstance(backbone, Mapping) else {}
    return str(settings.get("_target_", "")).rpartition(".")[2], settings


def _cite(published: Published | None) -> dict[str, object]:
    if published is None:
        return {"published_method": "", "published": "", "source": "", "leak": False}
    return {
        "published_method": published.method,
        "published": published.scores["Full"],
        "source": published.source,
        "leak": published.leak,
    }


def _cost(result: Result) -> dict[str, float]:
    """Return the mean seconds of a seed, and the maxima of parameters and tried configurations."""
    environments = [run.environment for run in result.runs]
    seconds = _find(environments, "seconds")
    cost = {"seconds": sum(seconds) / len(result.seeds) if seconds else np.nan}
    return cost | {
        name: max(_find(environments, name), default=np.nan) for name in ("parameters", "tried")
    }


def _find(environments: Sequence[dict], key: str) -> list[float]:
    return [
        float(environment[key]) for environment in environments if environment.get(key) is not None
    ]


def _spell_published(row: pd.Series) -> str:
    if not row["published"]:
        return NOTHING
    mark = f"{row['source']}, LEAK" if row["leak"] else row["source"]
    return f"{row['published']} ({row['published_method']}; {mark})"


def _count(number: float) -> str:
    return NOTHING if np.isnan(number) else f"{number:,.0f}"
