"""Sections of a dashboard: panels over logged keys, one section per question."""

from collections.abc import Sequence
from dataclasses import dataclass

from merec.run_folder.logged_keys import Keys
from merec.tracking.panels import (
    Chart,
    draw_bars,
    draw_confusion,
    draw_curves,
    draw_parallel,
    draw_picture,
    draw_scatter,
    draw_table,
    shorten,
)

METHOD, MODALITY = "choices.method", "choices.datamodule"


@dataclass(frozen=True)
class Section:
    """Panels of one question, with a short explanation."""

    title: str
    note: str
    charts: list[Chart]


def make_sections(keys: Keys, varied: Sequence[str]) -> list[Section]:
    """Return all sections for which keys were logged.

    Args:
        keys: Keys that the runs logged.
        varied: Settings, besides the choices, that differ between runs of one method.
    """
    choices = [name for name in (METHOD, MODALITY, *varied) if name in keys.config]
    by = choices[0] if choices else None
    sections = [
        _show_scores(keys, choices, by),
        _show_choices(keys, choices),
        _show_classes(keys, by),
        Section(
            "Subjects",
            "Samples of each held-out subject that were named rightly.",
            draw_table("Subjects", "subjects", keys),
        ),
        Section(
            "Predictions",
            "One row per held-out sample, with its probabilities: sort, filter and group them.",
            draw_table("Predictions", "predictions", keys),
        ),
        _show_optimism(keys, by),
        _show_calibration(keys, by),
        _show_curves(keys, by),
        _show_regions(keys),
        _show_cost(keys, by),
    ]
    return [section for section in sections if section.charts]


def _show_scores(keys: Keys, choices: list[str], by: str | None) -> Section:
    """Return panels of scores and their intervals, by each choice."""
    return Section(
        "UF1 by choice",
        "UF1 of all folds pooled, between the ends of its 95 % interval of draws of whole subjects. Bars "
        "are means over runs; the interval of a mean over seeds is in the table.",
        [
            *draw_picture("UF1 and UAR with intervals, each run", "scores", keys),
            *(
                chart
                for choice in choices
                for metric in ("uf1", "uar")
                for chart in draw_bars(
                    f"{metric.upper()} by {shorten(choice)}",
                    [f"{metric}_low", metric, f"{metric}_high"],
                    keys,
                    choice,
                )
            ),
            *draw_bars("UF1 by data set", _find_scores(keys, "/uf1"), keys, by),
        ],
    )


def _show_choices(keys: Keys, choices: list[str]) -> Section:
    """Return panels of choices and their scores."""
    return Section(
        "Parallel coordinates",
        "A line is a run: what was chosen to the left, what came of it to the right.",
        draw_parallel(
            [*choices, "seed"],
            ["cost/parameters", "cost/seconds", "optimism/gap_uf1", "uar", "uf1"],
            keys,
        ),
    )


def _show_classes(keys: Keys, by: str | None) -> Section:
    """Return panels of confusion matrices, F1 and recall of each class."""
    return Section(
        "Confusion matrices",
        "Counts of all folds pooled, true classes in rows.",
        [
            *draw_picture("Confusion, each run", "confusion", keys),
            *draw_confusion(keys),
            *draw_bars("F1 by class", _find_scores(keys, "_f1", "class/"), keys, by),
            *draw_bars("Recall by class", _find_scores(keys, "_recall", "class/"), keys, by),
        ],
    )


def _show_optimism(keys: Keys, by: str | None) -> Section:
    """Return panels of the honest score and the best epoch on test."""
    return Section(
        "Optimism",
        "The honest UF1 beside what choosing the best epoch on each held-out subject would have claimed, "
        "and beside what random guesses reach by it. Nothing of this is ever used.",
        [
            *draw_bars(
                "Honest UF1 and best epoch on test",
                [
                    "uf1",
                    "optimism/best_common_epoch_uf1",
                    "optimism/best_epoch_uf1",
                    "optimism/random_guess_uf1",
                ],
                keys,
                by,
                needs="optimism/best_epoch_uf1",
            ),
            *draw_scatter("Claimed over honest", "uf1", "optimism/best_epoch_uf1", keys),
            *draw_bars("Optimism gap", ["optimism/gap_uf1"], keys, by),
            *draw_picture("Optimism meter, each run", "optimism_meter", keys),
        ],
    )


def _show_calibration(keys: Keys, by: str | None) -> Section:
    """Return panels of calibration errors and Brier scores."""
    return Section(
        "Calibration",
        "Expected calibration error with the ends of its interval, and Brier score, of held-out "
        "probabilities as they are.",
        [
            *draw_bars("Calibration error", _find_scores(keys, "", "calibration/ece"), keys, by),
            *draw_bars("Brier score", ["calibration/brier"], keys, by),
            *draw_scatter("Calibration error over UF1", "uf1", "calibration/ece", keys),
        ],
    )


def _show_curves(keys: Keys, by: str | None) -> Section:
    """Learning curves."""
    return Section(
        "Learning curves",
        "Quantiles over the folds of a run, epoch by epoch.",
        [
            *draw_curves("Training loss", _name_quantiles("train_loss"), keys, by),
            *draw_curves("Training accuracy", _name_quantiles("train_accuracy"), keys, by),
            *draw_curves("Held-out accuracy", ["curves/held_out_accuracy"], keys, by),
            *draw_picture("Learning curves, each run", "learning_curves", keys),
        ],
    )


def _show_regions(keys: Keys) -> Section:
    """Show the importance of regions, and the pairs of pretraining."""
    return Section(
        "Regions and pairs",
        "What each region of the face is worth to a network of points; pairs that were pretrained on.",
        [
            *draw_picture("Importance of regions", "region_importance", keys),
            *draw_picture("Learnt adjacency", "region_adjacency", keys),
            *draw_picture("Intensity of pairs", "pair_intensities", keys),
        ],
    )


def _show_cost(keys: Keys, by: str | None) -> Section:
    """Return panels of scores over seconds and parameters."""
    return Section(
        "Cost",
        "What a score costs: seconds of all folds, parameters of a network.",
        [
            *draw_scatter("UF1 over seconds", "cost/seconds", "uf1", keys),
            *draw_scatter("UF1 over parameters", "cost/parameters", "uf1", keys),
            *draw_bars("Seconds", ["cost/seconds"], keys, by),
        ],
    )


def _find_scores(keys: Keys, end: str, start: str = "") -> list[str]:
    return [name for name in keys.scores if name.endswith(end) and name.startswith(start)]


def _name_quantiles(name: str) -> list[str]:
    return [f"curves/{name}_{percent}" for percent in (10, 50, 90)]
