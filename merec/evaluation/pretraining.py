"""What pretraining brings: the same network from scratch, on random features, probed and finetuned."""

import logging
from collections.abc import Sequence
from math import nan
from typing import Any

import pandas as pd

from merec.evaluation.comparison import compare_with_base
from merec.evaluation.results import IDENTITY, Result
from merec.run_folder.identity import configuration_hash, shared_settings
from merec.types import InputError

log = logging.getLogger(__name__)

# Settings of the task that follow from "pretrained on what?" and "encoder frozen?".
_DECIDED = (
    *("pretrain", "pretrain_epochs", "pretrain_steps", "pretrain_groups", "monitor_steps"),
    *("transductive", "weights", "freeze", "least_intensity"),
    *("pool", "contrast", "contrastive", "legacy"),
)
LATEST_STEPS = 20  # steps over which the accuracy on training pairs is averaged


def hash_without(result: Result, keys: Sequence[str]) -> str:
    """A hash that results share which differ in nothing but these settings of the task."""
    settings = read_settings(result)
    return configuration_hash({key: value for key, value in settings.items() if key not in keys})


def read_settings(result: Result) -> dict[str, Any]:
    """The settings of a result's task, which all its runs share."""
    return shared_settings(result.runs[0].config)


def probes_random_encoder(result: Result) -> bool:
    """Return whether only the head of a result's networks was trained, on an encoder with random weights."""
    settings = read_settings(result)
    return _name_pretraining(settings) is None and _is_frozen(settings)


def name_start(result: Result) -> str:
    """Say how a result's networks started and what of them was trained."""
    settings = read_settings(result)
    before, frozen = _name_pretraining(settings), _is_frozen(settings)
    if before is None:
        return "random encoder, probed" if frozen else "from scratch"
    return f"pretrained ({before}), {'probed' if frozen else 'finetuned'}"


def describe_pretraining(result: Result) -> str:
    """Say whom the pretraining of each fold did not see; empty if nothing was pretrained."""
    settings = read_settings(result)
    if _name_pretraining(settings) is None:
        return ""
    if result.transductive:
        return "TRANSDUCTIVE: held-out subjects were seen"
    if settings.get("weights"):
        return "before, without the held-out subjects"
    if groups := settings.get("pretrain_groups"):
        return f"for each of {groups} groups of held-out subjects"
    return f"inside each of {result.protocol.folds} folds"


def compare_starts(results: Sequence[Result]) -> pd.DataFrame:
    """Test each start against its control, among results that are otherwise equal.

    A finetuned network is set against the same from scratch, the probe of an encoder against that of a random
    encoder; where there is none of these, against the other.

    Returns:
        One row per result, subset and metric, controls first, none if there is nothing to compare: how it
        `start`ed, `pretrained` how, `control` (the result it is compared with), what `compare_results` says
        of it (`a` is the control, `b` is the result itself), the interval `b_low` to `b_high` of its own
        score, and what `read_monitor` says of its pretraining.
    """
    rows = []
    for family in _find_families(results):
        for result in family:
            control = _find_control(result, family)
            try:
                found = compare_with_base(control, result)
            except InputError as error:  # the other rows are no worse for it
                log.warning("%s is not set beside %s: %s", result.name, control.name, error)
                continue
            found = found.assign(
                **result.identity,
                **read_monitor(result),
                start=name_start(result),
                pretrained=describe_pretraining(result),
                transductive=result.transductive,
                seeds=" ".join(map(str, result.seeds)),
                control=control.name,
            )
            rows.append(found[_COLUMNS])
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=_COLUMNS)


def read_monitor(result: Result) -> dict[str, float]:
    """Read how well the encoders of a result told pairs apart once they were pretrained, mean over folds.

    Returns:
        `told_apart` of the training pairs and `held_out_told_apart` of those of held-out subjects, each with
        the `chance` level of guessing; NaN where nothing was contrasted or measured.
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
_COLUMNS = [
    *(*IDENTITY, "start", "pretrained", "transductive", "seeds", "control", "subset", "metric"),
    *("b", "b_low", "b_high", "a", "difference", "low", "high", "p", "samples", "subjects"),
    *("told_apart", "told_apart_chance", "held_out_told_apart", "held_out_chance"),
]


def _find_families(results: Sequence[Result]) -> list[list[Result]]:
    """Results that differ in their start only, controls first; where there is a control and another."""
    families: dict[str, list[Result]] = {}
    for result in results:
        families.setdefault(hash_without(result, _DECIDED), []).append(result)
    for family in families.values():
        family.sort(key=_rank)
    return [family for family in families.values() if _rank(family[0]) < 2 and len(family) > 1]


def _find_control(result: Result, family: Sequence[Result]) -> Result:
    """Return what a result of a family is compared with; a control alone with itself."""
    controls = {_rank(each): each for each in reversed(family) if _rank(each) < 2}
    if _rank(result) < 2:
        return controls.get(0, result)
    return controls.get(1 if _is_frozen(read_settings(result)) else 0) or family[0]


def _rank(result: Result) -> int:
    """From scratch, random encoder, pretrained and probed, pretrained and finetuned."""
    settings = read_settings(result)
    frozen = _is_frozen(settings)
    return int(frozen) if _name_pretraining(settings) is None else 3 - int(frozen)


def _name_pretraining(settings: dict[str, Any]) -> str | None:
    weights = "weights given" if settings.get("weights") else None
    return settings.get("pretrain") or weights


def _is_frozen(settings: dict[str, Any]) -> bool:
    return settings.get("freeze") == "encoder"
