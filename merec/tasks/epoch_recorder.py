"""Record loss, accuracy and predictions after each epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from merec.run_folder.epochs import Epochs
from merec.types import Batch, InputError


class RecordEpochs(pl.Callback):
    """Record loss, accuracy and predictions of some samples after each epoch.

    The samples are held-out samples (for the optimism meter) or samples of inner subjects (to choose the
    number of epochs). Recording draws no random numbers and updates no statistic, so it does not affect
    training.

    Args:
        watched: Batches of samples to predict after each epoch; empty to predict nothing.
        on_epoch: Called after each epoch with (number of the epoch, counted from 1; number of epochs).
    """

    def __init__(self, watched: list[Batch], on_epoch: Callable[[int, int], None]):
        self.watched, self.on_epoch = watched, on_epoch
        self.loss: list[float] = []
        self.accuracy: list[float] = []
        self.predicted: list[np.ndarray] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the sums of the epoch."""
        self.sum_loss, self.hits, self.samples = 0.0, 0.0, 0

    def on_train_batch_end(  # type: ignore[override]
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: dict[str, Tensor],
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Add a batch to the sums."""
        size = len(batch.label) * trainer.world_size  # loss and hits are of the whole batch
        self.sum_loss += float(outputs["loss"]) * size
        self.hits += float(outputs["hits"])
        self.samples += size

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch.

        Raises:
            InputError: If the loss is not finite.
        """
        loss, accuracy = self.sum_loss / self.samples, self.hits / self.samples
        check_loss(loss, trainer.current_epoch + 1)
        self.loss.append(loss)
        self.accuracy.append(accuracy)
        if self.watched:
            self.predicted.append(predict_classes(trainer, pl_module, self.watched))
        if trainer.logger:
            metrics = {"train/loss": loss, "train/accuracy": accuracy}
            trainer.logger.log_metrics(metrics, step=trainer.current_epoch)
        self.on_epoch(trainer.current_epoch + 1, count_epochs(trainer))

    def to_epochs(self) -> Epochs:
        """Return the record."""
        ids = [batch.sample_id for batch in self.watched]
        return Epochs(
            sample_id=np.concatenate(ids).astype(str) if ids else np.empty(0, dtype=str),
            predicted=np.stack(self.predicted, axis=1)
            if self.predicted
            else np.empty((0, len(self.loss)), dtype=np.int8),
            train_loss=np.asarray(self.loss),
            train_accuracy=np.asarray(self.accuracy),
        )


def count_epochs(trainer: pl.Trainer) -> int:
    """Return the number of epochs of a trainer; the last may be cut short by its number of steps."""
    if trainer.max_steps < 1:
        return trainer.max_epochs or 0
    return -(-trainer.max_steps // max(1, int(trainer.num_training_batches)))


def check_loss(loss: float, epoch: int) -> None:
    """Raise an error if the training loss of an epoch (counted from 1) is not finite.

    Raises:
        InputError: If so; the message suggests remedies.
    """
    if not np.isfinite(loss):
        raise InputError(
            f"the training loss is {loss} in epoch {epoch}; lower recipe.optimizer.lr (while contrasting "
            "recipe.pretrain.optimizer.lr) or set datamodule.scaling=standard"
        )


@torch.no_grad()
def predict_classes(trainer: pl.Trainer, task: Any, batches: Sequence[Batch]) -> np.ndarray:
    """Predict the classes of some batches, in the precision of the trainer."""
    task.eval()
    precision = trainer.precision_plugin
    with precision.forward_context():
        predicted = [
            task.target.decide(
                task.backbone(precision.convert_input(batch.to(task.device).inputs))
            ).cpu()
            for batch in batches
        ]
    task.train()
    return torch.cat(predicted).numpy().astype(np.int8)
