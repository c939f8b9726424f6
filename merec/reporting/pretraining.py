"""What pretraining brings, for people: a table, and a sentence to quote for each start."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from merec.evaluation.pretraining import LATEST_STEPS
from merec.evaluation.results import Result
from merec.evaluation.statistics import DRAWS
from merec.presentation.notation import (
    NOTHING,
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    format_p,
)
from merec.presentation.table import Table
from merec.reporting.compare import quote_comparison


def lay_out_pretraining(results: Sequence[Result], starts: pd.DataFrame) -> Table | None:
    """Lay out every start beside its control, on Full; `None` where there is nothing to compare.

    Args:
        results: The results of a report.
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
    shown = [result for result in results if result.name in set(full["result"])]
    caption = (
        f"{describe_results(shown)} Equal but for their start and what follows from it; probed: the encoder "
        "is frozen, and the head trained. Pairs told apart: contrastive accuracy on training pairs in the "
        f"last {LATEST_STEPS} steps, and on those of held-out subjects at the end (chance level), which says "
        f"nothing of action units or emotions. [{describe_interval()}; paired for a difference]; p: paired "
        "permutation of "
        f"subjects, {DRAWS:,} draws, two-sided, not corrected for the number of rows."
    )
    return Table("What pretraining brings", caption, pd.DataFrame(rows))


def quote_pretraining(results: Sequence[Result], starts: pd.DataFrame) -> list[str]:
    """One sentence for each result that is no control, or a random encoder, whatever came out."""
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
