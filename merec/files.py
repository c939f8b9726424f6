"""Files that are whole or absent: written beside their name, then renamed onto it."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def is_file(path: Path) -> bool:
    """Return whether there is such a file; False too for a name that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib raises for names that are too long


def is_folder(path: Path) -> bool:
    """Return whether there is such a folder; False too for a name that no folder can have."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib raises for names that are too long


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a `.part` path to write to; it takes the name `path` only if the block succeeds.

    The `.part` name holds the process id, so that two processes never write to one file, and keeps
    the suffix, from which writers such as numpy infer a format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, wholly or not at all."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path`, wholly or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


LONGEST_NAME = (
    100  # bytes; a file system takes 255, in which subject, clip and frame must fit together
)


def describe_bad_name(name: str) -> str:
    """Say why a text cannot be the name of one file or folder, so that it must not become part of a path.

    Names out of a sheet, an archive or a config become parts of paths; `../x` or `/x` would leave the folder.

    Returns:
        What is wrong with it, to follow the name in a sentence; "" if nothing is.
    """
    if not name.strip():
        return "is empty"
    if name.strip(". ") == "":
        return "stands for a folder"
    if "/" in name or "\\" in name or re.match("[A-Za-z]:", name):
        return "is a path"
    if not name.isprintable():
        return "holds characters that cannot be printed"
    if name[0] in "=+-@":
        return "begins as a formula does"
    if "{" in name or "}" in name:
        return "holds curly brackets"
    if len(name.encode()) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} bytes"
    return ""


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?", re.ASCII)


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a .csv for people, wholly or not at all; no cell of it is a formula for a spreadsheet.

    Files that merec reads again are written as they are, since a mended cell would be another name.
    """
    with atomic(path) as part:
        escape_formulas(table).to_csv(part, index=False)


def escape_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """Put an apostrophe before texts that a spreadsheet would run: after `=`, `+`, `-`, `@`, tab or return.

    Numbers and a mark alone, such as `-`, stay as they are; so do names of columns that are none.
    """
    escaped = table.rename(columns=_escape)
    for place, (_, column) in enumerate(table.items()):
        if column.dtype.kind not in "biufcmM":
            escaped.isetitem(place, column.map(_escape))
    return escaped


def _escape(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", "\n")  # a return alone is not quoted, and would end the row
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return text
    return text if len(cell) == 1 or _NUMBER.fullmatch(cell) else f"'{text}"
