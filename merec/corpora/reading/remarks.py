"""Remarks of the authors of a corpus about single samples of its lists."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from merec.types import Finding, InputError


@cache
def read_remarks() -> dict[str, dict[str, dict[str, Any]]]:
    """Read `remarks.yaml`: data set → kind → `found` (the problem) and `samples` (the ids)."""
    import yaml

    return yaml.safe_load(
        files("merec.corpora.reading").joinpath("remarks.yaml").read_text("utf-8")
    )


def note_remarks(index: pd.DataFrame, key: str, where: str) -> list[Finding]:
    """Return a warning for each sample with a remark of the authors.

    Args:
        index: Columns `sample_id` and `row`.
        key: Key of `remarks.yaml`.
        where: File of the annotation, for the findings.
    """
    findings = []
    for kind, remark in read_remarks()[key].items():
        same = index[index["sample_id"].isin(remark["samples"])]
        remedy = (
            "published counts hold it; corpus.without="
            f"{kind} leaves {'it' if len(same) == 1 else f'all {len(same)}'} out, as another protocol"
        )
        findings += [
            Finding(
                "warning", kind.replace("_", " "), where, row, sample_id, remark["found"], remedy
            )
            for sample_id, row in same[["sample_id", "row"]].itertuples(index=False)
        ]
    return findings


def is_remark(finding: Finding) -> bool:
    """Return whether a finding comes from `note_remarks`."""
    kinds = {kind.replace("_", " ") for remarks in read_remarks().values() for kind in remarks}
    return finding.kind in kinds


def resolve_without(
    without: str | Sequence[str], allowed: Sequence[str], key: str | None
) -> dict[str, dict[str, str]]:
    """Turn `corpus.without` into kind → sample id → reason of its exclusion.

    Args:
        without: One or several kinds of `remarks.yaml`.
        allowed: All annotated sample ids.
        key: Key of `remarks.yaml`; `None` if there are no remarks.

    Raises:
        InputError: If the kind does not exist, or has no sample in this list.
    """
    kinds = [without] if isinstance(without, str) else without
    remarks = read_remarks()[key] if key else {}
    chosen = {}
    for kind in sorted(set(kinds)):
        if kind not in remarks:
            there = (
                f"there are {' and '.join(remarks)}" if remarks else "this list has no such kind"
            )
            raise InputError(
                f"corpus.without={kind}, but {there}; single samples are left out by corpus.exclude"
            )
        named = [sample_id for sample_id in remarks[kind]["samples"] if sample_id in set(allowed)]
        if not named:
            raise InputError(
                f"corpus.without={kind}, but this list holds none of its samples; leave it out"
            )
        chosen[kind] = dict.fromkeys(named, f"{remarks[kind]['found']} (without: {kind})")
    return chosen
