"""What pretraining brings, for people: a table, and a sentence to quote for each start."""

from dataclasses import replace

import pandas as pd

from merec.evaluation.statistics import DRAWS
from merec.reporting.compare import quote_comparison
from merec.reporting.notation import (
    NOTHING,
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    format_p,
)
from merec.reporting.summary import Summary
from merec.reporting.tables import (
    Table,
)


def lay_out_pretraining(summary: Summary) -> Table | None:
    """Every start beside from scratch, on Full; `None` where there is nothing to compare."""
    full = summary.pretraining[summary.pretraining["subset"] == "Full"]
    if full.empty:
        return None
    rows = []
    for _, row in full.iterrows():
        itself = row["result"] == row["scratch"]
        p = format_p(row["p"], DRAWS).removeprefix("= ")
        rows.append(
            {
                "Method": row["result"],
                "Start": row["start"],
                "Pretrained": row["pretrained"] or NOTHING,
                "Metric": row["metric"].upper(),
                "Score": format_interval(row["b"], row["b_low"], row["b_high"]),
                "Less scratch": NOTHING if itself else format_change(row),
                "p": NOTHING if itself else p,
            }
        )
    shown = [result for result in summary.results if result.name in set(full["result"])]
    caption = (
        f"{describe_results(shown)} Equal but for their start and what follows from it; probed: the encoder "
        f"is frozen, and the head trained. [{describe_interval()}; paired for a "
        f"difference]; p: paired permutation of subjects, {DRAWS:,} draws, two-sided, not corrected for the "
        "number of rows."
    )
    return Table("What pretraining brings", caption, pd.DataFrame(rows))


def quote_pretraining(summary: Summary) -> list[str]:
    """One sentence for each result that did not start from scratch, whatever came out."""
    results = {result.name: result for result in summary.results}
    sentences = []
    for (name, scratch), rows in summary.pretraining.groupby(["result", "scratch"], sort=False):
        if name != scratch:
            how = rows["pretrained"].iloc[0]
            start = f"{name}, {rows['start'].iloc[0]}{f', pretraining {how}' if how else ''}"
            a = replace(results[str(scratch)], name=f"{scratch}, from scratch")
            sentences.append(quote_comparison(rows, a, replace(results[str(name)], name=start)))
    return sentences
