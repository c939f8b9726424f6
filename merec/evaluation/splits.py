"""Who is trained on and who is held out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

from merec.types import InputError

Names = Sequence[str] | Shaped[np.ndarray, " samples"]
Labels = Sequence[int] | Int[np.ndarray, " samples"]


@dataclass(frozen=True)
class Fold:
    """One subject held out, everyone else trained on.

    Attributes:
        number: Position of the held-out subject among the sorted subjects, from 0.
        subject: Name of the held-out subject.
        train: Rows of all other subjects.
        test: Rows of the held-out subject.
    """

    number: int
    subject: str
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
        found = re.fullmatch(r"(\d+)(?:([-/])(\d+))?", part)
        first, sign, last = (
            (int(found[1]), found[2], int(found[3] or found[1])) if found else (1, "", 0)
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
                f"fold {wanted} is out of range: the corpus has {len(folds)} subjects, "
                f"so folds are 0 to {len(folds) - 1}"
            )
        numbers |= set(range(first, last + 1))
    return [folds[number] for number in sorted(numbers)]


def _deal(share: int, shares: int, subjects: int) -> range:
    """Numbers of the folds in one of so many shares, counted from 1."""
    if not 1 <= shares <= subjects:
        raise InputError(
            f"folds={share}/{shares}, but the corpus has {subjects} subjects; take 1 to {subjects} shares"
        )
    if not 1 <= share <= shares:
        raise InputError(
            f"folds={share}/{shares} is no share; there are 1/{shares} to {shares}/{shares}"
        )
    return range(share - 1, subjects, shares)


def split_inner_subjects(
    fold: Fold, subjects: Names, labels: Labels, parts: int, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " inner"]]:
    """Set one of `parts` groups of *training* subjects aside to choose by.

    The held-out subject has no say in it.

    Returns:
        Rows to train on and rows to choose by: disjoint in subjects, together `fold.train`.

    Raises:
        InputError: If there are fewer training subjects than parts, or fewer than two parts.
    """
    groups, classes = np.asarray(subjects, dtype=str)[fold.train], np.asarray(labels)[fold.train]
    # With more parts than subjects scikit-learn leaves parts empty: nothing to choose by.
    if not 2 <= parts <= len(np.unique(groups)):
        raise InputError(
            f"{parts} inner parts of {len(np.unique(groups))} training subjects; "
            f"take 2 to {len(np.unique(groups))} parts"
        )
    splitter = StratifiedGroupKFold(n_splits=parts, shuffle=True, random_state=seed)
    train, inner = next(splitter.split(groups, classes, groups))
    return fold.train[train], fold.train[inner]
