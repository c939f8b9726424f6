"""PointNet++ on facial regions (Qi et al., NeurIPS 2017, with the layers of torch_geometric).

One set abstraction leads from the points of each region to the region's centre, as the published farthest
points and balls are given here by the face: eight regions. Graph layers then exchange information between
the regions. PointNet++ was the best of the point networks that arXiv 2406.07918 compares on the depth of
CAS(ME)^3.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.nn import PointNetConv

from merec.backbones.point_sets import (
    FEATURES,
    REGIONS,
    check_channels,
    make_head,
    replace_dropped,
)
from merec.backbones.point_stages import SharedLayer
from merec.backbones.region_graph import make_convolution


class PointNet2(nn.Module):
    """PointNet++: points → set abstraction per region → graph of regions → classes.

    Args:
        in_channels: Features of a point; 6.
        num_classes: Number of classes.
        widths: Widths of the layers that all points share.
        graph: Layer between regions: `dense_graph_conv` or `gatv2`, see `merec.backbones.region_graph`.
        graph_layers: Number of these layers.
        head_width: Width of the layer before the last.
        head_dropout: Share dropped before the last layer.

    Raises:
        InputError: If points have other features, or there is no such graph.
    """

    reads = "points"
    fresh = ("head",)

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        widths: Sequence[int],
        graph: str,
        graph_layers: int,
        head_width: int,
        head_dropout: float,
    ):
        super().__init__()
        check_channels(in_channels, "PointNet2")
        size = widths[-1]
        self.sets = SetAbstraction(FEATURES, widths)
        self.graph = nn.ModuleList(RegionLayer(graph, REGIONS, size) for _ in range(graph_layers))
        self.head = make_head(REGIONS * size, head_width, head_dropout, num_classes)

    def forward(
        self, points: Float[Tensor, "batch regions k features"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class; the order of the points of a region does not matter."""
        points = replace_dropped(points)
        regions = self.sets(points, points[..., :3])
        for layer in self.graph:
            regions = layer(regions)
        return self.head(regions.flatten(1))


class SetAbstraction(nn.Module):
    """PointNetConv from the points of each region to its centre (Qi et al. 2017, section 3.2).

    Args:
        inputs: Features of a point beside its place.
        widths: Widths of the layers that all points share.
    """

    def __init__(self, inputs: int, widths: Sequence[int]):
        super().__init__()
        layers = [SharedLayer(*sizes) for sizes in pairwise([inputs + 3, *widths])]
        self.convolution = PointNetConv(nn.Sequential(*layers), add_self_loops=False)

    def forward(
        self,
        points: Float[Tensor, "batch regions k inputs"],
        places: Float[Tensor, "batch regions k 3"],
    ) -> Float[Tensor, "batch regions outputs"]:
        """Compute the features of each region: the maximum over its points."""
        groups, k = points.shape[:2], points.shape[2]
        source = torch.arange(groups[0] * groups[1] * k, device=points.device)
        edges = torch.stack([source, source // k])
        centres = places.mean(2).flatten(0, 1)
        given = points.flatten(0, 2), None
        return self.convolution(given, (places.flatten(0, 2), centres), edges).unflatten(0, groups)


class RegionLayer(nn.Module):
    """Graph layer between regions, batch norm over all regions and ReLU; the input is added."""

    def __init__(self, kind: str, nodes: int, size: int):
        super().__init__()
        self.convolution = make_convolution(kind, nodes, size, size)
        self.norm = nn.BatchNorm1d(size)

    def forward(
        self, regions: Float[Tensor, "batch nodes size"]
    ) -> Float[Tensor, "batch nodes size"]:
        """Compute the features of regions that have exchanged information."""
        features = self.norm(self.convolution(regions).flatten(0, 1))
        return regions + features.relu().view_as(regions)
