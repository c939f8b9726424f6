"""A table for people: text in every cell, and a caption that says what it stands on."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table for people: every cell is text, and the caption says what it stands on.

    Attributes:
        title: A few words.
        caption: Protocol, seeds, transductive or not, and how to read the columns.
        rows: The cells, all of them strings.
    """

    title: str
    caption: str
    rows: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """Column titles."""
        return [str(column) for column in self.rows]

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The cells of each row."""
        return list(self.rows.itertuples(index=False, name=None))

    def is_numeric(self, column: str) -> bool:
        """Return whether a column holds numbers, which stand to the right."""
        return bool(self.rows[column].str.fullmatch(r"[\d.,/%\[\] +−–±]*").all())
