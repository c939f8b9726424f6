"""Studies of one setting: curves of the score by modality, for results that differ only in the setting."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from merec.evaluation.comparison import compare_if_paired
from merec.evaluation.results import IDENTITY, Result
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, measure_reach, plain, tidy
from merec.presentation.numbers_and_captions import (
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    format_number,
)
from merec.presentation.table import Table
from merec.run_folder.identity import configuration_hash, flatten
from merec.studies.answer import Answer, Picture
from merec.studies.networks_and_controls import MODALITIES, read_guesses

log = logging.getLogger(__name__)
_BY_MODALITY = ("datamodule.modality", "datamodule.channels")
_COLUMNS = [
    *(*IDENTITY, "study", "method", "modality", "setting", "score", "score_low", "score_high"),
    *("difference", "low", "high"),
]
_ASIDE = 0.012  # of the axis, by which curves stand apart, so that intervals do not hide each other


@dataclass(frozen=True)
class Setting:
    """Setting that is varied, and the presentation of its study.

    Attributes:
        name: Name of the study and of its CSV file.
        title: Title of its section.
        axis: Label of the axis of values, with unit.
        unit: Text after a value in a sentence.
        keys: Dotted keys below the task that differ within a study.
        read: Returns the value of a result as a number; `None` if the result has none.
        of_depth: Whether the setting affects only depth, so that colour results are equal at each value.
    """

    name: str
    title: str
    axis: str
    unit: str
    keys: tuple[str, ...]
    read: Callable[[Result], float | None]
    of_depth: bool


def answer_setting(results: Sequence[Result], setting: Setting) -> Answer:
    """Show the score against a setting; empty if no results differ only in it."""
    rows = read_study(results, setting)
    frames = {setting.name: rows}
    if rows.empty:
        return Answer(setting.title, frames=frames)
    metric = "Mean F1" if results[0].target.multilabel else "UF1"
    line = next(iter(read_guesses(results[0]).items()))
    table, label = lay_out_study(setting, rows, results, metric), setting.name.replace("_", "-")
    alt = f"{metric} with 95 % interval against {setting.axis}: " + "; ".join(
        f"{row['method']} {row['modality']} {row['setting']:g}: {format_number(row['score'], 3)}"
        for _, row in rows.iterrows()
    )
    sentence = explain_study(setting, rows, metric, line)
    picture = Picture(label, draw_curves(setting, rows, metric, line), alt, sentence)
    return Answer(setting.title, [picture, table], {label: table}, frames)


def read_study(results: Sequence[Result], setting: Setting) -> pd.DataFrame:
    """Read the studies of a setting: results that differ only in it, in modality and in channels.

    Returns:
        One row per result, sorted by method, modality and value, empty if the setting is not varied: `study`
        (equal within one method), `method` (its name), `modality`, the value of the `setting`, the main
        `score` with the ends of its interval; for fused also the `difference` to colour only, with the ends
        `low` and `high` of its paired interval, NaN if there is no such result.
    """
    members: dict[tuple[str, str, float], Result] = {}
    for result in results:
        settings = flatten(result.settings)
        modality, value = settings.get("datamodule.modality"), setting.read(result)
        if modality is None or value is None:
            continue
        left_out = (*setting.keys, *_BY_MODALITY)
        rest = {key: other for key, other in settings.items() if key not in left_out}
        key = configuration_hash(rest), str(modality), value
        if key in members:
            if not (setting.of_depth and modality == "rgb"):
                log.warning("%s is left out of its study beside %s", result.name, members[key].name)
            continue
        members[key] = result
    varied = {
        (study, modality)
        for study, modality, _ in members
        if len({value for s, m, value in members if (s, m) == (study, modality)}) > 1
    }
    rows = [
        _describe(setting, key, result, members)
        for key, result in sorted(members.items(), key=lambda item: item[0])
        if key[:2] in varied or (setting.of_depth and _is_colour_of(key, varied))
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _is_colour_of(key: tuple[str, str, float], varied: set[tuple[str, str]]) -> bool:
    """Return whether a result is the colour result of a study in which only depth is varied."""
    return key[1] == "rgb" and any(study == key[0] for study, _ in varied)


def _describe(
    setting: Setting,
    key: tuple[str, str, float],
    result: Result,
    members: dict[tuple[str, str, float], Result],
) -> dict[str, object]:
    study, modality, value = key
    score = result.score()[result.target.metrics[0]]
    name = str(result.runs[0].environment["name"])
    row: dict[str, object] = {
        **result.identity,
        "study": study,
        "method": name.removesuffix(f"-{modality}"),
        "modality": modality,
        "setting": value,
        **score.to_columns("score"),
    }
    colour = members.get((study, "rgb", value))
    if colour is None and setting.of_depth:
        candidates = (other for (s, m, _), other in members.items() if (s, m) == (study, "rgb"))
        colour = next(candidates, None)
    if modality != "fused" or colour is None:
        return row
    change = compare_if_paired(colour, result)
    if change is None:
        return row
    return row | change.iloc[0][["difference", "low", "high"]].to_dict()  # the deciding score


def lay_out_study(
    setting: Setting, rows: pd.DataFrame, results: Sequence[Result], metric: str
) -> Table:
    """Lay out the scores of a study as a readable table."""
    cells = [
        {
            "Method": row["method"],
            "Shown": MODALITIES[row["modality"]],
            setting.axis.capitalize(): f"{row['setting']:g}",
            metric: format_interval(row["score"], row["score_low"], row["score_high"]),
            "Less colour alone": "–" if pd.isna(row["difference"]) else format_change(row),
        }
        for _, row in rows.iterrows()
    ]
    members = [result for result in results if result.name in set(rows["result"])]
    caption = (
        f"{describe_results(members)} Equal but for what the first columns say "
        f"[{describe_interval()}; paired for a difference]."
    )
    return Table(setting.title, caption, pd.DataFrame(cells))


def explain_study(
    setting: Setting, rows: pd.DataFrame, metric: str, line: tuple[str, float]
) -> str:
    """Describe in one sentence at which values fused beats colour, and each modality beats the guesses."""
    parts = []
    for method, method_rows in rows.groupby("method", sort=False):
        fused = method_rows[method_rows["difference"].notna()]
        if len(fused):
            better = fused["low"] > 0
            parts.append(f"depth beside colour helps {method} {_list(fused, better, setting.unit)}")
        alone = method_rows[method_rows["modality"] == "depth"] if setting.of_depth else method_rows
        for modality, curve in alone.groupby("modality", sort=False):
            modality_text = {"rgb": "colour alone", "fused": "both"}.get(
                str(modality), "depth alone"
            )
            clear = curve["score_low"] > line[1]
            parts.append(
                f"{method} on {modality_text} is above {line[0]} ({format_number(line[1], 3)}) "
                f"{_list(curve, clear, setting.unit)}"
            )
    text = "; ".join(parts)
    return (
        f"{metric} against {setting.axis}: {text}. By the lower ends of 95 % intervals of whole subjects, "
        "paired for differences."
    )


def _list(rows: pd.DataFrame, kept: pd.Series, unit: str) -> str:
    values = [f"{value:g}" for value in sorted(rows["setting"][kept])]
    remaining = [f"{value:g}" for value in sorted(rows["setting"][~kept])]
    if not values:
        return f"at none of {', '.join(remaining)}{unit}"
    if not remaining:
        return f"at all of {', '.join(values)}{unit}"
    return f"at {', '.join(values)}{unit}, not at {', '.join(remaining)}{unit}"


def draw_curves(
    setting: Setting, rows: pd.DataFrame, metric: str, line: tuple[str, float]
) -> Figure:
    """Draw the score against the setting, one panel per modality and one curve with intervals per method.

    Args:
        setting: Setting that is varied.
        rows: See `read_study`.
        metric: Metric, for the axis.
        line: Name and score of guesses.
    """
    constant = rows[(rows["modality"] == "rgb") & setting.of_depth]
    curves = rows.drop(constant.index)
    modalities = [name for name in MODALITIES if name in set(curves["modality"])]
    figure = Figure(figsize=(4.8, 2.3 * len(modalities) + 0.9), layout="constrained")
    panels = figure.subplots(len(modalities), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    reach = curves["setting"].max() - curves["setting"].min()
    methods = list(rows["method"].unique())
    for axes, modality in zip(panels, modalities, strict=True):
        for number, method in enumerate(methods):
            colour = COLOURS[number % (len(COLOURS) - 1)]
            method_curve = curves[(curves["modality"] == modality) & (curves["method"] == method)]
            for _, curve in method_curve.groupby("study"):
                place = curve["setting"] + _ASIDE * reach * (number - (len(methods) - 1) / 2)
                axes.errorbar(
                    place,
                    curve["score"],
                    yerr=measure_reach(curve, "score"),
                    fmt="o-",
                    ms=4,
                    capsize=2,
                    color=colour,
                    label=plain(str(method)),
                )
            for score in constant[constant["method"] == method]["score"].head(1):
                label = f"{method}, colour alone"
                axes.axhline(score, color=colour, linestyle="--", linewidth=1, label=plain(label))
        axes.axhline(line[1], color=GREY, linestyle=":", linewidth=1.2, label=line[0])
        axes.set_title(MODALITIES[modality], fontsize=MEDIUM, loc="left")
        axes.set_ylabel(metric, fontsize=MEDIUM)
        axes.set_ylim(0, 1.05 * max(rows["score_high"].max(), rows["score"].max(), line[1]))
        tidy(axes, "y")
    values = sorted(curves["setting"].unique())
    panels[-1].set_xlabel(setting.axis, fontsize=MEDIUM)
    panels[-1].set_xticks(values, [f"{value:g}" for value in values])
    named = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    figure.legend(
        named.values(), named, loc="outside upper center", ncols=2, fontsize=SMALL, frameon=False
    )
    return figure
