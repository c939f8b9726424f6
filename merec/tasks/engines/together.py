"""Folds that train in step with each other, in one loop of Lightning's: what the ways to do so share."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from merec.datamodules import ClipDataModule
from merec.run_folder.epochs import Epochs
from merec.tasks.finetune import Finetune, pair_up
from merec.tasks.recording import RecordEpochs
from merec.types import InputError

# Those that treat a number of a stack as they would treat it alone.
ELEMENTWISE = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")


class Together(pl.LightningModule):
    """Folds that are finetuned together, each as `Finetune` would alone.

    Each draws its own batches and dropout masks. One optimiser takes the step of all, so it must be an
    elementwise one. A step gives `losses` and `hits` of each fold, and the `sizes` of their batches.

    Args:
        tasks: Of the folds, fresh.
        views: Their samples; all of as many steps per epoch.
    """

    def __init__(self, tasks: Sequence[Finetune], views: Sequence[ClipDataModule]):
        super().__init__()
        self.tasks, self.views = tuple(tasks), views
        self.optimizer, self.scheduler = tasks[0].optimizer, tasks[0].scheduler

    @abstractmethod
    def predict_watched(self) -> Sequence[np.ndarray] | np.ndarray:
        """What is said of each watched sample of each fold; there may be more behind, to be left out."""

    @abstractmethod
    def list_parameters(self) -> Sequence[nn.Parameter]:
        """What is optimised."""

    def give_back(self) -> None:
        """Have the tasks hold what they learnt."""

    def on_fit_start(self) -> None:
        """Have dropout drawn where the data are."""
        self.generators = [torch.Generator(self.device) for _ in self.tasks]

    def train_dataloader(self) -> list[Any]:
        """The batches of each fold."""
        loaders = [view.train_dataloader() for view in self.views]
        assert len({len(loader) for loader in loaders}) == 1
        if self.device.type == "cpu":
            # A loader takes a number per epoch from the default generator, from which dropout alone is drawn.
            for loader, generator in zip(loaders, self.generators, strict=True):
                loader.generator = generator
        return loaders

    def on_train_epoch_start(self) -> None:
        """Seed dropout as each fold does alone."""
        for task, generator in zip(self.tasks, self.generators, strict=True):
            generator.manual_seed(task.seed_dropout(self.current_epoch))

    def configure_optimizers(self) -> Any:
        """One optimiser of all folds, with its schedule if there is one."""
        made = pair_up(self.optimizer, self.scheduler, self.list_parameters())
        check_together(made["optimizer"] if isinstance(made, dict) else made, self.trainer)
        return made


def is_out_of_memory(error: Exception) -> bool:
    """Whether less would have fitted; torch has no class of its own for the memory of a processor."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "DefaultCPUAllocator" in str(error)


def check_together(optimizer: torch.optim.Optimizer, trainer: pl.Trainer) -> None:
    """Refuse what would let folds that train together see each other.

    Raises:
        InputError: If the optimiser does not treat each number for itself, or gradients are clipped.
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
    """Record of each fold what `RecordEpochs` does.

    Unlike there a loss may be anything: one fold that diverges does not stop the others.

    Args:
        views: The folds' samples.
        on_epoch: Called with (epoch from 1, epochs) after each.
    """

    def __init__(self, views: Sequence[ClipDataModule], on_epoch: Callable[[int, int], None]):
        self.records = [RecordEpochs(list(view.predict_dataloader()), on_epoch) for view in views]
        self.on_epoch = on_epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start anew."""
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
        """Keep what a step gave, where it is: to read it is to wait for it."""
        self.losses.append(outputs["losses"])
        self.hits.append(outputs["hits"])
        self.sizes.append(outputs["sizes"])

    def on_train_epoch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, pl_module: Together
    ) -> None:
        """Write the epoch of each fold down."""
        sizes = np.array(self.sizes)
        loss = torch.stack(self.losses).cpu().double().numpy()
        hits = torch.stack(self.hits).cpu().numpy().sum(0)
        said = pl_module.predict_watched()
        for fold, record in enumerate(self.records):
            samples = sizes[:, fold].sum()
            record.loss.append(float((loss[:, fold] * sizes[:, fold]).sum() / samples))
            record.accuracy.append(float(hits[fold] / samples))
            watched = sum(len(batch.label) for batch in record.watched)
            record.predicted.append(said[fold][:watched])
        self.on_epoch(trainer.current_epoch + 1, trainer.max_epochs or 0)

    def to_epochs(self) -> list[Epochs]:
        """What was written down, fold by fold."""
        return [record.to_epochs() for record in self.records]
