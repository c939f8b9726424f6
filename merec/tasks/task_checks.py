"""Checks of a task before anything is written, for errors that every fold would raise."""

import warnings
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from merec.datamodules import ClipDataModule
from merec.datamodules.batches import pack
from merec.errors import quote_error
from merec.tasks.losses import describe_loss
from merec.tasks.network_trainer import NetworkTrainer
from merec.tracebacks import describe_mistake
from merec.types import InputError


def check_representation(backbone: Any, data: ClipDataModule) -> None:
    """Refuse samples whose representation the backbone does not read.

    Raises:
        InputError: If so; the message names both representations.
    """
    given = data.representation.name
    reads = getattr(backbone, "reads", given)
    if reads != given:
        raise InputError(
            f"{getattr(backbone, '__name__', backbone)} reads {reads}, but datamodule.representation="
            f"{given}; leave both out, recipe= and datamodule.representation=, and the backbone's own "
            "recipe sets it"
        )


def check_trainer(factory: Callable[..., pl.Trainer], takes_devices: bool) -> pl.Trainer:
    """Build a Lightning trainer and refuse unsuitable settings.

    Args:
        factory: Factory of the trainer.
        takes_devices: Whether several devices may train one network.

    Raises:
        InputError: If the trainer cannot be built, would not train, or has several devices without
            permission.
    """
    try:
        trainer = factory(logger=False)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise InputError(
            f"the trainer cannot be built: {quote_error(error)}; trainer=auto takes what is there, "
            "trainer=cpu runs anywhere"
        ) from error
    if (
        getattr(trainer, "fast_dev_run", False)
        or not trainer.limit_train_batches
        or trainer.max_steps == 0
    ):
        raise InputError(
            "trainer.fast_dev_run, limit_train_batches=0 or max_steps=0 leaves networks untrained, whose "
            "predictions would be kept; leave it out, debug=fast takes seconds"
        )
    if trainer.world_size > 1 and not takes_devices:
        raise InputError(
            f"{trainer.world_size} devices train one network together with task=pretrain only; to spread "
            "networks over devices take trainer=auto and one job per device, each with a share of the "
            "folds: -m hydra/launcher=submitit_slurm folds=1/2,2/2"
        )
    return trainer


def rehearse_finetuning(networks: NetworkTrainer, data: ClipDataModule, freeze: str) -> None:
    """Build the module of a fold and compute the loss of two samples.

    Args:
        networks: Builds networks.
        data: All samples.
        freeze: `encoder` or `none`.

    Raises:
        InputError: If the optimiser or its schedule cannot be built, the network refuses the samples, or the
            loss cannot be computed or does not fit the target. Bugs of the network are left to the folds,
            which record the traceback.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backbone = networks.backbone(in_channels=data.in_channels, num_classes=len(data.classes))
        task = networks.make_task(backbone, data, freeze)
        networks.target.check_loss(*describe_loss(task.loss))
        check_optimizer(task, "recipe")
        backbone.eval()
        with torch.no_grad():
            try:
                views = data.sample_inputs.views
                logits = backbone(pack(tuple(view[:2].float() for view in views)))
            except InputError:
                raise
            except Exception:  # each fold will raise it again, with its place in the network
                return
            try:
                task.loss(logits, data.label[:2], weight=task.class_weight)
            except Exception as error:
                raise InputError(
                    f"the loss cannot be computed: {describe_mistake(error)}; loss takes logits, labels "
                    "and weight, e.g. loss=cross_entropy"
                ) from error


def check_optimizer(module: pl.LightningModule, node: str) -> None:
    """Build the optimiser and the schedule of a module.

    Args:
        module: The module.
        node: Config node of both, for the message.

    Raises:
        InputError: If one of them cannot be built.
    """
    try:
        module.configure_optimizers()
    except Exception as error:
        raise InputError(
            f"{node}.optimizer or {node}.scheduler cannot be built: {describe_mistake(error)}; mend its "
            "settings"
        ) from error
