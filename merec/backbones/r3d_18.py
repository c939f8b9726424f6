"""R3D-18 (Tran et al., CVPR 2018, "A closer look at spatiotemporal convolutions for action recognition")."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)  # of the four stages
DEPTH = 2  # blocks of each


class R3D18(nn.Module):
    """Residual network of 18 layers with 3×3×3 convolutions.

    The stem is a convolution over 7×7 px and 3 frames that halves height and width; the last three stages
    also halve the number of frames. 33,371,472 parameters for three channels and 400 classes.

    Args:
        in_channels: Channels of a clip.
        num_classes: Number of classes.
    """

    fresh = ("classify",)
    reads = "clip"

    def __init__(self, in_channels: int, num_classes: int):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(in_channels, WIDTHS[0], (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential()
        before = WIDTHS[0]
        for width in WIDTHS:
            for _ in range(DEPTH):
                # The first stage has the stem's width and halves nothing; a wider one begins by halving.
                self.stages.append(Residual(before, width, stride=1 if before == width else 2))
                before = width
        self.classify = nn.Linear(before, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.zeros_(self.classify.bias)

    def forward(
        self, inputs: Float[Tensor, "batch channels frames height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class."""
        return self.classify(self.stages(self.stem(inputs)).mean((2, 3, 4)))


class Residual(nn.Module):
    """Residual block of two 3×3×3 convolutions.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Stride of the first convolution in time, height and width.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm3d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv3d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm3d(outputs))

    def forward(
        self, clips: Float[Tensor, "batch inputs _ _ _"]
    ) -> Float[Tensor, "batch outputs _ _ _"]:
        """Compute the responses; a stride of 2 halves frames, rows and columns."""
        return torch.relu(self.body(clips) + self.shortcut(clips))
