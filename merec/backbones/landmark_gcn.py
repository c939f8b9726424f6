"""Graph convolutions on the mesh of facial landmarks, in the manner of MER-GCN, Graph-TCN and FGRMER.

A cheap peer of the point networks: the graph is MediaPipe's mesh, the layers are those of torch_geometric.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv, GraphConv

from merec.backbones.point_sets import make_head
from merec.features.face_mesh import LANDMARKS, list_edges
from merec.features.representations.landmark_graph import FEATURES
from merec.types import InputError

LAYERS = ("graph_conv", "gatv2")
HEADS = 4  # of the attention


class LandmarkGCN(nn.Module):
    """Graph convolutions over the mesh → attention pools the nodes → classes.

    Args:
        in_channels: Features of a node; 8, in the order of `FEATURES`.
        num_classes: Number of classes.
        features: Names of the features that are read.
        layer: `graph_conv` (Morris et al. 2019; a node reads itself and its neighbours' mean) or `gatv2`
            (Brody et al. 2022; attention decides how much it reads of each).
        width: Features of a node in between.
        blocks: Number of graph convolutions.
        queries: Number of learned queries, each of which pools all nodes by its own attention.
        head_width: Width of the layer before the last.
        head_dropout: Share dropped before the last layer.

    Raises:
        InputError: If a feature or the layer is unknown, or the nodes have other features.
    """

    reads = "landmark_graph"
    fresh = ("head",)

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        features: Sequence[str],
        layer: str,
        width: int,
        blocks: int,
        queries: int,
        head_width: int,
        head_dropout: float,
    ):
        super().__init__()
        _check(in_channels, features, layer, width)
        self.chosen = [number for number, name in enumerate(FEATURES) if name in features]
        self.edges: Tensor
        edges = torch.from_numpy(list_edges())
        if layer == "gatv2":  # attention reads the node itself as one of its neighbours
            edges = torch.cat([edges, torch.arange(LANDMARKS).expand(2, -1)], 1)
        self.register_buffer("edges", edges, persistent=False)
        self.enter = nn.Linear(len(self.chosen), width)
        self.blocks = nn.ModuleList(MeshBlock(layer, width) for _ in range(blocks))
        self.attention = nn.Linear(width, queries)
        self.head = make_head(queries * width, head_width, head_dropout, num_classes)

    def forward(
        self, nodes: Float[Tensor, "batch nodes features"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class."""
        features = self.enter(nodes[..., self.chosen]).relu()
        for block in self.blocks:
            features = block(features, self.edges)
        weight = self.attention(features).softmax(1)
        return self.head((weight.transpose(1, 2) @ features).flatten(1))


class MeshBlock(nn.Module):
    """Graph convolution, batch norm over all nodes and ReLU; the input is added."""

    def __init__(self, layer: str, width: int):
        super().__init__()
        self.shared = layer == "graph_conv"  # whether it takes one graph for all samples
        if self.shared:
            self.convolution: nn.Module = GraphConv(width, width, aggr="mean")
        else:
            self.convolution = GATv2Conv(width, width // HEADS, HEADS, add_self_loops=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(
        self, nodes: Float[Tensor, "batch nodes width"], edges: Tensor
    ) -> Float[Tensor, "batch nodes width"]:
        """Compute the features of each node."""
        if self.shared:
            features = self.convolution(nodes, edges).flatten(0, 1)
        else:
            first = nodes.shape[1] * torch.arange(len(nodes), device=nodes.device)
            every = (edges[:, None] + first[:, None]).flatten(1)
            features = self.convolution(nodes.flatten(0, 1), every)
        return nodes + self.norm(features).relu().view_as(nodes)


def _check(in_channels: int, features: Sequence[str], layer: str, width: int) -> None:
    if in_channels != len(FEATURES):
        raise InputError(
            f"nodes have {in_channels} features; LandmarkGCN reads {len(FEATURES)}: {', '.join(FEATURES)}"
        )
    unknown = [name for name in features if name not in FEATURES]
    if unknown or not features:
        raise InputError(
            f"backbone.features={list(features)}; expected some of {', '.join(FEATURES)}"
        )
    if layer not in LAYERS:
        raise InputError(f"backbone.layer={layer} is unknown; choose {' or '.join(LAYERS)}")
    if layer == "gatv2" and width % HEADS:
        raise InputError(f"backbone.width={width}; gatv2 takes a multiple of its {HEADS} heads")
