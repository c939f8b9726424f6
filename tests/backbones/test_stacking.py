"""Folds of the peers that are stacked learn what each learns alone, with the masks each would draw."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state
from torch.nn.functional import cross_entropy

from merec.backbones import RCNA, DualInception, HTNet, MMNet, OffApexNet
from merec.backbones.kernels.acceleration import accelerate
from merec.backbones.kernels.dropout import draw_from

PEERS = {
    "off_apexnet": lambda: OffApexNet(3, 3, 12),
    "dual_inception": lambda: DualInception(3, 3, 12),
    "rcn_a": lambda: RCNA(3, 3, 8, 5, 0.5, 28),
    "htnet": lambda: HTNet(3, 3, 28, 7, 12, 3, (1, 1, 1), False),
    "htnet_light": lambda: HTNet(3, 3, 28, 7, 8, 2, (1, 1), True),
    "mmnet": lambda: MMNet(3, 3, 6, (4, 4, 4, 8), (1, 2, 2, 1), 2, 2, 0.5, 28),
}


def make(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return accelerate(PEERS[name]().double())


@pytest.mark.parametrize("name", PEERS)
def test_stacked_folds_get_what_each_gets_alone(name):
    seeds, label = (3, 4), torch.arange(6) % 3
    alone, nets = [make(name, seed) for seed in seeds], [make(name, seed) for seed in seeds]
    size = nets[0].size
    maps = torch.randn(2, 6, 3, size, size, dtype=torch.float64)
    losses = []
    for net, rows, seed in zip(alone, maps, seeds, strict=True):
        torch.manual_seed(seed)
        losses.append(cross_entropy(net(rows), label))
        losses[-1].backward()
    parameters, buffers = stack_module_state(nets)  # type: ignore[arg-type]

    def learn(parameters, buffers, rows):
        return cross_entropy(functional_call(nets[0], (parameters, buffers), (rows,)), label)

    with draw_from([torch.Generator().manual_seed(seed) for seed in seeds]):
        actual = torch.vmap(learn)(parameters, buffers, maps)
    torch.testing.assert_close(actual, torch.stack(losses), rtol=0, atol=1e-10)
    actual.sum().backward()
    for key, value in parameters.items():
        rows = torch.stack([net.get_parameter(key).grad for net in alone])
        torch.testing.assert_close(value.grad, rows, rtol=0, atol=1e-9, msg=key)
    for key, value in buffers.items():
        rows = torch.stack([net.get_buffer(key) for net in alone])
        torch.testing.assert_close(value, rows, rtol=0, atol=1e-10, msg=key)


@pytest.mark.parametrize("name", ["rcn_a", "mmnet"])
def test_what_is_dropped_is_drawn_anew_while_training_only(name):
    net, maps = make(name, 0), torch.randn(6, 3, 28, 28, dtype=torch.float64)
    assert not torch.equal(net.train()(maps), net(maps))
    assert torch.equal(net.eval()(maps), net(maps))
