"""Safe reading of files that may be damaged or foreign; nothing in them is executed or built.

Errors are one line with the file, the problem and the remedy.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from merec.errors import InputError, quote_error
from merec.files import refuse_stranger

RUN_AGAIN = "run the command of its folder again in a new one"
FOLD_AGAIN = "delete the folder of this fold and give the run's command again"


@contextmanager
def reading(file: Path, remedy: str) -> Iterator[None]:
    """Turn any error while the `with` block reads `file` into a one-line `InputError`.

    Args:
        file: File that is read.
        remedy: Remedy for the user, as a clause.

    Raises:
        InputError: If the file is missing, cannot be read, or is damaged.
    """
    if file.exists() and not (file.is_file() or file.is_dir()):  # a pipe would be waited for
        raise InputError(f"{file} is no regular file; {remedy}")
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{file} does not exist; {remedy}") from error
    except IsADirectoryError as error:
        raise InputError(f"{file} is a folder, expected a file; {remedy}") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror or error}); {remedy}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is damaged (it is not UTF-8 text); {remedy}") from error
    except Exception as error:  # damage shows in a parser, a decompressor or beyond
        refuse_stranger(file)
        text = quote_error(error) if str(error) else "no reason given"
        kind = "" if isinstance(error, UnexpectedError) else f"{type(error).__name__}: "
        if isinstance(error, KeyError):
            kind, text = "", f"{text} is missing"
        elif isinstance(error, RecursionError):
            kind, text = "", "it is nested too deeply"
        raise InputError(f"{file} is damaged ({kind}{text}); {remedy}") from error


class UnexpectedError(ValueError):
    """Error of an invalid value in a file; `reading` adds the name of the file."""


def expect(value: Any, kind: type | tuple[type, ...], name: str, words: str) -> Any:
    """Return a value of a file if it has the expected type.

    Args:
        value: The value.
        kind: Expected type or types. A boolean is not a number.
        name: Name of the value in the file.
        words: Name of the type with an article, for the message.

    Raises:
        UnexpectedError: If it has another type.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        text = repr(value)
        text = text if len(text) <= 60 else f"{text[:60]}…"
        raise UnexpectedError(f"{name} is {text}, expected {words}")
    return value


def expect_number(value: Any, name: str) -> None:
    """Refuse a value that is neither a number ≥ 0 nor null.

    Raises:
        UnexpectedError: If so.
    """
    expect(value, (int, float, type(None)), name, "a number")
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise UnexpectedError(f"{name} is {value}, expected a number of 0 or more")


def read_json(file: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON file with a mapping.

    Raises:
        InputError: If it is missing, damaged or not a mapping.
    """
    with reading(file, remedy):
        content = json.loads(file.read_text(encoding="utf-8"))
        return expect(content, dict, "it", "entries by name")


def read_csv(
    file: Path,
    columns: Mapping[str, str],
    remedy: str = RUN_AGAIN,
) -> pd.DataFrame:
    """Read a small table that merec wrote.

    Args:
        file: CSV file; columns that are not in `columns` are dropped.
        columns: Type of each column: `text`, `number` (finite), `optional` (a number, or NaN for an empty
            cell), `whole` (integer) or `truth` (boolean).
        remedy: Remedy for the user, as a clause.

    Raises:
        InputError: If the file is missing or damaged, or a column is missing or has another type.
    """
    with reading(file, remedy):
        # As text first: a sample called 006 or NA is that.
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        missing = [name for name in columns if name not in table]
        if missing:
            raise UnexpectedError(f"it has no column {', '.join(missing)}")
        table = table[list(columns)].copy()
        for name, kind in columns.items():
            if kind == "truth":
                _assert_rows(table[name].isin(["True", "False"]), table[name], "True or False")
                table[name] = table[name] == "True"
            elif kind != "text":
                numbers = pd.to_numeric(table[name], errors="coerce").astype(float)
                good = np.isfinite(numbers)
                if kind == "optional":
                    good |= table[name] == ""
                    table[name] = table[name].replace("", "nan")
                if kind == "whole":
                    good &= numbers == numbers.round()
                _assert_rows(good, table[name], "a number")
                # Python's own reader: pandas' rounds by version.
                table[name] = table[name].map(float).astype(int if kind == "whole" else float)
    return table


def _assert_rows(good: pd.Series, column: pd.Series, words: str) -> None:
    if not good.all():
        row = int(good.to_numpy().argmin())
        raise UnexpectedError(
            f"line {row + 2}: {column.name} is {column.iloc[row][:60]!r}, expected {words}"
        )
