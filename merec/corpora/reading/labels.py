"""Labelling of samples by a class map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from merec.types import InputError

ClassMap = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Labelling:
    """Rule that assigns labels to rows of an annotation.

    Attributes:
        corpus: Name of the data set.
        class_map: Class → its emotions, in label order.
        emotions: Every emotion that may be annotated.
        spellings: Other official spellings → the one in `emotions`.
    """

    corpus: str
    class_map: ClassMap
    emotions: Sequence[str]
    spellings: Mapping[str, str]


def choose_classes(class_maps: Mapping[int, ClassMap], classes: int, name: str) -> ClassMap:
    """Return the class map of `classes` classes.

    Raises:
        InputError: If the class map does not exist.
    """
    if classes not in class_maps:
        counts = ", ".join(str(number) for number in sorted(class_maps))
        raise InputError(
            f"corpus.classes={classes}, but {name} has maps to {counts} classes; take one"
        )
    return class_maps[classes]


def label_samples(
    rows: pd.DataFrame, class_map: ClassMap, corpus: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Label each sample with the number of its class; samples without class are left out.

    Args:
        rows: Rows of `read_rows` with their frames.
        class_map: Class → its emotions, in label order.
        corpus: Name of the data set.

    Returns:
        Tables for `Corpus.index` and `Corpus.rejected`.
    """
    label = {emotion: n for n, names in enumerate(class_map.values()) for emotion in names}
    sound = rows["sound"]
    rows = rows.drop(columns="sound")
    rows.insert(1, "corpus", corpus)
    kept = rows[sound & rows["emotion"].isin(list(label))].reset_index(drop=True)
    kept.insert(4, "label", kept["emotion"].map(label).astype("int64"))
    return kept, rows[~sound].reset_index(drop=True)
