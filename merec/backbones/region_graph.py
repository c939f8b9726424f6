"""Graph convolutions between facial regions, with learned adjacency matrices."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


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


class GraphLayer(nn.Module):
    """Graph convolution, batch norm of each feature of each region, tanh, dropout."""

    def __init__(self, nodes: int, inputs: int, outputs: int, dropout: float):
        super().__init__()
        self.convolution = GraphConvolution(nodes, inputs, outputs)
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
        nodes: Regions.
        size: Features of a region, before and after.
        width: Features of a region in between.
        blocks: Number of residual blocks.
        dropout: Share dropped after each layer.
    """

    def __init__(self, nodes: int, size: int, width: int, blocks: int, dropout: float):
        super().__init__()
        self.enter = GraphLayer(nodes, size, width, dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(GraphLayer(nodes, width, width, dropout) for _ in range(2)))
            for _ in range(blocks)
        )
        self.leave = GraphConvolution(nodes, width, size)

    def forward(
        self, regions: Float[Tensor, "batch nodes size"]
    ) -> Float[Tensor, "batch nodes size"]:
        """Compute the features of regions that have exchanged information."""
        features = self.enter(regions)
        for block in self.blocks:
            features = features + block(features)
        return regions + self.leave(features)
