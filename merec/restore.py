"""Restoring of a trained network from its checkpoint, with its inference metadata."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from omegaconf import OmegaConf
from torch import nn

from merec.backbones.kernels.acceleration import accelerate
from merec.config import build, compose_node
from merec.datamodules import ClipDataModule
from merec.datamodules.batches import Scale
from merec.errors import quote_error
from merec.features import FeatureStore
from merec.features.representations import Representation, open_representation
from merec.plugins import list_modules
from merec.run_folder.checkpoint import read_checkpoint
from merec.run_folder.reading import UnexpectedError, expect, reading
from merec.run_folder.resolved_config import parse_config
from merec.source_code import name_changed
from merec.stored_config import OWN, build_stored, resolve_stored
from merec.targets import TARGETS, Target
from merec.tasks.checkpoints import hash_network
from merec.tasks.starting_weights import load_weights
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)

_BACKBONES = "merec.backbones"
_MOST = 10_000  # channels; more would only fill the memory


class Network(NamedTuple):
    """Trained network for emotions or action units.

    Attributes:
        file: Checkpoint of the network.
        backbone: Backbone, from inputs to logits.
        config: Resolved config of the run that trained it.
        protocol: Name of the protocol of the training data.
        target: Target of the network; its classes are in the order of the logits.
        scales: Scales of its inputs, computed on the training data.
    """

    file: Path
    backbone: nn.Module
    config: dict[str, Any]
    protocol: str
    target: Target
    scales: tuple[Scale, ...] | None

    @property
    def modality(self) -> str:
        """`rgb`, `depth` or `fused`."""
        return self.config["datamodule"]["modality"]

    @property
    def representation(self) -> Representation:
        """Representation that the network reads."""
        return open_representation(self.config["datamodule"]["representation"])

    def show(self, corpus: Corpus, features: FeatureStore) -> ClipDataModule:
        """Return a datamodule of samples with the settings of the training."""
        given = self.config["datamodule"]
        data = ClipDataModule(
            corpus,
            self.modality,
            given["representation"],
            given["channels"],
            given["scaling"],
            batch_size=1,
            num_workers=0,
            seed=0,
            features=features,
            size=given.get("size"),
            views=given.get("views"),
            drop_zero_motion=False,
        )
        data.scales = self.scales
        return data

    def predict(self, data: ClipDataModule) -> Float[torch.Tensor, "samples classes"]:
        """Predict the log-probabilities of each sample; probabilities of action units need not sum to 1.

        Raises:
            InputError: If a prediction is not finite.
        """
        with torch.inference_mode():
            logits = self.backbone(data.inputs).double()
        if not logits.isfinite().all():
            raise InputError(
                f"the network of {self.file} gives no finite number for {data.sample_id[0]}; its training "
                "diverged, or the clip is unlike all it was trained on: train it again with a lower "
                "recipe.optimizer.lr, or give another clip"
            )
        return self.target.to_log_probability(logits)


def restore(
    file: Path, plugins: Sequence[str] = (), other_code: bool = False, accelerated: bool = True
) -> Network:
    """Restore a network from a checkpoint of `merec train` (task=finetune, or a fold).

    Nothing in the file is executed: only classes of `merec.backbones` and of installed or named plug-ins are
    built from its config.

    Args:
        file: Path of the checkpoint.
        plugins: Modules or packages that the user trusts, in addition to merec.
        other_code: Whether to accept code that has changed since training.
        accelerated: Whether to use faster layers, see `accelerate`.

    Raises:
        InputError: If the file does not exist, cannot be read, is not a network with classes, does not match
            the code, or was trained by other code.
    """
    if not file.exists():
        raise InputError(
            f"checkpoint={file} does not exist; give a checkpoint.ckpt, which merec train task=finetune "
            "writes to its run folder, and task=loso to those of its folds"
        )
    checkpoint = read_checkpoint(file)
    facts = checkpoint["merec"]
    if "config" not in facts:
        raise InputError(f"{file} is no checkpoint of merec; give one that merec train wrote")
    if "classes" not in facts:
        raise InputError(
            f"{file} does not say what its classes are: it is an encoder that names none, or of an older "
            "merec; give one of merec train task=finetune"
        )
    with reading(file, "train it again"):
        config = parse_config(expect(facts["config"], str, "config", "YAML text"))
        for name in ("backbone", "features", "datamodule"):
            expect(config.get(name), dict, name, "entries by name")
        classes, channels, scales = _read_inputs(facts, config["datamodule"])
        protocol = expect(facts.get("protocol"), str, "protocol", "a name")
        code = expect(facts.get("code"), (dict, type(None)), "code", "hashes by file")
        name = facts.get("target", "emotion")  # which older checkpoints do not say
        if name not in TARGETS:
            raise UnexpectedError(f"target is {name!r}, expected {' or '.join(TARGETS)}")
        target = TARGETS[name](classes)
    # What is asked for in vain is refused before anything is built.
    resolve_stored(_values(config["features"]), (), file)
    trusted = (_BACKBONES, *list_modules(), *plugins)
    representation = config["datamodule"]["representation"]
    if "." in representation:  # a class of a plug-in
        resolve_stored({"_target_": representation}, trusted, file)
    backbone = _build_backbone(config["backbone"], channels, len(classes), trusted, file)
    for name in checkpoint["state_dict"]:
        if not name.startswith(("backbone.", "loss.")):
            raise InputError(
                f"{file} holds {name}, which is no weight of its network; train it again"
            )
    load_weights(backbone, checkpoint["state_dict"], str(file))
    now = hash_network(backbone, open_representation(representation))
    _compare_code(file, code, now, other_code)
    backbone = accelerate(backbone) if accelerated else backbone
    return Network(file, backbone.eval(), config, protocol, target, scales)


def _build_backbone(
    settings: Mapping[str, Any],
    channels: int | tuple[int, ...],
    num_classes: int,
    trusted: Sequence[str],
    file: Path,
) -> nn.Module:
    """Build a backbone with initial weights from the settings of a checkpoint.

    Raises:
        InputError: If the settings do not name a network of these packages, or do not match its class.
    """
    node = {**_flatten_graph(settings), "_partial_": True}
    if node.get("_target_") is None:
        raise InputError(f"{file} does not say which backbone it is of; train it again")
    # Weights are drawn before they are loaded; nobody else's draws are to change by it.
    with torch.random.fork_rng(devices=[]):
        # A factory first, as the task is given one: Hydra would make lists of pairs.
        make = build_stored(node, trusted, file)
        try:
            backbone = make(in_channels=channels, num_classes=num_classes)
        except TypeError as error:  # a setting that its backbone has gained or lost since
            raise InputError(
                f"{file} was written by another version of merec ({error}); train it again"
            ) from error
        except InputError:
            raise
        except Exception as error:  # settings that no network can have
            reason = quote_error(error)
            raise InputError(f"{file} is damaged ({reason}); train it again") from error
        if not isinstance(backbone, nn.Module):
            raise InputError(f"{file} asks for {node['_target_']}, which is no network; {OWN}")
    return backbone


def _flatten_graph(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Convert old settings of a backbone: earlier versions of Lite point GCN had a node `graph`."""
    graph = settings.get("graph", "none")
    if settings.get("_target_") != "merec.backbones.LitePointGCN" or isinstance(graph, str):
        return dict(settings)
    kind = {"graph": "learned" if graph else "none", "pool": "max"}
    sizes = graph or {"width": 1, "blocks": 0, "dropout": 0.0}
    flat = {f"graph_{key}": sizes[key] for key in ("width", "blocks", "dropout")}
    return {**settings, **kind, **flat}


def _compare_code(
    file: Path, before: dict[str, Any] | None, now: dict[str, str], accepted: bool
) -> None:
    """Refuse a network if its code or the code of its features has changed since training.

    Raises:
        InputError: If so and not accepted; the message names the files.
    """
    if before is None:
        log.warning(
            "%s does not record by which code it was trained; another version of merec may answer otherwise",
            file,
        )
        return
    changed = name_changed(before, now)
    if not changed:
        return
    problem = f"{file} was trained by other code: {changed} changed since"
    if not accepted:
        raise InputError(
            f"{problem}, so its answers may be others; train it again, or set other_code=true to have them"
        )
    log.warning("%s; its answers may be others", problem)


def _read_inputs(
    facts: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[tuple[str, ...], int | tuple[int, ...], tuple[Scale, ...] | None]:
    """Read classes, channels and scales of a network from the metadata of its checkpoint.

    Raises:
        UnexpectedError: If an entry is missing or has another type.
    """
    for name in ("modality", "representation", "scaling"):
        expect(data.get(name), str, f"datamodule.{name}", "a name")
    for name in expect(data.get("channels"), (list, str, type(None)), "channels", "names") or ():
        expect(name, str, "an entry of channels", "a name")
    for name in expect(data.get("views"), (list, type(None)), "views", "names") or ():
        expect(name, str, "an entry of views", "a name")
    classes = expect(facts["classes"], list, "classes", "a list of names")
    for name in classes:
        expect(name, str, "an entry of classes", "a name")
    if not classes or len(set(classes)) < len(classes):
        raise UnexpectedError("classes are none, or one is named twice")
    given: Any = facts.get("in_channels")
    for number in given if isinstance(given, list) else [given]:
        if not 1 <= expect(number, int, "in_channels", "a number, or one per view") <= _MOST:
            raise UnexpectedError(f"in_channels is {number}, expected 1 to {_MOST}")
    saved = expect(facts.get("scales"), (list, type(None)), "scales", "a list")
    if (saved is None) != (data["scaling"] == "raw"):
        raise UnexpectedError("the scales of its inputs do not fit datamodule.scaling")
    scales = None if saved is None else tuple(Scale(*map(torch.tensor, values)) for values in saved)
    for scale in scales or ():
        if not all(value.is_floating_point() and value.isfinite().all() for value in scale):
            raise UnexpectedError("a scale is not finite")
    return tuple(classes), tuple(given) if isinstance(given, list) else given, scales


def open_store(config: Mapping[str, Any] | None, root: Path, source: Path | None) -> FeatureStore:
    """Open a feature store in a given folder, with the settings of a run or of `conf/`.

    Args:
        config: Config of the run from its checkpoint; `None` for the settings of `conf/`.
        root: Folder of the store.
        source: Checkpoint, for messages.

    Raises:
        InputError: If the settings do not match this version of merec.
    """
    default = compose_node("features", [])
    if config is None or source is None:
        return build(OmegaConf.merge(default, {"root": str(root)}))  # type: ignore[arg-type]
    saved = resolve_stored(_values(config["features"]), (), source)
    ours = OmegaConf.to_container(default, resolve=True)
    assert isinstance(ours, dict)
    with reading(source, "train it again"):
        merged: Any = OmegaConf.to_container(OmegaConf.merge(ours, saved, {"root": str(root)}))
    return build_stored(merged, (ours["_target_"].rpartition(".")[0],), source)


def _values(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a node without keys of Hydra such as `_target_`."""
    return {key: value for key, value in node.items() if key != "_target_"}
