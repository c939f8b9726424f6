"""Network with one encoder per view (Li et al., Neurocomputing 619, 2025, "… using dual-view …").

A view is a difference image, e.g. of colour and of depth. The last layer of each encoder computes an
embedding, which contrastive pretraining compares. The head reads the maps of layer 5 of both encoders.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.backbones.half_encoders import build_encoder
from merec.types import InputError


class DualView(nn.Module):
    """Dual-view network: an encoder per view, their maps concatenated, one linear layer.

    With 3 and 1 channels and an embedding of 128, both encoders together have 29.69 M parameters (alexnet),
    5.69 M (resnet18), 12.06 M (resnet50) or 21.58 M (resnet101).

    Args:
        in_channels: Channels of the first and of the second view.
        num_classes: Number of classes.
        encoder: `alexnet`, `resnet18`, `resnet50` or `resnet101`, with half the usual width.
        size: Height and width of both views, px; 224 in the paper.
        embedding: Length of an embedding; 128 in the paper.
        attention: Whether attention is applied to the maps before the last layer.

    Raises:
        InputError: If there are not two views, the encoder is unknown, or the views are too small for it.
    """

    reads = "views"
    fresh = ("attention", "head")  # what a pretrained encoder does not bring

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        num_classes: int,
        encoder: str,
        size: int,
        embedding: int,
        attention: bool,
    ):
        super().__init__()
        if isinstance(in_channels, int):
            raise InputError(
                f"samples have one view of {in_channels} channels; DualView takes two: set "
                "datamodule.representation=views"
            )
        self.embedding = embedding
        first, second = in_channels
        self.first = build_encoder(encoder, first, size, embedding)
        self.second = build_encoder(encoder, second, size, embedding)
        channels = self.first.channels + self.second.channels
        self.attention = Attention(channels) if attention else nn.Identity()
        self.head = nn.Linear(channels * self.first.side**2, num_classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def encode(
        self,
        views: tuple[Float[Tensor, "batch _ size size"], Float[Tensor, "batch _ size size"]],
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch embedding"]]:
        """Compute an embedding of each view, of unit norm."""
        first, second = views
        return self.first(first), self.second(second)

    def describe(
        self,
        views: tuple[Float[Tensor, "batch _ size size"], Float[Tensor, "batch _ size size"]],
    ) -> Float[Tensor, "batch channels"]:
        """Return the spatial mean of the maps that the head reads."""
        first, second = views
        return torch.cat([self.first.map(first), self.second.map(second)], 1).mean((2, 3))

    def forward(
        self,
        views: tuple[Float[Tensor, "batch _ size size"], Float[Tensor, "batch _ size size"]],
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class."""
        first, second = views
        maps = torch.cat([self.first.map(first), self.second.map(second)], 1)
        return self.head(self.attention(maps).flatten(1))


class Attention(nn.Module):
    """Channel attention, then spatial attention, with a residual connection.

    As CBAM (Woo et al., ECCV 2018), with two hidden channels and a 3×3 window.

    Args:
        channels: Channels of the maps.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weigh_channels = nn.Sequential(
            nn.Linear(channels, 2, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(2, channels, bias=False),
        )
        self.weigh_places = nn.Conv2d(2, 1, 3, padding=1)

    def forward(
        self, maps: Float[Tensor, "batch channels side side"]
    ) -> Float[Tensor, "batch channels side side"]:
        """Compute the maps plus the gated maps."""
        gate = self.weigh_channels(maps.amax((2, 3))) + self.weigh_channels(maps.mean((2, 3)))
        gated = maps * gate.sigmoid()[..., None, None]
        summary = torch.stack([gated.amax(1), gated.mean(1)], 1)
        return maps + gated * self.weigh_places(summary).sigmoid()
