"""Checkpoints of merec: safe reading, writing, and the config that they contain."""

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from merec.errors import InputError, quote_error
from merec.files import atomic, refuse_stranger
from merec.run_folder import RunFolder
from merec.run_folder.reading import UnexpectedError, expect, reading

GIVE_ANOTHER = (
    "give a checkpoint.ckpt that merec train wrote, or delete it if it lies in merec's cache"
)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of merec; nothing in the file is executed.

    Returns:
        `state_dict`, finite tensors by name, and `merec`, metadata of the network as plain values by name.

    Raises:
        InputError: If it cannot be read, is not a checkpoint of merec, or a weight is not finite.
    """
    with reading(path, GIVE_ANOTHER):
        content = path.open("rb")
    with content:
        try:
            # Of torch's, about the format of what is refused here.
            with warnings.catch_warnings(action="ignore"):
                checkpoint = torch.load(content, weights_only=True, map_location="cpu")
        except Exception as error:  # damage shows in the zip reader, the unpickler or beyond
            refuse_stranger(path)
            content.seek(0)
            start, size = content.read(4), path.stat().st_size
            reason = quote_error(error)
            if start == b"PK\3\4" and not zipfile.is_zipfile(content):
                reason = f"it is cut off ({size:,} bytes)"
            elif start != b"PK\3\4" and start[:1] != b"\x80":  # no archive of torch, and no pickle
                reason = f"it is no checkpoint ({size:,} bytes)"
            elif isinstance(error, UnpicklingError):  # whose advice is to run what the file holds
                reason = "it holds something else than tensors and plain values"
            raise InputError(f"{path} cannot be read ({reason}); {GIVE_ANOTHER}") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "merec"} <= checkpoint.keys():
        raise InputError(
            f"{path} is no checkpoint of merec: it does not say which subjects it was trained on; "
            f"{GIVE_ANOTHER}"
        )
    with reading(path, GIVE_ANOTHER):
        expect(checkpoint["merec"], dict, "merec", "entries by name")
        state = expect(checkpoint["state_dict"], dict, "state_dict", "tensors by name")
        for name, value in state.items():
            expect(name, str, "a key of state_dict", "a name")
            expect(value, torch.Tensor, name, "a tensor")
            if value.layout != torch.strided:
                raise UnexpectedError(f"{name} is {value.layout}, expected a dense tensor")
    assert_finite(state, str(path))
    return checkpoint


def assert_finite(state: Mapping[str, torch.Tensor], source: str) -> None:
    """Refuse weights that are not finite, since every prediction would be NaN.

    Args:
        state: Weights and statistics by name.
        source: Source of the weights, for the message.

    Raises:
        InputError: If so; the message names the first such weight.
    """
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(
                f"the weights of {source} are not finite ({name}): its training diverged; train it again "
                "with a lower recipe.optimizer.lr, or with datamodule.scaling=standard"
            )


def write_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically.

    Raises:
        InputError: If a weight is not finite.
        DiskError: If the disk is full.
    """
    assert_finite(checkpoint["state_dict"], "the network")
    # Torch's own file writer does not say why it fails.
    with atomic(path) as part, part.open("wb") as file:
        torch.save(dict(checkpoint), file)


def add_config(checkpoint: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a checkpoint with the resolved config of a run folder."""
    config = RunFolder(folder).config.read_text(encoding="utf-8")
    return checkpoint | {"merec": {"config": config} | checkpoint["merec"]}
