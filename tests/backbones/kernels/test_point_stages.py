"""Layers that compute only the responses that are read equal the plain ones, forth and back."""

import copy
from collections.abc import Callable
from functools import partial

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from merec.backbones.kernels.acceleration import accelerate
from merec.backbones.point_stages import FirstStage, PooledLayer

LEADING = 9


def call(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    return layer if isinstance(layer, PooledLayer) else partial(layer, leading=LEADING)


@pytest.fixture(params=[partial(FirstStage, 5, [7]), partial(PooledLayer, 5, 7)])
def plain(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    made = request.param().double()
    norm = made.norm if isinstance(made, PooledLayer) else made.layers[0].norm
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.weight)
    with torch.no_grad():  # turns the largest into the smallest
        norm.weight[::2] *= -norm.weight[::2].sign()
    return made


@pytest.fixture
def fast(plain: nn.Module) -> nn.Module:
    return accelerate(copy.deepcopy(plain))


def differentiate(layer: nn.Module, points: Tensor) -> list[Tensor]:
    """Responses, gradients and running statistics after a step."""
    responses = call(layer)(points)
    loss = (responses * torch.arange(responses.shape[-1])).sin().sum()
    return [responses, *torch.autograd.grad(loss, [points, *layer.parameters()]), *layer.buffers()]


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_responses_gradients_and_statistics_are_those_of_the_plain_layer(plain, fast, offset):
    points = (torch.randn(6, 16, 5, dtype=torch.float64) + offset).requires_grad_()
    for one, other in zip(differentiate(fast, points), differentiate(plain, points), strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_wide_inputs_and_many_groups_are_no_exception():
    """Sizes at which the covariance is made of blocks, and the largest are sought a few groups at a time."""
    torch.manual_seed(0)
    plain = PooledLayer(256, 40).double()
    points = torch.randn(90, 300, 256, dtype=torch.float64, requires_grad=True)
    fast = accelerate(copy.deepcopy(plain))
    for one, other in zip(differentiate(fast, points), differentiate(plain, points), strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8)


def test_equal_points_are_one_point_to_the_weights(plain, fast):
    """A region that was short holds the same point several times."""
    points = torch.randn(6, 8, 5, dtype=torch.float64).repeat(1, 2, 1)
    gradients = [
        torch.autograd.grad(call(layer)(points).square().sum(), list(layer.parameters()))
        for layer in (fast, plain)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_numeric_gradients_agree(fast):
    points = torch.randn(3, 12, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(call(fast), (points,))


def test_trained_statistics_are_used_in_prediction(plain, fast):
    points = torch.randn(6, 16, 5, dtype=torch.float64)
    call(plain)(points)
    fast.load_state_dict(plain.state_dict())
    before = copy.deepcopy(fast.state_dict())
    torch.testing.assert_close(call(fast.eval())(points), call(plain.eval())(points))
    for name, value in fast.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_compiled_it_is_the_same_function(fast, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks cannot be traced
    points = torch.randn(6, 16, 5, dtype=torch.float64)
    compiled = torch.compile(call(fast), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(points), call(fast)(points))
