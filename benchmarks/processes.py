"""Cost of a command: seconds, and the memory of all its processes."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

EVERY = 2.0  # seconds between two looks at its memory, which cost some 10 ms a process


class Cost(NamedTuple):
    """Cost of a command.

    Attributes:
        seconds: From its start to its end.
        memory: Most bytes that all its processes held at once; what they share counts once.
    """

    seconds: float
    memory: int


def measure(command: Sequence[str]) -> Cost:
    """Run a command to its end.

    Raises:
        CalledProcessError: If it fails; with what it said.
    """
    started, most = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while True:
        try:
            predicted, _ = process.communicate(timeout=EVERY)
            break
        except subprocess.TimeoutExpired:
            most = max(most, sum(map(_measure_memory, _list_family(process.pid))))
    seconds = time.perf_counter() - started
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, predicted)
    return Cost(seconds, most)


def _list_family(pid: int) -> list[int]:
    """Return a process and all that came of it."""
    actual = [pid]
    for parent in actual:
        for file in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                actual += map(int, file.read_text().split())
            except OSError:  # it has ended
                continue
    return actual


def _measure_memory(pid: int) -> int:
    """Bytes of a process; of a page that n share, an n-th."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
