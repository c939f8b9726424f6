"""STSTNet (Liong et al., FG 2019, "Shallow triple stream three-dimensional CNN for micro-expression…")."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.backbones.flow_maps import FlowMapNetwork
from merec.types import InputError


class STSTNet(FlowMapNetwork):
    """STSTNet: three streams of 3×3 convolutions on a flow map, pooling, concatenation, one linear layer.

    The three streams are computed as one convolution with 3 + 5 + 8 = 16 filters; 1,683 parameters.

    The authors' PyTorch code (christy1206/STSTNet, `main.py`) has `padding` 2 and reads maps in the channel
    order of OpenCV: `datamodule.channels=[strain,v,u] datamodule.scaling=raw`. Its weights `conv1` to
    `conv3`, concatenated, correspond to `convolution`, `bn1` to `bn3` to `norm`, and `fc` to `classify`.

    Args:
        in_channels: Channels of the flow map (3: u, v, optical strain).
        num_classes: Number of classes.
        streams: Filters of each stream (3, 5, 8 in the paper).
        dropout: Share of pooled responses dropped in training.
        size: Height and width of the flow map, px; 28 in the paper.
        padding: Zeros around a map, px: 1 or 2.
        compiled: Whether `accelerate` may use a C++ kernel for training.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        streams: Sequence[int],
        dropout: float,
        size: int,
        padding: int,
        compiled: bool,
    ):
        super().__init__(size)
        if padding not in (1, 2):
            raise InputError(
                f"backbone.padding={padding}; choose 1, as in the paper, or 2, as in the authors' "
                "PyTorch code"
            )
        self.compiled, filters = compiled, sum(streams)
        side = (size + 2 * padding) // 6  # of the pooled responses, px
        self.convolution = nn.Conv2d(in_channels, filters, kernel_size=3, padding=padding)
        self.norm = nn.BatchNorm2d(filters)
        self.max_pool = nn.MaxPool2d(kernel_size=3, stride=3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.average_pool = nn.AvgPool2d(2)
        self.classify = nn.Linear(filters * side**2, num_classes)

    def describe(self, maps: Tensor) -> Float[Tensor, "batch features"]:
        """Compute the pooled responses of all streams."""
        responses = self.norm(torch.relu(self.convolution(maps)))
        return self.average_pool(self.dropout(self.max_pool(responses))).flatten(1)
