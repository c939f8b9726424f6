"""The dual-view network equals the published layers, written here as plain functions in float64.

The reference is written from the layer tables of Li et al. 2025 and their released code, and takes nothing of
merec's network but its parameters, in their order.
"""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, max_pool2d

from merec.backbones import DualView

SIZE, LABEL = 64, torch.tensor([0, 3, 1, 2, 2, 0])
STEM = (7, 2, 3)  # kernel, stride, padding
ALEXNET = ((11, 4, 2, True), (5, 1, 2, True), (3, 1, 1, False), (3, 1, 1, False), (3, 1, 1, True))
STAGES = {"resnet18": ((2, 2, 2, 2), False), "resnet50": ((3, 4, 6, 3), True)}


def normalise(values: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Batch norm with the statistics of the batch; channels are axis 1."""
    axes = [axis for axis in range(values.ndim) if axis != 1]
    shape = (1, -1, *[1] * (values.ndim - 2))
    mean = values.mean(axes, keepdim=True)
    variance = ((values - mean) ** 2).mean(axes, keepdim=True)
    values = (values - mean) / (variance + 1e-5).sqrt()
    return values * gamma.view(shape) + beta.view(shape)


def clip(values: Tensor) -> Tensor:
    return torch.where(values > 0, values, torch.zeros_like(values))


def convolve(values: Tensor, p: Iterator[Tensor], stride: int, padding: int) -> Tensor:
    """Convolution without bias and batch norm."""
    return normalise(conv2d(values, next(p), None, stride, padding), next(p), next(p))


def run_alexnet(values: Tensor, p: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Maps of layer 5 and the embedding."""
    for _, stride, padding, pooled in ALEXNET:
        values = clip(convolve(values, p, stride, padding))
        values = max_pool2d(values, 3, 2) if pooled else values
    maps, row = values, values.flatten(1)
    for _ in range(2):
        row = clip(normalise(row @ next(p).T + next(p), next(p), next(p)))
    return maps, row @ next(p).T + next(p)


def run_resnet(values: Tensor, p: Iterator[Tensor], encoder: str) -> tuple[Tensor, Tensor]:
    """Maps of layer 5 and the embedding."""
    values = max_pool2d(clip(convolve(values, p, *STEM[1:])), 3, 2, 1)
    blocks, bottleneck = STAGES[encoder]
    for stage, (width, depth) in enumerate(zip((32, 64, 128, 256), blocks, strict=True)):
        for block in range(depth):
            stride = 2 if stage and not block else 1
            if bottleneck:
                inner = clip(convolve(values, p, 1, 0))
                inner = clip(convolve(inner, p, stride, 1))
                inner = convolve(inner, p, 1, 0)
            else:
                inner = convolve(clip(convolve(values, p, stride, 1)), p, 1, 1)
            assert inner.shape[1] == width * (4 if bottleneck else 1)
            if not block and inner.shape != values.shape:
                values = convolve(values, p, stride, 0)
            values = clip(inner + values)
    return values, values.mean((2, 3)) @ next(p).T + next(p)


def run(
    views: tuple[Tensor, Tensor], parameters: list[Tensor], encoder: str, attention: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, and the embedding of each view."""
    p, maps, embeddings = iter(parameters), [], []
    for view in views:
        actual = run_alexnet(view, p) if encoder == "alexnet" else run_resnet(view, p, encoder)
        maps.append(actual[0])
        embeddings.append(actual[1] / (actual[1] ** 2).sum(1, keepdim=True).sqrt())
    whole = torch.cat(maps, 1)
    if attention:
        squeeze, stretch, window, shift = (next(p) for _ in range(4))
        strongest, mean = whole.amax((2, 3)), whole.mean((2, 3))
        gate = sum(clip(row @ squeeze.T) @ stretch.T for row in (strongest, mean))
        gated = whole * torch.sigmoid(gate)[:, :, None, None]
        summary = torch.stack([gated.amax(1), gated.mean(1)], 1)
        whole = whole + gated * torch.sigmoid(conv2d(summary, window, shift, padding=1))
    logits = whole.flatten(1) @ next(p).T + next(p)
    assert next(p, None) is None
    return logits, embeddings[0], embeddings[1]


@pytest.mark.parametrize(
    ("encoder", "attention"),
    [
        ("resnet18", True),
        pytest.param("resnet18", False, marks=pytest.mark.slow),
        pytest.param("resnet50", False, marks=pytest.mark.slow),
        pytest.param("alexnet", False, marks=pytest.mark.slow),
    ],
)
def test_logits_embeddings_and_gradients_equal_the_published_network(encoder, attention):
    torch.manual_seed(0)
    network = DualView((3, 1), 4, encoder, SIZE, embedding=128, attention=attention).double()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, std=0.2)
    views = tuple(torch.randn(6, channels, SIZE, SIZE, dtype=torch.float64) for channels in (3, 1))
    parameters = [value.detach().clone().requires_grad_() for value in network.parameters()]
    actual = (network(views), *network.encode(views))
    expected = run(views, parameters, encoder, attention)
    weights = torch.randn(2, 6, 128, dtype=torch.float64)
    for logits, first, second in (actual, expected):
        loss = (
            cross_entropy(logits, LABEL) + (weights[0] * first).sum() + (weights[1] * second).sum()
        )
        loss.backward()
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    for (name, value), rows in zip(network.named_parameters(), parameters, strict=True):
        assert value.grad is not None
        atol = 1e-9 * max(1.0, float(rows.grad.abs().max()))
        torch.testing.assert_close(value.grad, rows.grad, rtol=0, atol=atol, msg=name)
