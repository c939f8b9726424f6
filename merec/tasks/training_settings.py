"""Settings of every task that trains networks: samples, network, starting weights and training."""

from collections.abc import Callable
from dataclasses import dataclass

import pytorch_lightning as pl
from torch import nn

from merec.config_parts import Part
from merec.datamodules import ClipDataModule
from merec.tasks.finetune import Finetune
from merec.tasks.pretraining_settings import PretrainingSettings


@dataclass(frozen=True)
class TrainingSettings(Part):
    """Hyperparameters of the training of one fold.

    Attributes:
        datamodule: Samples of the task.
        backbone: Factory of a new backbone; takes `in_channels`, `num_classes`. The optional attribute
            `reads` of its class names the representation that it reads.
        finetune: Factory of the LightningModule around it.
        trainer: Factory of a new Lightning trainer.
        seed: Seed of initial weights, batches and dropout.
        freeze: `encoder` finetunes only the head, `none` everything.
        weights: Checkpoint to start from, or `None` to start at random.
        transductive: Allow `weights` that saw the held-out subject, and pretrain one encoder for all folds on
            all subjects; every table then says so.
        target: Target: `emotion` or `action_units`.
        min_subjects: Number of training subjects that must show an action unit for a fold to learn it.
        pretraining: Pretraining inside each fold.
    """

    datamodule: ClipDataModule
    backbone: Callable[..., nn.Module]
    finetune: Callable[..., Finetune]
    trainer: Callable[..., pl.Trainer]
    seed: int
    freeze: str
    weights: str | None
    transductive: bool
    target: str
    min_subjects: int
    pretraining: PretrainingSettings
