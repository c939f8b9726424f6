"""Source of a corpus: names of file, rows and cells for messages."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from merec.corpora.reading.sheets import BadCell


@dataclass(frozen=True)
class Source:
    """Source that a corpus is read from, for messages.

    Attributes:
        file: Annotation file, or folder that was listed.
        where: Path of `file` relative to the root of the corpus, for findings.
        choice: Name of the corpus in conf/corpus, for `merec doctor corpus=…`.
        first_row: Spreadsheet's number of row 0 of the annotation; `None` without a sheet.
        letters: Letter of each column in the sheet, by merec's name.
        bad_cells: Cells that are neither text nor number; `read_rows` reports them.
    """

    file: Path | str
    where: str
    choice: str
    first_row: int | None = None
    letters: Mapping[str, str] = field(default_factory=dict)
    bad_cells: tuple[BadCell, ...] = ()

    def name_cell(self, row: int, column: str) -> str:
        """Return the name of a cell in the spreadsheet: ` (cell D12)`; "" without a sheet."""
        if self.first_row is None or column not in self.letters:
            return ""
        return f" (cell {self.letters[column]}{self.first_row + row})"

    def name_row(self, row: int) -> str:
        """Return the numbers of a row in merec and in the sheet: `row 10 from 0 (row 12 of the sheet)`."""
        sheet = "" if self.first_row is None else f" (row {self.first_row + row} of the sheet)"
        return f"row {row} from 0{sheet}"


def name_exclusion(sample_id: str) -> str:
    """Return the override that excludes a sample, quoted if Hydra or a shell would split its id."""
    if re.fullmatch(r"[A-Za-z][\w.-]*", sample_id, re.ASCII):
        return f"corpus.exclude=[{sample_id}]"
    quoted = sample_id.replace('"', '\\"')
    return shlex.quote(f'corpus.exclude=["{quoted}"]')


def describe_source(table: pd.DataFrame, file: Path, where: str, choice: str) -> Source:
    """Return the source of a table, with its invalid cells.

    Args:
        table: Table of `read_table`, unchanged.
        file: File of the table.
        where: Path of `file` relative to the root of the corpus.
        choice: Name of the corpus in conf/corpus.
    """
    notes = table.attrs
    return Source(file, where, choice, notes["first_row"], notes["letters"], notes["bad_cells"])
