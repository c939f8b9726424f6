"""What pretraining brings: the same network from scratch, on random features, probed and finetuned."""

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd

from merec.evaluation.comparison import compare_with_base
from merec.evaluation.results import IDENTITY, Result
from merec.settings import configuration_hash, shared_settings
from merec.types import InputError

log = logging.getLogger(__name__)

# Settings of the task that follow from "pretrained on what?" and "encoder frozen?".
_DECIDED = (
    *("pretrain", "pretrain_epochs", "pretrain_groups", "transductive", "weights", "freeze"),
    *("least_intensity", "pool", "contrast", "contrastive", "legacy"),
)


def hash_without(result: Result, keys: Sequence[str]) -> str:
    """A hash that results share which differ in nothing but these settings of the task."""
    settings = read_settings(result)
    return configuration_hash({key: value for key, value in settings.items() if key not in keys})


def read_settings(result: Result) -> dict[str, Any]:
    """The settings of a result's task, which all its runs share."""
    return shared_settings(result.runs[0].config)


def name_start(result: Result) -> str:
    """Say how a result's networks started and what of them was trained."""
    settings = read_settings(result)
    before, frozen = _name_pretraining(settings), _is_frozen(settings)
    if before is None:
        return "random features, probed" if frozen else "from scratch"
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
    """Test each start against from scratch, among results that are otherwise equal.

    Returns:
        One row per result, subset and metric, those from scratch first, none if there is nothing to compare:
        how it `start`ed, `pretrained` how, `scratch` (the result it is compared with), what
        `compare_results` says of it (`a` is from scratch, `b` is the result itself), and the interval
        `b_low` to `b_high` of its own score.
    """
    rows = []
    for scratch, *others in _find_families(results):
        for result in (scratch, *others):
            try:
                found = compare_with_base(scratch, result)
            except InputError as error:  # the other rows are no worse for it
                log.warning("%s is not set beside %s: %s", result.name, scratch.name, error)
                continue
            found = found.assign(
                **result.identity,
                start=name_start(result),
                pretrained=describe_pretraining(result),
                transductive=result.transductive,
                seeds=" ".join(map(str, result.seeds)),
                scratch=scratch.name,
            )
            rows.append(found[_COLUMNS])
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=_COLUMNS)


_COLUMNS = [
    *(*IDENTITY, "start", "pretrained", "transductive", "seeds", "scratch", "subset", "metric"),
    *("b", "b_low", "b_high", "a", "difference", "low", "high", "p", "samples", "subjects"),
]


def _find_families(results: Sequence[Result]) -> list[list[Result]]:
    """Results that differ in their start only, from scratch first; where there is that and another."""
    families: dict[str, list[Result]] = {}
    for result in results:
        families.setdefault(hash_without(result, _DECIDED), []).append(result)
    for family in families.values():
        family.sort(key=_rank)
    return [
        family for family in families.values() if _rank(family[0]) == 0 and _rank(family[-1]) > 0
    ]


def _rank(result: Result) -> int:
    """From scratch, random features, pretrained and probed, pretrained and finetuned."""
    settings = read_settings(result)
    frozen = _is_frozen(settings)
    return int(frozen) if _name_pretraining(settings) is None else 3 - int(frozen)


def _name_pretraining(settings: dict[str, Any]) -> str | None:
    weights = "weights given" if settings.get("weights") else None
    return settings.get("pretrain") or weights


def _is_frozen(settings: dict[str, Any]) -> bool:
    return settings.get("freeze") == "encoder"
