"""Sharing of an object with other processes, with one copy of its large arrays in memory.

Arrays are written to files that every process maps into memory. Pages that are only read are shared; a page
that a process writes to is copied.
"""

import io
import pickle
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

LEAST = 1 << 16  # bytes; smaller arrays are not worth a file


class _Writer(pickle.Pickler):
    """Pickler that writes the memory of large tensors and arrays to files, each memory block once."""

    def __init__(self, file: io.BufferedWriter, folder: Path):
        super().__init__(file)
        self.folder = folder
        # The memory is kept, so that no other array is allocated at its address.
        self.pieces: dict[tuple[int, int], tuple[Path, np.ndarray]] = {}
        self.moved: list[tuple[Tensor, tuple[Any, ...]]] = []

    def reducer_override(self, value: Any) -> Any:
        if type(value) is np.ndarray and value.nbytes >= LEAST and not value.dtype.hasobject:
            # Not torch.from_numpy, which knows fewer types and refuses what must not be written to.
            rows = np.ascontiguousarray(value)
            return _open_array, (self._write(rows), rows.dtype.str, rows.shape)
        if type(value) is Tensor and value.nbytes >= LEAST and value.device.type == "cpu":
            memory = cast(torch.UntypedStorage, value.detach().untyped_storage())
            whole = torch.empty(0, dtype=torch.uint8).set_(memory).numpy()
            place = (value.storage_offset(), tuple(value.shape), value.stride())
            how = (self._write(whole), len(whole), value.dtype, *place)
            self.moved.append((value, how))
            return _open_tensor, how
        return NotImplemented

    def _write(self, memory: np.ndarray) -> Path:
        key = memory.ctypes.data, memory.nbytes
        if key not in self.pieces:
            path = self.folder / f"{len(self.pieces)}.bin"
            with path.open(
                "wb"
            ) as file:  # whose error says that the disk is full; tofile's does not
                file.write(memory.reshape(-1).view(np.uint8).data)
            self.pieces[key] = path, memory
        return self.pieces[key][0]


def _open_array(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.memmap(path, dtype, "c", shape=shape))


def _open_tensor(
    path: Path,
    size: int,
    dtype: torch.dtype,
    offset: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
) -> Tensor:
    storage = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=size)
    memory = cast(torch.UntypedStorage, storage)
    return torch.empty(0, dtype=dtype).set_(memory, offset, shape, stride)


def share(value: Any, folder: Path) -> Path:
    """Write an object and its arrays to an empty folder.

    Afterwards this process also maps the large tensors and has no separate copy.

    Returns:
        The file that `receive` reads.
    """
    file = folder / "shared.pickle"
    with file.open("wb") as out:
        writer = _Writer(out, folder)
        writer.dump(value)
    for tensor, how in writer.moved:
        tensor.data = _open_tensor(*how)
    return file


def receive(file: Path) -> Any:
    """Read an object that another process of this user shared."""
    return pickle.loads(file.read_bytes())
