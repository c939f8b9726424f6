"""Metadata of a checkpoint: code of the network, its inputs, and the subjects that it was trained on."""

from pathlib import Path
from typing import Any

import torch

from merec.datamodules import ClipDataModule
from merec.features.representations import Representation
from merec.features.sample import CROPS, DEPTH, MOTION, list_makers, name_code
from merec.run_folder.checkpoint import GIVE_ANOTHER, read_checkpoint
from merec.source_code import hash_sources
from merec.types import InputError


def read_weights(weights: str) -> dict[str, Any]:
    """Read the checkpoint that `task.weights` names.

    Raises:
        InputError: If the file does not exist or is not a checkpoint of merec; see `read_checkpoint`.
    """
    path = Path(weights)
    if not path.exists():
        raise InputError(f"task.weights={path} does not exist; give a checkpoint.ckpt of merec")
    checkpoint = read_checkpoint(path)
    saw = checkpoint["merec"].get("saw")
    if not isinstance(saw, list) or not all(isinstance(name, str) for name in saw):
        raise InputError(
            f"{path} does not say which subjects it was trained on, so it cannot be shown to be blind to the "
            f"held-out one; {GIVE_ANOTHER}"
        )
    return checkpoint


def hash_network(backbone: torch.nn.Module, representation: Representation) -> dict[str, str]:
    """Hash the code that affects the predictions of a network: backbone and features.

    Args:
        backbone: The network.
        representation: Representation that it reads.
    """
    kinds = {type(module) for module in (*backbone.modules(), representation)}
    networks = list(map(name_code, kinds))
    if any(name.startswith("merec.backbones.") for name in networks):
        networks.append("merec.backbones.kernels.acceleration.accelerate")
    stages = list_makers(CROPS, DEPTH, MOTION)
    return hash_sources([*networks, *stages]).files


def describe_inputs(data: ClipDataModule) -> dict[str, Any]:
    """Describe the inputs and classes of a network (inference metadata).

    Returns:
        `in_channels` (per view if there are two), `protocol` (its name), `classes` in label order, and
        `scales`: zero and one of each view in the units of its features, `None` if nothing is scaled.
    """
    channels = data.in_channels
    return {
        "in_channels": list(channels) if isinstance(channels, tuple) else channels,
        "protocol": data.corpus.protocol.name,
        "classes": list(data.classes),
        "scales": data.scales and [[values.tolist() for values in scale] for scale in data.scales],
    }
