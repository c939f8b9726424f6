"""Training of several folds in one Lightning loop: common base of stacked and interleaved folds."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from merec.datamodules import ClipDataModule
from merec.run_folder.epochs import Epochs
from merec.tasks.epoch_recorder import RecordEpochs
from merec.tasks.finetune import Finetune, pair_up
from merec.types import InputError

# Optimisers that treat each number of a stack as they would treat it alone.
ELEMENTWISE = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")


class JointTraining(pl.LightningModule):
    """Base of modules that finetune several folds jointly, with the results of `Finetune`.

    Each fold has separate batches and dropout masks. One optimiser takes the step of all folds, so it must be
    elementwise. A training step returns the `losses` and `hits` of the folds and the `sizes` of their
    batches.

    Args:
        tasks: Untrained module of each fold.
        views: Samples of each fold; all have the same number of steps per epoch.
    """

    def __init__(self, tasks: Sequence[Finetune], views: Sequence[ClipDataModule]):
        super().__init__()
        self.tasks, self.views = tuple(tasks), views
        self.optimizer, self.scheduler = tasks[0].optimizer, tasks[0].scheduler

    @abstractmethod
    def predict_watched(self) -> Sequence[np.ndarray] | np.ndarray:
        """Predict the recorded samples of each fold; shorter folds are padded."""

    @abstractmethod
    def list_parameters(self) -> Sequence[nn.Parameter]:
        """Return the parameters to optimise."""

    def give_back(self) -> None:
        """Copy the trained weights into the modules of the folds."""

    def on_fit_start(self) -> None:
        """Create a generator of dropout masks per fold on the device of the data."""
        self.generators = [torch.Generator(self.device) for _ in self.tasks]

    def train_dataloader(self) -> list[Any]:
        """Return the data loader of each fold."""
        loaders = [view.train_dataloader() for view in self.views]
        assert len({len(loader) for loader in loaders}) == 1
        if self.device.type == "cpu":
            # A loader takes a number per epoch from a generator; the default one is for dropout alone.
            for loader, generator in zip(loaders, self.generators, strict=True):
                loader.generator = generator
        return loaders

    def on_train_epoch_start(self) -> None:
        """Seed the dropout of each fold with the seed that the fold would have if it were trained alone."""
        for task, generator in zip(self.tasks, self.generators, strict=True):
            generator.manual_seed(task.seed_dropout(self.current_epoch))

    def configure_optimizers(self) -> Any:
        """Return one optimiser of all folds, with its schedule if there is one."""
        made = pair_up(self.optimizer, self.scheduler, self.list_parameters())
        check_joint_training(made["optimizer"] if isinstance(made, dict) else made, self.trainer)
        return made


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error is an out-of-memory error; torch has no special class for CPU memory."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "DefaultCPUAllocator" in str(error)


def check_joint_training(optimizer: torch.optim.Optimizer, trainer: pl.Trainer) -> None:
    """Refuse settings that would let jointly trained folds influence each other.

    Raises:
        InputError: If the optimiser is not elementwise, or gradients are clipped.
    """
    kind = type(optimizer)
    if kind not in (getattr(torch.optim, name) for name in ELEMENTWISE):
        raise InputError(
            f"{kind.__name__} cannot train folds together, for it may mix them; set task.engine=loop, or "
            f"recipe.optimizer to one of {', '.join(ELEMENTWISE)}"
        )
    if trainer.gradient_clip_val:
        raise InputError(
            f"trainer.gradient_clip_val={trainer.gradient_clip_val} would clip "
            "folds that train together as one; set task.engine=loop, or the value to null"
        )


class RecordFolds(pl.Callback):
    """Callback that records several folds as `RecordEpochs` records one.

    A loss that is not finite raises no error, so a fold that diverges does not stop the other folds.

    Args:
        views: Held-out samples of each fold, which are predicted after each epoch.
        on_epoch: Called after each epoch with (number of the epoch, counted from 1; number of epochs).
    """

    def __init__(self, views: Sequence[ClipDataModule], on_epoch: Callable[[int, int], None]):
        self.records = [RecordEpochs(list(view.predict_dataloader()), on_epoch) for view in views]
        self.on_epoch = on_epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the sums of the epoch."""
        self.losses: list[Tensor] = []
        self.hits: list[Tensor] = []
        self.sizes: list[list[int]] = []

    def on_train_batch_end(  # type: ignore[override]
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: dict[str, Any],
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Store the tensors of a step on their device, without waiting for the device."""
        self.losses.append(outputs["losses"])
        self.hits.append(outputs["hits"])
        self.sizes.append(outputs["sizes"])

    def on_train_epoch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, pl_module: JointTraining
    ) -> None:
        """Record the epoch of each fold."""
        sizes = np.array(self.sizes)
        loss = torch.stack(self.losses).cpu().double().numpy()
        hits = torch.stack(self.hits).cpu().numpy().sum(0)
        predicted = pl_module.predict_watched()
        for fold, record in enumerate(self.records):
            samples = sizes[:, fold].sum()
            record.loss.append(float((loss[:, fold] * sizes[:, fold]).sum() / samples))
            record.accuracy.append(float(hits[fold] / samples))
            watched = sum(len(batch.label) for batch in record.watched)
            record.predicted.append(predicted[fold][:watched])
        self.on_epoch(trainer.current_epoch + 1, trainer.max_epochs or 0)

    def to_epochs(self) -> list[Epochs]:
        """Return the record of each fold."""
        return [record.to_epochs() for record in self.records]
