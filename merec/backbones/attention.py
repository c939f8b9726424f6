"""Transformer block of several networks on flow maps."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention between the tokens of a group (Vaswani et al., NeurIPS 2017).

    Implemented explicitly, so that vmap can stack it. If a group has one token, its attention weight is
    always 1, and query and key get no gradient.

    Args:
        width: Features of a token.
        heads: Number of heads; they share the largest multiple of this number up to `width`.
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
        """Compute the attended features of each token."""
        parts = self.query_key_value(tokens).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        similarity = query @ key.transpose(2, 3) * query.shape[3] ** -0.5
        attended = similarity.softmax(3) @ value
        return self.out(attended.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Transformer block: attention, then two layers per token, each with pre-norm and residual connection.

    Args:
        width: Features of a token.
        heads: Heads of the attention.
        hidden: Units of the hidden layer.
        drop_path: Probability that a branch is dropped for a sample in training (Huang et al., ECCV 2016).
    """

    def __init__(self, width: int, heads: int, hidden: int, drop_path: float):
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        self.think = nn.Sequential(
            *(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        )
        self.dropout = nn.Dropout(drop_path)

    def forward(
        self, tokens: Float[Tensor, "groups tokens features"]
    ) -> Float[Tensor, "groups tokens features"]:
        """Return the tokens after both branches."""
        for branch in (self.attend, self.think):
            tokens = tokens + self._drop_path(branch(tokens))
        return tokens

    def _drop_path(self, added: Tensor) -> Tensor:
        if not self.training or self.dropout.p == 0:
            return added
        return added * self.dropout(torch.ones_like(added[:, :1, :1]))
