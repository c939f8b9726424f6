"""Contrastive accuracy of pretrained encoders, as the folds of a run recorded it."""

from math import nan

import pandas as pd

from merec.evaluation.results import Result

LATEST_STEPS = 20  # steps over which the accuracy on training pairs is averaged
# Columns of a fold's table of its contrastive pretraining, as `merec.tasks.contrastive_monitor` writes it.
MONITORED = {
    "step": "number",
    "accuracy": "number",
    "chance": "number",
    "held_out_accuracy": "optional",
    "held_out_chance": "optional",
    "held_out_pairs": "number",
    "probe": "optional",
}


def read_monitor(result: Result) -> dict[str, float]:
    """Read the contrastive accuracy of the pretrained encoders of a result, averaged over folds.

    Returns:
        `told_apart`, the accuracy on training pairs, and `held_out_told_apart`, on pairs of held-out
        subjects, with their `chance` levels; NaN without contrastive pretraining or measurement.
    """
    tables = [run.read_table("pretraining", MONITORED) for run in result.runs]
    table = pd.concat(tables) if tables else pd.DataFrame()
    names = {
        "told_apart": "accuracy",
        "told_apart_chance": "chance",
        "held_out_told_apart": "held_out_accuracy",
        "held_out_chance": "held_out_chance",
    }
    if table.empty:
        return dict.fromkeys(names, nan)
    last = table.sort_values("step").groupby(["seed", "fold"]).tail(1)
    return {name: float(last[column].mean()) for name, column in names.items()}
