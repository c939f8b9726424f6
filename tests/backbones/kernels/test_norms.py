"""The short way through linear layer, norm and what follows equals the long one, forth and back."""

from collections.abc import Callable
from functools import partial

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from merec.backbones.kernels.norms import LeadingNorm, PooledNorm

LEADING = 9

Block = LeadingNorm | PooledNorm


def take_long_way(block: Block, points: Tensor) -> Tensor:
    groups, each, _ = points.shape
    found = block.norm(block.linear(points.flatten(0, 1))).view(groups, each, -1)
    found = found.relu()
    return found.amax(1) if isinstance(block, PooledNorm) else found[:, :LEADING]


def call(block: Block) -> Callable[[Tensor], Tensor]:
    return block if isinstance(block, PooledNorm) else partial(block, leading=LEADING)


@pytest.fixture(params=[LeadingNorm, PooledNorm])
def block(request: pytest.FixtureRequest) -> Block:
    torch.manual_seed(0)
    made = request.param(5, 7).double()
    nn.init.normal_(made.norm.bias)
    nn.init.normal_(made.norm.weight)
    with torch.no_grad():  # turns the largest into the smallest
        made.norm.weight[::2] *= -made.norm.weight[::2].sign()
    return made


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_values_gradients_and_statistics_are_those_of_the_long_way(block, offset):
    points = (torch.randn(6, 16, 5, dtype=torch.float64) + offset).requires_grad_()
    inputs = [points, *block.parameters()]
    state = {name: value.clone() for name, value in block.state_dict().items()}
    found = {}
    for name, way in (("short", call(block)), ("long", partial(take_long_way, block))):
        block.load_state_dict(state)
        out = way(points)
        gradients = torch.autograd.grad((out * torch.arange(7)).sin().sum(), inputs)
        found[name] = (out, *gradients, block.norm.running_mean, block.norm.running_var)
        found[name] = tuple(value.detach().clone() for value in found[name])
        assert block.norm.num_batches_tracked == 1
    for short, long in zip(found["short"], found["long"], strict=True):
        torch.testing.assert_close(short, long, atol=1e-9, rtol=1e-9)


def test_wide_inputs_and_many_groups_take_the_same_way():
    """Where the covariance is made of blocks, and the largest are sought a few groups at a time."""
    torch.manual_seed(0)
    block = PooledNorm(256, 40).double()
    points = torch.randn(90, 300, 256, dtype=torch.float64, requires_grad=True)
    short, long = block(points), take_long_way(block, points)
    torch.testing.assert_close(short, long, atol=1e-9, rtol=1e-9)
    for one, other in zip(
        torch.autograd.grad(short.square().sum(), [points, *block.parameters()]),
        torch.autograd.grad(long.square().sum(), [points, *block.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8)


def test_equal_points_are_one_point_to_the_weights(block):
    """A region that was short holds the same point several times."""
    points = torch.randn(6, 8, 5, dtype=torch.float64).repeat(1, 2, 1)
    weights = list(block.parameters())
    short, long = call(block)(points), take_long_way(block, points)
    for one, other in zip(
        torch.autograd.grad(short.square().sum(), weights),
        torch.autograd.grad(long.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_numeric_gradients_agree(block):
    points = torch.randn(3, 12, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(call(block), (points,))


def test_trained_statistics_are_used_in_prediction(block):
    points = torch.randn(6, 16, 5, dtype=torch.float64)
    call(block)(points)
    block.eval()
    before = block.norm.running_mean.clone()
    torch.testing.assert_close(call(block)(points), take_long_way(block, points))
    torch.testing.assert_close(block.norm.running_mean, before)


def test_compiled_it_is_the_same_function(block, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks cannot be traced
    points = torch.randn(6, 16, 5, dtype=torch.float64)
    compiled = torch.compile(call(block), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(points), call(block)(points))
