"""Folders and locks belong to living processes: what killed ones left goes, what living ones use stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from merec.errors import InputError
from merec.files import sweep_parts
from merec.run_folder.lock import LOCK, lock_folder
from merec.temporary_folder import HOST, is_running, own_folder

HOLD = """
import sys, time
from pathlib import Path
from merec.run_folder.lock import lock_folder
from merec.temporary_folder import own_folder
run, place = map(Path, sys.argv[1:])
with lock_folder(run, ["merec", "train", "seed=7"], ""), own_folder(place) as folder:
    (folder / "faces.bin").write_bytes(b"0")
    print(folder, flush=True)
    time.sleep(60)
"""


class Holder:
    """A process that holds the lock of a folder and has a folder of its own."""

    def __init__(self, run: Path, place: Path):
        command = [sys.executable, "-c", HOLD, str(run), str(place)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.folder = Path(self.process.stdout.readline().strip())

    def kill(self) -> None:
        """End it as the system does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[], Holder]]:
    """Start such a process."""
    started = []

    def start() -> Holder:
        started.append(Holder(tmp_path / "run", tmp_path / "place"))
        return started[-1]

    yield start
    for holder in started:
        holder.kill()
        holder.process.stdout.close()


def take(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "run", ["merec"], "wait, or choose another"):
        pass


def test_the_second_command_on_a_run_folder_is_told_who_holds_it(tmp_path, hold):
    holder = hold()
    with pytest.raises(InputError, match="wait, or choose another") as caught:
        take(tmp_path)
    assert f"process {holder.process.pid} on {os.uname().nodename}" in str(caught.value)
    assert "merec train seed=7" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path, hold):
    hold().kill()
    started = time.monotonic()
    take(tmp_path)
    assert time.monotonic() - started < 5


def test_a_lock_leaves_nothing_in_an_empty_folder_and_does_not_stop_the_next(tmp_path):
    take(tmp_path)
    assert not list((tmp_path / "run").iterdir())
    take(tmp_path)


def test_a_folder_of_a_killed_process_is_swept_and_that_of_a_living_one_stays(tmp_path, hold):
    dead = hold()
    dead.kill()
    living = hold()  # sweeps when it makes its own
    assert not dead.folder.exists()
    assert (living.folder / "faces.bin").exists()
    with own_folder(tmp_path / "place") as ours:
        assert (living.folder / "faces.bin").exists()
        assert ours.stat().st_mode & 0o777 == 0o700
    assert not ours.exists()


def test_a_folder_that_is_locked_stays_even_if_its_process_cannot_be_seen(tmp_path, hold):
    # As in another container, whose processes have numbers of their own.
    holder = hold()
    hidden = holder.folder.with_name(f"merec-{2**22 - 1}-{HOST}-hidden")
    holder.folder.rename(hidden)
    with own_folder(tmp_path / "place"):
        assert (hidden / "faces.bin").exists()


def test_parts_of_killed_writers_are_swept_and_those_of_living_ones_stay(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f".epochs.{ended.pid}-{HOST}.part.npz"
    living = tmp_path / f".epochs.{os.getpid()}-{HOST}.part.npz"
    elsewhere = tmp_path / f".epochs.{ended.pid}-000000.part.npz"
    kept = tmp_path / "epochs.npz"
    for file in (dead, living, elsewhere, kept):
        file.touch()
    sweep_parts(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, elsewhere, kept])
    sweep_parts(tmp_path, alone=True)  # the folder's lock is held: nobody else writes there
    assert list(tmp_path.iterdir()) == [kept]


def test_a_process_that_took_over_a_number_is_not_the_one_that_wrote():
    assert is_running(os.getpid(), time.time())
    assert not is_running(os.getpid(), 1.0)
    assert LOCK.startswith(".")


def test_a_lock_that_is_a_folder_is_named(tmp_path):
    (tmp_path / LOCK).mkdir()
    message = r"\.lock cannot be opened \(Is a directory\); delete it"
    with pytest.raises(InputError, match=message), lock_folder(tmp_path, [], ""):
        pass
