"""HTNet (Wang et al., Neurocomputing 602, 2024, "HTNet for micro-expression recognition")."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.backbones.attention import TransformerBlock
from merec.backbones.flow_maps import FlowMapNetwork
from merec.types import InputError


class HTNet(FlowMapNetwork):
    """HTNet: attention between patches inside square areas; at each level four areas are joined.

    As published (28 px, patches of 7, width 256, 3 heads, depths 2, 2, 10) it has 139,582,982 parameters for
    three channels and three classes, and **each area contains one token at every level**: 4×4 patches in 4×4
    areas, then 2×2 in 2×2, then one. Attention has no effect, so queries and keys get no gradient, and the
    network is a stack of layers on each patch, joined by convolutions. The position of a token is one number
    that is added to all features, and every norm removes it; at the last level it gets no gradient either.

    The light variant has two levels, a vector for each position, and areas of 2×2 patches; all its weights
    are trained.

    The authors cut four areas of 14 px at eyes and lips out of the flow and join them to 28 px; here the
    areas are the quarters of the flow map of the face.

    Args:
        in_channels: Channels of the flow map.
        num_classes: Number of classes.
        size: Height and width of the flow map, px.
        patch: Height and width of a patch, px.
        width: Features of a patch; doubled at each further level.
        heads: Heads of the attention; doubled at each further level.
        depths: Blocks of each level.
        vector_positions: Whether a position is a vector instead of a number.

    Raises:
        InputError: If the maps cannot be cut into such patches and areas.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        size: int,
        patch: int,
        width: int,
        heads: int,
        depths: Sequence[int],
        vector_positions: bool,
    ):
        super().__init__(size)
        areas = 2 ** (len(depths) - 1)
        if size % (patch * areas):
            raise InputError(
                f"flow maps of {size} px cannot be cut into {areas}×{areas} areas of whole patches of "
                f"{patch} px; set backbone.patch, or fewer backbone.depths"
            )
        side = size // patch // areas
        self.embed = nn.Conv2d(in_channels, width, patch, stride=patch)
        levels: list[nn.Module] = []
        for number, depth in enumerate(depths):
            if number:
                levels.append(Join(width, 2 * width))
                width, heads = 2 * width, 2 * heads
            levels.append(
                Level(side, areas >> number, width, heads, depth, width if vector_positions else 1)
            )
        self.levels = nn.Sequential(*levels)
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, num_classes)

    def describe(self, maps: Tensor) -> Float[Tensor, "batch features"]:
        """Compute the mean of the patches of the last level."""
        patches = self.embed(maps).permute(0, 2, 3, 1)
        return self.norm(self.levels(patches)).mean((1, 2))


class Level(nn.Module):
    """Level of HTNet: transformer blocks inside each area.

    Args:
        side: Patches along an area.
        areas: Areas along the map.
        width: Features of a patch.
        heads: Heads of the attention.
        depth: Number of blocks.
        position: Length of a position: the width, or 1.
    """

    def __init__(self, side: int, areas: int, width: int, heads: int, depth: int, position: int):
        super().__init__()
        self.side, self.areas = side, areas
        self.position = nn.Parameter(torch.randn(side**2, position))
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, heads, 4 * width, 0.0) for _ in range(depth))
        )

    def forward(
        self, patches: Float[Tensor, "batch height width features"]
    ) -> Float[Tensor, "batch height width features"]:
        """Compute the patches after attention inside their areas."""
        side, areas = self.side, self.areas
        batch, *_, features = patches.shape
        grid = patches.reshape(batch, areas, side, areas, side, features).transpose(2, 3)
        tokens = grid.reshape(batch * areas**2, side**2, features)
        grid = self.blocks(tokens + self.position).reshape(
            batch, areas, areas, side, side, features
        )
        return grid.transpose(2, 3).reshape(patches.shape)


class Join(nn.Module):
    """Convolution, norm and max pooling, each 3×3, the last with stride 2 (NesT; Zhang et al., AAAI 2022).

    Args:
        before: Features of the input.
        after: Features of the output.
    """

    def __init__(self, before: int, after: int):
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, padding=1)
        self.norm = nn.LayerNorm(after)
        self.largest = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(
        self, patches: Float[Tensor, "batch height width features"]
    ) -> Float[Tensor, "batch high wide more"]:
        """Compute the patches; their number along each axis is halved."""
        features = self.convolution(patches.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.largest(self.norm(features).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
