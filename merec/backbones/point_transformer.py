"""Point transformer on facial regions (Zhao et al., ICCV 2021, with the layer of torch_geometric).

Each point attends to its nearest neighbours in the same region; attention has one weight per feature. The
published network has five stages that thin the points out; here a region is one set, as in the peers.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.nn import PointTransformerConv

from merec.backbones.point_sets import (
    FEATURES,
    REGIONS,
    check_channels,
    find_neighbours,
    list_edges,
    make_head,
    replace_dropped,
)
from merec.backbones.point_stages import SharedLayer
from merec.types import InputError


class PointTransformer(nn.Module):
    """Attention between neighbouring points → maximum over the points of each region → classes.

    Args:
        in_channels: Features of a point; 6.
        num_classes: Number of classes.
        neighbours: Number of neighbours of a point, itself among them.
        width: Features of a point.
        blocks: Number of attention layers.
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
        width: int,
        blocks: int,
        head_width: int,
        head_dropout: float,
    ):
        super().__init__()
        check_channels(in_channels, "PointTransformer")
        if neighbours < 1:
            raise InputError(f"backbone.neighbours={neighbours}; give 1 or more")
        self.neighbours = neighbours
        self.enter = SharedLayer(FEATURES, width)
        self.blocks = nn.ModuleList(AttentionBlock(width) for _ in range(blocks))
        self.head = make_head(REGIONS * width, head_width, head_dropout, num_classes)

    def forward(
        self, points: Float[Tensor, "batch regions k features"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class; the order of the points of a region does not matter."""
        points = replace_dropped(points)
        edges = list_edges(find_neighbours(points[..., :3], self.neighbours))
        places = points[..., :3].flatten(0, 2)
        features = self.enter(points.flatten(0, 2))
        for block in self.blocks:
            features = block(features, places, edges)
        regions = features.unflatten(0, points.shape[:3]).amax(2)
        return self.head(regions.flatten(1))


class AttentionBlock(nn.Module):
    """Point transformer layer between two linear layers, each with batch norm; the input is added."""

    def __init__(self, width: int):
        super().__init__()
        self.before, self.after = SharedLayer(width, width), nn.BatchNorm1d(width)
        place, weight = (
            nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width))
            for inputs in (3, width)
        )
        # A point is its own neighbour already.
        self.attention = PointTransformerConv(width, width, place, weight, add_self_loops=False)
        self.leave = nn.Linear(width, width)

    def forward(
        self,
        points: Float[Tensor, "points width"],
        places: Float[Tensor, "points 3"],
        edges: Int[Tensor, "2 edges"],
    ) -> Float[Tensor, "points width"]:
        """Compute the features of each point."""
        attended = self.attention(self.before(points), places, edges)
        return (points + self.after(self.leave(attended))).relu()
