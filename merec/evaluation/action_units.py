"""Action units as targets: several at once may be there, and each is told by itself."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from merec.evaluation.metrics import f1_per_class
from merec.evaluation.protocol import describe_protocol
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)

TARGETS = ("emotion", "action_units")
THRESHOLD = 0.5  # of a probability; fixed, since the held-out subject chooses nothing
NOTHING = "none"
_JOINT = "+"

ByUnit = Int[np.ndarray, "seeds subjects units 2 2"]


def set_target(corpus: Corpus, target: str, least_subjects: int) -> Corpus:
    """The corpus with what is to be told as its labels.

    Args:
        corpus: Labelled with emotions.
        target: `emotion` or `action_units`.
        least_subjects: See `label_action_units`.

    Raises:
        InputError: If there is no such target, or as `label_action_units`.
    """
    if target not in TARGETS:
        raise InputError(f"task.target={target} is unknown; choose {' or '.join(TARGETS)}")
    return corpus if target == "emotion" else label_action_units(corpus, least_subjects)


def label_action_units(corpus: Corpus, least_subjects: int) -> Corpus:
    """Label the samples with the action units that enough subjects show.

    An action unit is its number: of which side or lip it was coded is left out. A sample whose action units
    were not coded or cannot be read is left out too: to call them absent would teach, and score, what nobody
    said.

    Args:
        corpus: With coded `action_units`.
        least_subjects: How many subjects must show an action unit; two at least, so that one is left to
            learn it from.

    Returns:
        The corpus with an index whose `label` names the action units (`AU4+AU7`, or `none`), and a protocol
        whose `classes` are these, by number.

    Raises:
        InputError: If a data set has no coded action units, or none is shown by so many subjects.
    """
    name = corpus.protocol.name
    if least_subjects < 2:
        raise InputError(
            f"task.least_subjects={least_subjects}: whoever shows an action unit alone leaves nobody to "
            "learn it from; give 2 or more"
        )
    index = drop_uncoded(corpus.index, name)
    shown = pd.DataFrame({"unit": _read_numbers(index), "subject": index["subject"]})
    shown = shown.explode("unit").dropna()
    subjects = shown.groupby("unit")["subject"].nunique()
    kept = sorted(int(unit) for unit in subjects.index[subjects >= least_subjects])
    if not kept:
        raise InputError(
            f"no action unit of {name} is shown by {least_subjects} subjects or more, the most by "
            f"{subjects.max()}; lower task.least_subjects"
        )
    classes = [f"AU{unit}" for unit in kept]
    labelled = index.assign(label=spell_coded(index, classes))
    protocol = describe_protocol(name, labelled, classes, "action_units")
    maps = corpus.flow_maps
    if maps is not None:
        maps = maps[corpus.index["sample_id"].isin(labelled["sample_id"]).to_numpy()]
    return replace(corpus, index=labelled, protocol=protocol, flow_maps=maps)


def drop_uncoded(index: pd.DataFrame, name: str) -> pd.DataFrame:
    """Leave out the samples whose action units are not known, and say how many they are.

    Args:
        index: With `action_units`, `None` where they are not known.
        name: Of the corpus, for messages.

    Raises:
        InputError: If a data set has no coded action units.
    """
    coded = index.get("action_units", pd.Series([None] * len(index), index.index, dtype=object))
    for source, units in coded.groupby(index["corpus"].to_numpy()):
        if not units.map(bool).any():
            raise InputError(
                f"{source} of {name} has no coded action units; take a corpus that has: casme2, casme3, samm "
                "or synthetic"
            )
    known = coded.notna()
    if not known.all():
        log.warning(
            "%d of %d samples of %s are left out, neither trained on nor scored: their action units were not "
            "coded or cannot be read; merec doctor names the rows",
            *(int((~known).sum()), len(index), name),
        )
    return index[known].reset_index(drop=True)


def spell_coded(index: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Which of some action units were coded of each sample: `AU4+AU7`, or `none`.

    Args:
        index: With coded `action_units`, known of every sample, see `drop_uncoded`.
        classes: Names of those that are asked for.
    """
    asked = [int(unit.removeprefix("AU")) for unit in classes]
    marks = [[unit in coded for unit in asked] for coded in _read_numbers(index)]
    return spell_units(np.array(marks, dtype=bool).reshape(-1, len(asked)), classes)


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
