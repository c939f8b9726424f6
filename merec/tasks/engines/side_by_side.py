"""Folds of a small network trained side by side on a processor: Lightning's work per step is done once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import nn

from merec.datamodules import ClipDataModule
from merec.tasks.engines.together import Together
from merec.tasks.finetune import Finetune
from merec.tasks.recording import predict_classes
from merec.types import Batch


class SideBySide(Together):
    """Each fold takes its step after the other, as alone; one optimiser then moves all of them.

    Unlike `StackedFinetune` it computes what the loop computes, operation by operation, for a vmap of
    convolutions is slower than they are one by one on a processor.

    Args:
        tasks: Of the folds, fresh; they learn.
        views: Their samples; all of as many steps per epoch.
    """

    def __init__(self, tasks: Sequence[Finetune], views: Sequence[ClipDataModule]):
        super().__init__(tasks, views)
        self.automatic_optimization = False
        self.networks = nn.ModuleList(tasks)

    def list_parameters(self) -> Sequence[nn.Parameter]:
        """Those of each fold."""
        return list(self.parameters())

    def on_fit_start(self) -> None:
        """Keep the watched samples."""
        super().on_fit_start()
        self.watched = [list(view.predict_dataloader()) for view in self.views]

    def on_train_epoch_start(self) -> None:
        """Seed dropout; what is frozen keeps the statistics of its norms."""
        super().on_train_epoch_start()
        for task in self.tasks:
            for module in task.frozen:
                module.eval()

    def training_step(self, batch: list[Batch], _: int) -> dict[str, Any]:
        """What `RecordFolds` writes down of each fold."""
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.zero_grad()
        found = [
            self._learn(task, own, generator)
            for task, own, generator in zip(self.tasks, batch, self.generators, strict=True)
        ]
        optimizer.step()
        return {
            **{name: torch.stack([each[name] for each in found]) for name in ("losses", "hits")},
            "sizes": [len(own.label) for own in batch],
        }

    def _learn(self, task: Finetune, batch: Batch, generator: torch.Generator) -> dict[str, Any]:
        """The gradient of one fold, whose network draws from the default generator as if it were alone."""
        default = torch.default_generator
        default.set_state(generator.get_state())
        found = task.training_step(batch, 0)
        generator.set_state(default.get_state())
        self.manual_backward(found["loss"])
        return {"losses": found["loss"].detach(), "hits": found["hits"]}

    def on_train_epoch_end(self) -> None:
        """Go on in the schedule of the rate, if there is one."""
        scheduler = self.lr_schedulers()
        if scheduler is not None:
            assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
            scheduler.step()

    def predict_watched(self) -> list[np.ndarray]:
        """What is said of each watched sample of each fold."""
        return [
            predict_classes(self.trainer, task, batches)
            for task, batches in zip(self.tasks, self.watched, strict=True)
        ]
