"""Files that are whole or absent: written beside their name, then renamed onto it."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
    if "{" in name or "}" in name:
        return "holds curly brackets"
    if len(name.encode()) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} bytes"
    return ""
