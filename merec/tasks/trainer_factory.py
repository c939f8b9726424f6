"""Build Lightning trainers from the factory of a config, and train modules with them."""

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
    """Length of a training in epochs or steps; neither for that of the trainer.

    Attributes:
        epochs: Passes over the training samples.
        steps: Steps of the optimiser.
    """

    epochs: int | None = None
    steps: int | None = None

    def to_arguments(self) -> dict[str, int]:
        """Return the arguments of a Lightning trainer; none for as long as it would train anyway."""
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
    """Train a LightningModule in a fresh trainer, and return that trainer.

    Args:
        factory: Factory of the trainer.
        module: Module to train.
        data: The samples; `None` if the module has dataloaders of its own.
        callbacks: Callbacks beside those of the factory, of which each trainer gets copies: they have state.
        logger: Logger of the trainer.
        length: Length of the training.

    Raises:
        KeyboardInterrupt: Also where Lightning swallows it: half a fold must not be written.
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
    """Return the arguments that a factory of a config adds, those of partials within partials too.

    What Hydra makes is a subclass of `partial`, which another partial does not merge with itself.
    """
    keywords: dict[str, Any] = {}
    while isinstance(factory, partial):
        keywords = factory.keywords | keywords
        factory = factory.func
    return keywords


def ignore_cluster(trainer: Callable[..., pl.Trainer]) -> Callable[..., pl.Trainer]:
    """Have a trainer of one device train alone, whatever the allocation it runs in.

    Lightning would otherwise refuse one device in a SLURM allocation of several tasks, or wait for them.
    A trainer with a strategy of its own (`trainer=ddp`) finds its processes by the variables of the cluster.
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
