"""Accelerated backbones are the same functions of the same weights."""

import copy
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from merec.backbones import STSTNet
from merec.backbones.kernels.acceleration import CHANNELS_LAST, FORWARDS, accelerate
from merec.config import build, compose_node
from tests.backbones.test_precision import LARGE, NAMES, SMALL, Inputs, draw


def make_pair(name: str, dtype: torch.dtype) -> tuple[nn.Module, nn.Module, Inputs]:
    """The accelerated and the plain network without dropout, and a batch."""
    torch.manual_seed(0)
    inputs, channels = draw(name)
    node = compose_node("backbone", [f"backbone={name}", *SMALL.get(name, [])])
    plain = build(node)(in_channels=channels, num_classes=3).to(dtype)
    for module in plain.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1, 1)
    fast = accelerate(copy.deepcopy(plain))
    views = inputs if isinstance(inputs, tuple) else (inputs,)
    views = tuple(view.to(dtype) for view in views)
    return fast, plain, views if isinstance(inputs, tuple) else views[0]


def learn(network: nn.Module, inputs: Inputs) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Logits in training and in prediction; gradients and buffers by name."""
    logits = network.train()(inputs)
    cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    with torch.no_grad():
        predicted = network.eval()(inputs)
    gradients = {
        name: value.grad for name, value in network.named_parameters() if value.grad is not None
    }
    return [logits, predicted], gradients | dict(network.named_buffers())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in NAMES]
)
def test_outputs_gradients_and_statistics_equal_the_plain_network(name):
    fast, plain, inputs = make_pair(name, torch.float64)
    (ours, found), (theirs, expected) = learn(fast, inputs), learn(plain, inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)
    assert found.keys() == expected.keys()
    for key, value in found.items():
        torch.testing.assert_close(value, expected[key], rtol=1e-6, atol=1e-8, msg=key)
    assert list(fast.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("padding", [1, 2])
def test_ststnet_in_float32_equals_the_plain_network_in_float64(compiled, padding):
    torch.manual_seed(0)
    plain = STSTNet(3, 3, [3, 5, 8], 0.0, 28, padding, compiled)
    nn.init.uniform_(plain.norm.weight, -1, 1)
    fast, maps = accelerate(copy.deepcopy(plain)), torch.rand(8, 3, 28, 28) * 255
    (ours, found), (theirs, expected) = learn(fast, maps), learn(plain.double(), maps.double())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4)
    for name, value in expected.items():
        size = value.abs().max()
        torch.testing.assert_close(found[name].double() / size, value / size, rtol=0, atol=1e-4)


def test_a_copy_runs_with_its_own_weights():
    fast, _, maps = make_pair("ststnet", torch.float64)
    copied = copy.deepcopy(fast)
    with torch.no_grad():
        copied.classify.weight.zero_()
        copied.classify.bias.zero_()
    assert (copied.eval()(maps) == 0).all()
    assert (fast.eval()(maps) != 0).all()


@pytest.mark.parametrize("name", sorted(FORWARDS.keys() | CHANNELS_LAST))
def test_every_name_is_a_module(name):
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(import_module(module), kind), nn.Module)
