"""Errata of official annotations: row, old values, new values and reason."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from merec.corpora.reading.cells import is_frame_number
from merec.types import Finding

UNKNOWN = "unknown"  # a frame number that is known to be wrong, and no better one is known
MIDDLE = "middle"  # the frame halfway between onset and offset
OUTSIDE = "outside"  # a frame number that does not lie in onset..apex..offset


@cache
def read_errata() -> dict[str, list[dict[str, Any]]]:
    """Return the table `errata.yaml`, by annotation, e.g. `samm`."""
    import yaml

    return yaml.safe_load(files("merec.corpora.reading").joinpath("errata.yaml").read_text("utf-8"))


def apply_errata(table: pd.DataFrame, key: str, where: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Correct rows of an annotation by the errata.

    An erratum applies only if subject, clip and old values agree: to its row, or else to the only other row
    that agrees (lists may be sorted or cut). An erratum whose new values are already present is skipped. If
    its sample is annotated differently, a note says that it is not applicable, provided that other errata
    apply to the list (only official lists and copies of them have these mistakes).

    Args:
        table: Text columns `sample_id`, `subject`, `clip`, `onset`, `apex`, `offset`, indexed by row.
        key: Key of `errata.yaml`, a data set with its part or sheet.
        where: File of the annotation, for the findings.

    Returns:
        The table, and a note for each erratum that was applied.
    """
    table = table.copy()
    notes: list[Finding] = []
    absent: list[Finding] = []
    for erratum in read_errata()[key]:
        row = _find(table, erratum)
        if row is None:
            absent += _note_absent(table, erratum, where)
            continue
        wanted = _new_values(erratum)
        old = ", ".join(f"{key} {str(table.at[row, key]) or 'empty'}" for key in wanted)
        for key, new in wanted.items():
            table.at[row, key] = new
        for key in erratum["was"]:  # a number that does not fit either is no better than none
            if erratum["was"][key] == OUTSIDE and key == "offset" and _is_outside(table, row, key):
                table.at[row, key] = wanted[key] = UNKNOWN
        new_values = ", ".join(f"{key} {new}" for key, new in wanted.items())
        sample_id = str(table.at[row, "sample_id"])
        taken = f"taken as {new_values}: {erratum['why']}"
        notes.append(Finding("note", "erratum", where, int(row), sample_id, old, taken))
    return table, notes + absent if notes else []


def _new_values(erratum: Mapping[str, Any]) -> dict[str, str]:
    return {key: UNKNOWN if new is None else str(new) for key, new in erratum["set"].items()}


def _find(table: pd.DataFrame, erratum: Mapping[str, Any]) -> Any:
    """Return the index of the row of an erratum; `None` if there is not exactly one."""
    same = table
    if "subject" in erratum:
        same = table[_is_sample(table, erratum)]
    elif erratum["row"] in table.index:
        same = table.loc[[erratum["row"]]]
    else:
        return None
    rows = [row for row in same.index if _agrees(table, row, erratum["was"])]
    if erratum.get("row") in rows:
        return erratum["row"]
    return rows[0] if len(rows) == 1 else None


def _is_sample(table: pd.DataFrame, erratum: Mapping[str, Any]) -> pd.Series:
    clip = table["clip"].str.casefold() == str(erratum["clip"]).casefold()
    return (table["subject"] == str(erratum["subject"])) & clip


def _agrees(table: pd.DataFrame, row: Any, was: Mapping[str, Any]) -> bool:
    return all(
        _is_outside(table, row, key) if value == OUTSIDE else table.at[row, key] == str(value)
        for key, value in was.items()
    )


def _is_outside(table: pd.DataFrame, row: Any, key: str) -> bool:
    """Return whether a cell breaks the order onset ≤ apex ≤ offset; False if the others are unreadable."""
    texts = {name: str(table.at[row, name]) for name in ("onset", "apex", "offset")}
    unread = [name for name, text in texts.items() if not is_frame_number(text)]
    if unread:
        return unread == [key] and texts[key] not in (MIDDLE, UNKNOWN)
    onset, apex, offset = map(int, texts.values())
    return not onset <= apex <= offset if key == "apex" else offset < max(onset, apex)


def _note_absent(table: pd.DataFrame, erratum: Mapping[str, Any], where: str) -> list[Finding]:
    if "subject" not in erratum or OUTSIDE in erratum["was"].values():
        return []  # nothing is outside any more: nothing to mend
    same = table[_is_sample(table, erratum)]
    if same.empty or any(_agrees(table, row, _new_values(erratum)) for row in same.index):
        return []
    wanted = ", ".join(f"{key} {value}" for key, value in erratum["was"].items())
    there = f"{erratum['subject']} {erratum['clip']} has no row with {wanted}"
    remedy = "an erratum of another copy of this list; nothing was changed"
    return [Finding("note", "erratum not applicable", where, None, "", there, remedy)]
