"""Lite point GCN (Zhang et al., IEEE TAFFC 2025, "Facial 3D Regional Structural Motion Representation …").

The points of eight facial regions, each with place and motion, go through shared layers. After each stage
only those with the largest motion go on. A maximum over points gives one vector per region, and graph
convolutions with a learned adjacency matrix exchange information between regions. No tensor's shape depends
on the data, so folds can be stacked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from merec.backbones.kernels.dropout import Dropout
from merec.backbones.kernels.norms import LeadingNorm, PooledNorm
from merec.types import InputError

FEATURES = ("x", "y", "z", "u", "v", "dz")  # of a point: place, then motion
REGIONS = 8


@dataclass(frozen=True)
class Graph:
    """Of the regions.

    Attributes:
        width: Of its layers.
        blocks: Residual blocks of two layers each.
        dropout: Share dropped after each layer.
    """

    width: int
    blocks: int
    dropout: float


@dataclass(frozen=True)
class Legacy:
    """Defects of the released code.

    Attributes:
        detach_stages: The first two stages get no gradient.
        rank_centred: Points are ranked by their motion less the mean.
        drop_to_first: A dropped point is replaced by the first of its region before points are ranked, so
            the stages see copies of that point.
    """

    detach_stages: bool
    rank_centred: bool
    drop_to_first: bool


class LitePointGCN(nn.Module):
    """Regional points → shared layers → graph of regions → classes.

    3,477,892 parameters at four classes with the paper's sizes; 16 biases among them (6,656 parameters) are
    cancelled by a following batch norm.

    Args:
        in_channels: Features of a point; 6, in the order of `FEATURES`.
        num_classes: Number of classes.
        features: Those of them that are looked at.
        keep: Shares of a region's points, those that move most, that the first and the later stages see
            (512 and 128 of 1024 in the paper).
        widths: Of the layers of the three stages.
        graph: Of the regions; without one their mean is taken.
        head_width: Of the layer before the last.
        head_dropout: Share dropped before the last layer.
        apart: Whether regions are pooled one by one; otherwise all points as one region.
        centre_motion: Whether the mean motion of a sample is subtracted, and motion divided by its largest
            radius then. Neither depends on which points are dropped; points are ranked by their true motion.
        legacy: Defects of the released code, to reproduce its numbers.

    Raises:
        InputError: If the sizes do not fit each other, or a feature is unknown.
    """

    reads = "points"
    fresh = ("head",)

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        features: Sequence[str],
        keep: Sequence[float | int],
        widths: Sequence[Sequence[int]],
        graph: Graph | None,
        head_width: int,
        head_dropout: float,
        apart: bool,
        centre_motion: bool,
        legacy: Legacy,
    ):
        super().__init__()
        _check(in_channels, features, keep, widths)
        self.keep, self.apart = tuple(keep), apart
        self.centre_motion, self.legacy = centre_motion, legacy
        places = [number for number, name in enumerate(FEATURES[:3]) if name in features]
        self.places = places
        self.chosen = [number for number, name in enumerate(FEATURES) if name in features]
        first, second, third = widths
        self.first = FirstStage(len(self.chosen), first)
        self.second = PointStage(len(places), first[-1], second)
        self.third = PointStage(len(places), second[-1], third[:-1])
        self.pool = PooledNorm(third[-2], third[-1])
        nodes, size = REGIONS if apart else 1, third[-1]
        self.graph = RegionGraph(nodes, size, graph) if graph else None
        self.head = nn.Sequential(
            nn.Linear(size, head_width),
            nn.BatchNorm1d(head_width),
            nn.ReLU(),
            Dropout(head_dropout),
            nn.Linear(head_width, num_classes),
        )

    @property
    def adjacency(self) -> Float[Tensor, "layers nodes nodes"] | None:
        """How much each region (row) takes from each (column), per layer of the graph."""
        if self.graph is None:
            return None
        layers = [layer for layer in self.graph.modules() if isinstance(layer, GraphConvolution)]
        return torch.stack([layer.adjacency.detach() for layer in layers])

    def forward(
        self, points: Float[Tensor, "batch regions k features"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class; the order of the points of a region does not matter.

        Args:
            points: Features in the order of `FEATURES`. A seventh, if there is one, is 0 for points that
                augmentation dropped and 1 for the others (`mark_dropped`).
        """
        points = self._rank(points)
        places = points[..., self.places]
        k = round(points.shape[2] / self.keep[0] * self.keep[1])
        found = self._cut(self.first(points[..., self.chosen].flatten(0, 1), k))
        places = places[:, :, :k].flatten(0, 1)
        found = self._cut(self.second(places, found))
        regions = self.pool(self.third(places, found)).unflatten(0, points.shape[:2])
        if self.graph is not None:
            regions = self.graph(regions)
        return self.head(regions.mean(1))

    def _rank(self, points: Tensor) -> Tensor:
        """Return the points with the largest motion, sorted by falling motion.

        A later stage that takes the first of them gets distinct ones as long as there are any: dropped points
        are left out, and repetitions of a point (a region with too few pixels is filled with them) come last.
        """
        motion = points[..., 3 : len(FEATURES)]
        shown = [number - 3 for number in self.chosen if number > 2]
        centred = _centre(motion) if self.centre_motion else motion
        ranked = (centred if self.legacy.rank_centred else motion)[..., shown]
        length = torch.linalg.vector_norm(ranked, dim=-1)
        whole = torch.cat([points[..., :3], centred], -1)
        kept = (points[..., len(FEATURES) :] > 0).all(-1)  # of no marks all are kept
        if self.legacy.drop_to_first:
            whole = torch.where(kept[..., None], whole, whole[:, :, :1])
            length = torch.where(kept, length, length[:, :, :1])
        if not self.apart:
            whole, length, kept = (each.flatten(1, 2)[:, None] for each in (whole, length, kept))
        k = round(self.keep[0] * whole.shape[2])
        if self.legacy.drop_to_first:
            return _gather(whole, length.topk(k, dim=2).indices)
        order = torch.where(kept, length, -1).sort(dim=2, descending=True, stable=True).indices
        return _take_distinct(_gather(whole, order), kept.gather(2, order), k)

    def _cut(self, found: Tensor) -> Tensor:
        return found.detach() if self.legacy.detach_stages else found


class FirstStage(nn.Module):
    """Layers with batch norm and ReLU, the same for every point, of which the leading ones go on.

    The others take part in the statistics of the norms.

    Args:
        inputs: Features of a point.
        widths: Of the layers.
    """

    def __init__(self, inputs: int, widths: Sequence[int]):
        super().__init__()
        sizes = [inputs, *widths]
        self.layers = nn.ModuleList(LeadingNorm(*each) for each in pairwise(sizes))

    def forward(
        self, points: Float[Tensor, "groups points inputs"], leading: int
    ) -> Float[Tensor, "groups leading outputs"]:
        """Features of the first `leading` points of each group."""
        found = points if self.training else points[:, :leading]
        *before, last = self.layers
        for layer in before:
            found = layer(found, found.shape[1])
        return last(found, leading)


class PointStage(nn.Module):
    """Layers with batch norm and ReLU, the same for every point, which is told its place again.

    Args:
        places: Coordinates of a place.
        inputs: Features of a point.
        widths: Of the layers.
    """

    def __init__(self, places: int, inputs: int, widths: Sequence[int]):
        super().__init__()
        first, *others = widths
        self.enter = nn.Linear(places + inputs, first)
        layers: list[nn.Module] = [nn.BatchNorm1d(first), nn.ReLU(inplace=True)]
        for before, width in pairwise([first, *others]):
            layers += [nn.Linear(before, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self,
        places: Float[Tensor, "groups points places"],
        points: Float[Tensor, "groups points inputs"],
    ) -> Float[Tensor, "groups points outputs"]:
        """Features of each point; as rows, which is how a CPU multiplies fastest."""
        place, rest = self.enter.weight.split((places.shape[-1], points.shape[-1]), 1)
        found = linear(points.flatten(0, 1), rest, self.enter.bias)
        # Apart, for no place needs a gradient, and a matrix of few columns is slow unless it lies so.
        found = torch.addmm(found, places.flatten(0, 1), place.t().contiguous())
        return self.layers(found).unflatten(0, points.shape[:2])


class GraphConvolution(nn.Module):
    """adjacency · regions · weight + bias, the adjacency learned.

    Args:
        nodes: Regions.
        inputs: Features of a region.
        outputs: The same afterwards.
    """

    def __init__(self, nodes: int, inputs: int, outputs: int):
        super().__init__()
        self.adjacency = nn.Parameter(0.99 * torch.eye(nodes) + 0.01)
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, regions: Float[Tensor, "batch nodes inputs"]
    ) -> Float[Tensor, "batch nodes outputs"]:
        """What each region makes of all."""
        return self.adjacency @ (regions @ self.weight) + self.bias


class RegionGraph(nn.Module):
    """Graph convolutions in, residual blocks, one out, and the input added.

    Args:
        nodes: Regions.
        size: Features of a region, before and after.
        graph: What lies in between.
    """

    def __init__(self, nodes: int, size: int, graph: Graph):
        super().__init__()
        width, dropout = graph.width, graph.dropout
        self.enter = GraphLayer(nodes, size, width, dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(GraphLayer(nodes, width, width, dropout) for _ in range(2)))
            for _ in range(graph.blocks)
        )
        self.leave = GraphConvolution(nodes, width, size)

    def forward(
        self, regions: Float[Tensor, "batch nodes size"]
    ) -> Float[Tensor, "batch nodes size"]:
        """Regions that know of each other."""
        found = self.enter(regions)
        for block in self.blocks:
            found = found + block(found)
        return regions + self.leave(found)


class GraphLayer(nn.Module):
    """Graph convolution, batch norm of each feature of each region, tanh, dropout."""

    def __init__(self, nodes: int, inputs: int, outputs: int, dropout: float):
        super().__init__()
        self.convolution = GraphConvolution(nodes, inputs, outputs)
        self.norm = nn.BatchNorm1d(nodes * outputs)
        self.dropout = Dropout(dropout)

    def forward(
        self, regions: Float[Tensor, "batch nodes inputs"]
    ) -> Float[Tensor, "batch nodes outputs"]:
        """Features of each region."""
        found = self.convolution(regions)
        return self.dropout(self.norm(found.flatten(1)).tanh()).view_as(found)


def _centre(motion: Float[Tensor, "batch regions k 3"]) -> Float[Tensor, "batch regions k 3"]:
    """Motion less its mean over all points, in units of the largest that is left."""
    centred = motion - motion.mean((1, 2), keepdim=True)
    most = torch.linalg.vector_norm(centred, dim=-1).amax((1, 2))[:, None, None, None]
    return centred / torch.where(most > 0, most, 1)


def _gather(
    points: Float[Tensor, "batch regions k 6"], index: Int[Tensor, "batch regions chosen"]
) -> Float[Tensor, "batch regions chosen 6"]:
    return points.gather(2, index[..., None].expand(*index.shape, points.shape[-1]))


def _take_distinct(
    points: Float[Tensor, "batch regions n 6"], kept: Bool[Tensor, "batch regions n"], k: int
) -> Float[Tensor, "batch regions k 6"]:
    """Take the first k points that are kept and differ from the one before.

    Where there are fewer, they are taken again, from the first on. So no shape depends on their number.
    """
    differ = (points[:, :, 1:] != points[:, :, :-1]).any(-1)
    distinct = kept & pad(differ, (1, 0), value=True)
    order = distinct.byte().sort(dim=2, descending=True, stable=True).indices
    count = distinct.sum(2, keepdim=True).clamp(min=1)
    return _gather(points, order.gather(2, torch.arange(k, device=points.device) % count))


def _check(
    in_channels: int,
    features: Sequence[str],
    keep: Sequence[float | int],
    widths: Sequence[Sequence[int]],
) -> None:
    if in_channels != len(FEATURES):
        raise InputError(
            f"points have {in_channels} features; LitePointGCN takes {len(FEATURES)}: {', '.join(FEATURES)}"
        )
    unknown = [name for name in features if name not in FEATURES]
    if unknown or not set(features) & set(FEATURES[3:]):
        raise InputError(
            f"backbone.features={list(features)}; expected some of {', '.join(FEATURES)}, one of u, v, dz at "
            "least"
        )
    if len(keep) != 2 or not 0 < keep[1] <= keep[0] <= 1:
        raise InputError(
            f"backbone.keep={list(keep)}; expected two shares above 0 and up to 1, the second no larger"
        )
    if len(widths) != 3 or not all(widths) or len(widths[2]) < 2:
        raise InputError(
            f"backbone.widths={[list(each) for each in widths]}; expected the widths of three stages, the "
            "last with two layers at least"
        )
