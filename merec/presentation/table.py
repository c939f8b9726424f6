"""Table for readers, with text in every cell and a caption."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Table:
    """Table for readers, with text in every cell and a caption.

    Attributes:
        title: Short title.
        caption: Protocol, seeds, whether it is transductive, and the meaning of the columns.
        rows: Cells, all strings.
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
        """Cells of each row."""
        return list(self.rows.itertuples(index=False, name=None))

    def is_numeric(self, column: str) -> bool:
        """Return whether a column contains numbers, which are right-aligned."""
        return bool(self.rows[column].str.fullmatch(r"[\d.,/%\[\] +−–±]*").all())
