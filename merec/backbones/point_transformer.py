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
    check_neighbours,
    find_neighbours,
    list_edges,
    make_head,
    replace_dropped,
)
from merec.backbones.point_stages import SharedLayer


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
        check_neighbours(neighbours)
        self.neighbours = neighbours
        self.enter = SharedLayer(FEATURES, width)
        self.blocks = nn.ModuleList(AttentionBlock(width) for _ in range(blocks))
        self.head = make_head(REGIONS * width, head_width, head_dropout, num_classes)

    def forward(
        self, points: Float[Tensor, "batch regions k features"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class; the order of the points of a region does not matter."""
        points = replace_dropped(points)
        places = points[..., :3]
        neighbours = find_neighbours(places, self.neighbours)
        features = self.enter(points)
        for block in self.blocks:
            features = block(features, places, neighbours)
        return self.head(features.amax(2).flatten(1))


class AttentionBlock(nn.Module):
    """Point transformer layer between two linear layers, each with batch norm; the input is added."""

    def __init__(self, width: int):
        super().__init__()
        self.before = SharedLayer(width, width)
        self.attention = Attention(width)
        self.leave, self.after = nn.Linear(width, width), nn.BatchNorm1d(width)

    def forward(
        self,
        points: Float[Tensor, "batch regions k width"],
        places: Float[Tensor, "batch regions k 3"],
        neighbours: Int[Tensor, "batch regions k neighbours"],
    ) -> Float[Tensor, "batch regions k width"]:
        """Compute the features of each point."""
        attended = self.leave(self.attention(self.before(points), places, neighbours))
        return (points + self.after(attended.flatten(0, 2)).view_as(points)).relu()


class Attention(nn.Module):
    """PointTransformerConv: attention of each point to its neighbours, with a weight per feature.

    Both small networks in it, of the offset between two points and of the weights, have two layers, as
    published.

    Args:
        width: Features of a point, before and after.
    """

    def __init__(self, width: int):
        super().__init__()
        offset, weight = (
            nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width))
            for inputs in (3, width)
        )
        # A point is its own neighbour already.
        self.convolution = PointTransformerConv(width, width, offset, weight, add_self_loops=False)

    def forward(
        self,
        points: Float[Tensor, "batch regions k width"],
        places: Float[Tensor, "batch regions k 3"],
        neighbours: Int[Tensor, "batch regions k neighbours"],
    ) -> Float[Tensor, "batch regions k width"]:
        """Compute the features of each point."""
        edges = list_edges(neighbours)
        attended = self.convolution(points.flatten(0, 2), places.flatten(0, 2), edges)
        return attended.view_as(points)
