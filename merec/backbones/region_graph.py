"""Graph convolutions between facial regions: a learned adjacency matrix, or layers of torch_geometric."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.types import InputError

KINDS = ("learned", "dense_graph_conv", "gatv2")
HEADS = 4  # of the attention


def make_convolution(kind: str, nodes: int, inputs: int, outputs: int) -> nn.Module:
    """Make a graph convolution between regions.

    Args:
        kind: `learned`: a learned adjacency matrix (Zhang et al. 2025), see `GraphConvolution`;
            `dense_graph_conv`: every region reads the mean of the others, see `MeanConvolution`; `gatv2`:
            attention decides how much a region reads of each, see `AttentionConvolution`.
        nodes: Regions.
        inputs: Features of a region.
        outputs: Features of a region afterwards.

    Raises:
        InputError: If there is no such kind, or `gatv2` cannot deal its features to its heads.
    """
    if kind not in KINDS:
        raise InputError(f"a graph of regions can be {', '.join(KINDS)}, not {kind}")
    if kind == "gatv2":
        return AttentionConvolution(inputs, outputs)
    return (GraphConvolution if kind == "learned" else MeanConvolution)(nodes, inputs, outputs)


class GraphConvolution(nn.Module):
    """Graph convolution with a learned adjacency matrix: adjacency · regions · weight + bias.

    Args:
        nodes: Regions.
        inputs: Features of a region.
        outputs: Features of a region afterwards.
    """

    def __init__(self, nodes: int, inputs: int, outputs: int):
        super().__init__()
        self.adjacency = nn.Parameter(0.99 * torch.eye(nodes) + 0.01)
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, regions: Float[Tensor, "batch nodes inputs"]
    ) -> Float[Tensor, "batch nodes outputs"]:
        """Aggregate the features of all regions for each."""
        return self.adjacency @ (regions @ self.weight) + self.bias


class MeanConvolution(nn.Module):
    """DenseGraphConv (Morris et al., AAAI 2019): a region reads itself and the mean of the others.

    Args:
        nodes: Regions.
        inputs: Features of a region.
        outputs: Features of a region afterwards.
    """

    def __init__(self, nodes: int, inputs: int, outputs: int):
        super().__init__()
        from torch_geometric.nn import DenseGraphConv

        self.convolution = DenseGraphConv(inputs, outputs)
        self.edges: Tensor
        self.register_buffer("edges", (1 - torch.eye(nodes)) / max(1, nodes - 1), persistent=False)

    def forward(
        self, regions: Float[Tensor, "batch nodes inputs"]
    ) -> Float[Tensor, "batch nodes outputs"]:
        """Aggregate the features of all regions for each."""
        return self.convolution(regions, self.edges)


class AttentionConvolution(nn.Module):
    """GATv2Conv (Brody et al., ICLR 2022): each region attends to all regions, itself among them.

    Args:
        inputs: Features of a region.
        outputs: Features of a region afterwards.

    Raises:
        InputError: If the heads do not divide the outputs.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        from torch_geometric.nn import GATv2Conv

        if outputs % HEADS:
            raise InputError(
                f"gatv2 cannot deal {outputs} features to {HEADS} heads; give a multiple of {HEADS}"
            )
        self.attention = GATv2Conv(inputs, outputs // HEADS, HEADS, add_self_loops=False)

    def forward(
        self, regions: Float[Tensor, "batch nodes inputs"]
    ) -> Float[Tensor, "batch nodes outputs"]:
        """Aggregate the features of all regions for each."""
        batch, nodes = regions.shape[:2]
        edge = torch.arange(batch * nodes * nodes, device=regions.device)
        target, other = edge // nodes, edge % nodes
        source = target // nodes * nodes + other
        features = self.attention(regions.flatten(0, 1), torch.stack([source, target]))
        return features.unflatten(0, (batch, nodes))


class GraphLayer(nn.Module):
    """Graph convolution, batch norm of each feature of each region, tanh, dropout."""

    def __init__(self, kind: str, nodes: int, inputs: int, outputs: int, dropout: float):
        super().__init__()
        self.convolution = make_convolution(kind, nodes, inputs, outputs)
        self.norm = nn.BatchNorm1d(nodes * outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, regions: Float[Tensor, "batch nodes inputs"]
    ) -> Float[Tensor, "batch nodes outputs"]:
        """Compute the features of each region."""
        features = self.convolution(regions)
        return self.dropout(self.norm(features.flatten(1)).tanh()).view_as(features)


class RegionGraph(nn.Module):
    """Graph layer, residual blocks of two layers, graph convolution; the input is added to the output.

    Args:
        kind: Kind of the convolutions, see `make_convolution`.
        nodes: Regions.
        size: Features of a region, before and after.
        width: Features of a region in between.
        blocks: Number of residual blocks.
        dropout: Share dropped after each layer.
    """

    def __init__(self, kind: str, nodes: int, size: int, width: int, blocks: int, dropout: float):
        super().__init__()
        self.enter = GraphLayer(kind, nodes, size, width, dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(GraphLayer(kind, nodes, width, width, dropout) for _ in range(2)))
            for _ in range(blocks)
        )
        self.leave = make_convolution(kind, nodes, width, size)

    def forward(
        self, regions: Float[Tensor, "batch nodes size"]
    ) -> Float[Tensor, "batch nodes size"]:
        """Compute the features of regions that have exchanged information."""
        features = self.enter(regions)
        for block in self.blocks:
            features = features + block(features)
        return regions + self.leave(features)
