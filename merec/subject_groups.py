"""Groups of subjects that are held out together, balanced by samples and classes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from merec.types import InputError

_SWEEPS = 100  # far more than are ever needed; each lowers the cost
_TOLERANCE = 1e-12  # of the cost, below which a change is rounding

Shares = Float[np.ndarray, "subjects columns"]


def check_groups(hold_out: str, groups: int | None) -> None:
    """Refuse `groups` without `hold_out=groups`, and the reverse.

    Raises:
        InputError: If so; the message names the missing setting.
    """
    if hold_out == "groups" and groups is None:
        raise InputError(
            "task.hold_out=groups holds out groups of subjects, but their number is missing; set e.g. "
            "task.groups=3"
        )
    if hold_out != "groups" and groups is not None:
        raise InputError(
            f"task.groups={groups}, but task.hold_out={hold_out}; set task.hold_out=groups, or leave "
            "task.groups out"
        )


def name_group(number: int, groups: int) -> str:
    """Return the name of a group from its number, counted from 0: `group-1-of-3`."""
    return f"group-{number + 1}-of-{groups}"


def balance_groups(
    subjects: Sequence[str] | Shaped[np.ndarray, " samples"],
    marks: Bool[np.ndarray, "samples classes"],
    groups: int,
) -> tuple[tuple[str, ...], ...]:
    """Divide subjects into groups with similar numbers of subjects, samples, and samples per class.

    Subjects are assigned greedily, largest first, then exchanged or moved while this lowers the sum of
    squared deviations of the groups' shares from 1/k. Numbers of subjects and of samples each have the same
    weight as all classes together. The result is deterministic and does not depend on the order of the rows.

    Args:
        subjects: The subject of each sample.
        marks: Marks of the classes (emotions or action units) of each sample.
        groups: Number of groups, k.

    Returns:
        The sorted subjects of each group; groups are sorted by their first subject.

    Raises:
        InputError: If there are fewer than two groups, or more than subjects.
    """
    names, row = np.unique(np.asarray(subjects, dtype=str), return_inverse=True)
    if not 2 <= groups <= len(names):
        raise InputError(
            f"task.groups={groups}, but the corpus has {len(names)} subjects; give 2 to {len(names)}"
        )
    shares = _share(row, marks, len(names))
    place = _exchange(_assign(shares, groups), shares, groups)
    parts = [tuple(names[place == group].tolist()) for group in range(groups)]
    return tuple(sorted(parts))


def _share(
    row: Int[np.ndarray, " samples"], marks: Bool[np.ndarray, "samples classes"], subjects: int
) -> Shares:
    """Compute the shares of a subject in all subjects, samples and samples of each class."""
    counts = np.zeros((subjects, marks.shape[1]))
    np.add.at(counts, row, marks)
    counts = counts[:, counts.any(0)]
    samples = np.bincount(row, minlength=subjects).astype(float)
    weight = max(1, counts.shape[1]) ** 0.5  # of squared deviations, hence the root
    of_all = np.stack([np.full(subjects, 1 / subjects), samples / samples.sum()], 1)
    return np.concatenate([weight * of_all, counts / counts.sum(0)], 1)


def _assign(shares: Shares, groups: int) -> Int[np.ndarray, " subjects"]:
    """Assign each subject to the group that stays best balanced; empty groups come first."""
    place = np.zeros(len(shares), dtype=np.int64)
    totals = np.zeros((groups, shares.shape[1]))
    for subject in np.argsort(-(shares**2).sum(1), kind="stable"):
        # Of |total + share - target|², what depends on the group: targets are alike.
        place[subject] = (totals @ shares[subject]).argmin()
        totals[place[subject]] += shares[subject]
    return place


def _exchange(
    place: Int[np.ndarray, " subjects"], shares: Shares, groups: int
) -> Int[np.ndarray, " subjects"]:
    """Exchange two subjects, or move one, while this lowers the sum of squared totals."""
    place = place.copy()
    totals = np.stack([shares[place == group].sum(0) for group in range(groups)])
    # As partner, the last row is nobody: to exchange with it is to move there.
    partners = np.concatenate([shares, np.zeros((groups, shares.shape[1]))])
    for _ in range(_SWEEPS):
        changed = False
        for subject in range(len(shares)):
            current_group = place[subject]
            where = np.concatenate([place, np.arange(groups)])
            given = shares[subject] - partners  # what each partner's group gains
            gain = 2 * (given * (totals[where] - totals[current_group] + given)).sum(1)
            gain[where == current_group] = 0.0
            if (place == current_group).sum() == 1:  # a group is never emptied
                gain[len(shares) :] = 0.0
            best = int(gain.argmin())
            if gain[best] < -_TOLERANCE:
                totals[current_group] -= given[best]
                totals[where[best]] += given[best]
                place[subject] = where[best]
                if best < len(shares):
                    place[best] = current_group
                changed = True
        if not changed:
            break
    return place
