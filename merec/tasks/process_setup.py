"""The process that trains: what it says, and how it keeps its memory."""

import ctypes
import logging
import warnings
from contextlib import suppress

log = logging.getLogger(__name__)


def quiet_lightning() -> None:
    """One trainer per fold would greet sixty-eight times."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (".*does not have many workers.*", ".*log_every_n_steps.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message)


def return_freed_memory() -> None:
    """Give what was kept so back to the machine, for it is not needed soon."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks of some MB instead of returning and faulting them in again.

    Small networks allocate the same few MB in every step; this made STSTNet 1.2 to 1.4 times as fast.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        log.debug("no glibc here; its allocator is left as it is")
