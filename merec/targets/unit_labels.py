"""Labels of action units: reading the coding, choosing units for a corpus or a fold, conversion to text."""

import logging
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool

from merec.errors import InputError
from merec.subject_groups import balance_groups

log = logging.getLogger(__name__)

NOTHING = "none"
_JOINT = "+"


def are_action_units(names: Sequence[str]) -> bool:
    """Return whether class names are names of action units."""
    return bool(names) and all(re.fullmatch(r"AU\d+", name) for name in names)


def choose_scored_units(
    index: pd.DataFrame, name: str, min_subjects: int, groups: int | None = None
) -> tuple[str, ...]:
    """Choose the action units that are scored: units that every fold can learn.

    If any subject or group is held out, at least `min_subjects` of the remaining subjects show each unit. The
    units that a fold trains depend on its training subjects only, see `find_trained_units`; labels of
    held-out subjects only affect which predictions are scored and how groups are formed.

    Args:
        index: Samples whose `action_units` are known, see `drop_uncoded`.
        name: Name of the corpus, for messages.
        min_subjects: Number of training subjects that must show an action unit for a fold to learn it.
        groups: Number of groups of subjects that are held out together; `None` holds out one subject at a
            time.

    Returns:
        Names of the action units, sorted by number.

    Raises:
        InputError: If no action unit is shown by enough subjects.
    """
    trained = _count_training_subjects(index, groups)
    classes = tuple(f"AU{unit}" for unit in trained.index[trained >= min_subjects])
    if not classes:
        fewer = "" if groups is None else " or task.groups"
        raise InputError(
            f"no action unit of {name} is shown by {min_subjects} training subjects or more of every fold, "
            f"the most by {trained.max()}; lower task.min_subjects{fewer}"
        )
    return classes


def mark_all_units(index: pd.DataFrame) -> Bool[np.ndarray, "samples units"]:
    """Mark all coded action units of each sample, scored or not."""
    units = sorted(frozenset().union(*_read_numbers(index)))
    return mark_coded(index, [f"AU{unit}" for unit in units])


def _count_training_subjects(index: pd.DataFrame, groups: int | None) -> pd.Series:
    """Return the smallest number of training subjects over folds that show each action unit."""
    everyone = _count_subjects(index)
    if groups is None:
        return everyone - 1
    held_out = [
        _count_subjects(index[index["subject"].isin(members)]).reindex(everyone.index, fill_value=0)
        for members in balance_groups(index["subject"].to_numpy(str), mark_all_units(index), groups)
    ]
    return everyone - pd.concat(held_out, axis=1).max(axis=1)


def find_trained_units(index: pd.DataFrame, min_subjects: int) -> tuple[str, ...]:
    """Return the action units that enough training subjects of a fold show, sorted by number.

    Args:
        index: Training samples of the fold only.
        min_subjects: Number of subjects that must show an action unit.

    Raises:
        InputError: If there are none.
    """
    subjects = _count_subjects(index)
    if not (subjects >= min_subjects).any():
        raise InputError(
            f"no action unit is shown by {min_subjects} of the training subjects; lower task.min_subjects"
        )
    return tuple(f"AU{unit}" for unit in subjects.index[subjects >= min_subjects])


def _count_subjects(index: pd.DataFrame) -> pd.Series:
    """Count the subjects who show each action unit, sorted by its number."""
    table = pd.DataFrame({"unit": _read_numbers(index), "subject": index["subject"]})
    return table.explode("unit").dropna().groupby("unit")["subject"].nunique().sort_index()


def drop_uncoded(index: pd.DataFrame, name: str) -> pd.DataFrame:
    """Leave out samples whose action units are unknown, and log their number.

    Args:
        index: Samples with column `action_units`, `None` if unknown.
        name: Name of the corpus, for messages.

    Raises:
        InputError: If a data set has no coded action units.
    """
    assert_coded(index, name)
    coded = index["action_units"].notna()
    if not coded.all():
        log.warning(
            "%d of %d samples of %s are left out, neither trained on nor scored: their action units were not "
            "coded or cannot be read; merec doctor names the rows",
            *(int((~coded).sum()), len(index), name),
        )
    return index[coded].reset_index(drop=True)


def assert_coded(index: pd.DataFrame, name: str) -> None:
    """Refuse samples of a data set without coded action units; arguments as in `drop_uncoded`.

    Raises:
        InputError: If so; the message names the data set.
    """
    coded = index.get("action_units", pd.Series([None] * len(index), index.index, dtype=object))
    for source, units in coded.groupby(index["corpus"].to_numpy()):
        if not units.map(bool).any():
            raise InputError(
                f"{source} of {name} has no coded action units; take a corpus that has: casme2, casme3, samm "
                "or synthetic"
            )


def spell_coded(index: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return the coded action units of each sample as text: `AU4+AU7`, or `none`.

    Args:
        index: Samples that all have `action_units`, see `drop_uncoded`.
        classes: Names of the action units to include.
    """
    return spell_units(mark_coded(index, classes), classes)


def mark_coded(index: pd.DataFrame, classes: Sequence[str]) -> Bool[np.ndarray, "samples units"]:
    """Mark the coded action units of each sample; arguments as in `spell_coded`."""
    asked = [int(unit.removeprefix("AU")) for unit in classes]
    marks = [[unit in coded for unit in asked] for coded in _read_numbers(index)]
    return np.array(marks, dtype=bool).reshape(-1, len(asked))


def _read_numbers(index: pd.DataFrame) -> pd.Series:
    """Return the numbers of the action units of each sample; they must be known."""
    return index["action_units"].map(lambda units: frozenset(unit.number for unit in units))


def spell_units(marks: Bool[np.ndarray, "samples units"], classes: Sequence[str]) -> list[str]:
    """Return the marked action units of each sample as text: `AU4+AU7`, or `none`."""
    names = np.asarray(classes)
    return [_JOINT.join(names[row]) or NOTHING for row in marks]


def mark_units(spelled: Iterable[str], classes: Sequence[str]) -> Bool[np.ndarray, "samples units"]:
    """Return the inverse of `spell_units`.

    Raises:
        ValueError: If a text is not a list of these action units.
    """
    marks = []
    for text in spelled:
        named = [] if text == NOTHING else str(text).split(_JOINT)
        row = [name in named for name in classes]
        if sum(row) != len(named):
            raise ValueError(f"{text!r} is no list of {', '.join(classes)}")
        marks.append(row)
    return np.array(marks, dtype=bool).reshape(-1, len(classes))
