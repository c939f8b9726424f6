"""Setup of a process that trains: messages and memory."""

import ctypes
import logging
import warnings
from contextlib import suppress

log = logging.getLogger(__name__)


def quiet_lightning() -> None:
    """Silence the start messages of Lightning, which would appear for every fold."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (".*does not have many workers.*", ".*log_every_n_steps.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message)


def return_freed_memory() -> None:
    """Return freed memory to the system."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks of some MB instead of returning them to the system.

    Small networks allocate the same few MB in every step. This setting makes STSTNet 1.2 to 1.4 times as
    fast.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        log.debug("no glibc here; its allocator is left as it is")
