"""Importing torch and what builds on it takes seconds, of which the garbage collector need not be one."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Import without looking for garbage: there is none, but much to look at (6.9 s become 5.8 s).

    Nor is it looked for among what was imported later on, of which the end of the process took 1.5 s.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
