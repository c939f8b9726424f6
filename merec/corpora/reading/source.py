"""Source of a corpus: names of its file, rows and cells for messages."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from merec.corpora.reading.sheets import BadCell


@dataclass(frozen=True)
class Source:
    """Place that a corpus is read from, for messages.

    Attributes:
        file: The annotation, or the folder that was listed.
        where: The same relative to the corpus's root, for findings.
        choice: Name of the corpus in conf/corpus, for `merec doctor corpus=…`.
        first_row: Number that a spreadsheet shows beside row 0 of the annotation; `None` without a sheet.
        letters: Letter of each column in the sheet, by our name of it.
        bad_cells: Cells that hold neither text nor a number; `read_rows` reports them.
    """

    file: Path | str
    where: str
    choice: str
    first_row: int | None = None
    letters: Mapping[str, str] = field(default_factory=dict)
    bad_cells: tuple[BadCell, ...] = ()

    def name_cell(self, row: int, column: str) -> str:
        """Return a cell as a spreadsheet names it: ` (cell D12)`; "" without a sheet."""
        if self.first_row is None or column not in self.letters:
            return ""
        return f" (cell {self.letters[column]}{self.first_row + row})"

    def name_row(self, row: int) -> str:
        """Return a row as merec and as a spreadsheet number it: `row 10 from 0 (row 12 of the sheet)`."""
        sheet = "" if self.first_row is None else f" (row {self.first_row + row} of the sheet)"
        return f"row {row} from 0{sheet}"


def name_exclusion(sample_id: str) -> str:
    """Return the override that leaves a sample out, quoted where Hydra or a shell would split its id."""
    if re.fullmatch(r"[A-Za-z][\w.-]*", sample_id, re.ASCII):
        return f"corpus.exclude=[{sample_id}]"
    quoted = sample_id.replace('"', '\\"')
    return shlex.quote(f'corpus.exclude=["{quoted}"]')


def describe_source(table: pd.DataFrame, file: Path, where: str, choice: str) -> Source:
    """Say what a table was read from, and which of its cells cannot be used.

    Args:
        table: Table as `read_table` gives it, before anything is done with it.
        file: Its file.
        where: The same relative to the corpus's root.
        choice: Name of the corpus in conf/corpus.
    """
    notes = table.attrs
    return Source(file, where, choice, notes["first_row"], notes["letters"], notes["bad_cells"])
