"""Accelerated layers are the same functions; of every backbone see test_precision.py."""

import copy
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from merec.backbones import STSTNet
from merec.backbones.kernels.acceleration import CHANNELS_LAST, FORWARDS, accelerate


def learn(network: nn.Module, inputs: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Logits in training and in prediction; gradients and buffers by name."""
    logits = network.train()(inputs)
    cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    with torch.no_grad():
        predicted = network.eval()(inputs)
    gradients = {
        name: value.grad for name, value in network.named_parameters() if value.grad is not None
    }
    return [logits, predicted], gradients | dict(network.named_buffers())


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("padding", [1, 2])
def test_ststnet_in_float32_equals_the_plain_network_in_float64(compiled, padding):
    torch.manual_seed(0)
    plain = STSTNet(3, 3, [3, 5, 8], 0.0, 28, padding, compiled)
    nn.init.uniform_(plain.norm.weight, -1, 1)
    fast, maps = accelerate(copy.deepcopy(plain)), torch.rand(8, 3, 28, 28) * 255
    (ours, actual), (theirs, expected) = learn(fast, maps), learn(plain.double(), maps.double())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4)
    for name, value in expected.items():
        size = value.abs().max()
        scaled = actual[name].double() / size, value.double() / size
        torch.testing.assert_close(*scaled, rtol=0, atol=1e-4)


def test_a_copy_runs_with_its_own_weights():
    fast = accelerate(STSTNet(3, 3, [3, 5, 8], 0.5, 28, 1, True))
    maps = torch.rand(2, 3, 28, 28)
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
