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
    """One subject, group of subjects or data set held out, others trained on.

    Attributes:
        number: Position of what is held out among all that is, sorted by name, from 0.
        held_out: Name of the held-out subject, group (`group-1-of-3`) or data set.
        train: Rows to train on.
        test: Rows of the held-out subject, group or data set.
    """

    number: int
    held_out: str
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]


def leave_one_subject_out(subjects: Names) -> list[Fold]:
    """Hold every subject out once, in the order of their sorted names.

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
    """Hold every data set out once, whole, in the order of their sorted names.

    Args:
        subjects: The subject of each sample.
        corpora: The data set of each sample.
        train_on: Data sets to train on, always these alone: the others are held out. `None` holds each out
            and trains on all others.

    Raises:
        InputError: If there are fewer than two data sets, `train_on` leaves none to hold out or names one
            that there is not, or a subject is in two.
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
    """Hold every group of subjects out once, in the order given.

    Args:
        subjects: The subject of each sample.
        groups: The subjects of each group; together all subjects, each once.
    """
    names = np.asarray(subjects, dtype=str)
    folds = []
    for number, members in enumerate(groups):
        test = np.isin(names, members)
        rows = np.flatnonzero(~test), np.flatnonzero(test)
        folds.append(Fold(number, name_group(number, len(groups)), *rows))
    return folds


def divide_subjects(corpus: Corpus, groups: int) -> tuple[tuple[str, ...], ...]:
    """Divide the subjects of a corpus into groups balanced in its labels; see `balance_groups`."""
    marks = open_target(corpus.protocol).mark_groups(corpus.index)
    return balance_groups(corpus.index["subject"].to_numpy(str), marks, groups)


def limit_training_subjects(
    folds: Sequence[Fold], subjects: Names, train_subjects: int
) -> list[Fold]:
    """Keep so many training subjects of each fold, for a learning curve.

    They are drawn by the names of fold and subject alone: the same for every method and seed, and those of a
    smaller number are among those of a larger one. What is held out stays as it is.

    Args:
        folds: Whom to hold out.
        subjects: The subject of each sample.
        train_subjects: Number of subjects that each fold trains on.

    Raises:
        InputError: If a fold has fewer.
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
    """All folds of a corpus, and the protocol of what they predict.

    Args:
        corpus: Whose subjects or data sets are held out.
        hold_out: `subject`, `groups` or `corpus`.
        train_on: See `leave_one_corpus_out`.
        groups: Number of groups; see `balance_groups`.
        train_subjects: How many subjects each fold trains on, see `limit_training_subjects`; `None` for all.

    Raises:
        InputError: If these do not go together, or with the corpus.
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
    """Pick folds: `None` for all, `7`, `"0-9"`, `"0-9,20,30-33"`, or `"1/4"` for the first of four shares.

    Shares are dealt round, so that each holds about as many subjects of every data set.

    Raises:
        InputError: If a number is not a fold of this corpus, or the text is not understood.
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
    """Numbers of the folds in one of so many shares, counted from 1."""
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
    """Set one of `parts` groups of *training* subjects aside to choose by.

    What is held out has no say in it.

    Returns:
        Rows to train on and rows to choose by: disjoint in subjects, together `fold.train`.

    Raises:
        InputError: If there are fewer training subjects than parts, fewer than two parts, or fewer samples
            of every class than parts.
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
