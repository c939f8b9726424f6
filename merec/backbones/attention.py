"""Tokens that look at each other: the block that transformers of flow maps share."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.backbones.kernels.dropout import Dropout


class Attention(nn.Module):
    """Multi-head attention between the tokens of a group (Vaswani et al., NeurIPS 2017).

    Written out, so that vmap stacks it. Where a group holds one token its weight is 1, whatever query and key
    are, and neither gets a gradient.

    Args:
        width: Features of a token.
        heads: What is left over when the width is divided by them is not attended to.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        inner = width // heads * heads
        self.query_key_value = nn.Linear(width, 3 * inner, bias=False)
        self.out = nn.Linear(inner, width)

    def forward(
        self, tokens: Float[Tensor, "groups tokens features"]
    ) -> Float[Tensor, "groups tokens features"]:
        """What each token gathers from its group."""
        parts = self.query_key_value(tokens).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        likeness = query @ key.transpose(2, 3) * query.shape[3] ** -0.5
        gathered = likeness.softmax(3) @ value
        return self.out(gathered.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention, then two layers of each token's own, both normalised before and added to what comes in.

    Args:
        width: Features of a token.
        heads: Of the attention.
        hidden: Units of the layer between.
        drop_path: Share of samples in which a branch adds nothing while training (Huang et al., ECCV 2016).
    """

    def __init__(self, width: int, heads: int, hidden: int, drop_path: float):
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        self.think = nn.Sequential(
            *(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        )
        self.dropout = Dropout(drop_path)

    def forward(
        self, tokens: Float[Tensor, "groups tokens features"]
    ) -> Float[Tensor, "groups tokens features"]:
        """The tokens, each changed."""
        for branch in (self.attend, self.think):
            tokens = tokens + self._drop(branch(tokens))
        return tokens

    def _drop(self, found: Tensor) -> Tensor:
        if not self.training or self.dropout.p == 0:
            return found
        return found * self.dropout(torch.ones_like(found[:, :1, :1]))
