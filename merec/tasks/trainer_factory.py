"""Construction of Lightning trainers from a factory, and training with them."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import ClusterEnvironment, LightningEnvironment

from merec.datamodules import ClipDataModule
from merec.tasks.ddp import EndTogether


@dataclass(frozen=True)
class Length:
    """Length of training in epochs or steps; without either, the trainer's length is used.

    Attributes:
        epochs: Passes over the training samples.
        steps: Steps of the optimiser.
    """

    epochs: int | None = None
    steps: int | None = None

    def to_arguments(self) -> dict[str, int]:
        """Return the arguments for a Lightning trainer; empty if the trainer's length is used."""
        if self.steps:
            return {"max_epochs": -1, "max_steps": self.steps}
        return {"max_epochs": self.epochs} if self.epochs else {}


AS_CONFIGURED = Length()


def fit_module(
    factory: Callable[..., pl.Trainer],
    module: pl.LightningModule,
    data: ClipDataModule | None,
    callbacks: Sequence[pl.Callback],
    logger: Logger | Literal[False] = False,
    length: Length = AS_CONFIGURED,
) -> pl.Trainer:
    """Train a LightningModule with a new trainer and return the trainer.

    Args:
        factory: Factory of the trainer.
        module: Module to train.
        data: Samples; `None` if the module has its own dataloaders.
        callbacks: Callbacks in addition to those of the factory. Each trainer gets copies of the latter,
            since they have state.
        logger: Logger of the trainer.
        length: Length of training.

    Raises:
        KeyboardInterrupt: Also if Lightning suppresses it, so that no unfinished fold is written.
    """
    configured = copy.deepcopy(read_keywords(factory).get("callbacks") or [])
    trainer = factory(
        callbacks=[*configured, *callbacks, EndTogether()],
        logger=logger,
        **length.to_arguments(),  # type: ignore[arg-type]
    )
    trainer.fit(module, datamodule=data)
    if trainer.interrupted:
        raise KeyboardInterrupt
    return trainer


def read_keywords(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword arguments of a factory, including those of nested partials.

    Hydra creates a subclass of `partial`, which is not merged when partials are nested.
    """
    keywords: dict[str, Any] = {}
    while isinstance(factory, partial):
        keywords = factory.keywords | keywords
        factory = factory.func
    return keywords


def ignore_cluster(trainer: Callable[..., pl.Trainer]) -> Callable[..., pl.Trainer]:
    """Make a trainer with one device ignore the cluster allocation it runs in.

    Otherwise Lightning refuses one device in a SLURM allocation of several tasks, or waits for the other
    tasks. A trainer with its own strategy (`trainer=ddp`) finds its processes by the variables of the
    cluster.
    """
    settings = read_keywords(trainer)
    devices = settings.get("devices")
    is_alone = devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)
    if not is_alone or settings.get("strategy") or settings.get("num_nodes", 1) != 1:
        return trainer
    plugins = [*(settings.get("plugins") or [])]
    if any(isinstance(plugin, ClusterEnvironment) for plugin in plugins):
        return trainer
    return partial(trainer, plugins=[*plugins, LightningEnvironment()])
