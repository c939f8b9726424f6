"""Gain by depth: comparison of networks that differ only in modality."""

import logging
import re
from collections.abc import Sequence

import pandas as pd

from merec.evaluation.comparison import compare_with_base
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
from merec.run_folder.identity import configuration_hash
from merec.studies.answer import Answer

log = logging.getLogger(__name__)
MODALITIES = ("rgb", "depth", "fused")
_DECIDED = ("modality", "channels")  # settings of the datamodule that follow from the modality
_COLUMNS = [
    *(*IDENTITY, "family", "modality", "base", "subset", "metric", "b", "b_low", "b_high"),
    *("a", "difference", "low", "high", "p", "samples", "subjects"),
]
_TITLES = {"rgb": "RGB", "depth": "Depth", "fused": "Fused"}


def answer(results: Sequence[Result]) -> Answer:
    """Compare results that differ only in modality; no table if there are none."""
    rows = compare_modalities(results)
    table = lay_out_modalities(results, rows)
    return Answer("Modalities", [table], {"modalities": table}, {"modalities": rows})


def compare_modalities(results: Sequence[Result]) -> pd.DataFrame:
    """Compare results that differ only in modality with the colour result, or with the first one.

    Returns:
        One row per result, subset and metric: the `family` of equal settings, its `modality`, the `base` (a
        result), and the columns of `compare_with_base`; empty if every family has only one modality.
    """
    tables = []
    for family, members in _find_families(results).items():
        base = next(iter(members.values()))
        for modality, result in members.items():
            comparison = compare_with_base(base, result)
            about = {**result.identity, "family": family, "modality": modality, "base": base.name}
            if comparison is not None:
                tables.append(comparison.assign(**about)[_COLUMNS])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_COLUMNS)


def _find_families(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    """Find groups of results that differ only in modality, colour first, with at least two modalities."""
    families: dict[str, dict[str, Result]] = {}
    for result in results:
        settings = result.settings
        data = settings.get("datamodule") or {}
        modality = data.get("modality")
        if modality not in MODALITIES:
            continue
        rest = {key: value for key, value in data.items() if key not in _DECIDED}
        members = families.setdefault(configuration_hash({**settings, "datamodule": rest}), {})
        if modality in members:
            log.warning(
                "%s is not in the table of modalities: it differs from %s in %s only",
                result.name,
                members[modality].name,
                _name_difference(result, members[modality]),
            )
            continue
        members[modality] = result
    return {
        family: {name: members[name] for name in MODALITIES if name in members}
        for family, members in families.items()
        if len(members) > 1
    }


def _name_difference(a: Result, b: Result) -> str:
    """Name the difference between results of one family and modality: channels, data or code."""
    if a.settings != b.settings:
        return "channels"
    _, data_a, _ = a.runs[0].configuration
    _, data_b, _ = b.runs[0].configuration
    return "data" if data_a != data_b else "code"


def lay_out_modalities(results: Sequence[Result], rows: pd.DataFrame) -> Table | None:
    """Lay out a row per backbone and a column per modality; `None` without rows of `compare_modalities`."""
    full = rows[rows["subset"] == "Full"]
    if full.empty:
        return None
    lines = []
    for (_, metric), metric_rows in full.groupby(["family", "metric"], sort=False):
        scores, change, p = dict.fromkeys(MODALITIES, NOTHING), NOTHING, NOTHING
        for _, row in metric_rows.iterrows():
            scores[row["modality"]] = format_interval(row["b"], row["b_low"], row["b_high"])
            if row["modality"] == "fused" and metric_rows["modality"].iloc[0] == "rgb":
                change, p = format_change(row), format_p(row["p"], DRAWS).removeprefix("= ")
        first = metric_rows.iloc[0]
        name = re.sub(rf"[-_ ]{first['modality']}\b", "", first["result"], count=1)
        cells = {"Method": name, "Metric": str(metric).upper()}
        cells |= {_TITLES[modality]: score for modality, score in scores.items()}
        lines.append(cells | {"Fused − RGB": change, "p": p})
    compared = [result for result in results if result.name in set(full["result"])]
    caption = (
        f"{describe_results(compared)} Equal but for the modality and its channels. [{describe_interval()}; "
        f"paired for a difference]; p: paired permutation of subjects, {DRAWS:,} "
        "draws, two-sided, not corrected for the number of rows."
    )
    return Table("Modalities", caption, pd.DataFrame(lines))
