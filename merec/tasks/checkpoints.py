"""Checkpoints of merec: read without trusting them, and with the config that made them."""

from pathlib import Path
from typing import Any

import torch

from merec.datamodules import ClipDataModule
from merec.types import InputError


def read_weights(weights: str) -> dict[str, Any]:
    """The checkpoint that `task.weights` names.

    Raises:
        InputError: If there is none, or it cannot be read.
    """
    path = Path(weights)
    if not path.is_file():
        raise InputError(f"task.weights={path} does not exist; give a checkpoint.ckpt of merec")
    return read_checkpoint(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of merec.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # damage shows in the zip reader, the unpickler or beyond
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path} cannot be read ({reason}); give a checkpoint.ckpt of merec, or delete it if it lies in "
            "merec's cache"
        ) from error


def add_config(checkpoint: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A checkpoint with the resolved config of a run folder."""
    config = (folder / "config.yaml").read_text(encoding="utf-8")
    return checkpoint | {"merec": {"config": config} | checkpoint["merec"]}


def describe_inputs(data: ClipDataModule) -> dict[str, Any]:
    """What else it takes to show a network a clip of somebody else's.

    Returns:
        `in_channels` (of each view where there are several), `protocol` (its name), `classes` in the order
        of their label, and `scales`: zero and one of each view in the units of its features, `None` where
        none are scaled.
    """
    channels = data.in_channels
    return {
        "in_channels": list(channels) if isinstance(channels, tuple) else channels,
        "protocol": data.corpus.protocol.name,
        "classes": list(data.corpus.protocol.classes),
        "scales": data.scales and [[each.tolist() for each in scale] for scale in data.scales],
    }
