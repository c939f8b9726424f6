"""Atomic writing of files, and private folders.

Files are written under a temporary name and then renamed. Files in a private folder are private as well.
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
    """Yield a `.part` path to write to, which is renamed to `path` if the block succeeds.

    The `.part` name contains process and host, so that two processes never write to one file and
    `sweep_parts` can identify the writer. It keeps the suffix, from which writers such as numpy infer the
    format.

    Args:
        path: The file.
        room: Folder of the `.part` file on the same file system; `None` for the folder of `path`.

    Raises:
        DiskError: If the file cannot be written: full disk, missing permission, or a folder with this name.
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
    """Yield a private temporary folder, which is renamed to `folder` if the block succeeds.

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
    """Find the disk error in an error or in its causes; `None` for other errors."""
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
    """Describe in one line why a file cannot be written, and the remedy.

    Args:
        error: See `find_disk_error`.
        path: Path, if the error does not name it.
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
    """Create a folder that only its owner can read; files that `atomic` writes below it are also private.

    A folder that everybody can read is made private. A folder that is shared only with a group stays shared,
    and so are files below it.

    Raises:
        DiskError: If it cannot be created.
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
    """Create a private folder for results and test that it is writable, before the work starts.

    Raises:
        DiskError: If it cannot be created or written to.
    """
    make_private(folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 4096)
    except OSError as error:
        raise DiskError(describe_disk_error(error, folder), error) from error


def _make_parents(folder: Path) -> int | None:
    """Create a folder, private below a private folder; return its mode if it is private."""
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
    """Delete the `.part` files of killed processes directly in a folder.

    Args:
        folder: Folder, which need not exist.
        alone: Whether no other process writes to it because its lock is held; files of other machines are
            then also deleted.
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
    """Write `text` to `path` atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path` atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def describe_stranger(start: bytes) -> str:
    """Recognise an HTML page or another text in place of a binary file by its first bytes.

    Args:
        start: First 512 bytes, or the whole file.

    Returns:
        Clause that follows the name of the file, with the remedy; "" if nothing is recognised.
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
    """Refuse a file that was replaced by an HTML page or a pointer of Git LFS.

    A file that cannot be opened is left to its reader.

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
