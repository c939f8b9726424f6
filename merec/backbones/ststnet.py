"""STSTNet (Liong et al., FG 2019, "Shallow triple stream three-dimensional CNN for micro-expression…")."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from merec.backbones.kernels.dropout import Dropout
from merec.backbones.kernels.norms import remember
from merec.backbones.kernels.pooled_convolution import ALL, PooledConvolution, find_kernel
from merec.backbones.kernels.pooled_layers import (
    PADDINGS,
    PooledLayers,
    count_pooled,
    count_responses,
    is_faster,
)
from merec.types import InputError


class STSTNet(nn.Module):
    """Three streams of 3×3 convolutions over a flow map, pooled, concatenated, one linear layer.

    The streams read the same input through filters of one size, so together they are one convolution of
    3 + 5 + 8 = 16 filters: the same function and the same initial distribution at a third of the calls.
    1,683 parameters at three classes.

    A map of 28 px has 28 px of responses with `padding` 1 and 30 px with 2; 3×3 pooling (stride 3, padding 1)
    makes 10×10 of either, from other borders. With 2 the last row and column of responses are in no window
    and count for the norm alone. The authors' PyTorch code (christy1206/STSTNet, `main.py`) pads by 2 and
    reads maps as OpenCV does, strain, v, u from 0 to 255: `datamodule.channels=[strain,v,u]
    datamodule.scaling=raw`. Its weights are ours under other names: `conv1`, `conv2`, `conv3` one after the
    other are `convolution`, `bn1`, `bn2`, `bn3` are `norm`, `fc` is `classify`.

    Args:
        in_channels: Channels of the flow map (3: u, v, optical strain).
        num_classes: Number of classes.
        streams: Filters of each stream (3, 5, 8 in the paper).
        dropout: Share of pooled responses dropped while training.
        size: Height and width of the flow map, px; 28 in the paper.
        padding: Zeros around a map that the convolution sees, px: 1 or 2.
        compiled: Whether to train by a compiled kernel where a C++ compiler is found: the same function, four
            times as fast on a CPU.
    """

    fresh = ("classify",)
    reads = "flow_map"

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
        super().__init__()
        if padding not in PADDINGS:
            raise InputError(
                f"backbone.padding={padding}; choose 1, as in the paper, or 2, as in the authors' "
                "PyTorch code"
            )
        self.padding, self.compiled = padding, compiled
        filters = sum(streams)
        self.convolution = nn.Conv2d(in_channels, filters, kernel_size=3, padding=padding)
        self.norm = nn.BatchNorm2d(filters)
        self.max_pool = nn.MaxPool2d(kernel_size=3, stride=3, padding=1)
        self.dropout = Dropout(dropout)
        self.side = side = count_pooled(size, padding) // 2
        self.classify = nn.Linear(filters * side**2, num_classes)
        # 1.4 times as fast on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits of each class.

        Raises:
            InputError: If the maps are of another size.
        """
        pooled = self._pool_responses(inputs)
        if {size // 2 for size in pooled.shape[2:]} != {self.side}:
            height, width = inputs.shape[2:]
            raise InputError(
                f"flow maps of {height}×{width} px; set backbone.size to what they have"
            )
        rows = pooled.permute(0, 2, 3, 1).flatten(1)  # as they lie in memory
        return linear(rows, self._spread(*pooled.shape[2:]), self.classify.bias)

    def _spread(self, height: int, width: int) -> Float[Tensor, "classes pixels"]:
        """The last layer's weights for responses that were not averaged: a quarter for each of the four.

        The average of squares of two is this product then; on a CPU it took a third of a step.
        """
        side = self.side
        weight = self.classify.weight.view(len(self.classify.weight), -1, side, 1, side, 1) / 4
        squares = weight.expand(-1, -1, -1, 2, -1, 2).reshape(*weight.shape[:2], 2 * side, 2 * side)
        whole = pad(squares, (0, width - 2 * side, 0, height - 2 * side))
        return whole.permute(0, 2, 3, 1).flatten(1)

    def _pool_responses(self, inputs: Tensor) -> Tensor:
        convolution, norm = self.convolution, self.norm
        if not (self.training and is_faster(convolution, inputs)):
            return self._drop(self.max_pool(norm(torch.relu(convolution(inputs)))))
        padding = self.padding
        layers = (
            inputs,
            convolution.weight,
            convolution.bias,
            norm.weight,
            norm.bias,
            norm.eps,
            padding,
        )
        kernel = self.compiled and find_kernel(convolution, inputs)
        if kernel:
            high, wide = (count_pooled(size, padding) for size in inputs.shape[2:])
            drawn = self.dropout.draw(inputs.new_empty(len(inputs), high, wide, len(norm.weight)))
            pooled, mean, variance, *_ = PooledConvolution.apply(*layers, *(drawn or ALL))
        else:
            pooled, mean, variance, *_ = PooledLayers.apply(*layers)
        responses = [count_responses(size, padding) for size in inputs.shape[2:]]
        remember(norm, mean, variance, len(inputs) * responses[0] * responses[1])
        return pooled if kernel else self._drop(pooled)

    def _drop(self, pooled: Tensor) -> Tensor:
        """As they lie in memory."""
        return self.dropout(pooled.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
