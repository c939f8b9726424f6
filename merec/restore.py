"""A trained network out of its checkpoint, with all that it takes to show it somebody else's clip."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import isclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from jaxtyping import Float
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.nn.functional import logsigmoid

from merec.config import build, compose_node
from merec.datamodules import ClipDataModule
from merec.datamodules.batches import Scale
from merec.evaluation.action_units import TARGETS
from merec.features import FeatureStore
from merec.tasks.checkpoints import read_checkpoint
from merec.tasks.finetune import load_weights
from merec.types import Corpus, InputError

_BACKBONES = "merec.backbones."


class Network(NamedTuple):
    """A network that was trained to name emotions, or to tell action units.

    Attributes:
        file: Its checkpoint.
        backbone: From inputs to logits.
        config: Resolved, of the run that trained it.
        protocol: Name of what it was trained on.
        target: What it tells, as that of a `Protocol`.
        classes: In the order of its logits.
        scales: Of its inputs, by those it was trained on.
    """

    file: Path
    backbone: nn.Module
    config: dict[str, Any]
    protocol: str
    target: str
    classes: tuple[str, ...]
    scales: tuple[Scale, ...] | None

    @property
    def modality(self) -> str:
        """`rgb`, `depth` or `fused`."""
        return self.config["datamodule"]["modality"]

    @property
    def representation(self) -> str:
        """What it reads."""
        return self.config["datamodule"]["representation"]

    def show(self, corpus: Corpus, features: FeatureStore) -> ClipDataModule:
        """Samples as those it was trained on were shown to it."""
        given = self.config["datamodule"]
        data = ClipDataModule(
            corpus,
            self.modality,
            self.representation,
            given["channels"],
            given["scaling"],
            batch_size=1,
            num_workers=0,
            seed=0,
            features=features,
            size=given.get("size"),
            drop_zero_motion=False,
        )
        data.scales = self.scales
        return data

    def predict(self, data: ClipDataModule) -> Float[torch.Tensor, "samples classes"]:
        """Logarithms of the probabilities of each sample; those of action units need not sum to 1."""
        with torch.inference_mode():
            logits = self.backbone(data.inputs).double()
        return logsigmoid(logits) if self.target == "action_units" else logits.log_softmax(1)


def restore(file: Path) -> Network:
    """Read a checkpoint that `merec train` wrote, of task=finetune or of a fold.

    Nothing in the file is run: only classes of `merec.backbones` are built from its config.

    Raises:
        InputError: If there is none, it cannot be read, is no network with classes, or does not fit the code.
    """
    if not file.is_file():
        raise InputError(
            f"checkpoint={file} does not exist; give a checkpoint.ckpt, which merec train task=finetune "
            "writes to its run folder, and task=loso to those of its folds"
        )
    checkpoint = read_checkpoint(file)
    facts = checkpoint.get("merec") if isinstance(checkpoint, Mapping) else None
    if not isinstance(facts, Mapping) or "config" not in facts or "state_dict" not in checkpoint:
        raise InputError(f"{file} is no checkpoint of merec; give one that merec train wrote")
    if "classes" not in facts:
        raise InputError(
            f"{file} does not say what its classes are: it is an encoder that names none, or of an older "
            "merec; give one of merec train task=finetune"
        )
    try:
        config = yaml.safe_load(facts["config"])
        node, classes = dict(config["backbone"]), tuple(facts["classes"])
        saved, channels = facts["scales"], facts["in_channels"]
        channels = tuple(channels) if isinstance(channels, list) else channels
        scales = (
            None if saved is None else tuple(Scale(*map(torch.tensor, scale)) for scale in saved)
        )
        data = config["datamodule"]
        _ = config["features"], data["modality"], data["representation"], data["channels"]
        scaling = data["scaling"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file} holds a config that is not understood ({type(error).__name__}: {error}); train it again"
        ) from error
    if (scales is None) != (scaling == "raw"):
        raise InputError(f"{file} lacks the scales of its inputs; train it again")
    for target in (*_list_targets(node), *_list_targets(dict(config["features"], _target_=None))):
        if not _is_backbone(target):
            raise InputError(
                f"{file} asks for {target}, which is no backbone of merec; use checkpoints of your own or of "
                "people you trust"
            )
    # Weights are drawn before they are loaded; nobody else's draws are to change by it.
    with torch.random.fork_rng(devices=[]):
        # A factory first, as the task is given one: Hydra would make lists of pairs.
        make = build(OmegaConf.create(node | {"_partial_": True}))
        try:
            backbone = make(in_channels=channels, num_classes=len(classes))
        except TypeError as error:  # a setting that its backbone has gained or lost since
            raise InputError(
                f"{file} was written by another version of merec ({error}); train it again"
            ) from error
    load_weights(backbone, checkpoint["state_dict"], str(file))
    told = facts.get("target", "emotion")  # which older checkpoints do not say
    if told not in TARGETS:
        raise InputError(f"{file} tells {told}, which this merec does not know; update merec")
    return Network(file, backbone.eval(), config, facts["protocol"], told, classes, scales)


def open_store(config: Mapping[str, Any] | None, root: Path) -> FeatureStore:
    """A feature store with the settings of a run, or with those of `conf/`, in a folder of its own."""
    default = compose_node("features", [])
    saved = {} if config is None else config["features"]
    known = {key: value for key, value in saved.items() if key != "_target_"}
    merged = OmegaConf.merge(default, known, {"root": str(root)})
    assert isinstance(merged, DictConfig)
    return build(merged)


def _list_targets(node: Any) -> Iterator[str]:
    """What a config would call: whatever a file names, so that it must be looked at first."""
    if isinstance(node, Mapping):
        if node.get("_target_") is not None:
            yield str(node["_target_"])
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _list_targets(child)


def _is_backbone(target: str) -> bool:
    if not target.startswith(_BACKBONES):
        return False
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return isclass(found) and found.__module__.startswith(_BACKBONES)
