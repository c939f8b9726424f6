"""Encoders of one view, with half the width of the networks they are named after (Li et al. 2025).

Layers are numbered as in the paper: the first five compute maps, the last one an embedding.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from merec.types import InputError

MAPS = 5  # the layer whose maps a head reads
WIDTHS = (32, 64, 128, 256)  # of the stages of a residual network
RESNETS = {  # blocks per stage, and responses of a block per width; above 1 it is a bottleneck
    "resnet18": ((2, 2, 2, 2), 1),
    "resnet50": ((3, 4, 6, 3), 4),
    "resnet101": ((3, 4, 23, 3), 4),
}
ENCODERS = ("alexnet", *RESNETS)
ALEXNET_LEAST = 63  # px that give a map of one: three poolings after a convolution of 11 px each 4


class Encoder(nn.Module):
    """Encoder of one view.

    Args:
        layers: Layers, numbered from 1.
        channels: Channels of the maps of layer 5.
        side: Height and width of the maps of layer 5.
    """

    def __init__(self, layers: Sequence[nn.Module], channels: int, side: int):
        super().__init__()
        self.layers = nn.Sequential(
            OrderedDict((str(number), layer) for number, layer in enumerate(layers, 1))
        )
        self.channels, self.side = channels, side
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def map(
        self, images: Float[Tensor, "batch _ size size"]
    ) -> Float[Tensor, "batch channels side side"]:
        """Compute the maps of layer 5."""
        return self.layers[:MAPS](images)

    def forward(
        self, images: Float[Tensor, "batch _ size size"]
    ) -> Float[Tensor, "batch embedding"]:
        """Compute embeddings of unit norm."""
        return normalize(self.layers(images))


def build_encoder(name: str, in_channels: int, size: int, embedding: int) -> Encoder:
    """Build an encoder with He initialisation of its convolutions.

    Args:
        name: One of `ENCODERS`.
        in_channels: Channels of the view.
        size: Height and width of the view, px.
        embedding: Length of an embedding.

    Raises:
        InputError: If the name is unknown, or the images are too small for it.
    """
    if name == "alexnet":
        return _build_alexnet(in_channels, size, embedding)
    if name not in RESNETS:
        raise InputError(f"backbone.encoder={name}; expected one of {', '.join(ENCODERS)}")
    blocks, expansion = RESNETS[name]
    return _build_resnet(in_channels, size, embedding, blocks, expansion)


def _build_alexnet(in_channels: int, size: int, embedding: int) -> Encoder:
    if size < ALEXNET_LEAST:
        raise InputError(
            f"backbone.size={size}, but the layers of alexnet need {ALEXNET_LEAST} px at least; set "
            f"datamodule.size={ALEXNET_LEAST} or more, or backbone.encoder=resnet18"
        )
    side = (size - 7) // 4 + 1
    for _ in range(3):
        side = (side - 1) // 2
    layers = [
        nn.Sequential(*_convolve(in_channels, 48, 11, 4, 2), nn.ReLU(inplace=True), _pool()),
        nn.Sequential(*_convolve(48, 128, 5, 1, 2), nn.ReLU(inplace=True), _pool()),
        nn.Sequential(*_convolve(128, 192, 3, 1, 1), nn.ReLU(inplace=True)),
        nn.Sequential(*_convolve(192, 192, 3, 1, 1), nn.ReLU(inplace=True)),
        nn.Sequential(*_convolve(192, 128, 3, 1, 1), nn.ReLU(inplace=True), _pool()),
        nn.Sequential(nn.Flatten(), *_connect(128 * side**2, 2048)),
        nn.Sequential(*_connect(2048, 2048)),
        nn.Linear(2048, embedding),
    ]
    return Encoder(layers, 128, side)


def _build_resnet(
    in_channels: int, size: int, embedding: int, blocks: Sequence[int], expansion: int
) -> Encoder:
    layers: list[nn.Module] = [
        nn.Sequential(*_convolve(in_channels, 64, 7, 2, 3), nn.ReLU(inplace=True), _pool(1))
    ]
    channels = 64  # the stem is not halved
    for number, (width, depth) in enumerate(zip(WIDTHS, blocks, strict=True)):
        stage = nn.Sequential()
        for block in range(depth):
            stride = 2 if number and not block else 1
            stage.append(Residual(channels, width, stride, expansion))
            channels = width * expansion
        layers.append(stage)
    layers += [
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(channels, embedding),
    ]
    return Encoder(layers, channels, -(-size // 32))  # halved five times, rounded up


class Residual(nn.Module):
    """Residual block of two convolutions, or three as a bottleneck (He et al., CVPR 2016).

    Args:
        inputs: Channels of the input.
        width: Channels of the inner layers.
        stride: Stride of the first 3×3 convolution, px.
        expansion: Ratio of output channels to `width`; above 1 the block is a bottleneck.
    """

    def __init__(self, inputs: int, width: int, stride: int, expansion: int):
        super().__init__()
        outputs = width * expansion
        if expansion > 1:
            self.body = nn.Sequential(
                *_convolve(inputs, width, 1, 1, 0),
                nn.ReLU(inplace=True),
                *_convolve(width, width, 3, stride, 1),
                nn.ReLU(inplace=True),
                *_convolve(width, outputs, 1, 1, 0),
            )
        else:
            self.body = nn.Sequential(
                *_convolve(inputs, width, 3, stride, 1),
                nn.ReLU(inplace=True),
                *_convolve(width, outputs, 3, 1, 1),
            )
        alike = inputs == outputs and stride == 1
        self.shortcut = nn.Sequential(*([] if alike else _convolve(inputs, outputs, 1, stride, 0)))

    def forward(
        self, maps: Float[Tensor, "batch inputs _ _"]
    ) -> Float[Tensor, "batch outputs _ _"]:
        """Compute the maps; a stride of 2 halves height and width."""
        return torch.relu(self.body(maps) + self.shortcut(maps))


def _convolve(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int
) -> tuple[nn.Module, nn.Module]:
    """Return a convolution without bias and its batch norm."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return convolution, nn.BatchNorm2d(outputs)


def _pool(padding: int = 0) -> nn.Module:
    return nn.MaxPool2d(3, stride=2, padding=padding)


def _connect(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Linear(inputs, outputs),
        nn.BatchNorm1d(outputs),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
    )
