"""Reasons why samples cannot be used, grouped by kind and summarised in one line."""

import re
from collections.abc import Sequence

from merec.features.onset_apex_features import Pair


def sum_up(pairs: Sequence[Pair], reasons: Sequence[str]) -> str:
    """Summarise reasons in one line: number and first sample of each kind, the most frequent kind first."""
    several = group_by_kind(pairs, reasons)
    if len(several) < 2:
        return reasons[several[0][0]] if several else ""
    return "; ".join(f"{len(alike)} as {reasons[alike[0]]}" for alike in several)


def group_by_kind(pairs: Sequence[Pair], reasons: Sequence[str]) -> list[list[int]]:
    """Group samples by the kind of reason, without the file names in it; the largest group first."""
    kinds: dict[str, list[int]] = {}
    for row, (pair, reason) in enumerate(zip(pairs, reasons, strict=True)):
        kind = reason
        for name in (*map(str, (*pair.files, *pair.clip_files)), pair.sample_id):
            kind = kind.replace(name, "")
        if reason:
            kinds.setdefault(re.sub(r"\d[\d.]*", "", kind), []).append(row)
    return sorted(kinds.values(), key=len, reverse=True)
