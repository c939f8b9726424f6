"""Layers that all points share, and the pooling over the points of a group."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.types import InputError

HEADS = 4  # of attention


class SharedLayer(nn.Module):
    """Linear layer, batch norm over all points (or edges) and ReLU, the same for every one of them.

    Args:
        inputs: Features of a point.
        outputs: Features of a point afterwards.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, points: Float[Tensor, "*points inputs"]) -> Float[Tensor, "*outputs"]:
        """Compute the features of each point."""
        responses = self.norm(self.linear(points.flatten(0, -2))).relu()
        return responses.unflatten(0, points.shape[:-1])


class PooledLayer(SharedLayer):
    """Shared layer, then the maximum over the points of each group."""

    def forward(
        self, points: Float[Tensor, "groups points inputs"]
    ) -> Float[Tensor, "groups outputs"]:
        """Compute the features of each group."""
        return super().forward(points).amax(1)


class SoftmaxLayer(SharedLayer):
    """Shared layer, then a mean over the points of each group, weighted by their responses.

    Each feature has a learned temperature (Li et al. 2020, DeeperGCN).
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        from torch_geometric.nn.aggr import SoftmaxAggregation

        self.softmax = SoftmaxAggregation(learn=True, channels=outputs)

    def forward(
        self, points: Float[Tensor, "groups points inputs"]
    ) -> Float[Tensor, "groups outputs"]:
        """Compute the features of each group."""
        groups, count = points.shape[:2]
        group = torch.arange(groups, device=points.device).repeat_interleave(count)
        return self.softmax(super().forward(points).flatten(0, 1), group, dim_size=groups)


class SetTransformerLayer(SharedLayer):
    """Shared layer, then self-attention between the points, then attention to a learned query.

    See Lee et al. 2019, Set Transformer.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        from torch_geometric.nn.aggr import SetTransformerAggregation

        self.transformer = SetTransformerAggregation(outputs, heads=HEADS, layer_norm=True)

    def forward(
        self, points: Float[Tensor, "groups points inputs"]
    ) -> Float[Tensor, "groups outputs"]:
        """Compute the features of each group."""
        features = super().forward(points)
        # Its parts in turn: as a whole it pads groups, which have equal size here, by a step that folds
        # cannot be stacked through.
        for encoder in self.transformer.encoders:
            features = encoder(features)
        features = self.transformer.pma(features)
        for decoder in self.transformer.decoders:
            features = decoder(features)
        return features.flatten(1)


POOLS = {"max": PooledLayer, "softmax": SoftmaxLayer, "set_transformer": SetTransformerLayer}


def make_pool(kind: str, inputs: int, outputs: int) -> SharedLayer:
    """Make the last layer of the points with the pooling over the points of each group.

    Args:
        kind: `max`, `softmax` or `set_transformer`.
        inputs: Features of a point before the layer.
        outputs: Features of a group.

    Raises:
        InputError: If there is no such pooling.
    """
    if kind not in POOLS:
        raise InputError(f"backbone.pool={kind} is unknown; choose {', '.join(POOLS)}")
    return POOLS[kind](inputs, outputs)


class FirstStage(nn.Module):
    """Shared layers of which the leading points go on; the others take part in the norms' statistics.

    Args:
        inputs: Features of a point.
        widths: Widths of the layers.
    """

    def __init__(self, inputs: int, widths: Sequence[int]):
        super().__init__()
        self.layers = nn.Sequential(*(SharedLayer(*sizes) for sizes in pairwise([inputs, *widths])))

    def forward(
        self, points: Float[Tensor, "groups points inputs"], leading: int
    ) -> Float[Tensor, "groups leading outputs"]:
        """Compute the features of the first `leading` points of each group."""
        return self.layers(points)[:, :leading]


class PointStage(nn.Module):
    """Linear layers with batch norm and ReLU, the same for every point, which also read its place.

    Args:
        places: Coordinates of a place.
        inputs: Features of a point.
        widths: Widths of the layers.
    """

    def __init__(self, places: int, inputs: int, widths: Sequence[int]):
        super().__init__()
        first, *rest = widths
        self.enter = nn.Linear(places + inputs, first)
        layers: list[nn.Module] = [nn.BatchNorm1d(first), nn.ReLU(inplace=True)]
        for before, width in pairwise([first, *rest]):
            layers += [nn.Linear(before, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self,
        places: Float[Tensor, "groups points places"],
        points: Float[Tensor, "groups points inputs"],
    ) -> Float[Tensor, "groups points outputs"]:
        """Compute the features of each point."""
        rows = torch.cat([places, points], -1).flatten(0, 1)  # a batch norm reads rows
        return self.layers(self.enter(rows)).unflatten(0, points.shape[:2])
