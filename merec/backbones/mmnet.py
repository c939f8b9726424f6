"""MMNet (Li et al., IJCAI 2022, "MMNet: Muscle motion-guided network…"), scaled to flow maps."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.backbones.attention import TransformerBlock
from merec.backbones.flow_maps import FlowMapNetwork


class MMNet(FlowMapNetwork):
    """MMNet: a main branch of continuous attention to motion, and a branch for position calibration.

    As published: a main branch of four residual blocks, each of which passes its attention map to the next; a
    branch for position calibration of three transformer blocks, whose tokens are added to the last map of the
    main branch; one linear layer.

    **Not as published**: in the paper the main branch reads the difference of two images of 224 px (apex -
    onset) and the other branch reads the face at the onset. Here the input is a flow map of 28 px without the
    face. So the main branch reads the flow with an eighth of the filters, and its last block does not halve
    the map, which leaves 4×4 cells (14×14 in the paper). The other branch reads the mean flow of each cell
    and a learnt position instead of the face: it depends on the position of a cell on the aligned face, but
    not on the shape of this face.

    145,355 parameters for three channels and three classes.

    Args:
        in_channels: Channels of the flow map.
        num_classes: Number of classes.
        stem: Filters of the first layer (180 in the paper).
        widths: Filters of the blocks (128, 128, 256, 512 in the paper); the last is the width of a token.
        strides: Stride of each block; 2 halves the map (1, 2, 2, 2 in the paper).
        depth: Transformer blocks.
        heads: Heads of their attention.
        drop_path: Drop path of the last transformer block; it increases linearly from 0.
        size: Height and width of the flow map, px.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        stem: int,
        widths: Sequence[int],
        strides: Sequence[int],
        depth: int,
        heads: int,
        drop_path: float,
        size: int,
    ):
        super().__init__(size)
        first, width = widths[0], widths[-1]
        self.see = nn.Sequential(
            *(nn.Conv2d(in_channels, stem, 3, 2, padding=1, bias=False), nn.BatchNorm2d(stem)),
            *(nn.ReLU(), nn.Conv2d(stem, first, 3, padding=1, bias=False), nn.BatchNorm2d(first)),
            nn.ReLU(),
        )
        self.blocks = nn.ModuleList(
            ContinuousAttention(before, after, stride)
            for before, after, stride in zip([first, *widths[:-1]], widths, strides, strict=True)
        )
        side = size
        for stride in (2, *strides):
            side = -(-side // stride)
        self.calibrate = Calibration(in_channels, size, side, width, depth, heads, drop_path)
        self.classify = nn.Linear(width * side**2, num_classes)
        for module in [*self.see, *self.blocks.modules()]:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def describe(self, maps: Tensor) -> Float[Tensor, "batch features"]:
        """Compute the last map plus its positions."""
        seen, attention = self.see(maps), None
        for block in self.blocks:
            seen, attention = block(seen, attention)
        return (seen + self.calibrate(maps)).flatten(1)


class ContinuousAttention(nn.Module):
    """Residual block whose attention is multiplied by the attention of the previous block.

    Args:
        before: Filters of the input.
        after: Filters of the output.
        stride: 2 halves the map.
    """

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            *(nn.BatchNorm2d(after), nn.ReLU()),
            *(nn.Conv2d(after, after, 1, bias=False), nn.BatchNorm2d(after)),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )
        self.look = nn.Sequential(nn.Conv2d(2, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())
        self.largest = nn.MaxPool2d(3, stride=stride, padding=1)

    def forward(
        self, maps: Tensor, attention: Tensor | None
    ) -> tuple[Float[Tensor, "batch after high wide"], Float[Tensor, "batch 1 high wide"]]:
        """Compute the responses and the spatial attention, 0 to 1."""
        seen = torch.relu(self.residual(maps) + self.shortcut(maps))
        summary = torch.cat([seen.mean(1, keepdim=True), seen.amax(1, keepdim=True)], dim=1)
        matters = self.look(summary)
        if attention is not None:
            matters = matters * self.largest(attention)
        return seen * matters, matters


class Calibration(nn.Module):
    """Position calibration: the mean flow of each cell and its position, through transformer blocks.

    Args:
        in_channels: Channels of the flow map.
        size: Height and width of the flow map, px.
        side: Cells along the map.
        width: Features of a cell.
        depth: Number of transformer blocks.
        heads: Heads of their attention.
        drop_path: Drop path of the last block.
    """

    def __init__(
        self,
        in_channels: int,
        size: int,
        side: int,
        width: int,
        depth: int,
        heads: int,
        drop_path: float,
    ):
        super().__init__()
        self.side = side
        self.average = nn.AvgPool2d(-(-size // side), ceil_mode=True, count_include_pad=False)
        self.embed = nn.Linear(in_channels, width)
        self.position = nn.Parameter(nn.init.trunc_normal_(torch.empty(side**2, width), std=0.02))
        shares = torch.linspace(0, drop_path, depth).tolist()
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, heads, 2 * width, share) for share in shares)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features high wide"]:
        """Compute the tokens to add to each cell."""
        cells = self.average(inputs).flatten(2).transpose(1, 2)
        tokens = self.norm(self.blocks(self.embed(cells) + self.position))
        return tokens.transpose(1, 2).unflatten(2, (self.side, self.side))
