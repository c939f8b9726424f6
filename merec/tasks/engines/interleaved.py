"""Interleaved training of the folds of a small network, which share Lightning's overhead per step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import nn

from merec.datamodules import ClipDataModule
from merec.tasks.engines.joint_training import JointTraining
from merec.tasks.epoch_recorder import predict_classes
from merec.tasks.finetune import Finetune
from merec.types import Batch


class InterleavedFolds(JointTraining):
    """Joint training in which folds compute their gradients in turn and one optimiser takes the step.

    Unlike `StackedFinetune`, each fold computes exactly the same as when trained alone. On a CPU a vmap of
    convolutions is slower than separate convolutions.

    Args:
        tasks: Untrained module of each fold; trained in place.
        views: Samples of each fold; all have the same number of steps per epoch.
    """

    def __init__(self, tasks: Sequence[Finetune], views: Sequence[ClipDataModule]):
        super().__init__(tasks, views)
        self.automatic_optimization = False
        self.networks = nn.ModuleList(tasks)

    def list_parameters(self) -> Sequence[nn.Parameter]:
        """Return the parameters of all folds."""
        return list(self.parameters())

    def on_fit_start(self) -> None:
        """Load the recorded samples."""
        super().on_fit_start()
        self.watched = [list(view.predict_dataloader()) for view in self.views]

    def on_train_epoch_start(self) -> None:
        """Seed dropout, and keep frozen modules in evaluation mode."""
        super().on_train_epoch_start()
        for task in self.tasks:
            for module in task.frozen:
                module.eval()

    def training_step(self, batch: list[Batch], _: int) -> dict[str, Any]:
        """Compute the gradients of all folds and return the values that `RecordFolds` records."""
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.zero_grad()
        steps = [
            self._learn(task, fold_batch, generator)
            for task, fold_batch, generator in zip(self.tasks, batch, self.generators, strict=True)
        ]
        optimizer.step()
        return {
            **{name: torch.stack([step[name] for step in steps]) for name in ("losses", "hits")},
            "sizes": [len(fold_batch.label) for fold_batch in batch],
        }

    def _learn(self, task: Finetune, batch: Batch, generator: torch.Generator) -> dict[str, Any]:
        """Compute the gradient of one fold, with the same dropout masks as when trained alone."""
        default = torch.default_generator
        default.set_state(generator.get_state())
        step = task.training_step(batch, 0)
        generator.set_state(default.get_state())
        self.manual_backward(step["loss"])
        return {"losses": step["loss"].detach(), "hits": step["hits"]}

    def on_train_epoch_end(self) -> None:
        """Advance the learning rate schedule, if there is one."""
        scheduler = self.lr_schedulers()
        if scheduler is not None:
            assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
            scheduler.step()

    def predict_watched(self) -> list[np.ndarray]:
        """Predict the recorded samples of each fold."""
        return [
            predict_classes(self.trainer, task, batches)
            for task, batches in zip(self.tasks, self.watched, strict=True)
        ]
