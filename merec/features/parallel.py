"""Parallel processing of samples or clips in several processes, with a progress bar."""

from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_CHUNK = 8  # items that share a landmarker, which takes .05 s to open


def map_chunks(
    function: Callable[[Sequence[_Item]], list[_Result]],
    items: Sequence[_Item],
    jobs: int,
    unit: str,
) -> list[_Result]:
    """Apply a function to chunks of items in parallel and return the results in the order of the items.

    Args:
        function: Takes a list of items and returns a list of results of the same length; it must be
            picklable.
        items: All of them.
        jobs: Processes; -1 for one per core.
        unit: Unit of the bar, e.g. `samples`.
    """
    from joblib import Parallel, delayed, parallel_config
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    bar = Progress(
        TextColumn("preparing"), *columns, console=console, disable=not console.is_terminal
    )
    results: list[_Result] = []
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1), bar:
        line = bar.add_task("", total=len(items))
        chunks = (items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK))
        tasks = (delayed(_run_alone)(function, chunk) for chunk in chunks)
        for done in Parallel(return_as="generator")(tasks):
            results += done
            bar.advance(line, len(done))
    return results


def _run_alone(
    function: Callable[[Sequence[_Item]], list[_Result]], items: Sequence[_Item]
) -> list[_Result]:
    """Process a chunk with one thread, since the processes share the cores."""
    import cv2
    import scipy.interpolate  # noqa: F401  (limits heed only what is loaded)
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(1)
    with threadpool_limits(1):
        return function(items)
