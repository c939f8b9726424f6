"""Action units as targets: several at once may be there, and each is told by itself."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from merec.evaluation.metrics import f1_per_class
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.subject_groups import balance_groups
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)

TARGETS = ("emotion", "action_units")
THRESHOLD = 0.5  # of a probability; fixed, since the held-out subject chooses nothing
NOTHING = "none"
_JOINT = "+"

ByUnit = Int[np.ndarray, "seeds subjects units 2 2"]


def set_target(corpus: Corpus, target: str, min_subjects: int, groups: int | None = None) -> Corpus:
    """The corpus with what is to be told as its labels.

    Args:
        corpus: Labelled with emotions.
        target: `emotion` or `action_units`.
        min_subjects: See `label_action_units`.
        groups: See `label_action_units`.

    Raises:
        InputError: If there is no such target, or as `label_action_units`.
    """
    if target not in TARGETS:
        raise InputError(f"task.target={target} is unknown; choose {' or '.join(TARGETS)}")
    return corpus if target == "emotion" else label_action_units(corpus, min_subjects, groups)


def label_action_units(corpus: Corpus, min_subjects: int, groups: int | None = None) -> Corpus:
    """Label the samples with the action units that are scored: those that every fold can learn.

    With any one subject held out, or any one group, at least `min_subjects` others show each of them. What a
    fold trains is decided by its training subjects alone, see `find_trained_units`; labels of held-out
    subjects decide but which predictions are scored, and who is held out together.

    An action unit is its number: of which side or lip it was coded is left out. A sample whose action units
    were not coded or cannot be read is left out too: to call them absent would teach, and score, what nobody
    said.

    Args:
        corpus: With coded `action_units`.
        min_subjects: How many training subjects must show an action unit for a fold to learn it.
        groups: Number of groups of subjects that are held out at once, see `group_by_units`; `None` holds
            each subject out alone.

    Returns:
        The corpus with an index whose `label` names the action units (`AU4+AU7`, or `none`), and a protocol
        whose `classes` are these, by number.

    Raises:
        InputError: If a data set has no coded action units, or none is shown by so many subjects.
    """
    name = corpus.protocol.name
    if min_subjects < 1:
        raise InputError(
            f"task.min_subjects={min_subjects}, but nobody learns an action unit that no training subject "
            "shows; give 1 or more"
        )
    index = drop_uncoded(corpus.index, name)
    trained = _count_training_subjects(index, groups)
    classes = [f"AU{unit}" for unit in trained.index[trained >= min_subjects]]
    if not classes:
        fewer = "" if groups is None else " or task.groups"
        raise InputError(
            f"no action unit of {name} is shown by {min_subjects} training subjects or more of every fold, "
            f"the most by {trained.max()}; lower task.min_subjects{fewer}"
        )
    labelled = index.assign(label=spell_coded(index, classes))
    protocol = describe_protocol(name, labelled, classes, "action_units")
    maps = corpus.flow_maps
    if maps is not None:
        maps = maps[corpus.index["sample_id"].isin(labelled["sample_id"]).to_numpy()]
    return replace(corpus, index=labelled, protocol=protocol, flow_maps=maps)


def group_by_units(index: pd.DataFrame, groups: int) -> tuple[tuple[str, ...], ...]:
    """Divide subjects into groups balanced in all coded action units, scored or not; see `balance_groups`."""
    units = sorted(frozenset().union(*_read_numbers(index)))
    marks = mark_coded(index, [f"AU{unit}" for unit in units])
    return balance_groups(index["subject"].to_numpy(str), marks, groups)


def _count_training_subjects(index: pd.DataFrame, groups: int | None) -> pd.Series:
    """Count the training subjects who show each action unit, in the fold in which they are fewest."""
    everyone = _count_subjects(index)
    if groups is None:
        return everyone - 1
    held_out = [
        _count_subjects(index[index["subject"].isin(members)]).reindex(everyone.index, fill_value=0)
        for members in group_by_units(index, groups)
    ]
    return everyone - pd.concat(held_out, axis=1).max(axis=1)


def find_trained_units(index: pd.DataFrame, min_subjects: int) -> tuple[str, ...]:
    """Return the action units that a fold learns, by number: those that enough training subjects show.

    Args:
        index: The training samples of a fold, and nobody else's.
        min_subjects: How many subjects must show an action unit.

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
    shown = pd.DataFrame({"unit": _read_numbers(index), "subject": index["subject"]})
    return shown.explode("unit").dropna().groupby("unit")["subject"].nunique().sort_index()


def drop_uncoded(index: pd.DataFrame, name: str) -> pd.DataFrame:
    """Leave out the samples whose action units are not known, and say how many they are.

    Args:
        index: With `action_units`, `None` where they are not known.
        name: Of the corpus, for messages.

    Raises:
        InputError: If a data set has no coded action units.
    """
    assert_coded(index, name)
    known = index["action_units"].notna()
    if not known.all():
        log.warning(
            "%d of %d samples of %s are left out, neither trained on nor scored: their action units were not "
            "coded or cannot be read; merec doctor names the rows",
            *(int((~known).sum()), len(index), name),
        )
    return index[known].reset_index(drop=True)


def assert_coded(index: pd.DataFrame, name: str) -> None:
    """Refuse samples of a data set without coded action units; arguments as of `drop_uncoded`.

    Raises:
        InputError: Naming the data set.
    """
    coded = index.get("action_units", pd.Series([None] * len(index), index.index, dtype=object))
    for source, units in coded.groupby(index["corpus"].to_numpy()):
        if not units.map(bool).any():
            raise InputError(
                f"{source} of {name} has no coded action units; take a corpus that has: casme2, casme3, samm "
                "or synthetic"
            )


def spell_coded(index: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Which of some action units were coded of each sample: `AU4+AU7`, or `none`.

    Args:
        index: With coded `action_units`, known of every sample, see `drop_uncoded`.
        classes: Names of those that are asked for.
    """
    return spell_units(mark_coded(index, classes), classes)


def mark_coded(index: pd.DataFrame, classes: Sequence[str]) -> Bool[np.ndarray, "samples units"]:
    """Mark which of some action units were coded of each sample; arguments as of `spell_coded`."""
    asked = [int(unit.removeprefix("AU")) for unit in classes]
    marks = [[unit in coded for unit in asked] for coded in _read_numbers(index)]
    return np.array(marks, dtype=bool).reshape(-1, len(asked))


def spread_units(
    values: Shaped[np.ndarray, "*samples trained"], trained: Sequence[str], classes: Sequence[str]
) -> Shaped[np.ndarray, "*samples units"]:
    """Put what was predicted of the trained action units in the place of the scored ones; 0 elsewhere."""
    spread = np.zeros((*values.shape[:-1], len(classes)), values.dtype)
    for place, name in enumerate(classes):
        if name in trained:
            spread[..., place] = values[..., list(trained).index(name)]
    return spread


def _read_numbers(index: pd.DataFrame) -> pd.Series:
    """The numbers of the action units of each sample, all of which are known."""
    return index["action_units"].map(lambda units: frozenset(unit.number for unit in units))


def spell_units(marks: Bool[np.ndarray, "samples units"], classes: Sequence[str]) -> list[str]:
    """Name the action units of each sample: `AU4+AU7`, or `none`."""
    names = np.asarray(classes)
    return [_JOINT.join(names[row]) or NOTHING for row in marks]


def mark_units(spelled: Iterable[str], classes: Sequence[str]) -> Bool[np.ndarray, "samples units"]:
    """The inverse of `spell_units`.

    Raises:
        ValueError: If something is no list of these action units.
    """
    marks = []
    for text in spelled:
        named = [] if text == NOTHING else str(text).split(_JOINT)
        row = [name in named for name in classes]
        if sum(row) != len(named):
            raise ValueError(f"{text!r} is no list of {', '.join(classes)}")
        marks.append(row)
    return np.array(marks, dtype=bool).reshape(-1, len(classes))


def find_rarest(marks: Bool[np.ndarray, "samples units"]) -> Int[np.ndarray, " samples"]:
    """Of the action units of each sample the one that fewest samples show, -1 where there is none.

    It is what samples are stratified by: a part that lacks a rare action unit cannot choose for it.
    """
    rarity = np.where(marks, marks.sum(0), len(marks) + 1)
    return np.where(marks.any(1), rarity.argmin(1), -1)


def confusion_by_unit(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[list[str], ByUnit]:
    """A confusion matrix of absent and present for each seed, subject and action unit.

    Returns:
        The sorted subjects, and the matrices (rows true, columns predicted) in the order of the sorted seeds
        and subjects; their sum over subjects is the pooled one.
    """
    truth, said = (mark_units(predictions[name], classes) for name in ("label", "predicted"))
    subjects, subject = np.unique(predictions["subject"].to_numpy(str), return_inverse=True)
    seeds, seed = np.unique(predictions["seed"].to_numpy(), return_inverse=True)
    counts = np.zeros((len(seeds), len(subjects), len(classes), 2, 2), dtype=np.int64)
    unit = np.arange(len(classes))
    cell = (seed[:, None], subject[:, None], unit, truth.astype(int), said.astype(int))
    np.add.at(counts, cell, 1)
    return subjects.tolist(), counts


def confusion_of_marks(
    truth: Bool[np.ndarray, "samples units"], said: Bool[np.ndarray, "samples units"]
) -> Int[np.ndarray, "units 2 2"]:
    """A confusion matrix of absent and present for each action unit."""
    counts = np.zeros((truth.shape[1], 2, 2), dtype=np.int64)
    np.add.at(counts, (np.arange(truth.shape[1]), truth.astype(int), said.astype(int)), 1)
    return counts


def f1_per_unit(counts: Int[np.ndarray, "*draws units 2 2"]) -> Float[np.ndarray, "*draws units"]:
    """F1 of each action unit being present; 0 for one that is neither there nor said to be."""
    return f1_per_class(counts)[..., 1]


def mean_f1(counts: Int[np.ndarray, "*draws units 2 2"]) -> Float[np.ndarray, "*draws"]:
    """The mean F1 of the action units, rare ones counting as much as frequent ones."""
    return np.asarray(f1_per_unit(counts).mean(-1))


def chance_f1(counts: Int[np.ndarray, "*draws units 2 2"]) -> Float[np.ndarray, "*draws units"]:
    """F1 of each action unit if it were always said to be present."""
    present, absent = counts[..., 1, :].sum(-1), counts[..., 0, :].sum(-1)
    return 2 * present / (2 * present + absent)
