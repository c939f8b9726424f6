"""LightningModule of supervised training: emotions or action units from labelled samples."""

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.datamodules.ranks import gather, name_rank
from merec.seeding import derive_seed
from merec.targets import Target
from merec.types import Batch, InputError

Optimizer = Callable[..., torch.optim.Optimizer]
Loss = Callable[..., Tensor]
Scheduler = Callable[..., torch.optim.lr_scheduler.LRScheduler]


class Finetune(pl.LightningModule):
    """Supervised training of a backbone.

    Args:
        backbone: Maps inputs to logits.
        optimizer: Factory of the optimiser; takes the parameters.
        scheduler: Factory of the learning rate schedule, stepped once per epoch; takes the optimiser. `None`
            for a constant learning rate.
        loss: Takes logits, labels and `weight`, one per class; returns the mean over the batch.
        class_balanced: Exponent of the class weights: 0 (false) for equal weights, 1 (true) for inverse
            frequencies among the training samples, .5 for their square roots.
        target: Target of the labels.
        label: Labels of the training samples, as `ClipDataModule.label`.
        seed: Seed of the run.
        held_out: Name of the held-out subject; with seed and epoch it seeds dropout.
        freeze: `encoder` trains only the head, which the backbone names in `fresh` (a linear probe); `none`
            trains everything.
    """

    def __init__(
        self,
        backbone: nn.Module,
        optimizer: Optimizer,
        scheduler: Scheduler | None,
        loss: Loss,
        class_balanced: float | bool,
        target: Target,
        label: Tensor,
        seed: int,
        held_out: str,
        freeze: str,
    ):
        super().__init__()
        check_freeze(type(backbone), freeze)
        self.frozen: list[nn.Module] = []
        if freeze == "encoder":
            self.frozen = [
                child
                for name, child in backbone.named_children()
                if name not in getattr(backbone, "fresh", ())
            ]
        for module in self.frozen:
            module.requires_grad_(False)
        self.backbone, self.optimizer, self.scheduler = backbone, optimizer, scheduler
        self.loss, self.target, self.seed, self.held_out = loss, target, seed, held_out
        self.pretraining: list[dict[str, float]] = []  # measurements during pretraining
        weight = target.weigh(label) ** float(class_balanced)
        self.class_weight: Tensor
        self.register_buffer("class_weight", weight, persistent=False)

    def on_train_epoch_start(self) -> None:
        """Seed dropout by (seed, held-out subject, epoch), so that resumed runs are equal."""
        on_cpu = self.device.type == "cpu"
        # torch.manual_seed looks for devices of every kind, which takes 2 ms.
        seed = torch.default_generator.manual_seed if on_cpu else torch.manual_seed
        seed(self.seed_dropout(self.current_epoch))
        for module in self.frozen:  # keeps the statistics of its norms
            module.eval()

    def seed_dropout(self, epoch: int) -> int:
        """Return the seed of the dropout of an epoch."""
        return derive_seed(self.seed, self.held_out, epoch, *name_rank(), "dropout")

    def training_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        """Return the loss of the whole batch and its number of correct predictions."""
        logits, label = gather(self.backbone(batch.inputs)), gather(batch.label)
        loss = self.loss(logits, label, weight=self.class_weight)
        return {"loss": loss, "hits": self.target.count_hits(logits.detach(), label)}

    def predict_step(self, batch: Batch, _: int) -> tuple[Any, Float[Tensor, "batch classes"]]:
        """Return sample ids and the probability of each class."""
        return batch.sample_id, self.target.to_probability(self.backbone(batch.inputs))

    def configure_optimizers(self) -> Any:
        """Return the optimiser, with its schedule if there is one."""
        return pair_up(self.optimizer, self.scheduler, self.parameters())


def pair_up(
    optimizer: Optimizer,
    scheduler: Scheduler | None,
    parameters: Iterable[nn.Parameter],
    interval: str = "epoch",
) -> Any:
    """Return the optimiser of the trained parameters and an optional schedule in Lightning's format."""
    made = optimizer([value for value in parameters if value.requires_grad])
    if scheduler is None:
        return made
    return {
        "optimizer": made,
        "lr_scheduler": {"scheduler": scheduler(made), "interval": interval},
    }


def check_freeze(backbone: Any, freeze: str) -> None:
    """Refuse `task.freeze=PART` if the backbone has no such part.

    Raises:
        InputError: If so; the message lists the possible values.
    """
    fresh = getattr(backbone, "fresh", ())
    if freeze != "none" and (freeze != "encoder" or not fresh):
        alternative = " or encoder" if fresh else ", for it does not say what its head is"
        raise InputError(
            f"task.freeze={freeze} is not possible with {backbone.__name__}; choose none{alternative}"
        )
