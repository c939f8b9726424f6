"""Answer of a study to its question: a section of the page, tables, and raw numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from merec.presentation.table import Table


class Paragraph(NamedTuple):
    """A paragraph of text."""

    text: str


class Quotes(NamedTuple):
    """Sentences that a paper may quote."""

    sentences: Sequence[str]


class Picture(NamedTuple):
    """A figure and its words.

    Attributes:
        name: Prefix of its ids on a page, unlike those of other pictures.
        figure: The figure.
        alt: What it shows, with the main numbers, for readers who cannot see it.
        caption: How to read it.
    """

    name: str
    figure: Figure
    alt: str
    caption: str


class Folded(NamedTuple):
    """A table that repeats a picture, folded away; `links` are the targets of cells, by row and column."""

    table: Table
    links: Mapping[tuple[int, str], str]


@dataclass(frozen=True)
class Answer:
    """Answer of a study to its question; parts and tables that it lacks are missing or `None`.

    Attributes:
        title: Title of its section.
        parts: What the section shows, in order: the classes above, tables, and those of `merec.reporting`.
        tables: Tables of `table.md`, `table.tex` and the terminal, by their label.
        frames: Raw numbers by the name of their CSV file; without rows where there is nothing to say, so
            that none of an older report stays behind.
    """

    title: str
    parts: Sequence[object] = ()
    tables: Mapping[str, Table | None] = field(default_factory=dict)
    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
