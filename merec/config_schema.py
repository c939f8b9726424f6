"""Typed root of the config, and its resolvers."""

import hashlib
import logging
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.utils import get_object
from omegaconf import MISSING, OmegaConf

from merec.config_groups import PluginSearchPath

NEEDED = ("corpus", "features", "datamodule", "backbone", "recipe", "loss", "task", "trainer")


@dataclass
class Recipe:
    """Training settings of a backbone; see `merec.tasks.Finetune`."""

    optimizer: Any = MISSING
    scheduler: Any = None
    class_balanced: float | bool = False
    pretrain: Any = None


@dataclass
class RunConfig:
    """Top-level keys of `merec train`. A node of type `Any` is checked by its `_target_`."""

    seed: int = 0
    fold: int | None = None
    folds: Any = None
    name: str = MISSING
    remark: str | None = None
    resume: str = "same"
    roots: dict[str, str] = field(default_factory=dict)  # where corpora lie, by name of the choice
    corpus: Any = MISSING
    features: Any = MISSING
    datamodule: Any = MISSING
    backbone: Any = MISSING
    recipe: Recipe = field(default_factory=Recipe)
    loss: Any = MISSING
    task: Any = MISSING
    callbacks: dict[str, Any] = field(default_factory=dict)
    trainer: Any = MISSING
    logger: Any = None


def _slug(text: str, most: int = 120) -> str:
    """Return a folder name for overrides: no slash, no space, no `=`; long ones end in a hash."""
    shares = re.sub(r"(?<=\d)/(?=\d)", "of", str(text))  # folds=1/4 is not folds=1-4
    clean = re.sub(r"[^\w.+-]+", "-", shares).strip(
        "-"
    )  # letters of any script, or notes would be one
    if len(clean.encode()) <= most:
        return clean
    short = clean.encode()[: most - 9].decode(errors="ignore")
    return f"{short}-{hashlib.sha256(str(text).encode()).hexdigest()[:8]}"


def register() -> None:
    """Register the schema, the plug-ins and the resolvers in Hydra.

    `${slug:…}` makes a folder name, `${first:…}` takes the first value that is not null, and `${reads:…}`
    gives the representation that a backbone's class reads.
    """
    ConfigStore.instance().store(name="schema", node=RunConfig)
    OmegaConf.register_new_resolver("slug", _slug, replace=True)
    OmegaConf.register_new_resolver("first", _find_first, replace=True)
    OmegaConf.register_new_resolver("reads", _find_representation, replace=True)
    Plugins.instance().register(PluginSearchPath)
    # It would print what is raised, too, over several lines.
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)
    # Our launchers are named as those of the plugins, whose schema they are meant to fit.
    warnings.filterwarnings(
        "ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema"
    )


def _find_first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _find_representation(target: str) -> str:
    return getattr(get_object(target), "reads", "flow_map")
