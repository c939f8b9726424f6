"""Faster imports of torch without garbage collection."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Turn off garbage collection during imports in the `with` block (6.9 s become 5.8 s).

    Imported objects are also excluded from later collections, which saves 1.5 s at exit.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
