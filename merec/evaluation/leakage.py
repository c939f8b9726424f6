"""Guards against leaks of held-out subjects into training."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from merec.types import InputError


def assert_subjects_disjoint(
    subjects: Sequence[str] | Shaped[np.ndarray, " samples"], **parts: np.ndarray
) -> None:
    """Refuse parts of a split that share a subject.

    Args:
        subjects: Subject of each row.
        **parts: Row numbers of each part, by name.

    Raises:
        InputError: If so; the message names the subject and both parts.
    """
    names = np.asarray(subjects, dtype=str)
    seen: dict[str, str] = {}
    for part, rows in parts.items():
        for subject in np.unique(names[rows]).tolist():
            if subject in seen:
                raise InputError(
                    f"subject {subject} is both in {seen[subject]} and in {part}; "
                    "split by subject, never by sample"
                )
            seen[subject] = part


def assert_never_saw(
    checkpoint: Mapping[str, Any], held_out: Collection[str], transductive: bool, source: str
) -> None:
    """Refuse weights that were trained on a held-out subject.

    Args:
        checkpoint: A merec checkpoint, which lists the subjects it `saw` under the key `merec`.
        held_out: Subjects that the fold holds out.
        transductive: Whether the user accepts this; every table then says so.
        source: The checkpoint's path, for the message.

    Raises:
        InputError: If so; the message names the checkpoint and the subject.
    """
    # "006" is a collection of letters too, and none of them would ever be found to leak.
    assert not isinstance(held_out, str), "held_out is a collection of subjects"
    saw = checkpoint.get("merec", {}).get("saw")
    if saw is None:
        raise InputError(
            f"{source} does not say which subjects it was trained on (merec did not write it), "
            "so it cannot be shown to be blind to the held-out one"
        )
    leaked = sorted(set(held_out) & set(saw))
    if leaked and not transductive:
        raise InputError(
            f"{source} was trained on subject {', '.join(leaked)}, which this fold holds out; use "
            "weights that never saw it, or set task.transductive=true, which every table then shows"
        )
