"""Attention equals torch's own, and a dropped branch adds nothing to some samples only."""

import torch
from torch import nn

from merec.backbones.attention import Attention, TransformerBlock


def test_attention_equals_that_of_torch():
    torch.manual_seed(0)
    ours, theirs = (
        Attention(12, 3).double(),
        nn.MultiheadAttention(12, 3, batch_first=True).double(),
    )
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.query_key_value.weight)
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    tokens = torch.randn(5, 7, 12, dtype=torch.float64)
    expected, _ = theirs(tokens, tokens, tokens)
    torch.testing.assert_close(ours(tokens), expected, rtol=0, atol=1e-12)


def test_what_a_width_leaves_over_is_not_attended_to():
    """256 features in 3 heads of 85, as HTNet has it."""
    attention = Attention(256, 3)
    assert attention.query_key_value.out_features == 3 * 255
    assert attention(torch.randn(1, 2, 256)).shape == (1, 2, 256)


def test_a_token_sees_its_own_group_only():
    torch.manual_seed(0)
    block = TransformerBlock(8, 2, 16, 0.0).double()
    tokens = torch.randn(3, 4, 8, dtype=torch.float64, requires_grad=True)
    block(tokens)[1, 2].sum().backward()
    assert (tokens.grad[1].abs().sum(1) > 0).all()
    assert (tokens.grad[[0, 2]] == 0).all()


def test_a_branch_is_dropped_from_whole_samples_and_the_mean_stays():
    torch.manual_seed(0)
    block, tokens = TransformerBlock(8, 2, 16, 0.25).double(), torch.randn(1, 4, 8).double()
    nn.init.zeros_(block.think[-1].weight)  # of the two branches the first alone adds something
    nn.init.zeros_(block.think[-1].bias)
    many = tokens.expand(5_000, -1, -1)
    added = (block.train()(many) - many).detach()
    whole = (block.eval()(tokens) - tokens).detach()
    kept = added.abs().sum((1, 2)) > 0
    assert abs(kept.double().mean().item() - 0.75) < 0.03
    torch.testing.assert_close(added[kept], (whole / 0.75).expand(int(kept.sum()), -1, -1))
