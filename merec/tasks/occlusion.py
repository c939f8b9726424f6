"""Importance of each face region to a network of points, by occlusion, and the graph that it learnt."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.datamodules import ClipDataModule
from merec.datamodules.batches import rescale
from merec.evaluation.facs import find_moved_regions
from merec.features.regions import REGIONS
from merec.features.representations.points import FEATURES
from merec.targets import Target
from merec.types import ActionUnit, Batch, InputError

MOTION = slice(FEATURES.index("u"), None)


def tabulate_occlusion(
    backbone: nn.Module, target: Target, trainer: pl.Trainer, data: ClipDataModule
) -> dict[str, pd.DataFrame]:
    """Tabulate the importance of regions for the held-out samples of a fold, and its graph.

    Args:
        backbone: A trained network that reads points.
        target: Target, which reads its logits.
        trainer: Gives device and precision.
        data: The samples of the fold.

    Returns:
        `regions`: see `tabulate_importance`; and, if the backbone has a graph of regions, `adjacency`: see
        `tabulate_adjacency`.
    """
    rest = torch.zeros(1, 1, 1, len(FEATURES))
    if data.scales is not None:
        (rest,) = rescale((rest,), data.scales)
    batches = trainer.predict(
        Occlusion(backbone, target, rest), dataloaders=data.predict_dataloader()
    )
    assert batches is not None
    sample_id = np.concatenate([ids for ids, _ in batches])
    importance = torch.cat([of_batch for _, of_batch in batches]).double().cpu().numpy()
    if not np.isfinite(importance).all():
        raise InputError(
            "the network gives no finite number for samples of which a region is at rest; lower "
            "recipe.optimizer.lr"
        )
    index = data.corpus.index
    coded = None
    if "action_units" in index:
        coded = index.set_index("sample_id")["action_units"].loc[sample_id]
    tables = {"regions": tabulate_importance(sample_id, importance, coded)}
    adjacency = getattr(backbone, "adjacency", None)
    if adjacency is not None and adjacency.shape[1:] == (len(REGIONS), len(REGIONS)):
        tables["adjacency"] = tabulate_adjacency(adjacency)
    return tables


class Occlusion(pl.LightningModule):
    """Module that measures importance on the device and in the precision of a trainer.

    Args:
        backbone: A network that reads points.
        target: Target, which reads its logits.
        rest: A point of a region that does not move; only its motion is used.
    """

    def __init__(self, backbone: nn.Module, target: Target, rest: Float[Tensor, "1 1 1 features"]):
        super().__init__()
        self.backbone, self.target = backbone, target
        self.rest: Tensor
        self.register_buffer("rest", rest)

    def predict_step(self, batch: Batch, _: int) -> tuple[Any, Float[Tensor, "batch regions"]]:
        """Return sample ids and the importance of each region."""
        assert isinstance(batch.inputs, Tensor)
        return batch.sample_id, measure_importance(
            self.backbone, self.target, batch.inputs, self.rest
        )


@torch.no_grad()
def measure_importance(
    backbone: nn.Module,
    target: Target,
    points: Float[Tensor, "batch regions k features"],
    rest: Float[Tensor, "1 1 1 features"],
) -> Float[Tensor, "batch regions"]:
    """Measure how much probability the prediction loses if a region does not move, its structure kept.

    Of action units it is the mean over units, predicted present or absent. All occlusions of all samples go
    through the network at once.

    Args:
        backbone: From points to logits; in evaluation mode.
        target: Target of the networks.
        points: Points as the backbone reads them, features in the order of `FEATURES`.
        rest: A point of a region that does not move; only its motion is used.

    Returns:
        From -1 to 1; negative where what is predicted becomes likelier without the region.
    """
    assert not backbone.training
    regions = points.shape[1]
    occluded = points.repeat(regions + 1, 1, 1, 1, 1)
    for region in range(regions):
        occluded[region + 1, :, region, :, MOTION] = rest[0, 0, :, MOTION]
    logits = backbone(occluded.flatten(0, 1)).unflatten(0, (regions + 1, -1))
    of_predicted = target.trust(logits, target.decide(logits[0]))
    return (of_predicted[:1] - of_predicted[1:]).T


def tabulate_importance(
    sample_id: Iterable[str],
    importance: Float[np.ndarray, "samples regions"],
    action_units: Iterable[tuple[ActionUnit, ...] | None] | None,
) -> pd.DataFrame:
    """Tabulate importance, one row per sample and region.

    Args:
        sample_id: Samples.
        importance: See `measure_importance`.
        action_units: What was coded of each sample, `None` where that is not known; `None` if nothing was.

    Returns:
        `sample_id`, `region`, `importance`, and `coded`: whether an action unit that was coded moves it.
    """
    table = pd.DataFrame(importance, pd.Index(sample_id, name="sample_id"), columns=list(REGIONS))
    rows = table.rename_axis(columns="region").stack().rename("importance").reset_index()
    coded = np.zeros(importance.shape, dtype=bool)
    for row, units in enumerate(action_units if action_units is not None else ()):
        moved = set().union(*map(find_moved_regions, units or ()))
        coded[row] = [region in moved for region in REGIONS]
    return rows.assign(coded=coded.ravel())


def tabulate_adjacency(adjacency: Float[Tensor, "layers 8 8"]) -> pd.DataFrame:
    """Tabulate the graph, one row per layer and pair of regions.

    Args:
        adjacency: Learned adjacency of each graph convolution; row i weighs the regions that region i
            aggregates.

    Returns:
        `layer` (from 0), `from_region`, `to_region`, `weight`.
    """
    places = pd.MultiIndex.from_product(
        [range(len(adjacency)), REGIONS, REGIONS], names=["layer", "to_region", "from_region"]
    )
    weight = adjacency.detach().double().cpu().numpy().ravel()
    table = pd.Series(weight, places, name="weight").reset_index()
    return table[["layer", "from_region", "to_region", "weight"]]
