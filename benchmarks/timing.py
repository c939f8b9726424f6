"""Times of several jobs within one run, so that they compare on a busy machine too."""

import time
from collections.abc import Callable

import numpy as np


def in_turn(repeats: int, **jobs: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each job, all of them run once per round so that a busy machine hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(repeats):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - started)
    return {name: float(np.median(times)) for name, times in seconds.items()}
