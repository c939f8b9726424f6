"""What key frames that were spotted badly do to the score: results that differ in their shift only."""

import logging
from collections.abc import Sequence

import pandas as pd

from merec.evaluation.comparison import compare_results
from merec.evaluation.pretraining import read_settings
from merec.evaluation.results import IDENTITY, Result
from merec.run_folder import SHIFTS
from merec.run_folder.identity import configuration_hash
from merec.types import InputError

log = logging.getLogger(__name__)


def read_jitter(result: Result) -> tuple[int, int]:
    """By how many frames onset and apex of those tested were to be shifted."""
    asked = (read_settings(result).get("datamodule") or {}).get("jitter") or {}
    return int(asked.get("onset", 0)), int(asked.get("apex", 0))


def read_shifts(result: Result) -> pd.DataFrame:
    """By how much each sample's key frames were shifted, which all runs of a result share.

    Returns:
        `sample_id`, `onset_shift` and `apex_shift` in frames, and `clamped`: whether one of both could not go
        as far as asked. Empty if they stand as annotated.

    Raises:
        InputError: If the file is missing or damaged.
    """
    if read_jitter(result) == (0, 0):
        return pd.DataFrame(columns=list(SHIFTS))
    return result.runs[0].folder.read_shifts()


def read_jitters(results: Sequence[Result]) -> pd.DataFrame:
    """Studies of jitter: results that differ in the shift of their key frames only, if any is shifted.

    Returns:
        One row per result: `study` (equal within one), `onset` and `apex` (frames asked for), `onset_reached`
        and `apex_reached` (their mean over the samples), `clamped` (samples in which one of both could not go
        all the way), `samples`, UF1 and UAR on Full with the ends of their intervals, and by how much the
        UF1 differs from that of annotated key frames (`difference`, with `low` and `high`, a paired interval;
        NaN if there is no such result, or for itself).
    """
    studies: dict[str, list[Result]] = {}
    for result in results:
        studies.setdefault(_hash_otherwise(result), []).append(result)
    rows = []
    for study, members in studies.items():
        if not any(map(_is_shifted, members)):
            continue
        annotated = next((result for result in members if not _is_shifted(result)), None)
        rows += [_describe(study, result, annotated) for result in sorted(members, key=read_jitter)]
    return pd.DataFrame(rows, columns=_COLUMNS)


_CHANGE = ("difference", "low", "high")
_COLUMNS = [
    *(*IDENTITY, "study", "onset", "apex", "onset_reached", "apex_reached", "clamped", "samples"),
    *("uf1", "uf1_low", "uf1_high", "uar", "uar_low", "uar_high"),
    *_CHANGE,
]


def _describe(study: str, result: Result, annotated: Result | None) -> dict[str, object]:
    onset, apex = read_jitter(result)
    shifts, scores = read_shifts(result), result.score()
    reached = shifts[["onset_shift", "apex_shift"]].mean().fillna(0)
    row: dict[str, object] = {
        **result.identity,
        "study": study,
        "onset": onset,
        "apex": apex,
        "onset_reached": reached["onset_shift"],
        "apex_reached": reached["apex_shift"],
        "clamped": int(shifts["clamped"].sum()),
        "samples": result.predictions["sample_id"].nunique(),
    }
    for metric in ("uf1", "uar"):
        score = scores[metric]
        row |= {metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high}
    if annotated is None or annotated is result:
        return row
    try:
        found = compare_results(annotated, result).iloc[0]  # UF1 on Full comes first
    except InputError as error:  # the score itself is no worse for it
        log.warning("%s is not set beside %s: %s", result.name, annotated.name, error)
        return row
    return row | {key: found[key] for key in _CHANGE}


def _is_shifted(result: Result) -> bool:
    return read_jitter(result) != (0, 0)


def _hash_otherwise(result: Result) -> str:
    """A hash that results share which differ in nothing but their jitter."""
    settings = read_settings(result)
    data = settings.get("datamodule") or {}
    others = {key: value for key, value in data.items() if key != "jitter"}
    return configuration_hash(settings | {"datamodule": others})
