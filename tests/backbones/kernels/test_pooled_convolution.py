"""The compiled step computes what convolution, ReLU, batch norm and pooling compute one after the other."""

import logging
import shutil

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.functional import max_pool2d

from merec.backbones.kernels.batch_statistics import update_statistics
from merec.backbones.kernels.pooled_convolution import (
    KEEP_ALL,
    PooledConvolution,
    compile_kernel,
    count_pooled,
    count_responses,
    find_kernel,
)

needs_compiler = pytest.mark.skipif(
    shutil.which("c++") is None, reason="needs a C++ compiler, to compile the kernel"
)
SHAPES = [
    (3, 16, 28, 28),
    (2, 3, 7, 11),
    (1, 24, 10, 8),
    (5, 33, 4, 4),
    (2, 8, 9, 6),  # the last row and column of responses are in no window if padded by 1
    (1, 5, 28, 7),  # if padded by 2
]  # channels, filters, height, width


class Pooled(nn.Module):
    """Both ways from the same weights."""

    def __init__(self, channels: int, filters: int, compiled: bool, padding: int):
        super().__init__()
        self.padding = padding
        self.convolution = nn.Conv2d(channels, filters, 3, padding=padding)
        self.norm = nn.BatchNorm2d(filters)
        self.compiled = compiled
        self.drawn: tuple = KEEP_ALL

    def forward(self, images: Tensor) -> Tensor:
        convolution, norm = self.convolution, self.norm
        if not self.compiled:
            pooled = max_pool2d(norm(convolution(images).relu()), 3, 3, 1)
            words, below, larger = self.drawn
            if words is None:
                return pooled
            return pooled * (words < below).permute(0, 3, 1, 2) * larger
        pooled, mean, variance, *_ = PooledConvolution.apply(
            *(images, convolution.weight, convolution.bias, norm.weight, norm.bias, norm.eps),
            *(self.padding, *self.drawn),
        )
        count = [count_responses(size, self.padding) for size in images.shape[2:]]
        update_statistics(norm, mean, variance, len(images) * count[0] * count[1])
        return pooled


def make_pair(
    channels: int, filters: int, seed: int = 0, padding: int = 1
) -> tuple[Pooled, Pooled]:
    """The compiled one, and the same layers in float64."""
    torch.manual_seed(seed)
    ours = Pooled(channels, filters, compiled=True, padding=padding)
    with torch.no_grad():  # some negative: there the smallest response is pooled
        ours.norm.weight.uniform_(-1, 1)
        ours.norm.bias.uniform_(-1, 1)
    theirs = Pooled(channels, filters, compiled=False, padding=padding)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs.double()


def make_images(channels: int, height: int, width: int, folds: int = 1) -> Tensor:
    torch.manual_seed(7)
    images = torch.randn(folds, 6, channels, height, width)
    return images[0] if folds == 1 else images


@needs_compiler
@pytest.mark.parametrize(("channels", "filters", "height", "width"), SHAPES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("drops", [False, True])
@pytest.mark.parametrize("padding", [1, 2])
def test_outputs_gradients_and_statistics_equal_the_layers_in_float64(
    channels, filters, height, width, layout, drops, padding
):
    ours, theirs = make_pair(channels, filters, padding=padding)
    if drops:
        shape = (6, count_pooled(height, padding), count_pooled(width, padding), filters)
        words = torch.randint(-(2**15), 2**15, shape, dtype=torch.int16)
        ours.drawn = theirs.drawn = (words, 2**14, 4 / 3)
    images = make_images(channels, height, width).contiguous(memory_format=layout)
    actual, expected = ours(images), theirs(images.double())
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-5)
    pull = torch.randn_like(expected)
    (actual * pull.float()).sum().backward()
    (expected * pull).sum().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        size = other.grad.abs().max()
        assert size > 1e-3
        torch.testing.assert_close(one.grad.double() / size, other.grad / size, rtol=0, atol=1e-5)
    for name, value in theirs.norm.named_buffers():
        torch.testing.assert_close(
            ours.norm.get_buffer(name).double(), value.double(), rtol=1e-5, atol=1e-6
        )


@needs_compiler
def test_a_number_that_is_none_is_not_hidden():
    ours, _ = make_pair(3, 16)
    images = make_images(3, 28, 28)
    images[2, 1, 4, 5] = torch.nan
    assert ours(images).isnan().all()


@needs_compiler
def test_stacked_folds_get_what_each_gets_alone():
    nets = [make_pair(3, 16, seed)[0] for seed in range(3)]
    images = make_images(3, 28, 28, folds=3)
    parameters, buffers = stack_module_state(nets)  # type: ignore[arg-type]
    template = nets[0]

    def call(parameters, buffers, images):
        return functional_call(template, (parameters, buffers), (images,))

    actual = torch.vmap(call)(parameters, buffers, images)
    actual.square().sum().backward()
    alone = torch.stack([net(entry) for net, entry in zip(nets, images, strict=True)])
    alone.square().sum().backward()
    assert torch.equal(actual, alone)
    for name, value in parameters.items():
        rows = torch.stack([net.get_parameter(name).grad for net in nets])
        assert torch.equal(value.grad, rows)
    for name, value in buffers.items():
        assert torch.equal(value, torch.stack([net.get_buffer(name) for net in nets]))


@needs_compiler
def test_the_kernel_is_taken_for_what_it_can_do_only():
    ours, _ = make_pair(3, 16)
    images = make_images(3, 28, 28)
    assert find_kernel(ours.convolution, images) is not None
    assert find_kernel(ours.convolution, images.double()) is None
    assert find_kernel(ours.convolution, images[..., :27]) is not None
    assert find_kernel(ours.convolution, images.clone().requires_grad_()) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert find_kernel(ours.convolution, images) is None


@pytest.mark.parametrize(
    ("compiler", "message"),
    [("no-such-compiler", "no C++ compiler is found"), ("false", "were not compiled")],
)
def test_without_a_working_compiler_there_is_no_kernel_and_the_log_says_why(
    monkeypatch, caplog, tmp_path, compiler, message
):
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path))
    compile_kernel.cache_clear()
    with caplog.at_level(logging.INFO, "merec"):
        assert compile_kernel(3, 8) is None
    assert message in caplog.text
    assert not list(tmp_path.rglob("*.so"))
    compile_kernel.cache_clear()


@needs_compiler
def test_a_kernel_is_compiled_once_for_a_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path))
    compile_kernel.cache_clear()
    assert compile_kernel(1, 8) is not None
    (file,) = tmp_path.rglob("*.so")
    before = file.stat().st_mtime_ns
    compile_kernel.cache_clear()
    assert compile_kernel(1, 8) is not None
    assert file.stat().st_mtime_ns == before
    compile_kernel.cache_clear()
