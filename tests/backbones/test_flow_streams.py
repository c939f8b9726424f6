"""The peers are of the published sizes, see each component apart, and all of them learns."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from merec.backbones import DualInception, OffApexNet
from merec.errors import InputError

both = pytest.mark.parametrize("kind", [OffApexNet, DualInception])


@pytest.mark.parametrize(("kind", "number"), [(OffApexNet, 2_664_475), (DualInception, 6_449_867)])
def test_it_has_the_published_number_of_parameters(kind, number):
    """2.66 M and 6.45 M in the comparison of Off-TANet (PRICAI 2021)."""
    network = kind(in_channels=2, num_classes=3, size=28)
    assert sum(parameter.numel() for parameter in network.parameters()) == number


@both
def test_one_step_moves_every_parameter_and_lowers_the_loss(kind):
    torch.manual_seed(0)
    network, label = kind(2, 3, 28), torch.arange(12) % 3
    maps = torch.rand(12, 2, 28, 28)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    before = cross_entropy(network(maps), label)
    before.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    optimizer.step()
    assert cross_entropy(network(maps), label) < before


@both
def test_a_stream_sees_one_component(kind):
    network, maps = kind(2, 3, 28), torch.rand(2, 2, 28, 28, requires_grad=True)
    network.streams[0](maps[:, :1]).sum().backward()
    assert maps.grad[:, 0].abs().sum() > 0
    assert maps.grad[:, 1].abs().sum() == 0


@both
@pytest.mark.parametrize(("channels", "size"), [(3, 28), (2, 30), (1, 41)])
def test_other_channels_and_sizes_are_taken(kind, channels, size):
    assert kind(channels, 4, size)(torch.rand(2, channels, size, size)).shape == (2, 4)


@both
def test_maps_of_another_size_are_refused(kind):
    with pytest.raises(InputError, match="30×28 px; set backbone.size"):
        kind(2, 3, 28)(torch.rand(1, 2, 30, 28))
