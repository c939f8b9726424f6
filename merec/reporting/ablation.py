"""What a modality brings and what a class costs, as tables for people."""

import re

import pandas as pd

from merec.evaluation.ablation import MODALITIES
from merec.evaluation.statistics import DRAWS
from merec.presentation.notation import (
    NOTHING,
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    format_number,
    format_p,
)
from merec.presentation.table import Table
from merec.reporting.summary import Summary

_TITLES = {"rgb": "RGB", "depth": "Depth", "fused": "Fused"}


def lay_out_modalities(summary: Summary) -> Table | None:
    """A row for each backbone, a column for each modality; `None` where nothing differs in modality only."""
    full = summary.modalities[summary.modalities["subset"] == "Full"]
    if full.empty:
        return None
    rows = []
    for (_, metric), own in full.groupby(["family", "metric"], sort=False):
        scores, change, p = dict.fromkeys(MODALITIES, NOTHING), NOTHING, NOTHING
        for _, row in own.iterrows():
            scores[row["modality"]] = format_interval(row["b"], row["b_low"], row["b_high"])
            if row["modality"] == "fused" and own["modality"].iloc[0] == "rgb":
                change, p = format_change(row), format_p(row["p"], DRAWS).removeprefix("= ")
        first = own.iloc[0]
        name = re.sub(rf"[-_ ]{first['modality']}\b", "", first["result"], count=1)
        cells = {"Method": name, "Metric": str(metric).upper()}
        cells |= {_TITLES[modality]: score for modality, score in scores.items()}
        rows.append(cells | {"Fused − RGB": change, "p": p})
    shown = [result for result in summary.results if result.name in set(full["result"])]
    caption = (
        f"{describe_results(shown)} Equal but for the modality and its channels. [{describe_interval()}; "
        f"paired for a difference]; p: paired permutation of subjects, {DRAWS:,} "
        "draws, two-sided, not corrected for the number of rows."
    )
    return Table("Modalities", caption, pd.DataFrame(rows))


def lay_out_ablation(summary: Summary) -> Table:
    """What each class is taken for, and UF1 without it."""
    rows = [
        {
            "Method": row["result"],
            "Class": row["class"],
            "n": str(row["samples"]),
            "F1": format_interval(row["f1"], row["f1_low"], row["f1_high"]),
            "Most taken for": (
                f"{row['taken_for']} ({100 * row['share']:.0f} %)" if row["taken_for"] else NOTHING
            ),
            "UF1 without it": format_number(row["uf1_without"]),
            "Less UF1": format_change(row),
        }
        for _, row in summary.ablation.iterrows()
    ]
    caption = (
        f"{describe_results(summary.results)} Mean over seeds [{describe_interval()}]. "
        "Most taken for: another class, and the share of its own samples. UF1 without it: its "
        "samples left out, mean F1 of the others; others taken for it stay mistakes. Nothing is trained "
        "again."
    )
    return Table("Classes left out", caption, pd.DataFrame(rows))
