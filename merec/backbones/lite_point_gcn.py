"""Lite point GCN (Zhang et al., IEEE TAFFC 2025, "Facial 3D Regional Structural Motion Representation …").

The points of eight facial regions, each with place and motion, go through shared layers; only those with the
largest motion go on after the first stage. A maximum over points gives one vector per region, and graph
convolutions exchange information between regions. No shape depends on the data, so folds can be stacked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from merec.backbones.point_sets import make_head
from merec.backbones.point_stages import FirstStage, PointStage, make_pool
from merec.backbones.region_graph import KINDS, GraphConvolution, RegionGraph
from merec.types import InputError

FEATURES = ("x", "y", "z", "u", "v", "dz")  # of a point: place, then motion
REGIONS = 8


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
    """Lite point GCN: regional points → shared layers → graph of regions → classes.

    3,477,892 parameters at four classes; a batch norm cancels 16 biases among them (6,656 parameters).

    Args:
        in_channels: Features of a point; 6, in the order of `FEATURES`.
        num_classes: Number of classes.
        features: Names of the features that are read.
        keep: Shares of a region's points, those that move most, that the first and the later stages read
            (512 and 128 of 1024 in the paper).
        widths: Widths of the layers of the three stages.
        pool: Pooling over the points of a region: `max` as published, `softmax` or `set_transformer`.
        graph: Kind of the region graph: `learned` as published, `dense_graph_conv` or `gatv2`, see
            `make_convolution`; `none` takes the mean of the regions.
        graph_width: Width of its layers.
        graph_blocks: Number of its residual blocks of two layers each.
        graph_dropout: Share dropped after each of its layers.
        head_width: Width of the layer before the last.
        head_dropout: Share dropped before the last layer.
        apart: Whether regions are pooled one by one; otherwise all points as one region.
        centre_motion: Whether the mean motion of a sample is subtracted, and motion divided by its largest
            radius then, whatever points are dropped; points are ranked by their true motion.
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
        pool: str,
        graph: str,
        graph_width: int,
        graph_blocks: int,
        graph_dropout: float,
        head_width: int,
        head_dropout: float,
        apart: bool,
        centre_motion: bool,
        legacy: Legacy,
    ):
        super().__init__()
        _check(in_channels, features, keep, widths)
        if graph not in (*KINDS, "none"):
            raise InputError(
                f"backbone.graph={graph} is unknown; choose {', '.join(KINDS)} or none"
            )
        self.keep, self.apart = tuple(keep), apart
        self.centre_motion, self.legacy = centre_motion, legacy
        self.places = [number for number, name in enumerate(FEATURES[:3]) if name in features]
        self.chosen = [number for number, name in enumerate(FEATURES) if name in features]
        first, second, third = widths
        self.first = FirstStage(len(self.chosen), first)
        self.second = PointStage(len(self.places), first[-1], second)
        self.third = PointStage(len(self.places), second[-1], third[:-1])
        self.pool = make_pool(pool, third[-2], third[-1])
        nodes, size = REGIONS if apart else 1, third[-1]
        self.graph = None
        if graph != "none":
            self.graph = RegionGraph(graph, nodes, size, graph_width, graph_blocks, graph_dropout)
        self.head = make_head(size, head_width, head_dropout, num_classes)

    @property
    def adjacency(self) -> Float[Tensor, "layers nodes nodes"] | None:
        """Learned adjacency of each graph convolution; row i weighs the regions that region i aggregates.

        `None` without a learned one.
        """
        layers = [layer for layer in self.modules() if isinstance(layer, GraphConvolution)]
        return torch.stack([layer.adjacency.detach() for layer in layers]) if layers else None

    def forward(
        self, points: Float[Tensor, "batch regions k features"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class; the order of the points of a region does not matter.

        A seventh feature, if there is one, is 0 for points that augmentation dropped and 1 for the others.
        """
        points = self._rank(points)
        places = points[..., self.places]
        k = round(points.shape[2] / self.keep[0] * self.keep[1])
        features = self._detach(self.first(points[..., self.chosen].flatten(0, 1), k))
        places = places[:, :, :k].flatten(0, 1)
        features = self._detach(self.second(places, features))
        regions = self.pool(self.third(places, features)).unflatten(0, points.shape[:2])
        if self.graph is not None:
            regions = self.graph(regions)
        return self.head(regions.mean(1))

    def _rank(self, points: Tensor) -> Tensor:
        """Return the points with the largest motion, sorted by falling motion.

        Dropped points are left out, and repetitions of a point (a region with too few pixels is filled with
        them) come last, so that later stages read distinct points as long as there are any.
        """
        motion = points[..., 3 : len(FEATURES)]
        channels = [number - 3 for number in self.chosen if number > 2]
        centred = _centre(motion) if self.centre_motion else motion
        ranked = (centred if self.legacy.rank_centred else motion)[..., channels]
        length = torch.linalg.vector_norm(ranked, dim=-1)
        whole = torch.cat([points[..., :3], centred], -1)
        kept = (points[..., len(FEATURES) :] > 0).all(-1)  # of no marks all are kept
        if self.legacy.drop_to_first:
            whole = torch.where(kept[..., None], whole, whole[:, :, :1])
            length = torch.where(kept, length, length[:, :, :1])
        if not self.apart:
            whole, length, kept = (x.flatten(1, 2)[:, None] for x in (whole, length, kept))
        k = round(self.keep[0] * whole.shape[2])
        if self.legacy.drop_to_first:
            return _gather(whole, length.topk(k, dim=2).indices)
        order = torch.where(kept, length, -1).sort(dim=2, descending=True, stable=True).indices
        return _take_distinct(_gather(whole, order), kept.gather(2, order), k)

    def _detach(self, features: Tensor) -> Tensor:
        return features.detach() if self.legacy.detach_stages else features


def _centre(motion: Float[Tensor, "batch regions k 3"]) -> Float[Tensor, "batch regions k 3"]:
    """Subtract the mean motion of all points and divide by the largest motion that is left."""
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
    """Take the first k points that are kept and differ from the one before; if fewer, some of them again."""
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
            f"backbone.widths={[list(stage) for stage in widths]}; expected the widths of three stages, the "
            "last with two layers at least"
        )
