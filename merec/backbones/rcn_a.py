"""RCN-A (Xia et al., TIP 29, 2020, "Revealing the invisible with model and data shrinking for…")."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.backbones.flow_maps import FlowMapNetwork
from merec.types import InputError

EPSILON = 1e-6  # added to the range of the activations of a class


class RCNA(FlowMapNetwork):
    """RCN-A: a convolution, a recurrent convolution, and attention by class activation maps.

    The attention unit has no weights: it multiplies the responses of the first layer by the weights of the
    last layer, scales each class to 0…1 and averages over classes. 15,331 parameters for three channels and
    three classes with 32 filters and pooling to 5×5, as in the authors' instructions.

    Args:
        in_channels: Channels of the flow map.
        num_classes: Number of classes.
        filters: Filters of each convolution.
        pooled: Height and width of the maps that the last layer reads, px.
        dropout: Share of responses dropped in training, after each pooling.
        size: Height and width of the flow map, px; 28 here, 60 in the paper.

    Raises:
        InputError: If the maps are too small.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        filters: int,
        pooled: int,
        dropout: float,
        size: int,
    ):
        super().__init__(size)
        self.pooled = pooled
        seen = (size - 4) // 2
        if seen // 2 < pooled:
            raise InputError(
                f"flow maps of {size} px leave {seen // 2} px to be pooled to {pooled}; set backbone.pooled "
                "lower"
            )
        self.see = nn.Sequential(
            *(nn.Conv2d(in_channels, filters, 5), nn.BatchNorm2d(filters)),
            *(nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(dropout)),  # pooled first: less to rectify
        )
        self.feed = _convolve(filters, 1)
        self.recur = _convolve(filters, 3)
        self.shrink = nn.Sequential(nn.MaxPool2d(2), nn.Dropout(dropout))
        self.early, self.late = Average(seen, pooled), Average(seen // 2, pooled)
        self.classify = nn.Linear(filters * pooled**2, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.zeros_(self.classify.bias)

    def describe(self, maps: Tensor) -> Float[Tensor, "batch features"]:
        """Compute the last responses, weighted by attention."""
        seen = self.see(maps)
        state = self.feed(seen)
        for _ in range(2):
            state = self.recur(seen + state)
        attended = self.late(self.shrink(state)) * self.attend(self.early(seen))
        return attended.flatten(1)

    def attend(
        self, seen: Float[Tensor, "batch filters high wide"]
    ) -> Float[Tensor, "batch 1 high wide"]:
        """Compute the spatial attention, 0 to 1."""
        weight = self.classify.weight.unflatten(1, (-1, self.pooled, self.pooled))
        activation = (seen[:, None] * weight).mean(2)
        least, most = activation.amin((2, 3), True), activation.amax((2, 3), True)
        return ((activation - least) / (most - least + EPSILON)).mean(1, keepdim=True)


class Average(nn.Module):
    """Adaptive average pooling as two matrix products; torch's version has no deterministic gradient on GPUs.

    Args:
        before: Height and width of the input, px.
        after: Height and width of the output, px.
    """

    def __init__(self, before: int, after: int):
        super().__init__()
        shares = torch.zeros(after, before)
        for number in range(after):
            start, stop = number * before // after, -(-(number + 1) * before // after)
            shares[number, start:stop] = 1 / (stop - start)
        self.shares: Tensor
        self.register_buffer("shares", shares, persistent=False)

    def forward(
        self, maps: Float[Tensor, "batch filters height width"]
    ) -> Float[Tensor, "batch filters high wide"]:
        """Compute the means."""
        return self.shares @ maps @ self.shares.t()


def _convolve(filters: int, size: int) -> nn.Sequential:
    convolution = nn.Conv2d(filters, filters, size, padding=size // 2)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU())
