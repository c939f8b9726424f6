"""Runs on several devices, for which Lightning starts the command again in each process."""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import warnings
from multiprocessing import current_process

from hydra.types import RunMode

from merec.errors import InputError

_COMMAND = tuple(sys.argv)  # of this process; while Hydra reads it, it has no verb
_DEATH_OF_PARENT = (
    1  # PR_SET_PDEATHSIG: the signal to get when the process that started this one is gone
)
_RANKS = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")


def join_devices(mode: RunMode | None) -> bool:
    """Prepare a process for Lightning's multi-device launch; only the first process writes messages.

    Returns:
        Whether this is not the first process.

    Raises:
        InputError: In a multirun, which each process would run as a whole.
    """
    if mode == RunMode.MULTIRUN:
        raise InputError(
            "trainer=ddp is for one run on several devices; give the command without -m"
        )
    sys.argv = [*_COMMAND]
    # Before torch is imported, which would warn of each network that makes use of all its weights.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    follows = any(int(os.environ.get(name, 0)) for name in _RANKS)
    if follows:
        current_process().name = "follower"  # as in a job beside others, no bars are drawn
        logging.disable()
        warnings.simplefilter("ignore")
        with contextlib.suppress(
            OSError, AttributeError
        ):  # no Linux: it waits half an hour for the others
            ctypes.CDLL("libc.so.6").prctl(_DEATH_OF_PARENT, signal.SIGKILL)
    return follows
