"""Result of one fold: predictions, epochs, checkpoint and small tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from jaxtyping import Float

from merec.datamodules import ClipDataModule
from merec.run_folder.epochs import Epochs
from merec.targets import Target
from merec.tasks.finetune import Finetune
from merec.tasks.occlusion import tabulate_occlusion


@dataclass(frozen=True)
class Outcome:
    """Result of the training of a fold.

    Attributes:
        sample_id: Ids of the held-out samples.
        probability: Predicted probability of each class.
        epochs: Records of the epochs, if there are epochs.
        checkpoint: Weights, with the subjects that they have not seen.
        notes: Choices made inside the fold.
        tables: Small tables to write with the predictions, by file name.
    """

    sample_id: Sequence[str]
    probability: Float[np.ndarray, "samples classes"]
    epochs: Epochs | None = None
    checkpoint: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def predict_held_out(
    task: Finetune,
    trainer: pl.Trainer,
    epochs: Epochs,
    data: ClipDataModule,
    target: Target,
    checkpoint: dict[str, Any],
) -> Outcome:
    """Predict the held-out samples of a trained fold.

    Args:
        task: Trained network.
        trainer: Trainer that determines device and precision.
        epochs: Records of the epochs.
        data: Samples of the fold, with its trained classes.
        target: Target with the scored classes; a fold may train other action units.
        checkpoint: Checkpoint of the network.
    """
    batches = trainer.predict(task, dataloaders=data.predict_dataloader())
    assert batches is not None
    probability = torch.cat([of_batch for _, of_batch in batches]).double().numpy()
    probability = target.spread(probability, data.classes)
    if len(epochs.sample_id):
        epochs = replace(epochs, predicted=target.spread(epochs.predicted, data.classes))
    return Outcome(
        sample_id=np.concatenate([ids for ids, _ in batches]).tolist(),
        probability=probability,
        epochs=epochs,
        checkpoint=checkpoint,
        notes={"parameters": sum(value.numel() for value in task.backbone.parameters())},
        tables=_tabulate(task, trainer, data),
    )


def _tabulate(task: Finetune, trainer: pl.Trainer, data: ClipDataModule) -> dict[str, pd.DataFrame]:
    """Return the tables that a fold writes with its predictions."""
    tables = {}
    if data.representation.has_regions:
        tables = tabulate_occlusion(task.backbone, task.target, trainer, data)
    if task.pretraining:
        tables["pretraining"] = pd.DataFrame(task.pretraining)
    return tables
