"""Temporary folders of running processes; folders of killed processes are deleted."""

import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_LOCK = ".lock"  # held while the folder is in use; the system lets go of it when the process ends
_FOLDER = re.compile(r"merec-(\d+)-([0-9a-f]{6})-\w+")
_YOUNG = 60  # s in which a folder may be without its lock
_CLOCK = 2  # s by which the clocks of files and processes may differ


def is_running(pid: int, since: float) -> bool:
    """Return whether a process of this machine is running and may have written a file.

    Args:
        pid: Process id, which may have been reused.
        since: Time of writing, in seconds since 1970; the process must have started before.
    """
    if os.name != "posix":
        return True  # nothing can be asked without harm
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    started = _read_start(pid)
    return started is None or started <= since + _CLOCK


def _read_start(pid: int) -> float | None:
    """Read the start time of a process, in seconds since 1970; `None` if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = re.search(
            r"^btime (\d+)", Path("/proc/stat").read_text(encoding="ascii"), re.MULTILINE
        )
        ticks = int(stat.rpartition(")")[2].split()[19])
        return int(boot[1]) + ticks / os.sysconf("SC_CLK_TCK") if boot else None
    except (OSError, ValueError, IndexError):
        return None


@contextmanager
def own_folder(parent: Path | None = None) -> Iterator[Path]:
    """Yield a new private folder that is deleted after the block; also delete folders of killed processes.

    Args:
        parent: Parent of the folder; `None` for the system's folder of temporary files.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=f"merec-{os.getpid()}-{HOST}-", dir=place))
    try:
        with _hold(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # Windows keeps files that are mapped


def _sweep(place: Path) -> None:
    """Delete the folders of ended processes of this user and machine.

    A process has ended if its lock is free, since a container cannot see all processes.
    """
    with suppress(OSError):
        for entry in os.scandir(place):
            named = _FOLDER.fullmatch(entry.name)
            if named is None or named[2] != HOST or not entry.is_dir(follow_symlinks=False):
                continue
            with suppress(OSError, Timeout, NotImplementedError):
                about = entry.stat(follow_symlinks=False)
                if hasattr(os, "getuid") and about.st_uid != os.getuid():
                    continue
                if is_running(int(named[1]), about.st_mtime):
                    continue
                lock = Path(entry.path) / _LOCK
                if not lock.exists() and time.time() - about.st_mtime < _YOUNG:
                    continue
                with FileLock(lock, timeout=0):
                    shutil.rmtree(entry.path, ignore_errors=True)


@contextmanager
def _hold(file: Path) -> Iterator[None]:
    """Hold a lock, if the file system supports locks."""
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except (NotImplementedError, OSError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
