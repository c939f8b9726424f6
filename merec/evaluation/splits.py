"""Splits into training and held-out subjects."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int, Shaped
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

from merec.evaluation.leakage import assert_subjects_disjoint
from merec.evaluation.protocol import describe_protocol
from merec.seeding import derive_seed
from merec.subject_groups import balance_groups, check_groups, name_group
from merec.targets import open_target
from merec.types import Corpus, InputError, Protocol

Names = Sequence[str] | Shaped[np.ndarray, " samples"]
Labels = Sequence[int] | Int[np.ndarray, " samples"]


@dataclass(frozen=True)
class Fold:
    """Fold with one held-out subject, group of subjects or data set.

    Attributes:
        number: Number of the fold, from 0; folds are sorted by the name of their held-out group.
        held_out: Name of the held-out subject, group (`group-1-of-3`) or data set.
        train: Rows to train on.
        test: Rows of the held-out subject, group or data set.
    """

    number: int
    held_out: str
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]


def leave_one_subject_out(subjects: Names) -> list[Fold]:
    """Hold out every subject once, sorted by name.

    Args:
        subjects: The subject of each sample.

    Raises:
        InputError: If there are fewer than two subjects.
    """
    names = np.asarray(subjects, dtype=str)
    if len(np.unique(names)) < 2:
        raise InputError(
            f"{len(np.unique(names))} subject in the corpus; to leave one out takes at least 2"
        )
    splits = LeaveOneGroupOut().split(names, groups=names)
    return [
        Fold(number, str(names[test[0]]), train, test)
        for number, (train, test) in enumerate(splits)
    ]


def leave_one_corpus_out(
    subjects: Names, corpora: Names, train_on: Sequence[str] | None = None
) -> list[Fold]:
    """Hold out every data set once, sorted by name.

    Args:
        subjects: The subject of each sample.
        corpora: Data set of each sample.
        train_on: Data sets to train on in every fold; all other data sets are held out. `None` holds out each
            data set and trains on the rest.

    Raises:
        InputError: If there are fewer than two data sets, `train_on` contains all data sets or an unknown
            one, or a subject is in two data sets.
    """
    names = np.asarray(corpora, dtype=str)
    there = np.unique(names).tolist()
    if len(there) < 2:
        raise InputError(
            f"{len(there)} data set in the corpus; to leave one out takes at least 2, as in "
            "corpus=megc2019_flow; or set task.hold_out=subject"
        )
    alone = sorted(set(train_on or ()))
    held_out = [name for name in there if name not in alone]
    if not held_out or not set(alone) <= set(there):
        raise InputError(
            f"task.train_on=[{','.join(alone)}], but the data sets are {', '.join(there)}; name some of "
            "them, not all"
        )
    folds = []
    for number, name in enumerate(held_out):
        train = np.isin(names, alone) if alone else names != name
        fold = Fold(number, name, np.flatnonzero(train), np.flatnonzero(names == name))
        assert_subjects_disjoint(subjects, train=fold.train, test=fold.test)
        folds.append(fold)
    return folds


def leave_one_group_out(subjects: Names, groups: Sequence[Sequence[str]]) -> list[Fold]:
    """Hold out every group of subjects once, in the given order.

    Args:
        subjects: The subject of each sample.
        groups: Subjects of each group; each subject must be in exactly one group.
    """
    names = np.asarray(subjects, dtype=str)
    folds = []
    for number, members in enumerate(groups):
        test = np.isin(names, members)
        rows = np.flatnonzero(~test), np.flatnonzero(test)
        folds.append(Fold(number, name_group(number, len(groups)), *rows))
    return folds


def divide_subjects(corpus: Corpus, groups: int) -> tuple[tuple[str, ...], ...]:
    """Divide the subjects of a corpus into groups with balanced labels; see `balance_groups`."""
    marks = open_target(corpus.protocol).mark_groups(corpus.index)
    return balance_groups(corpus.index["subject"].to_numpy(str), marks, groups)


def limit_training_subjects(
    folds: Sequence[Fold], subjects: Names, train_subjects: int
) -> list[Fold]:
    """Limit the number of training subjects of each fold, for a learning curve.

    The draw depends only on the names of fold and subject: it is the same for every method and seed, and the
    subjects of a smaller number are a subset of those of a larger number. Held-out samples do not change.

    Args:
        folds: Folds to limit.
        subjects: The subject of each sample.
        train_subjects: Number of training subjects per fold.

    Raises:
        InputError: If a fold has fewer training subjects.
    """
    names = np.asarray(subjects, dtype=str)
    limited = []
    for fold in folds:
        everyone = np.unique(names[fold.train]).tolist()
        if not 1 <= train_subjects <= len(everyone):
            raise InputError(
                f"task.train_subjects={train_subjects}, but with {fold.held_out} held out there are "
                f"{len(everyone)} training subjects; give 1 to {len(everyone)}, or null for all"
            )
        drawn = sorted(everyone, key=lambda name: derive_seed(fold.held_out, name, "train"))
        rows = fold.train[np.isin(names[fold.train], drawn[:train_subjects])]
        limited.append(replace(fold, train=rows))
    return limited


def split(
    corpus: Corpus,
    hold_out: str,
    train_on: Sequence[str] | None,
    groups: int | None = None,
    train_subjects: int | None = None,
) -> tuple[list[Fold], Protocol]:
    """Return all folds of a corpus, and the protocol of their predictions.

    Args:
        corpus: Corpus to split.
        hold_out: `subject`, `groups` or `corpus`.
        train_on: See `leave_one_corpus_out`.
        groups: Number of groups; see `balance_groups`.
        train_subjects: Number of training subjects per fold, see `limit_training_subjects`; `None` for all.

    Raises:
        InputError: If the settings contradict each other or the corpus.
    """
    folds, protocol = _hold_out(corpus, hold_out, train_on, groups)
    if train_subjects is not None:
        folds = limit_training_subjects(
            folds, corpus.index["subject"].to_numpy(str), train_subjects
        )
    return folds, protocol


def _hold_out(
    corpus: Corpus, hold_out: str, train_on: Sequence[str] | None, groups: int | None
) -> tuple[list[Fold], Protocol]:
    index = corpus.index
    check_groups(hold_out, groups)
    if groups is not None and not train_on:
        members = divide_subjects(corpus, groups)
        folds = leave_one_group_out(index["subject"].to_numpy(str), members)
        return folds, replace(corpus.protocol, groups=members)
    if hold_out == "subject" and not train_on:
        return leave_one_subject_out(index["subject"].to_numpy(str)), corpus.protocol
    if hold_out != "corpus":
        raise InputError(
            f"task.hold_out={hold_out} with task.train_on={train_on}; choose task.hold_out=subject or "
            "groups, which train on all other subjects, or task.hold_out=corpus"
        )
    folds = leave_one_corpus_out(
        index["subject"].to_numpy(str), index["corpus"].to_numpy(str), train_on
    )
    tested = index.iloc[np.concatenate([fold.test for fold in folds])]
    protocol = corpus.protocol
    tested_protocol = describe_protocol(protocol.name, tested, protocol.classes, protocol.target)
    return folds, replace(
        tested_protocol,
        held_out=tuple(fold.held_out for fold in folds),
        train_on=tuple(sorted(set(train_on or ()))),
    )


def select_folds(folds: list[Fold], wanted: str | int | None) -> list[Fold]:
    """Select folds: `None` for all, `7`, `"0-9"`, `"0-9,20,30-33"`, or `"1/4"` for the first of four shares.

    Folds are dealt to the shares in turn, so that each share has a similar number of subjects of every data
    set.

    Raises:
        InputError: If a number is not a fold of this corpus, or the text is invalid.
    """
    if wanted is None:
        return folds
    numbers: set[int] = set()
    for part in str(wanted).replace(" ", "").split(","):
        match = re.fullmatch(r"(\d+)(?:([-/])(\d+))?", part)
        first, sign, last = (
            (int(match[1]), match[2], int(match[3] or match[1])) if match else (1, "", 0)
        )
        if sign == "/":
            numbers |= set(_deal(first, last, len(folds)))
            continue
        if first > last:
            raise InputError(
                f"folds={wanted} is not understood; write 7, 0-9, 0-9,20 or 1/4 (the first of four shares)"
            )
        if last >= len(folds):
            raise InputError(
                f"fold {wanted} is out of range: there are {len(folds)} to hold out, "
                f"so folds are 0 to {len(folds) - 1}"
            )
        numbers |= set(range(first, last + 1))
    return [folds[number] for number in sorted(numbers)]


def _deal(share: int, shares: int, folds: int) -> range:
    """Return the numbers of the folds in a share, counted from 1."""
    if not 1 <= shares <= folds:
        raise InputError(
            f"folds={share}/{shares}, but there are {folds} folds; take 1 to {folds} shares"
        )
    if not 1 <= share <= shares:
        raise InputError(
            f"folds={share}/{shares} is no share; there are 1/{shares} to {shares}/{shares}"
        )
    return range(share - 1, folds, shares)


def split_inner_subjects(
    fold: Fold, subjects: Names, labels: Labels, parts: int, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " inner"]]:
    """Set aside one of `parts` groups of *training* subjects as inner subjects.

    The held-out samples of the fold are not used.

    Returns:
        Rows to train on and rows of inner subjects; their subjects are disjoint, and together they are
        `fold.train`.

    Raises:
        InputError: If there are fewer training subjects than parts, fewer than two parts, or if every class
            has fewer samples than parts.
    """
    groups, classes = np.asarray(subjects, dtype=str)[fold.train], np.asarray(labels)[fold.train]
    # With more parts than subjects scikit-learn leaves parts empty: nothing to choose by.
    if not 2 <= parts <= len(np.unique(groups)):
        raise InputError(
            f"{parts} inner parts of {len(np.unique(groups))} training subjects; "
            f"take 2 to {len(np.unique(groups))} parts"
        )
    splitter = StratifiedGroupKFold(n_splits=parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of a class of few samples: some parts lack it, as is known
        warnings.filterwarnings("ignore", "The least populated class")
        try:
            train, inner = next(splitter.split(groups, classes, groups))
        except ValueError as error:
            most = np.unique(classes, return_counts=True)[1].max()
            raise InputError(
                f"{parts} inner parts of training samples of which no class has more than {most}; lower "
                "task.inner_parts"
            ) from error
    return fold.train[train], fold.train[inner]
