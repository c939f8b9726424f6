"""Lock of a run folder, which prevents two commands from training in it at once."""

import json
import os
import platform
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from merec.errors import InputError
from merec.files import make_output, sweep_parts
from merec.run_folder import RunFolder
from merec.temporary_folder import is_running

LOCK = ".lock"  # which process holds it is known to the system, and ends with it
_HOLDER = ".holder.json"  # beside it; who that is, for people
_PATIENCE = 10  # s; worker processes that outlive a killed one hold its lock for a few


@contextmanager
def open_folder(folder: RunFolder, command: Sequence[str]) -> Iterator[None]:
    """Hold the lock of a writable run folder, and remove partial files of killed runs.

    Args:
        folder: Run folder; created if missing.
        command: Command line, for the message to a second process.

    Raises:
        InputError: If the folder is not writable, or another process holds its lock.
    """
    make_output(folder.path)
    if folder.log.is_dir():
        raise InputError(f"{folder.log} is a folder, expected a file; delete it")
    places = folder.list_places()
    for place in places:
        if place.is_symlink() and not place.exists():
            raise InputError(
                f"{place} is a link to {place.readlink()}, which is not there; delete it"
            )
    with lock_folder(folder.path, command, _BUSY):
        for place in (folder.path, *places):
            sweep_parts(place, alone=True)
        yield


_BUSY = "wait until it has ended, or set hydra.run.dir (with -m: hydra.sweep.dir) to another folder"


@contextmanager
def lock_folder(folder: Path, command: Sequence[str], remedy: str) -> Iterator[None]:
    """Hold the lock of a folder, so that two commands do not do the same work at once.

    The operating system releases the lock when the process ends or is killed.

    Args:
        folder: Folder; created if missing.
        command: Command line, for the message to a second process.
        remedy: Remedy for the user, as a clause.

    Raises:
        InputError: If another process holds it; the message names the process, the time and the remedy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / LOCK), folder / _HOLDER
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
    """Read the holder of a lock; empty if unknown."""
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
