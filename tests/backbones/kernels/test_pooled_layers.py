"""Pooled before they are normalised, responses are what they are the other way round."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.functional import max_pool2d

from merec.backbones.kernels import pooled_layers
from merec.backbones.kernels.norms import remember
from merec.backbones.kernels.pooled_layers import PooledLayers, count_responses, is_faster

SHAPES = [(3, 16, 28, 28), (2, 3, 7, 11), (1, 5, 9, 6)]  # channels, filters, height, width
BATCH = 6


class Pooled(nn.Module):
    """Both ways from the same weights, some scales of the norm negative."""

    def __init__(self, channels: int, filters: int, seed: int = 0, padding: int = 1):
        super().__init__()
        torch.manual_seed(seed)
        self.padding = padding
        self.convolution = nn.Conv2d(channels, filters, 3, padding=padding)
        self.norm = nn.BatchNorm2d(filters)
        nn.init.uniform_(self.norm.weight, 0.2, 1)
        with torch.no_grad():
            self.norm.weight[::2] *= -1
        nn.init.uniform_(self.norm.bias, -1, 1)
        self.double()

    def forward(self, images: Tensor) -> Tensor:
        convolution, norm = self.convolution, self.norm
        pooled, mean, variance, *_ = PooledLayers.apply(
            *(images, convolution.weight, convolution.bias, norm.weight, norm.bias, norm.eps),
            self.padding,
        )
        count = [count_responses(size, self.padding) for size in images.shape[2:]]
        remember(norm, mean, variance, len(images) * count[0] * count[1])
        return pooled

    def take_the_long_way(self, images: Tensor) -> Tensor:
        return max_pool2d(self.norm(self.convolution(images).relu()), 3, 3, 1)


@pytest.fixture(params=[1, 4, BATCH], ids=lambda number: f"{number} images at once")
def at_once(request, monkeypatch):
    """Images whose responses a cache is said to hold; 4 leave 2 of 6."""

    def hold(filters: int, height: int, width: int) -> None:
        monkeypatch.setattr(pooled_layers, "AT_ONCE", request.param * filters * height * width)

    return hold


@pytest.mark.parametrize(("channels", "filters", "height", "width"), SHAPES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("padding", [1, 2])
def test_outputs_gradients_and_statistics_equal_the_long_way(
    channels, filters, height, width, layout, padding, at_once
):
    at_once(filters, height, width)
    ours, theirs = (Pooled(channels, filters, padding=padding) for _ in range(2))
    torch.manual_seed(1)
    images = torch.randn(BATCH, channels, height, width, dtype=torch.float64)
    given = [images.clone().contiguous(memory_format=layout).requires_grad_() for _ in range(2)]
    found, expected = ours(given[0]), theirs.take_the_long_way(given[1])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    pull = torch.randn_like(expected)
    for output in (found, expected):
        (output * pull).sum().backward()
    torch.testing.assert_close(given[0].grad, given[1].grad, rtol=0, atol=1e-9)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert other.grad.abs().max() > 1e-3
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-9, atol=1e-9)
    for one, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_in_float32_it_is_no_less_exact_than_the_long_way():
    exact, images = Pooled(3, 16), torch.randn(64, 3, 28, 28)
    expected = exact.take_the_long_way(images.double())
    ours, theirs = Pooled(3, 16).float(), Pooled(3, 16).float()
    error, usual = (
        (output.double() - expected).abs().max()
        for output in (ours(images), theirs.take_the_long_way(images))
    )
    assert error < 2 * usual + 1e-6


def test_stacked_folds_get_what_each_gets_alone():
    nets = [Pooled(3, 4, seed) for seed in range(3)]
    images = torch.randn(3, BATCH, 3, 10, 10, dtype=torch.float64)
    parameters, buffers = stack_module_state(nets)  # type: ignore[arg-type]

    def call(parameters, buffers, images):
        return functional_call(nets[0], (parameters, buffers), (images,))

    found = torch.vmap(call)(parameters, buffers, images)
    found.square().sum().backward()
    alone = torch.stack([net(each) for net, each in zip(nets, images, strict=True)])
    alone.square().sum().backward()
    assert torch.equal(found, alone)
    for name, value in parameters.items():
        own = torch.stack([net.get_parameter(name).grad for net in nets])
        assert torch.equal(value.grad, own)


def test_a_number_that_is_none_is_not_hidden():
    images = torch.randn(BATCH, 3, 10, 10, dtype=torch.float64)
    images[2, 1, 4, 5] = torch.nan
    assert Pooled(3, 4)(images).isnan().all()


def test_it_is_not_taken_where_precision_is_mixed():
    convolution, images = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 9, 9)
    assert is_faster(convolution, images)
    assert not is_faster(convolution, images.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_faster(convolution, images)
