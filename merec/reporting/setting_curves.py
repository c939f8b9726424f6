"""Studies of one setting as curves: how good a depth camera must be, and how many subjects it takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from merec.evaluation.controls import MODALITIES
from merec.evaluation.pretraining import read_settings
from merec.evaluation.results import Result
from merec.evaluation.setting_studies import STUDY_COLUMNS, TRAIN_SUBJECTS, Setting, read_study
from merec.files import write_csv
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, measure_reach, plain, tidy
from merec.presentation.notation import (
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    format_number,
)
from merec.presentation.table import Table
from merec.reporting.elements import write_figure, write_table
from merec.reporting.forest import read_guesses
from merec.run_folder.resolved_config import find_node
from merec.synthetic.sensor import REFERENCE, choose_sensor

_ASIDE = 0.012  # of the axis, by which curves stand apart, so that intervals do not hide each other


def read_depth_noise(result: Result) -> float | None:
    """Return the depth noise of a rendered corpus, and what was added as it was read, mm at 550 mm.

    `None` where the camera's noise is not known: of other corpora, and of one that was rendered into a folder
    of the user's, maybe otherwise than the config says.
    """
    data = read_settings(result).get("datamodule") or {}
    render = (data.get("corpus") or {}).get("render") or {}
    elsewhere = any(find_node(run.config, "task.datamodule.corpus.root") for run in result.runs)
    if elsewhere or not {"camera", "depth_noise", "depth_step", "width"} <= set(render):
        return None
    given = (render[name] for name in ("camera", "depth_noise", "depth_step", "width"))
    own = float(choose_sensor(*given).spread(REFERENCE))
    added = (data.get("features") or {}).get("depth_noise") or 0
    return round(math.hypot(own, added), 3)


_NOISE = (
    *("datamodule.corpus.render.depth_noise", "datamodule.corpus.render.camera"),
    "datamodule.features.depth_noise",
)
DEPTH_NOISE = Setting("depth_noise", _NOISE, read_depth_noise, True)


@dataclass(frozen=True)
class Study:
    """A study that a report shows.

    Attributes:
        setting: What is varied.
        title: Of its section.
        axis: What the values are, with their unit.
        unit: Behind a value in a sentence.
    """

    setting: Setting
    title: str
    axis: str
    unit: str


STUDIES = (
    Study(DEPTH_NOISE, "How good must a depth camera be", "depth noise (mm at 550 mm)", " mm"),
    Study(TRAIN_SUBJECTS, "How many training subjects it takes", "training subjects", " subjects"),
)


@dataclass(frozen=True)
class Shown:
    """A study as a report shows it: `rows` of `read_study`, its table, and HTML with a picture."""

    study: Study
    rows: pd.DataFrame
    table: Table
    html: str


def show_studies(results: Sequence[Result], guesses: pd.DataFrame | None = None) -> list[Shown]:
    """Return the studies that results hold; guesses as `read_guesses` takes them."""
    shown = []
    for study in STUDIES:
        rows = read_study(results, study.setting)
        if rows.empty:
            continue
        metric = "Mean F1" if guesses is None else "UF1"
        line = next(iter(read_guesses(results[0], guesses).items()))
        table = lay_out_study(study, rows, results, metric)
        sentence = explain_study(study, rows, metric, line)
        alt = f"{metric} with 95 % interval against {study.axis}: " + "; ".join(
            f"{row['method']} {row['modality']} {row['setting']:g}: {format_number(row['score'], 3)}"
            for _, row in rows.iterrows()
        )
        picture = draw_curves(study, rows, metric, line)
        html = write_figure(picture, alt, sentence, name_study(study))
        shown.append(Shown(study, rows, table, html + write_table(table)))
    return shown


def name_study(study: Study) -> str:
    """Name a study as labels and ids do."""
    return study.setting.name.replace("_", "-")


def write_studies(shown: Sequence[Shown], out: Path) -> None:
    """Write the raw numbers of all studies; without rows where there are none, so that no old ones stay."""
    rows = {one.study.setting.name: one.rows for one in shown}
    for study in STUDIES:
        name = study.setting.name
        write_csv(out / f"{name}.csv", rows.get(name, pd.DataFrame(columns=STUDY_COLUMNS)))


def lay_out_study(
    study: Study, rows: pd.DataFrame, results: Sequence[Result], metric: str
) -> Table:
    """The scores of a study as a table for people."""
    cells = [
        {
            "Method": row["method"],
            "Shown": MODALITIES[row["modality"]],
            study.axis.capitalize(): f"{row['setting']:g}",
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
    return Table(study.title, caption, pd.DataFrame(cells))


def explain_study(study: Study, rows: pd.DataFrame, metric: str, line: tuple[str, float]) -> str:
    """Say in one sentence at which values fused beats colour alone, and each modality the guesses."""
    parts = []
    for method, own in rows.groupby("method", sort=False):
        fused = own[own["difference"].notna()]
        if len(fused):
            better = fused["low"] > 0
            parts.append(f"depth beside colour helps {method} {_list(fused, better, study.unit)}")
        alone = own[own["modality"] == "depth"] if study.setting.of_depth else own
        for modality, curve in alone.groupby("modality", sort=False):
            shown = {"rgb": "colour alone", "fused": "both"}.get(str(modality), "depth alone")
            clear = curve["score_low"] > line[1]
            parts.append(
                f"{method} on {shown} is above {line[0]} ({format_number(line[1], 3)}) "
                f"{_list(curve, clear, study.unit)}"
            )
    text = "; ".join(parts)
    return (
        f"{metric} against {study.axis}: {text}. By the lower ends of 95 % intervals of whole subjects, "
        "paired for differences."
    )


def _list(rows: pd.DataFrame, kept: pd.Series, unit: str) -> str:
    values = [f"{value:g}" for value in sorted(rows["setting"][kept])]
    others = [f"{value:g}" for value in sorted(rows["setting"][~kept])]
    if not values:
        return f"at none of {', '.join(others)}{unit}"
    if not others:
        return f"at all of {', '.join(values)}{unit}"
    return f"at {', '.join(values)}{unit}, not at {', '.join(others)}{unit}"


def draw_curves(study: Study, rows: pd.DataFrame, metric: str, line: tuple[str, float]) -> Figure:
    """Draw the score against the setting, a panel per modality and a curve with intervals per method.

    Args:
        study: What is varied.
        rows: See `read_study`.
        metric: What is scored, for the axis.
        line: Name and score of guesses that look at no face.
    """
    constant = rows[(rows["modality"] == "rgb") & study.setting.of_depth]
    curves = rows.drop(constant.index)
    shown = [name for name in MODALITIES if name in set(curves["modality"])]
    figure = Figure(figsize=(4.8, 2.3 * len(shown) + 0.9), layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    reach = curves["setting"].max() - curves["setting"].min()
    methods = list(rows["method"].unique())
    for axes, modality in zip(panels, shown, strict=True):
        for number, method in enumerate(methods):
            colour = COLOURS[number % (len(COLOURS) - 1)]
            own = curves[(curves["modality"] == modality) & (curves["method"] == method)]
            for _, curve in own.groupby("study"):
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
    panels[-1].set_xlabel(study.axis, fontsize=MEDIUM)
    panels[-1].set_xticks(values, [f"{value:g}" for value in values])
    named = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    figure.legend(
        named.values(), named, loc="outside upper center", ncols=2, fontsize=SMALL, frameon=False
    )
    return figure
