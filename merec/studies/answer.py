"""Answer of a study: a section of the page, tables, and numbers."""

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
    """Sentences for quotation in a paper."""

    sentences: Sequence[str]


class Picture(NamedTuple):
    """Figure with its description.

    Attributes:
        name: Unique prefix of its ids on a page.
        figure: Figure of matplotlib.
        alt: Description with the main numbers, for screen readers.
        caption: Explanation of the figure.
    """

    name: str
    figure: Figure
    alt: str
    caption: str


class Folded(NamedTuple):
    """Collapsed table with the numbers of a picture; `links` are link targets of cells, by row and column."""

    table: Table
    links: Mapping[tuple[int, str], str]


@dataclass(frozen=True)
class Answer:
    """Answer of a study; missing parts and tables are left out or `None`.

    Attributes:
        title: Title of its section.
        parts: Parts of the section in order: the classes above, tables, and classes of `merec.reporting`.
        tables: Tables for `table.md`, `table.tex` and the terminal, by label.
        frames: Numbers by the name of their CSV file. A study without results gives tables without rows, so
            that files of an older report are overwritten.
    """

    title: str
    parts: Sequence[object] = ()
    tables: Mapping[str, Table | None] = field(default_factory=dict)
    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
