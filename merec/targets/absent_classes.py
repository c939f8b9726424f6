"""Classes without samples, and the highest UF1 and UAR that remain possible.

F1 and recall of a class without samples are 0/0. merec counts them as 0 and divides by the number of classes
of the protocol, so the score cannot exceed P/C if P of C classes have samples. The script released with
STSTNet (christy1206/STSTNet, `main.py`) leaves such a class out of the mean instead.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

Labels = Sequence[int] | Int[np.ndarray, " samples"]


def find_absent_classes(label: Labels, classes: Sequence[str]) -> list[str]:
    """Return the classes without samples, in label order."""
    present = np.isin(np.arange(len(classes)), np.asarray(label))
    return [name for name, there in zip(classes, present, strict=True) if not there]


def describe_absent_classes(absent: Sequence[str], classes: Sequence[str]) -> str:
    """Describe classes without samples and the highest possible score; empty if there are none."""
    if not absent:
        return ""
    present, number = len(classes) - len(absent), len(classes)
    plural = len(absent) > 1
    return (
        f"no sample is of class{'es' if plural else ''} {', '.join(absent)}, whose F1 and recall count as 0, "
        f"so UF1 and UAR cannot exceed {present}/{number} = {present / number:.3f}"
    )


def describe_untrained_classes(
    training: Mapping[str, Int[np.ndarray, " rows"]], label: Labels, classes: Sequence[str]
) -> str:
    """Describe folds that lack training samples of a class of the corpus; empty if there are none.

    Args:
        training: Training rows of each fold, by the name of its held-out group.
        label: Label of each row of the corpus.
        classes: Class names in label order.
    """
    labels = np.asarray(label)
    absent = find_absent_classes(labels, classes)
    lacking = [
        f"{held_out} ({', '.join(missing)})"
        for held_out, rows in training.items()
        if (missing := [c for c in find_absent_classes(labels[rows], classes) if c not in absent])
    ]
    if not lacking:
        return ""
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    return (
        f"{len(lacking)} of {len(training)} folds have no training sample of some class and cannot predict "
        f"it; held out: {', '.join(lacking[:3])}{more}"
    )
