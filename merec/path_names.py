"""Checks of texts that become paths, e.g. names that would leave their folder."""

import os
import re
from pathlib import Path

from merec.errors import InputError

_LONGEST = 100  # bytes; a file system takes 255, in which subject, clip and frame must fit together


def describe_bad_name(name: str) -> str:
    """Describe why a text is not a valid name of a file or folder.

    Names from sheets, archives or configs become parts of paths; `../x` or `/x` would leave the folder.

    Returns:
        The problem as a clause that follows the name; "" if there is none.
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
    """Refuse a text that is not a path.

    Args:
        key: Key of the path, e.g. `corpus.root=`; "" for a folder without key.
        value: The text.

    Raises:
        InputError: If it is a URL, contains a variable that the shell did not replace, or exists without its
            leading or trailing space.
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
    """Return whether a file exists; False for invalid names."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib raises for names that are too long


def is_folder(path: Path) -> bool:
    """Return whether a folder exists; False for invalid names."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib raises for names that are too long
