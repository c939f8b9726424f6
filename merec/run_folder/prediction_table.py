"""Tables of predictions with one row per held-out sample and seed."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from merec.errors import InputError
from merec.files import atomic
from merec.run_folder.reading import FOLD_AGAIN, UnexpectedError, reading
from merec.targets.unit_labels import are_action_units

COLUMNS = ["sample_id", "corpus", "subject", "clip", "fold", "seed", "label", "predicted"]
_NUMBERS = ["fold", "seed", "label", "predicted"]


def write_predictions(path: Path, predictions: pd.DataFrame) -> None:
    """Write `predictions.csv` atomically."""
    with atomic(path) as part:
        predictions.to_csv(part, index=False)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a table of predictions.

    Raises:
        InputError: If a column is missing or a row cannot be read.
    """
    with reading(path, "delete it and run its fold again"):
        content = path.read_bytes()
        if not content.strip():
            raise UnexpectedError("it is empty")
        if b"\0" in content:  # which pandas drops, with what follows it in the cell
            line = content[: content.index(b"\0")].count(b"\n") + 1
            raise UnexpectedError(f"line {line} holds NUL bytes")
        # Subjects such as 006 are names, and a clip called NA is no missing value. Numbers are read
        # as text first: by version, pandas' own parser rounds probabilities, and 1.5 is no class.
        table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        missing = [column for column in COLUMNS if column not in table]
        probability_columns = list(table.filter(regex="^p_"))
        names = [column.removeprefix("p_") for column in probability_columns]
        numbers = _NUMBERS[:2] if are_action_units(names) else _NUMBERS  # their labels are names
        types = dict.fromkeys(probability_columns, "float64") | dict.fromkeys(numbers, "int64")
        for column in [name for name in types if name in table]:
            table[column] = _read_numbers(table[column], types[column])
    if missing and COLUMNS[1] in content.decode(errors="ignore").partition("\n")[0].split(";"):
        raise InputError(
            f"{path} has semicolons between its columns, as a spreadsheet program writes in German; put the "
            f"file back as merec wrote it (save no copy over it), or {FOLD_AGAIN}"
        )
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; it is no table of predictions"
        )
    if table.empty:
        raise InputError(f"{path} holds no prediction; delete it and run its fold again")
    # A line that was cut off still parses: what it lacks is read as not a number.
    whole = np.isfinite(table.filter(regex="^p_")).all(axis=1)
    if not whole.all():
        line = int(whole.argmin()) + 2
        raise InputError(
            f"{path} is damaged (line {line} is not whole); delete it and run its fold again"
        )
    return table


def _read_numbers(texts: pd.Series, kind: str) -> pd.Series:
    """Parse a column of numbers exactly, as Python does."""
    try:
        numbers = texts.astype(kind)
        bad = texts.notna() & ~np.isfinite(numbers)  # what a cut line lacks is no text
        if bad.any():
            row = int(bad.argmax())
            raise UnexpectedError(
                f"line {row + 2}: {texts.name} is {texts.iloc[row][:60]!r}, expected a finite number"
            )
        return numbers
    except UnexpectedError:
        raise
    except ValueError as error:
        read = int if kind == "int64" else float
        for row, text in enumerate(texts):
            try:
                read(text)
            except ValueError:
                words = "a whole number" if read is int else "a number"
                raise UnexpectedError(
                    f"line {row + 2}: {texts.name} is {text[:60]!r}, expected {words}"
                ) from error
        raise
