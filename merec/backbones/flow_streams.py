"""OFF-ApexNet and Dual-Inception, which have one stream per component of the flow."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.backbones.flow_maps import FlowMapNetwork


class FlowStreams(FlowMapNetwork):
    """Network with one stream per channel, joined by fully connected layers.

    Args:
        streams: One module per channel, from maps of this channel to responses.
        side: Height and width of a stream's responses, px.
        filters: Channels of a stream's responses.
        hidden: Units of each fully connected layer before the last.
        num_classes: Number of classes.
        size: Height and width of the maps, px.
    """

    def __init__(
        self,
        streams: list[nn.Module],
        side: int,
        filters: int,
        hidden: list[int],
        num_classes: int,
        size: int,
    ):
        super().__init__(size)
        self.streams = nn.ModuleList(streams)
        widths = [len(streams) * filters * side**2, *hidden]
        layers: list[nn.Module] = []
        for before, after in zip(widths, hidden, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.join = nn.Sequential(*layers)
        self.classify = nn.Linear(widths[-1], num_classes)
        # As Keras starts them, in which a public Dual-Inception is written.
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def describe(self, maps: Tensor) -> Float[Tensor, "batch features"]:
        """Compute the joined responses of all streams."""
        responses = [
            stream(channel).flatten(1)
            for stream, channel in zip(self.streams, maps.split(1, dim=1), strict=True)
        ]
        return self.join(torch.cat(responses, dim=1))


class OffApexNet(FlowStreams):
    """OFF-ApexNet (Gan et al., Signal Processing: Image Communication 74, 2019).

    Each component of the flow passes two 5×5 convolutions (6 and 16 filters), each followed by 2×2 max
    pooling; then two layers of 1,024 units. 2,664,475 parameters for (u, v) and three classes.

    Args:
        in_channels: Channels of the flow map (2: u, v).
        num_classes: Number of classes.
        size: Height and width of the flow map, px; 28 in the paper.
    """

    def __init__(self, in_channels: int, num_classes: int, size: int):
        def make_stream() -> nn.Module:
            return nn.Sequential(
                *(nn.Conv2d(1, 6, 5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
                *(nn.Conv2d(6, 16, 5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
            )

        streams = [make_stream() for _ in range(in_channels)]
        super().__init__(streams, size // 4, 16, [1024, 1024], num_classes, size)


class DualInception(FlowStreams):
    """Dual-Inception (Zhou, Mao and Xue, FG 2019, "Dual-Inception network for cross-database…").

    Each component of the flow passes two inception blocks with four branches (6 filters per branch in the
    first block, 16 in the second), each block followed by 2×2 max pooling; then a layer of 1,024 units.
    6,449,867 parameters for (u, v) and three classes.

    Args:
        in_channels: Channels of the flow map (2: u, v).
        num_classes: Number of classes.
        size: Height and width of the flow map, px; 28 in the paper.
    """

    def __init__(self, in_channels: int, num_classes: int, size: int):
        def make_stream() -> nn.Module:
            return nn.Sequential(
                *(Inception(1, 6), nn.MaxPool2d(2), nn.ReLU()),
                *(Inception(24, 16), nn.MaxPool2d(2), nn.ReLU()),
            )

        streams = [make_stream() for _ in range(in_channels)]
        super().__init__(streams, size // 4, 64, [1024], num_classes, size)


class Inception(nn.Module):
    """Inception block (Szegedy et al., CVPR 2015): 1, 3 and 5 px convolutions and a 3 px maximum in parallel.

    A 1×1 convolution comes before the 3×3 and 5×5 convolutions and after the maximum.

    Args:
        channels: Channels of the input.
        filters: Filters of each of the four branches.
    """

    def __init__(self, channels: int, filters: int):
        super().__init__()

        def mix() -> nn.Module:
            return nn.Conv2d(channels, filters, 1)

        def see(size: int) -> nn.Module:
            return nn.Conv2d(filters, filters, size, padding=size // 2)

        self.branches = nn.ModuleList(
            [
                mix(),
                nn.Sequential(mix(), nn.ReLU(), see(3)),
                nn.Sequential(mix(), nn.ReLU(), see(5)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), mix()),
            ]
        )

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch filters height width"]:
        """Return the responses of all branches before ReLU, which is faster after pooling."""
        return torch.cat([branch(inputs) for branch in self.branches], dim=1)
