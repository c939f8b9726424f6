"""Every backbone trains and predicts the same accelerated, and nearly the same under bfloat16 autocast."""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from merec.backbones.kernels.acceleration import accelerate
from merec.config import build, compose_node
from merec.config_groups import home

Inputs = Tensor | tuple[Tensor, Tensor]
SMALL = {
    "lite_point_gcn": ["backbone.widths=[[16,16],[16,24],[24,32,64]]", "backbone.graph_width=32"],
    "dual_view": ["backbone.size=64"],
}
LARGE = ("htnet", "r3d_18", "dual_view_tuned")  # the last is dual_view by another name
NAMES = sorted(file.stem for file in (home() / "conf" / "backbone").glob("*.yaml"))
each_backbone = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in NAMES]
)
BFLOAT = partial(torch.autocast, "cpu", torch.bfloat16)


def draw(name: str) -> tuple[Inputs, int | tuple[int, int]]:
    """A batch that a backbone reads, and its number of channels."""
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=generator)
    if name.startswith(("lite_point_gcn", "pointnet2", "edgeconv", "point_transformer")):
        return draw(16, 8, 32, 6), 6
    if name == "landmark_gcn":
        return draw(8, 468, 8), 8
    if name.startswith("dual_view"):
        return (draw(8, 3, 64, 64), draw(8, 1, 64, 64)), (3, 1)
    if name == "r3d_18":
        return draw(4, 5, 8, 48, 48), 5
    return torch.rand(8, 3, 28, 28, generator=generator), 3


def make(name: str) -> tuple[nn.Module, Inputs]:
    """A network without dropout, its norms not at their start, and a batch."""
    torch.manual_seed(0)
    inputs, channels = draw(name)
    node = compose_node("backbone", [f"backbone={name}", *SMALL.get(name, [])])
    network = build(node)(in_channels=channels, num_classes=3)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network, inputs


def learn(
    network: nn.Module, inputs: Inputs, autocast: Callable[[], AbstractContextManager]
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits in training and in prediction, and the gradient of all weights."""
    with autocast():
        logits = network.train()(inputs)
        loss = cross_entropy(logits, torch.arange(len(logits)) % 3)
    loss.backward()
    gradients = [value.grad for value in network.parameters() if value.grad is not None]
    with autocast(), torch.no_grad():
        predicted = network.eval()(inputs)
    return logits.double(), predicted.double(), torch.cat([g.double().flatten() for g in gradients])


@each_backbone
def test_accelerated_it_has_the_outputs_gradients_and_statistics_of_the_plain_network(name):
    plain, inputs = make(name)
    plain = plain.double()
    for norm in plain.modules():  # some scales negative, which turns a maximum into a minimum
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, -1, 1)
    inputs = tuple(x.double() for x in inputs) if isinstance(inputs, tuple) else inputs.double()
    fast = accelerate(copy.deepcopy(plain))
    actual, expected = learn(fast, inputs, nullcontext), learn(plain, inputs, nullcontext)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)
    assert list(fast.state_dict()) == list(plain.state_dict())
    for one, other in zip(fast.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


@each_backbone
def test_bfloat16_autocast_is_float32_but_for_rounding(name):
    network, inputs = make(name)
    whole = learn(copy.deepcopy(network), inputs, nullcontext)
    half = learn(network, inputs, BFLOAT)
    for expected, actual in zip(whole[:2], half[:2], strict=True):
        assert (expected - actual).abs().max() < 0.06 * expected.abs().max().clamp_min(1)
    assert torch.cosine_similarity(whole[2], half[2], dim=0) > 0.85
    assert all(value.dtype == torch.float32 for value in network.parameters())
