"""LightningModule of contrastive pretraining of two encoders, without labels."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from merec.datamodules.ranks import gather, name_rank
from merec.seeding import derive_seed
from merec.tasks.contrastive_loss import Contrast, ContrastSettings
from merec.tasks.finetune import Optimizer, Scheduler, pair_up
from merec.types import Batch


class Contrastive(pl.LightningModule):
    """Contrastive training of the encoders of a backbone: embeddings of two views of a sample become similar.

    Args:
        backbone: Module whose `encode` returns embeddings of two views, of unit norm and length `embedding`;
            modules in `fresh` are not trained.
        optimizer: Factory of the optimiser; takes the parameters.
        scheduler: Factory of the schedule; takes the optimiser. `None` for a constant learning rate.
        settings: Settings of the contrast.
        sample_id: Ids of the samples of the pool.
        seed: Seed of the run.
        held_out: Name of the held-out group; with seed and epoch it seeds dropout and negatives.
        interval: Unit of the schedule, `epoch` or `step`.

    Raises:
        InputError: If there are too few samples.
    """

    def __init__(
        self,
        backbone: Any,
        optimizer: Optimizer,
        scheduler: Scheduler | None,
        settings: ContrastSettings,
        sample_id: np.ndarray,
        seed: int,
        held_out: str,
        interval: str,
    ):
        super().__init__()
        self.backbone, self.optimizer, self.scheduler = backbone, optimizer, scheduler
        self.seed, self.held_out, self.interval = seed, held_out, interval
        self.place = {name: place for place, name in enumerate(sample_id.tolist())}
        torch.manual_seed(derive_seed(seed, held_out, "memory banks"))
        self.objective = Contrast(len(sample_id), backbone.embedding, settings)
        # Each process keeps memory banks of its own, all alike; DDP would send them around in every step.
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
            self, [f"objective.{name}" for name, _ in self.objective.named_buffers()]
        )

    def on_train_epoch_start(self) -> None:
        """Seed all random draws by (seed, held-out subject, epoch), so that resumed runs are equal."""
        torch.manual_seed(derive_seed(self.seed, self.held_out, self.current_epoch, "contrast"))

    def training_step(self, batch: Batch, number: int) -> dict[str, Tensor]:
        """Return the loss of the whole batch and its number of matched pairs."""
        first, second = (gather(view) for view in self._encode(batch, number))
        places = torch.tensor([self.place[name] for name in batch.sample_id], device=first.device)
        at = gather(places)
        loss, hits = self.objective(first, second, at)
        self.objective.update(first, second, at)
        return {"loss": loss, "hits": hits}

    def _encode(self, batch: Batch, number: int) -> tuple[Tensor, Tensor]:
        """Embed both views; several processes draw different dropout masks, but the same negatives."""
        if not name_rank():
            return self.backbone.encode(batch.inputs)
        about = self.seed, self.held_out, self.current_epoch, number
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(derive_seed(*about, *name_rank(), "dropout"))
            return self.backbone.encode(batch.inputs)

    def configure_optimizers(self) -> Any:
        """Return the optimiser of the encoders, with its schedule if there is one."""
        learning = [
            parameter
            for name, parameter in self.backbone.named_parameters()
            if name.partition(".")[0] not in self.backbone.fresh
        ]
        return pair_up(self.optimizer, self.scheduler, learning, self.interval)
