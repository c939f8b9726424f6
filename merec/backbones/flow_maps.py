"""Base of networks that read flow maps of one size and end in a linear layer."""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from merec.types import InputError


class FlowMapNetwork(nn.Module):
    """Base of networks on flow maps: features, then a linear layer `classify`.

    Args:
        size: Height and width of the maps, px.
    """

    fresh = ("classify",)
    reads = "flow_map"
    classify: nn.Linear

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    @abstractmethod
    def describe(self, maps: Tensor) -> Float[Tensor, "batch features"]:
        """Compute the features that the last layer reads."""

    def forward(
        self, maps: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class.

        Raises:
            InputError: If the maps have another size.
        """
        self.check_size(maps)
        return self.classify(self.describe(maps))

    def check_size(self, maps: Float[Tensor, "batch channels height width"]) -> None:
        """Refuse maps with another size.

        Raises:
            InputError: If so; the message contains their size.
        """
        height, width = maps.shape[2:]
        if (height, width) != (self.size, self.size):
            raise InputError(
                f"flow maps of {height}×{width} px; set backbone.size to what they have"
            )
