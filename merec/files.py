"""Files that are whole or absent, and private where they should be.

They are written beside their name, then renamed onto it. A folder that nobody else may look into passes that
on to what is written below it.
"""

import errno
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from merec.errors import DiskError, InputError
from merec.temporary_folder import HOST, is_running, own_folder

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
_WRITING = (*_FULL, *_CLOSED, *_IN_THE_WAY, errno.EIO, errno.ENAMETOOLONG, errno.ELOOP)
_PART = re.compile(r"\..*\.(\d+)(?:-([0-9a-f]{6}))?\.part(\.[^.]*)?")
_OTHERS = stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH


@contextmanager
def atomic(path: Path, room: Path | None = None) -> Iterator[Path]:
    """Yield a `.part` path to write to; it takes the name `path` only if the block succeeds.

    The `.part` name holds process and host, so that two processes never write to one file and `sweep_parts`
    knows whose it is, and keeps the suffix, from which writers such as numpy infer a format.

    Args:
        path: The file.
        room: Folder of the same file system for the `.part`; `None` for that of the file.

    Raises:
        DiskError: If the file cannot be written: no room, no right, or something else in its place.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}-{HOST}.part{path.suffix}")
    try:
        private = _make_parents(path.parent)
        if room is not None:
            _make_parents(room)
            part = room / part.name
        yield part
        if private is not None:
            part.chmod(private & 0o660)
        part.replace(path)
    except Exception as error:
        cause = find_disk_error(error)
        if cause is None or isinstance(error, DiskError):
            raise
        raise DiskError(describe_disk_error(cause, path), cause) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a private folder to fill; it takes the name `folder` only if the block succeeds.

    Args:
        folder: The folder; absent or empty.
    """
    with own_folder(folder.absolute().parent) as temporary:
        content = temporary / folder.name
        content.mkdir(mode=0o700)
        yield content
        if folder.exists():
            folder.rmdir()
        content.replace(folder)


def find_disk_error(error: BaseException) -> OSError | None:
    """Find why a disk was not written to, in an error or in what led to it; `None` for other errors."""
    if isinstance(error, OSError) and error.errno in _WRITING:
        return error
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        # Torch's writer says something of its own; what was handled before counts only if it is about room.
        if isinstance(cause, OSError) and cause.errno in (*_FULL, errno.EROFS):
            return cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def describe_disk_error(error: OSError, path: Path | str | None = None) -> str:
    """Describe in one line why something cannot be written, and what to do.

    Args:
        error: See `find_disk_error`.
        path: What cannot be written, if the error does not say.
    """
    place = path or error.filename or "the output"
    reason = error.strerror or error
    if error.errno in _FULL:
        remedy = "make room and give the same command again: what is finished is kept"
    elif error.errno in _CLOSED:
        remedy = "choose a folder that you may write to"
    elif error.errno in _IN_THE_WAY:
        remedy = "something else has this name or that of a folder above it; choose another place"
    else:
        remedy = "choose another place"
    return f"{place} cannot be written ({reason}); {remedy}"


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can look into; what `atomic` writes below it is private as well.

    One that everybody can look into is closed. One that is shared with a group alone was made so on purpose,
    and what is written below it is shared with that group.

    Raises:
        DiskError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        mode = folder.stat().st_mode
        if mode & _OTHERS:
            with suppress(PermissionError):  # it is somebody else's
                folder.chmod(0o700)
    except OSError as error:
        raise DiskError(describe_disk_error(error, folder), error) from error


def make_output(folder: Path) -> None:
    """Make a private folder for results and try to write to it, before the work and not after it.

    Raises:
        DiskError: If it cannot be made or written to.
    """
    make_private(folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 4096)
    except OSError as error:
        raise DiskError(describe_disk_error(error, folder), error) from error


def _make_parents(folder: Path) -> int | None:
    """Make a folder; return its mode if it is private, as one below a private folder is made."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    mode = folder.stat().st_mode
    private = None if mode & _OTHERS else stat.S_IMODE(mode)
    for missing_folder in reversed(missing):
        missing_folder.mkdir(exist_ok=True)
        if private is not None:
            missing_folder.chmod(private & 0o2770)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return private


def sweep_parts(folder: Path, alone: bool = False) -> None:
    """Delete `.part` files directly in a folder whose writers were killed; those of living ones stay.

    Args:
        folder: The folder; it need not be there.
        alone: Whether no other process writes to it, as its lock is held; those of other machines go, too.
    """
    with suppress(OSError):
        for file in os.scandir(folder):
            named = _PART.fullmatch(file.name)
            if named is None:
                continue
            ours = named[2] == HOST
            if alone or (ours and not is_running(int(named[1]), file.stat().st_mtime)):
                with suppress(OSError):
                    Path(file.path).unlink()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, wholly or not at all."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path`, wholly or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def describe_stranger(start: bytes) -> str:
    """Say what lies in the place of a binary file by its first bytes, and the remedy.

    Args:
        start: The first 512 bytes, or all of it.

    Returns:
        A clause to follow the file's name; "" if they tell nothing.
    """
    plain = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:32].lower()
    if plain.startswith((b"<!doctype html", b"<html")):
        return (
            "is an HTML page, which a server sends instead of a file, e.g. before a login; copy it again "
            "from its source"
        )
    if start.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS and not the file itself; run `git lfs pull` where it was cloned"
    return ""


def refuse_stranger(file: Path) -> None:
    """Refuse a file in whose place something else was saved.

    One that cannot be opened is left to its reader.

    Raises:
        InputError: If it is an HTML page or a pointer of Git LFS.
    """
    if not file.is_file():  # a pipe would be waited for
        return
    start = b""
    with suppress(OSError), file.open("rb") as content:
        start = content.read(512)
    if what := describe_stranger(start):
        raise InputError(f"{file} {what}")
