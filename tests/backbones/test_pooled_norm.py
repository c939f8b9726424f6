"""The short way through linear layer, norm and pooling equals the long one, forth and back."""

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from merec.backbones.pooled_norm import PooledNorm


def take_long_way(block: PooledNorm, points: Tensor) -> Tensor:
    groups, each, _ = points.shape
    return block.norm(block.linear(points.flatten(0, 1))).view(groups, each, -1).amax(1)


@pytest.fixture
def block() -> PooledNorm:
    torch.manual_seed(0)
    made = PooledNorm(5, 7).double()
    nn.init.normal_(made.norm.bias)
    nn.init.normal_(made.norm.weight)
    with torch.no_grad():
        made.norm.weight[::2] *= -made.norm.weight[
            ::2
        ].sign()  # turns the largest into the smallest
    return made


def test_values_gradients_and_statistics_are_those_of_the_long_way(block):
    points = torch.randn(6, 16, 5, dtype=torch.float64, requires_grad=True)
    inputs = [points, *block.parameters()]
    state = {name: value.clone() for name, value in block.state_dict().items()}
    found = {}
    for name, way in (("short", PooledNorm.forward), ("long", take_long_way)):
        block.load_state_dict(state)
        pooled = way(block, points)
        gradients = torch.autograd.grad((pooled * torch.arange(7)).sin().sum(), inputs)
        found[name] = (pooled, *gradients, block.norm.running_mean, block.norm.running_var)
        found[name] = tuple(value.detach().clone() for value in found[name])
        assert block.norm.num_batches_tracked == 1
    for short, long in zip(found["short"], found["long"], strict=True):
        torch.testing.assert_close(short, long, atol=1e-10, rtol=1e-10)


def test_numeric_gradients_agree(block):
    points = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (points,))


def test_trained_statistics_are_used_in_prediction(block):
    points = torch.randn(6, 16, 5, dtype=torch.float64)
    block(points)
    block.eval()
    before = block.norm.running_mean.clone()
    torch.testing.assert_close(block(points), take_long_way(block, points))
    torch.testing.assert_close(block.norm.running_mean, before)


def test_compiled_it_is_the_same_function(block, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks cannot be traced
    points = torch.randn(6, 16, 5, dtype=torch.float64)
    compiled = torch.compile(block, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(points), block(points))
