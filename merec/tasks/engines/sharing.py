"""An object handed to other processes, its large arrays once in memory for all of them.

Arrays are written to files that every process maps. What is read is shared, what is written to stays with
the process that wrote.
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
    """Pickles all but large tensors and arrays, of which it writes the memory to files, each piece once."""

    def __init__(self, file: io.BufferedWriter, folder: Path):
        super().__init__(file)
        self.folder = folder
        # With the memory, lest other arrays come to lie where it was.
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
    """Write an object and its arrays to an empty folder of one's own.

    Its large tensors lie there from then on, for this process as for others; it keeps no copy of its own.

    Returns:
        What `receive` reads.
    """
    file = folder / "shared.pickle"
    with file.open("wb") as out:
        writer = _Writer(out, folder)
        writer.dump(value)
    for tensor, how in writer.moved:
        tensor.data = _open_tensor(*how)
    return file


def receive(file: Path) -> Any:
    """What another process of this user shared with this one."""
    return pickle.loads(file.read_bytes())
