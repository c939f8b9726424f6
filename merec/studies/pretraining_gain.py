"""Gain by pretraining: a network from scratch, on random features, as linear probe and finetuned."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from merec.evaluation.comparison import compare_with_base
from merec.evaluation.contrastive_accuracy import LATEST_STEPS, read_monitor
from merec.evaluation.results import IDENTITY, Result
from merec.evaluation.subject_bootstrap import DRAWS
from merec.presentation.numbers_and_captions import (
    NOTHING,
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    format_p,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer, Quotes
from merec.studies.paired_comparison import quote_comparison

# Settings of the task that follow from "pretrained on what?" and "encoder frozen?".
_DECIDED = (
    *("pretrain", "pretrain_epochs", "pretrain_steps", "pretrain_groups", "monitor_steps"),
    *("transductive", "weights", "freeze", "least_intensity"),
    *("pool", "contrast", "contrastive", "legacy"),
)
_COLUMNS = [
    *(*IDENTITY, "start", "pretrained", "transductive", "seeds", "control", "subset", "metric"),
    *("b", "b_low", "b_high", "a", "difference", "low", "high", "p", "samples", "subjects"),
    *("told_apart", "told_apart_chance", "held_out_told_apart", "held_out_chance"),
]


def answer(results: Sequence[Result]) -> Answer:
    """Compare results that differ only in their start; no table if there are none."""
    title, starts = "What pretraining brings", compare_starts(results)
    table, frames = lay_out_pretraining(results, starts), {"pretraining": starts}
    if table is None:
        return Answer(title, frames=frames)
    quotes = Quotes(quote_pretraining(results, starts))
    return Answer(title, [table, quotes], {"pretraining": table}, frames)


def probes_random_encoder(result: Result) -> bool:
    """Return whether a result trained only heads on encoders with random weights."""
    settings = result.settings
    return _name_pretraining(settings) is None and _is_frozen(settings)


def name_start(result: Result) -> str:
    """Describe the start of a result's networks, and their trained part."""
    settings = result.settings
    before, frozen = _name_pretraining(settings), _is_frozen(settings)
    if before is None:
        return "random encoder, probed" if frozen else "from scratch"
    return f"pretrained ({before}), {'probed' if frozen else 'finetuned'}"


def describe_pretraining(result: Result) -> str:
    """Describe which subjects the pretraining of each fold has not seen; empty without pretraining."""
    settings = result.settings
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
    """Test each start against its control, among results that differ only in their start.

    The control of a finetuned network is the network from scratch, and the control of a linear probe is the
    probe of a random encoder. If the control does not exist, the other one is used.

    Returns:
        One row per result, subset and metric, controls first, empty if there is nothing to compare: `start`,
        `pretrained` (kind of pretraining), `control` (the result it is compared with), the columns of
        `compare_results` (`a` is the control, `b` the result), the interval `b_low` to `b_high` of its score,
        and the columns of `read_monitor`.
    """
    rows = []
    for family in _find_families(results):
        for result in family:
            control = _find_control(result, family)
            comparison = compare_with_base(control, result)
            if comparison is None:
                continue
            comparison = comparison.assign(
                **result.identity,
                **read_monitor(result),
                start=name_start(result),
                pretrained=describe_pretraining(result),
                transductive=result.transductive,
                seeds=" ".join(map(str, result.seeds)),
                control=control.name,
            )
            rows.append(comparison[_COLUMNS])
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=_COLUMNS)


def _find_families(results: Sequence[Result]) -> list[list[Result]]:
    """Return groups of results that differ only in their start, controls first; each has a control."""
    families: dict[str, list[Result]] = {}
    for result in results:
        families.setdefault(result.hash_without(_DECIDED), []).append(result)
    for family in families.values():
        family.sort(key=_rank)
    return [family for family in families.values() if _rank(family[0]) < 2 and len(family) > 1]


def _find_control(result: Result, family: Sequence[Result]) -> Result:
    """Return the control of a result; the control of a single control is itself."""
    controls = {_rank(start): start for start in reversed(family) if _rank(start) < 2}
    if _rank(result) < 2:
        return controls.get(0, result)
    return controls.get(1 if _is_frozen(result.settings) else 0) or family[0]


def _rank(result: Result) -> int:
    """Rank by start: from scratch, random encoder, pretrained and probed, pretrained and finetuned."""
    settings = result.settings
    frozen = _is_frozen(settings)
    return int(frozen) if _name_pretraining(settings) is None else 3 - int(frozen)


def _name_pretraining(settings: dict[str, Any]) -> str | None:
    weights = "weights given" if settings.get("weights") else None
    return settings.get("pretrain") or weights


def _is_frozen(settings: dict[str, Any]) -> bool:
    return settings.get("freeze") == "encoder"


def lay_out_pretraining(results: Sequence[Result], starts: pd.DataFrame) -> Table | None:
    """Lay out every start with its control, on Full; `None` if there is nothing to compare.

    Args:
        results: Results of a report.
        starts: See `compare_starts`.
    """
    full = starts[starts["subset"] == "Full"]
    if full.empty:
        return None
    rows, controls = [], dict(zip(full["result"], full["start"], strict=True))
    for _, row in full.iterrows():
        itself = row["result"] == row["control"]
        p = format_p(row["p"], DRAWS).removeprefix("= ")
        rows.append(
            {
                "Method": row["result"],
                "Start": row["start"],
                "Pretrained": row["pretrained"] or NOTHING,
                "Metric": row["metric"].upper(),
                "Score": format_interval(row["b"], row["b_low"], row["b_high"]),
                "Less control": NOTHING if itself else format_change(row),
                "p": NOTHING if itself else p,
                "Control": NOTHING if itself else controls[row["control"]],
                "Pairs told apart": _format_accuracy(row["told_apart"], row["told_apart_chance"]),
                "Held out": _format_accuracy(row["held_out_told_apart"], row["held_out_chance"]),
            }
        )
    compared = [result for result in results if result.name in set(full["result"])]
    caption = (
        f"{describe_results(compared)} Equal but for their start and what follows from it; probed: "
        "the encoder is frozen, and the head trained. Pairs told apart: contrastive accuracy on training "
        f"pairs in the last {LATEST_STEPS} steps, and on those of held-out subjects at the end (chance "
        "level), which says nothing of action units or emotions. "
        f"[{describe_interval()}; paired for a difference]; p: paired permutation of "
        f"subjects, {DRAWS:,} draws, two-sided, not corrected for the number of rows."
    )
    return Table("What pretraining brings", caption, pd.DataFrame(rows))


def quote_pretraining(results: Sequence[Result], starts: pd.DataFrame) -> list[str]:
    """Write one sentence for each result that is not a control, and for random encoders."""
    by_name = {result.name: result for result in results}
    how_started = dict(zip(starts["result"], starts["start"], strict=True))
    sentences = []
    for (name, control), rows in starts.groupby(["result", "control"], sort=False):
        if name != control:
            how = rows["pretrained"].iloc[0]
            start = f"{name}, {rows['start'].iloc[0]}{f', pretraining {how}' if how else ''}"
            a = replace(by_name[str(control)], name=f"{control}, {how_started[control]}")
            sentences.append(quote_comparison(rows, a, replace(by_name[str(name)], name=start)))
    return sentences


def _format_accuracy(accuracy: float, chance: float) -> str:
    if accuracy != accuracy:
        return NOTHING
    return f"{accuracy:.1%} ({chance:.1%})".replace("%", " %")
