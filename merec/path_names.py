"""Texts that become paths: names that leave their folder, and paths that are none, are refused."""

import os
import re
from pathlib import Path

from merec.errors import InputError

_LONGEST = 100  # bytes; a file system takes 255, in which subject, clip and frame must fit together


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
    if len(name.encode()) > _LONGEST:
        return f"is longer than {_LONGEST} bytes"
    return ""


def check_path(key: str, value: str) -> None:
    """Refuse what stands where a path is expected and is none.

    Args:
        key: What it is given for, as `corpus.root=`; "" for a folder given by itself.
        value: The text.

    Raises:
        InputError: If it is an address, holds a variable that the shell has not filled in, or has a space at
            an end without which it is there.
    """
    # Not by pathlib, which raises for names that are too long and for users that there are not.
    there = os.path.lexists(os.path.expanduser(value))  # noqa: PTH111
    bare = value.strip()
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", value):
        raise InputError(f"{key}{value} is an address; give a file or folder of this machine")
    if (match := re.search(r"(?:^|/)(\$[A-Za-z_]\w*)", value)) and not there:
        raise InputError(f"{key}{value}: {match[1]} was not filled in; is it in single quotes?")
    if bare not in ("", value) and not there and os.path.exists(os.path.expanduser(bare)):  # noqa: PTH110, PTH111
        raise InputError(
            f"{key}'{value}' does not exist, but '{bare}' does; take away the space at its end"
        )


def is_file(path: Path) -> bool:
    """Return whether there is such a file; False too for a name that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib raises for names that are too long


def is_folder(path: Path) -> bool:
    """Return whether there is such a folder; False too for a name that no folder can have."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib raises for names that are too long
