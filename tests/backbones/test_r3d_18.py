"""R3D-18 is of the published size, takes clips of any length and size, and all of it learns."""

import copy

import pytest
import torch
from torch.func import functional_call, stack_module_state
from torch.nn.functional import cross_entropy

from merec.backbones import R3D18

PUBLISHED = 33_371_472  # torchvision's r3d_18, 3 channels and the 400 classes of Kinetics


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_it_has_the_published_number_of_parameters():
    assert count(R3D18(in_channels=3, num_classes=400)) == PUBLISHED


@pytest.mark.parametrize(("channels", "classes"), [(3, 3), (2, 4), (5, 7)])
def test_only_stem_and_head_depend_on_channels_and_classes(channels, classes):
    stem, head = 64 * 3 * 7 * 7, 512 + 1
    expected = PUBLISHED + (channels - 3) * stem + (classes - 400) * head
    assert count(R3D18(channels, classes)) == expected


def test_maps_shrink_as_in_the_paper():
    network = R3D18(3, 2).eval()
    seen = [network.stem(torch.rand(1, 3, 8, 48, 48))]
    for block in network.stages:
        seen.append(block(seen[-1]))
    shapes = [tuple(maps.shape[1:]) for maps in seen]
    first = [(64, 8, 24, 24)] * 3
    later = [(128, 4, 12, 12)] * 2 + [(256, 2, 6, 6)] * 2 + [(512, 1, 3, 3)] * 2
    assert shapes == first + later


@pytest.mark.parametrize("shape", [(3, 8, 48, 48), (2, 5, 33, 21), (5, 2, 16, 16)])
def test_clips_of_any_length_and_size_are_taken(shape):
    assert R3D18(shape[0], 4).eval()(torch.rand(2, *shape)).shape == (2, 4)


def test_one_step_moves_every_parameter_and_lowers_the_loss():
    torch.manual_seed(0)
    network, label = R3D18(2, 3), torch.arange(6) % 3
    clips = torch.rand(6, 2, 4, 32, 32)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    before = cross_entropy(network(clips), label)
    before.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    optimizer.step()
    assert cross_entropy(network(clips), label) < before


def test_the_order_of_frames_matters():
    torch.manual_seed(0)
    network, clip = R3D18(3, 3).eval(), torch.rand(1, 3, 8, 16, 16)
    assert not torch.allclose(network(clip), network(clip.flip(2)))


def test_folds_that_are_stacked_see_what_each_sees_alone():
    torch.manual_seed(0)
    networks = [R3D18(2, 3) for _ in range(2)]
    stacked = stack_module_state(networks)
    skeleton = copy.deepcopy(networks[0]).to("meta")
    clips = torch.rand(2, 4, 2, 3, 16, 16)
    predicted = torch.vmap(lambda *state: functional_call(skeleton, state[:2], state[2]))(
        *stacked, clips
    )
    for number, (network, rows) in enumerate(zip(networks, clips, strict=True)):
        torch.testing.assert_close(predicted[number], network(rows), atol=1e-4, rtol=1e-4)
        for name, value in network.named_buffers():  # what a norm remembers
            torch.testing.assert_close(stacked[1][name][number], value, atol=1e-5, rtol=1e-4)
