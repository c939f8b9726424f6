"""Construction of new networks and their supervised training."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import nn

from merec.backbones.kernels.acceleration import accelerate
from merec.datamodules import ClipDataModule
from merec.run_folder.epochs import Epochs
from merec.seeding import derive_seed
from merec.targets import Target
from merec.tasks.epoch_recorder import RecordEpochs
from merec.tasks.finetune import Finetune
from merec.tasks.progress import OnEpoch
from merec.tasks.starting_weights import StartingWeights
from merec.tasks.trainer_factory import AS_CONFIGURED, Length, fit_module

Logging = Logger | Literal[False]


@dataclass
class NetworkTrainer:
    """Builder and trainer of networks.

    Attributes:
        backbone: Factory of a new backbone; takes `in_channels`, `num_classes`.
        finetune: Factory of the LightningModule around it.
        trainer: Factory of a new Lightning trainer.
        weights: Starting weights of networks.
        target: Target of the labels.
        seed: Seed of initial weights, batches and dropout.
    """

    backbone: Callable[..., nn.Module]
    finetune: Callable[..., Finetune]
    trainer: Callable[..., pl.Trainer]
    weights: StartingWeights
    target: Target
    seed: int

    def start(
        self, data: ClipDataModule, held_out: Collection[str], classes: Sequence[str]
    ) -> nn.Module:
        """Build a backbone with random weights or those of `task.weights`.

        Args:
            data: Training samples; the name of their held-out group is part of the seed.
            held_out: Subjects that the starting weights must not have seen.
            classes: Classes of its head.

        Raises:
            InputError: If the starting weights have seen one of these subjects, or do not fit.
        """
        torch.manual_seed(derive_seed(self.seed, data.held_out, "weights"))
        fresh = self.backbone(in_channels=data.in_channels, num_classes=len(classes))
        backbone = accelerate(fresh)
        self.weights.load_into(backbone, classes, held_out)
        return backbone

    def open_target(self, data: ClipDataModule) -> Target:
        """Return the target of a fold; for action units it has only the trained units."""
        return replace(self.target, classes=data.classes)

    def make_task(self, backbone: nn.Module, data: ClipDataModule, freeze: str) -> Finetune:
        """Wrap a backbone into the LightningModule that trains it on `data.train_rows`."""
        return self.finetune(
            backbone=backbone,
            target=self.open_target(data),
            label=data.label[data.train_rows],
            seed=self.seed,
            held_out=data.held_out,
            freeze=freeze,
        )

    def train(
        self,
        backbone: nn.Module,
        data: ClipDataModule,
        freeze: str,
        on_epoch: OnEpoch,
        logger: Logging = False,
        length: Length = AS_CONFIGURED,
    ) -> tuple[Finetune, pl.Trainer, Epochs]:
        """Train a backbone on `data.train_rows` and record each epoch on `data.test_rows`."""
        task = self.make_task(backbone, data, freeze)
        record = RecordEpochs(list(data.predict_dataloader()), on_epoch)
        trainer = fit_module(self.trainer, task, data, [record], logger, length)
        return task, trainer, record.to_epochs()

    def pack(
        self,
        module: pl.LightningModule,
        trained: Sequence[ClipDataModule],
        subjects: Collection[str],
    ) -> dict[str, Any]:
        """Return a checkpoint: weights, the subjects that they saw and never saw, and the target.

        Args:
            module: Trained module.
            trained: Training data of all stages of training, in order.
            subjects: All subjects of the corpus.
        """
        saw = {str(name) for data in trained for name in data.subject[data.train_rows]}
        saw |= self.weights.list_seen()
        return {
            "state_dict": module.state_dict(),
            "merec": {
                "saw": sorted(saw),
                "never_saw": sorted(set(subjects) - saw),
                "target": self.target.name,
            },
        }
