"""MMNet hands attention on from block to block, adds positions to the last map, and all of it learns."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from merec.backbones import MMNet
from merec.backbones.mmnet import ContinuousAttention
from merec.errors import InputError


def make(in_channels=3, num_classes=3, drop_path=0.3, size=28) -> MMNet:
    torch.manual_seed(0)
    return MMNet(
        in_channels, num_classes, 24, (16, 16, 32, 64), (1, 2, 2, 1), 3, 4, drop_path, size
    ).double()


def test_it_has_the_number_of_parameters_that_its_configuration_says():
    assert sum(parameter.numel() for parameter in make().parameters()) == 145_355


def test_every_weight_gets_a_gradient():
    network, maps = make(), torch.randn(24, 3, 28, 28, dtype=torch.float64)
    cross_entropy(network(maps), torch.arange(24) % 3).backward()
    # None is exempt: no convolution before a norm has a bias.
    for name, parameter in network.named_parameters():
        assert (parameter.grad.abs() > 1e-10).all(), name


def test_a_place_that_one_block_does_not_attend_to_is_lost_to_the_next():
    torch.manual_seed(0)
    block, maps = ContinuousAttention(4, 6, 2).double(), torch.randn(2, 4, 8, 8).double()
    attention = torch.ones(2, 1, 8, 8, dtype=torch.float64)
    attention[:, :, :, 4:] = 0
    seen, handed_on = block(maps, attention)
    alone, _ = block(maps, None)
    # The largest of 3×3 at every second place: the last that sees an attended place is at 4.
    assert (seen[..., 3] == 0).all()
    assert (handed_on[..., 3] == 0).all()
    torch.testing.assert_close(seen[..., :3], alone[..., :3], rtol=0, atol=1e-12)


def test_positions_are_added_to_the_last_map():
    network, maps = make().eval(), torch.randn(2, 3, 28, 28, dtype=torch.float64)
    before = network(maps)
    added = network.calibrate(maps)
    assert added.shape == (2, 64, 4, 4)
    weight = network.classify.weight.detach().clone()
    network.calibrate.register_forward_hook(lambda *_: torch.zeros_like(added))
    torch.testing.assert_close(
        before - network(maps), added.flatten(1) @ weight.t(), rtol=0, atol=1e-9
    )


def test_a_cell_is_told_its_mean_flow():
    network = make().eval()
    maps = torch.randn(1, 3, 28, 28, dtype=torch.float64)
    shuffled = maps.clone()
    shuffled[..., :7, :7] = maps[..., :7, :7].flip((2, 3))  # the mean of the cell stays
    torch.testing.assert_close(
        network.calibrate(maps), network.calibrate(shuffled), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("channels", "classes", "size"), [(1, 2, 28), (2, 7, 30), (3, 4, 56)])
def test_other_channels_classes_and_sizes_are_taken(channels, classes, size):
    network = make(channels, classes, size=size)
    assert network(torch.randn(2, channels, size, size, dtype=torch.float64)).shape == (2, classes)


def test_maps_of_another_size_are_refused():
    with pytest.raises(InputError, match="30×28 px; set backbone.size"):
        make()(torch.rand(1, 3, 30, 28, dtype=torch.float64))
