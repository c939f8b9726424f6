"""Files of one fold; each is written atomically, the predictions last."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from merec.files import atomic, write_json
from merec.run_folder.environment import MEASURED
from merec.run_folder.epochs import Epochs, read_epochs, write_epochs
from merec.run_folder.prediction_table import read_predictions, write_predictions
from merec.run_folder.reading import (
    FOLD_AGAIN,
    UnexpectedError,
    expect_number,
    read_csv,
    read_json,
    reading,
)


@dataclass(frozen=True)
class FoldFolder:
    """Folder of one fold, `folds/NNN` of its run.

    Attributes:
        path: Path of the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """Number of the fold as text with three digits."""
        return self.path.name

    @property
    def predictions(self) -> Path:
        """Table of predictions; it is written last, so a fold that has it is complete."""
        return self.path / "predictions.csv"

    @property
    def checkpoint(self) -> Path:
        """Weights of the network of the fold."""
        return self.path / "checkpoint.ckpt"

    @property
    def notes(self) -> Path:
        """Held-out subject, seconds, and choices inside the fold."""
        return self.path / "fold.json"

    @property
    def epochs(self) -> Path:
        """Record of the epochs."""
        return self.path / "epochs.npz"

    @property
    def is_whole(self) -> bool:
        """True if the fold has finished."""
        return self.predictions.exists()

    def read_predictions(self) -> pd.DataFrame:
        """Read the predictions; see `merec.run_folder.prediction_table.read_predictions`.

        Raises:
            InputError: If a column is missing or a row is not readable.
        """
        return read_predictions(self.predictions)

    def write_predictions(self, predictions: pd.DataFrame) -> None:
        """Write the predictions, which mark the fold as complete."""
        write_predictions(self.predictions, predictions)

    def read_notes(self) -> dict[str, Any]:
        """Read duration and choices of the fold.

        Raises:
            InputError: If the file is missing or damaged.
        """
        notes = read_json(self.notes, FOLD_AGAIN)
        with reading(self.notes, FOLD_AGAIN):
            if notes.get("seconds") is None:
                raise UnexpectedError("seconds is missing, expected a number")
            for name in MEASURED:
                expect_number(notes.get(name), name)
        return notes

    def read_held_out(self) -> str | None:
        """Read the held-out subject or data set; `None` in old runs.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.notes.exists():
            return None
        with reading(self.notes, FOLD_AGAIN):
            return str(json.loads(self.notes.read_text(encoding="utf-8"))["held_out"])

    def write_notes(self, notes: Mapping[str, Any]) -> None:
        """Write held-out subject, duration and choices of the fold."""
        write_json(self.notes, notes)

    def read_epochs(self) -> Epochs | None:
        """Read the epochs; `None` for an estimator.

        Raises:
            InputError: If an array is missing or has another type, or shapes contradict each other.
        """
        return read_epochs(self.epochs) if self.epochs.exists() else None

    def write_epochs(self, epochs: Epochs) -> None:
        """Write the epochs."""
        write_epochs(self.epochs, epochs)

    def read_table(self, name: str, columns: Mapping[str, str]) -> pd.DataFrame | None:
        """Read a small table that was written with the predictions; `None` if there is none.

        Args:
            name: Name of the table.
            columns: Columns as in `merec.run_folder.reading.read_csv`.

        Raises:
            InputError: If the file is damaged.
        """
        file = self.path / f"{name}.csv"
        return read_csv(file, columns, FOLD_AGAIN) if file.exists() else None

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a small table to the folder of the fold."""
        with atomic(self.path / f"{name}.csv") as part:
            table.to_csv(part, index=False)
