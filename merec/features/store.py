"""Feature store: one file per sample and stage; its key is a hash of everything that affects its content."""

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from merec.errors import StopError
from merec.files import atomic, make_private, sweep_parts

log = logging.getLogger(__name__)


def make_key(stage: str, code: str, settings: Mapping[str, Any], sources: Iterable[str]) -> str:
    """Return the key of a file, 32 hex digits that change whenever its content may change.

    Args:
        stage: Name of the stage.
        code: Hash of the code that computes it.
        settings: Settings of the stage.
        sources: Keys of the previous stages, or hashes of files.
    """
    facts = [stage, code, settings, list(sources)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=float).encode()).hexdigest()[
        :32
    ]


def hash_content(content: bytes) -> str:
    """Return the SHA-256 hash of bytes."""
    return hashlib.sha256(content).hexdigest()


_PARTS = "parts"  # one folder for all, as listing those of many files would take long


class Store:
    """Store of arrays by stage and key in a folder.

    Files are written under a temporary name and renamed, so if two processes compute the same file, no error
    occurs.
    """

    def __init__(self, root: Path):
        self.root = root
        self._ready = False  # private, and swept of what killed processes left

    def path(self, stage: str, key: str) -> Path:
        """Return the file of a key; there is one subfolder per first two digits."""
        return self.root / stage / key[:2] / f"{key}.safetensors"

    def load(
        self, stage: str, key: str, names: Collection[str] = ()
    ) -> dict[str, np.ndarray] | None:
        """Read all arrays or those with the given names; `None` if they are missing or damaged.

        A truncated file is always detected, since its header contains its length.
        """
        from safetensors import SafetensorError, safe_open

        file = self.path(stage, key)
        if not file.exists():
            return None
        try:
            with safe_open(file, "numpy") as content:
                return {name: content.get_tensor(name) for name in names or content.keys()}
        except (SafetensorError, OSError, ValueError) as error:
            log.warning("%s is damaged (%s) and is made anew", file, error)
            return None

    def save(self, stage: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays atomically.

        Raises:
            StopError: If there is no room, or no right to write.
        """
        from safetensors.numpy import save

        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        with self._writing(), atomic(self.path(stage, key), self.root / _PARTS) as part:
            part.write_bytes(content)

    def read_table(self, name: str) -> pd.DataFrame | None:
        """Return a table of `write_table`, all columns as text; `None` if it is missing or damaged."""
        file = self.root / "tables" / f"{name}.csv"
        try:
            return pd.read_csv(file, dtype=str, keep_default_na=False) if file.exists() else None
        except (OSError, ValueError) as error:
            log.warning("%s is damaged (%s) and is made anew", file, error)
            return None

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Store a table atomically.

        Raises:
            StopError: If there is no room, or no right to write.
        """
        with (
            self._writing(),
            atomic(self.root / "tables" / f"{name}.csv", self.root / _PARTS) as part,
        ):
            table.to_csv(part, index=False)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            if not self._ready:
                make_private(self.root)
                sweep_parts(self.root / _PARTS)
                self._ready = True
            yield
        except OSError as error:
            raise StopError(
                f"{self.root} cannot be written ({error.strerror or error}); set features.root to a "
                "folder with room, and give the same command again: finished samples are kept"
            ) from error
