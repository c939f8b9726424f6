"""Dynamic graph CNN on facial regions (Wang et al., ACM TOG 2019, with EdgeConv of torch_geometric).

Each point is compared with its nearest neighbours in the same region. Neighbours are found once, by place;
the published network finds them again in the feature space of each layer.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.nn import EdgeConv

from merec.backbones.point_sets import (
    FEATURES,
    REGIONS,
    check_channels,
    check_neighbours,
    find_neighbours,
    list_edges,
    make_head,
    replace_dropped,
)
from merec.backbones.point_stages import SharedLayer


class EdgeConvNet(nn.Module):
    """Edge convolutions → maximum over the points of each region → classes.

    Args:
        in_channels: Features of a point; 6.
        num_classes: Number of classes.
        neighbours: Number of neighbours of a point, itself among them.
        widths: Widths of the edge convolutions.
        size: Features of a region.
        head_width: Width of the layer before the last.
        head_dropout: Share dropped before the last layer.

    Raises:
        InputError: If points have other features, or there are no neighbours.
    """

    reads = "points"
    fresh = ("head",)

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        neighbours: int,
        widths: Sequence[int],
        size: int,
        head_width: int,
        head_dropout: float,
    ):
        super().__init__()
        check_channels(in_channels, "EdgeConvNet")
        check_neighbours(neighbours)
        self.neighbours = neighbours
        self.edges = nn.ModuleList(EdgeLayer(*sizes) for sizes in pairwise([FEATURES, *widths]))
        self.join = SharedLayer(sum(widths), size)
        self.head = make_head(REGIONS * size, head_width, head_dropout, num_classes)

    def forward(
        self, points: Float[Tensor, "batch regions k features"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class; the order of the points of a region does not matter."""
        features = replace_dropped(points)
        neighbours = find_neighbours(features[..., :3], self.neighbours)
        levels = []
        for layer in self.edges:
            features = layer(features, neighbours)
            levels.append(features)
        regions = self.join(torch.cat(levels, -1)).amax(2)
        return self.head(regions.flatten(1))


class EdgeLayer(nn.Module):
    """EdgeConv: the maximum, over its neighbours, of a layer that reads a point and its difference to each.

    Args:
        inputs: Features of a point.
        outputs: Features of a point afterwards.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.convolution = EdgeConv(SharedLayer(2 * inputs, outputs), aggr="max")

    def forward(
        self,
        points: Float[Tensor, "batch regions k inputs"],
        neighbours: Int[Tensor, "batch regions k neighbours"],
    ) -> Float[Tensor, "batch regions k outputs"]:
        """Compute the features of each point."""
        features = self.convolution(points.flatten(0, 2), list_edges(neighbours))
        return features.unflatten(0, points.shape[:3])
