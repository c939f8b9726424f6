"""Folders and locks that belong to a living process, and what is left of those that were killed."""

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from merec.errors import InputError

HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
LOCK = ".lock"  # in a run folder; which process holds it is known to the system, and ends with it
HOLDER = ".holder.json"  # beside it; who that is, for people
_FOLDER = re.compile(r"merec-(\d+)-([0-9a-f]{6})-\w+")
_PATIENCE = 10  # s; worker processes that outlive a killed one hold its lock for a few
_YOUNG = 60  # s in which a folder may be without its lock
_CLOCK = 2  # s by which the clocks of files and processes may differ


def is_running(pid: int, since: float) -> bool:
    """Return whether a process of this machine lives that may have written something.

    Args:
        pid: Its number, which another process may have by now.
        since: When it wrote, in seconds since 1970; a process that was started later did not.
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
    """When a process was started, in seconds since 1970; `None` where the system does not say."""
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
    """Yield a fresh private folder that goes with the block; those of killed processes beside it go first.

    Args:
        parent: Where it is made; `None` for the system's folder of temporary files.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=f"merec-{os.getpid()}-{HOST}-", dir=place))
    try:
        with _hold(folder / LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # Windows keeps files that are mapped


def _sweep(place: Path) -> None:
    """Delete the folders of processes of this user and machine that are gone.

    Its lock tells whether one is gone: a container does not see every process that writes to its folders.
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
                lock = Path(entry.path) / LOCK
                if not lock.exists() and time.time() - about.st_mtime < _YOUNG:
                    continue
                with FileLock(lock, timeout=0):
                    shutil.rmtree(entry.path, ignore_errors=True)


@contextmanager
def _hold(file: Path) -> Iterator[None]:
    """Hold a lock where the file system has locks."""
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


@contextmanager
def lock_folder(folder: Path, command: Sequence[str], remedy: str) -> Iterator[None]:
    """Hold the lock of a folder, so that no two commands do the same work at once.

    The system lets go of it when the process ends, however it ends.

    Args:
        folder: The folder; made if missing.
        command: The command line, for whoever comes second.
        remedy: What that one can do, as a clause.

    Raises:
        InputError: If another process holds it: which, since when, and what to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / LOCK), folder / HOLDER
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            who = _read_holder(holder)
            gone = bool(who) and who["host"] == platform.node() and not _lives(who)
            if gone and time.monotonic() < deadline:
                continue
            raise InputError(f"{_name_holder(folder, who)}; {remedy}") from None
        except NotImplementedError:  # a file system without locks
            yield
            return
        except OSError as error:
            raise InputError(
                f"{folder / LOCK} cannot be opened ({error.strerror}); delete it and give the command again"
            ) from error
    try:
        about = {
            "host": platform.node(),
            "pid": os.getpid(),
            "started": time.time(),
            "command": shlex.join(command),
        }
        # Not whole at once: it is for people only.
        holder.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
            if sorted(file.name for file in folder.iterdir()) == [LOCK]:
                # A run that was refused leaves nothing; whoever waits for this file finds it gone.
                (folder / LOCK).unlink()
        lock.release()


def _lives(who: dict[str, Any]) -> bool:
    return is_running(who["pid"], who["started"])


def _read_holder(file: Path) -> dict[str, Any]:
    """Who holds a lock; empty if the file does not say."""
    try:
        who = json.loads(file.read_text(encoding="utf-8"))
        return {
            "host": str(who["host"]),
            "pid": int(who["pid"]),
            "started": float(who["started"]),
            "command": str(who["command"])[:200],
        }
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _name_holder(folder: Path, who: dict[str, Any]) -> str:
    if not who:
        return f"{folder} is in use by another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(who["started"]))
    return (
        f"{folder} is in use by process {who['pid']} on {who['host']} since {since} "
        f"({who['command']})"
    )
