"""HTNet as published has its size and attends to nothing; the light variant attends, and all of it learns."""

import subprocess
import sys

import pytest
import torch
from torch.nn.functional import cross_entropy

from merec.backbones import HTNet
from merec.errors import InputError

PUBLISHED = {"size": 28, "patch": 7, "width": 256, "heads": 3, "depths": (2, 2, 10)}
STEP = """
import resource, torch
from merec.backbones import HTNet
torch.manual_seed(0)
network = HTNet(3, 3, 28, 7, 256, 3, (2, 2, 10), False)
# At the recipe's 5e-5 its first step overshoots.
optimizer = torch.optim.Adam(network.parameters(), lr=1e-6, foreach=False)
maps, label = torch.rand(8, 3, 28, 28), torch.arange(8) % 3
losses = []
for _ in range(2):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(network(maps), label)
    losses.append(loss.item())
    if len(losses) == 1:
        loss.backward()
        optimizer.step()
print(*losses, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def make(vector_positions: bool, depths=(1, 1, 2), width=12, heads=3, size=28) -> HTNet:
    torch.manual_seed(0)
    return HTNet(3, 3, size, 7, width, heads, depths, vector_positions).double()


def learn(network: HTNet) -> dict[str, torch.Tensor]:
    maps = torch.randn(6, 3, network.size, network.size, dtype=torch.float64)
    cross_entropy(network(maps), torch.arange(6) % 3).backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def count(network: HTNet) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_as_published_it_has_139_6_million_parameters():
    with torch.device("meta"):
        assert count(HTNet(3, 3, **PUBLISHED, vector_positions=False)) == 139_582_982


def test_the_light_variant_has_about_a_million_parameters():
    assert count(HTNet(3, 3, 28, 7, 64, 4, [2, 4], True)) == 976_131


@pytest.mark.slow
def test_one_step_of_it_as_published_lowers_the_loss_within_four_gigabytes():
    done = subprocess.run(
        [sys.executable, "-c", STEP], capture_output=True, text=True, check=True, timeout=600
    )
    before, after, gigabytes = map(float, done.stdout.split())
    assert after < before
    assert gigabytes < 4


def test_as_published_queries_and_keys_get_no_gradient_for_an_area_holds_one_token():
    for name, gradient in learn(make(vector_positions=False)).items():
        if name.endswith("query_key_value.weight"):
            query, key, value = gradient.chunk(3)
            assert (query == 0).all(), name
            assert (key == 0).all(), name
            assert (value.abs() > 1e-10).all(), name
        elif name == "levels.4.position":  # the last level's; a norm takes it away
            assert (gradient.abs() < 1e-10).all()
        else:
            assert (gradient.abs() > 1e-10).all(), name


def test_as_published_attention_changes_nothing_but_by_its_values():
    network, maps = make(vector_positions=False), torch.randn(2, 3, 28, 28, dtype=torch.float64)
    before = network(maps)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("query_key_value.weight"):
                parameter[: len(parameter) * 2 // 3].normal_()
    torch.testing.assert_close(network(maps), before, rtol=0, atol=1e-12)


def test_of_the_light_variant_every_weight_gets_a_gradient():
    network = make(vector_positions=True, depths=(2, 4), width=64, heads=4)
    for name, gradient in learn(network).items():
        assert (gradient.abs() > 1e-10).all(), name


def test_an_area_is_a_quarter_of_the_map_until_areas_are_joined():
    network = make(vector_positions=True, depths=(2, 2))
    patches = torch.randn(1, 4, 4, 12, dtype=torch.float64, requires_grad=True)
    network.levels[0](patches)[0, 0, 3].sum().backward()  # of the upper right area
    seen = patches.grad[0].abs().sum(2) > 0
    assert seen[:2, 2:].all()
    assert seen.sum() == 4


@pytest.mark.parametrize(("depths", "size"), [((1,), 28), ((1, 1), 42), ((1, 1, 1), 56)])
def test_other_sizes_and_depths_are_taken(depths, size):
    network = make(vector_positions=True, depths=depths, size=size)
    assert network(torch.randn(2, 3, size, size, dtype=torch.float64)).shape == (2, 3)


def test_maps_of_another_size_are_refused():
    with pytest.raises(InputError, match="30×28 px; set backbone.size"):
        make(vector_positions=True)(torch.rand(1, 3, 30, 28, dtype=torch.float64))


def test_maps_that_cannot_be_cut_are_refused():
    with pytest.raises(InputError, match="42 px cannot be cut into 4×4 areas.*set backbone.patch"):
        make(vector_positions=True, size=42)
