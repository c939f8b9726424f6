"""Worker processes that start with torch imported, forked from a server that imports it once."""

import multiprocessing
import os
import signal
from multiprocessing import forkserver, resource_tracker
from typing import Any

_IMPORTED = ["merec.tasks.forkserver_preload"]


def open_context() -> Any:
    """Return the context that starts such processes; without forkserver (Windows) each imports torch.

    This process is not forked, since threads of torch and of loggers do not survive a fork.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context


def start_server() -> None:
    """Start the imports of the server in parallel with this process, if there are enough cores."""
    main = (
        multiprocessing.current_process().name == "MainProcess"
    )  # not one of several jobs at once
    if main and (os.cpu_count() or 1) > 1 and open_context().get_start_method() == "forkserver":
        resource_tracker.ensure_running()  # which lets signals through again once it runs
        # Ctrl-C is for this process; the server and its workers inherit that they do not hear it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
