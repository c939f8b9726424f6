"""Scores of each action unit, with the control of always predicting it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from merec.evaluation.results import Result
from merec.evaluation.roc_auc import STABLE
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, measure_reach, tidy, wrap
from merec.presentation.numbers_and_captions import (
    describe_interval,
    describe_results,
    format_interval,
    format_list,
    format_number,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer, Picture
from merec.studies.networks_and_controls import ALWAYS, describe_controls
from merec.targets.action_units import THRESHOLD

BY_FREQUENCY = "by frequency"


def answer(results: Sequence[Result]) -> list[Answer]:
    """Score the mean and each action unit by F1 and by the area under the ROC curve."""
    scores = {result.name: result.score_units() for result in results}
    means = "; ".join(f"{name} {format_number(f1['f1'].iloc[-1])}" for name, f1 in scores.items())
    alt = f"F1 of each action unit with its interval; mean: {means}"
    picture = Picture("units", draw_units(scores), alt, "Mean over seeds, 95 % intervals.")
    mean, by_unit = lay_out_unit_scores(results), lay_out_units(results)
    answers = [
        Answer("Scores", [mean], {"scores": mean}),
        Answer(
            "Action units",
            [picture, by_unit],
            {"action-units": by_unit},
            {"action_units": _list_units(results)},
        ),
    ]
    for table in lay_out_areas(results):
        answers.append(Answer(table.title, [table], {"areas": table}))
    return answers


def _list_units(results: Sequence[Result]) -> pd.DataFrame:
    """List the scores of each action unit for all results."""
    tables = []
    for result in results:
        table = result.score_units()
        for place, (name, value) in enumerate(result.identity.items()):
            table.insert(place, name, value)
        tables.append(table)
    return pd.concat(tables)


def lay_out_unit_scores(results: Sequence[Result]) -> Table:
    """Lay out mean F1 and mean area under the curve of each result and of guesses."""
    rows = []
    for result in results:
        scores = result.score()
        cells = {"Method": result.name}
        for metric, title in (("f1", "Mean F1"), ("auc", "Mean AUC")):
            score = scores[metric]
            cells[title] = format_interval(score.value, score.low, score.high)
        rows.append(cells | {"Seeds": format_list(result.seeds)})
    mean = results[0].score_units().iloc[-1]
    for guess, f1 in ((ALWAYS, mean["chance"]), (BY_FREQUENCY, mean["by_frequency"])):
        rows.append(
            {"Method": guess, "Mean F1": format_number(f1), "Mean AUC": ".5000", "Seeds": "–"}
        )
    caption = (
        f"{describe_results(results)} {describe_controls(results)} Mean over action units, then seeds, all "
        f"folds pooled [{describe_interval()}]. AUC: area under the ROC curve, chance .5. {ALWAYS}, "
        f"{BY_FREQUENCY}: guesses that look at no face."
    )
    return Table("Scores", " ".join(caption.split()), pd.DataFrame(rows))


def lay_out_units(results: Sequence[Result]) -> Table:
    """Lay out F1 of each action unit and the mean, one column per result; for one result also the AUC."""
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
            unit_scores = table.iloc[number]
            title = "F1" if len(scores) == 1 else name
            cells[title] = format_interval(
                unit_scores["f1"], unit_scores["low"], unit_scores["high"]
            )
            if len(scores) == 1:
                cells["AUC"] = format_interval(
                    unit_scores["auc"], unit_scores["auc_low"], unit_scores["auc_high"]
                )
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
    """Lay out the AUC of each action unit by result, if there are several results."""
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
        rows[name] = [format_interval(*bounds) for bounds in ends]
    caption = (
        f"{describe_results(results)} Area under the ROC curve, all folds pooled, mean over seeds "
        f"[{describe_interval()}]; chance .5. *: shown by fewer than {STABLE} samples, hence unstable."
    )
    return [Table("Area under the curve", caption, rows)]


def draw_units(scores: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw F1 of every action unit with 95 % intervals, and the F1 of always predicting it.

    Args:
        scores: See `Result.score_units`, by name of the result.
    """
    first = next(iter(scores.values()))
    names = [
        f"{unit} (n = {samples})"
        for unit, samples in zip(first["unit"], first["samples"], strict=True)
    ]
    apart = 0.62 / len(scores)
    figure = Figure(figsize=(9, (0.2 * len(scores) + 0.2) * len(names) + 1.2), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(names))
    for number, (name, table) in enumerate(scores.items()):
        at = place + apart * (number - (len(scores) - 1) / 2)
        reach = measure_reach(table.rename(columns={"low": "f1_low", "high": "f1_high"}), "f1")
        colour = COLOURS[number % (len(COLOURS) - 1)]
        axes.errorbar(
            table["f1"],
            at,
            xerr=reach,
            fmt="o",
            ms=5,
            color=colour,
            elinewidth=1.3,
            label=wrap(name, 60),
        )
    axes.plot(
        first["chance"], place, "|", color=GREY, ms=18, mew=2, label="always said to be present"
    )
    axes.axhline(len(names) - 1.5, color=GREY, linewidth=0.6)  # what follows is the mean
    axes.set_yticks(place, names, fontsize=SMALL)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("F1", fontsize=MEDIUM)
    figure.legend(loc="outside upper center", ncols=2, fontsize=SMALL, frameon=False)
    tidy(axes, "x")
    return figure
