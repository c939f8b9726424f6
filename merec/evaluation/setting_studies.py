"""Studies of one setting: how results score that differ in nothing else, by modality."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from merec.evaluation.comparison import compare_results
from merec.evaluation.pretraining import read_settings
from merec.evaluation.results import IDENTITY, Result
from merec.run_folder.identity import configuration_hash, flatten
from merec.types import InputError

log = logging.getLogger(__name__)

_BY_MODALITY = ("datamodule.modality", "datamodule.channels")
STUDY_COLUMNS = [
    *(*IDENTITY, "study", "method", "modality", "setting", "score", "score_low", "score_high"),
    *("difference", "low", "high"),
]


@dataclass(frozen=True)
class Setting:
    """A setting that is varied.

    Attributes:
        name: Name of its study.
        keys: Dotted keys below the task that differ within a study.
        read: The value of a result as a number; `None` if the result has none.
        of_depth: Whether it changes depth alone, so that colour alone is the same at each value.
    """

    name: str
    keys: tuple[str, ...]
    read: Callable[[Result], float | None]
    of_depth: bool


def count_training_subjects(result: Result) -> float | None:
    """Return how many subjects a fold trains on: as limited, or the mean of all that are not held out."""
    limit = read_settings(result).get("train_subjects")
    if limit is not None:
        return float(limit)
    by_fold = result.predictions.groupby("fold")["subject"].nunique()
    return float(result.protocol.subjects - by_fold.mean())


TRAIN_SUBJECTS = Setting("train_subjects", ("train_subjects",), count_training_subjects, False)


def read_study(results: Sequence[Result], setting: Setting) -> pd.DataFrame:
    """Read the studies of a setting: results that differ in it, in modality and channels only.

    Returns:
        One row per result, sorted by method, modality and value, none if the setting is not varied: `study`
        (equal within one method), `method` (its name), `modality`, the value of the `setting`, the deciding
        `score` with the ends of its interval; of fused, the `difference` to colour alone with the ends `low`
        and `high` of its paired interval, NaN where there is no such result.
    """
    members: dict[tuple[str, str, float], Result] = {}
    for result in results:
        settings = flatten(read_settings(result))
        modality, value = settings.get("datamodule.modality"), setting.read(result)
        if modality is None or value is None:
            continue
        left_out = (*setting.keys, *_BY_MODALITY)
        others = {key: each for key, each in settings.items() if key not in left_out}
        key = configuration_hash(others), str(modality), value
        if key in members:
            if not (setting.of_depth and modality == "rgb"):
                log.warning("%s is left out of its study beside %s", result.name, members[key].name)
            continue
        members[key] = result
    varied = {
        (study, modality)
        for study, modality, _ in members
        if len({value for s, m, value in members if (s, m) == (study, modality)}) > 1
    }
    rows = [
        _describe(setting, key, result, members)
        for key, result in sorted(members.items(), key=lambda item: item[0])
        if key[:2] in varied or (setting.of_depth and _is_colour_of(key, varied))
    ]
    return pd.DataFrame(rows, columns=STUDY_COLUMNS)


def _is_colour_of(key: tuple[str, str, float], varied: set[tuple[str, str]]) -> bool:
    """Return whether a result is colour alone of a study in which depth is varied."""
    return key[1] == "rgb" and any(study == key[0] for study, _ in varied)


def _describe(
    setting: Setting,
    key: tuple[str, str, float],
    result: Result,
    members: dict[tuple[str, str, float], Result],
) -> dict[str, object]:
    study, modality, value = key
    score = result.score()[result.target.metrics[0]]
    name = str(result.runs[0].environment["name"])
    row: dict[str, object] = {
        **result.identity,
        "study": study,
        "method": name.removesuffix(f"-{modality}"),
        "modality": modality,
        "setting": value,
        "score": score.value,
        "score_low": score.low,
        "score_high": score.high,
    }
    colour = members.get((study, "rgb", value))
    if colour is None and setting.of_depth:
        found = (other for (s, m, _), other in members.items() if (s, m) == (study, "rgb"))
        colour = next(found, None)
    if modality != "fused" or colour is None:
        return row
    try:
        change = compare_results(colour, result).iloc[0]  # the deciding score on all samples
    except InputError as error:  # the score itself is no worse for it
        log.warning("%s is not set beside %s: %s", result.name, colour.name, error)
        return row
    return row | {name: change[name] for name in ("difference", "low", "high")}
