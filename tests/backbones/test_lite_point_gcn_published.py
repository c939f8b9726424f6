"""Lite point GCN equals the network of the paper, written here as plain loops in float64.

The reference is written from the paper's tables (Zhang et al. 2025, and its released code), sample by sample
and region by region, and shares no code with merec.
"""

from itertools import pairwise
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.point_gcn import make_both
from merec.backbones import LitePointGCN
from merec.config import build, compose_node

REGIONS = 8
EPS, MOMENTUM = 1e-5, 0.1  # of a batch norm
LABEL = torch.tensor([0, 3, 1, 2, 2, 0])
STAGES = ((6, 64, 64, 128), (131, 128, 128, 256), (259, 256, 512, 1024))
GRAPH = ((1024, 512), (512, 512), (512, 512), (512, 512), (512, 512), (512, 1024))


def list_shapes(num_classes: int) -> list[tuple[int, ...]]:
    """Shapes of all parameters in the order of the paper's table."""
    shapes: list[tuple[int, ...]] = []
    for widths in STAGES:
        for before, width in pairwise(widths):
            shapes += [(width, before), (width,), (width,), (width,)]
    for number, (before, width) in enumerate(GRAPH):
        shapes += [(REGIONS, REGIONS), (before, width), (width,)]
        if number < 5:
            shapes += [(REGIONS * width,), (REGIONS * width,)]
    return [*shapes, (512, 1024), (512,), (512,), (512,), (num_classes, 512), (num_classes,)]


class Running(NamedTuple):
    """Statistics that the batch norms keep, in their order."""

    mean: list[Tensor]
    variance: list[Tensor]


class Reference:
    """One pass of the published network.

    Args:
        parameters: In the order of `list_shapes`.
        keep: Points of a region in the first stage, and in the second and third.
        running: Statistics to predict with; without them those of the batch are used, and collected.
        centre: Whether motion is centred and divided by its largest radius.
        rank_centred: Whether points are ranked by centred motion, as the release does.
        drop_to_first: Whether dropped points become the first of their region, as in the release.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        keep: tuple[int, int],
        running: Running | None = None,
        centre: bool = False,
        rank_centred: bool = False,
        drop_to_first: bool = False,
    ):
        self.parameters, self.keep = iter(parameters), keep
        self.predicting = running is not None
        self.running = running or Running([], [])
        self.centre, self.rank_centred, self.drop_to_first = centre, rank_centred, drop_to_first
        self.norms = 0

    def take(self, count: int) -> list[Tensor]:
        return [next(self.parameters) for _ in range(count)]

    def normalise(self, rows: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """Batch norm of the columns."""
        if self.predicting:
            mean, variance = (part[self.norms] for part in self.running)
        else:
            mean = rows.sum(0) / len(rows)
            variance = ((rows - mean) ** 2).sum(0) / len(rows)
            unbiased = variance.detach() * len(rows) / (len(rows) - 1)
            self.running.mean.append(MOMENTUM * mean.detach())
            self.running.variance.append(1 - MOMENTUM + MOMENTUM * unbiased)
        self.norms += 1
        return gamma * (rows - mean) / torch.sqrt(variance + EPS) + beta

    def share(self, regions: list[list[Tensor]]) -> list[list[Tensor]]:
        """Three shared layers of convolution of kernel 1, batch norm, ReLU."""
        for _ in range(3):
            weight, bias, gamma, beta = self.take(4)
            rows = torch.cat([points for sample in regions for points in sample])
            rows = self.normalise(rows @ weight.T + bias, gamma, beta)
            rows = torch.where(rows > 0, rows, torch.zeros_like(rows))
            parts = iter(rows.split([len(points) for sample in regions for points in sample]))
            regions = [[next(parts) for _ in sample] for sample in regions]
        return regions

    def convolve(self, samples: list[Tensor], normed: bool) -> list[Tensor]:
        """A · X · W + b, then batch norm of 8·width values and tanh."""
        a, weight, bias = self.take(3)
        samples = [a @ nodes @ weight + bias for nodes in samples]
        if not normed:
            return samples
        rows = self.normalise(torch.stack([nodes.reshape(-1) for nodes in samples]), *self.take(2))
        return [torch.tanh(row).reshape(REGIONS, -1) for row in rows]

    def choose(self, sample: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Place and motion of the points of each region that the first stage sees."""
        true = sample[:, :, 3:6]
        motion = true
        if self.centre:
            motion = motion - motion.reshape(-1, 3).mean(0)
            motion = motion / max(float(point.norm()) for point in motion.reshape(-1, 3))
        regions = []
        for region in range(REGIONS):
            points = range(sample.shape[1])
            source = list(points)
            if sample.shape[2] == 7:
                kept = [point for point in points if sample[region, point, 6] > 0]
                source = [p if p in kept or not self.drop_to_first else 0 for p in points]
                if not self.drop_to_first:
                    source = kept
            ranked = motion if self.rank_centred else true
            source.sort(key=lambda point: -float(ranked[region, point].norm()))
            source = [source[number % len(source)] for number in range(self.keep[0])]
            regions.append((sample[region, source, :3], motion[region, source]))
        return regions

    def __call__(self, points: Tensor) -> Tensor:
        """Logits of points (batch, 8, k, 6 or, with a mark of dropped ones, 7)."""
        chosen = [self.choose(sample) for sample in points]
        places = [[place for place, _ in sample] for sample in chosen]
        actual = self.share([[torch.cat(pair, 1) for pair in sample] for sample in chosen])
        for _ in (1, 2):
            k = self.keep[1]
            actual = [
                [torch.cat([place[:k], seen[:k]], 1) for place, seen in zip(*pair, strict=True)]
                for pair in zip(places, actual, strict=True)
            ]
            actual = self.share(actual)
        pooled = [torch.stack([seen.max(0).values for seen in sample]) for sample in actual]
        nodes = self.convolve(pooled, True)
        for _ in range(2):
            inner = self.convolve(self.convolve(nodes, True), True)
            nodes = [one + other for one, other in zip(nodes, inner, strict=True)]
        last = self.convolve(nodes, False)
        rows = torch.stack([(x + y).mean(0) for x, y in zip(last, pooled, strict=True)])
        weight, bias, gamma, beta, out, shift = self.take(6)
        rows = self.normalise(rows @ weight.T + bias, gamma, beta)
        assert next(self.parameters, None) is None
        return torch.where(rows > 0, rows, torch.zeros_like(rows)) @ out.T + shift


def make(*overrides: str) -> LitePointGCN:
    """The default network in float64, without dropout of responses, its norms not at their start."""
    torch.manual_seed(0)
    node = compose_node("backbone", ["backbone=lite_point_gcn", *overrides])
    network = build(node)(in_channels=6, num_classes=4).double()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, std=0.7)  # some turn the largest into the smallest
            nn.init.normal_(module.bias, std=0.3)
    return network


def draw(k: int, marked: bool) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    points = torch.randn((6, 8, k, 6), generator=generator, dtype=torch.float64)
    points[..., 3:] += 0.5  # not centred
    if not marked:
        return points
    kept = (
        torch.rand((6, 8, k, 1), generator=generator)
        < torch.linspace(0.2, 0.9, 6)[:, None, None, None]
    )
    kept[:, :, -1] = True
    return torch.cat([points, kept.double()], -1)


def copy_parameters(network: nn.Module) -> list[Tensor]:
    """Copies in the order of the table; a convolution of kernel 1 is a matrix."""
    return [
        value.detach().reshape(shape).clone().requires_grad_()
        for value, shape in zip(network.parameters(), list_shapes(4), strict=True)
    ]


def assert_close(one: Tensor, other: Tensor, name: str = "") -> None:
    """Equal to 1e-10, of the largest value where that is above 1."""
    atol = 1e-10 * max(1.0, float(other.detach().abs().max()))
    torch.testing.assert_close(one, other, rtol=0, atol=atol, msg=lambda text: f"{name}: {text}")


LEGACY = ("backbone.legacy.rank_centred=true", "backbone.legacy.drop_to_first=true")


@pytest.mark.parametrize(
    ("overrides", "marked", "changes"),
    [
        (("backbone.centre_motion=false",), False, {}),
        ((), False, {"centre": True}),
        ((), True, {"centre": True}),
        (LEGACY, True, {"centre": True, "rank_centred": True, "drop_to_first": True}),
    ],
    ids=["layers", "centred", "dropped", "released"],
)
def test_outputs_and_gradients_equal_the_published_network(overrides, marked, changes):
    """In training with the batch's statistics and in prediction with those kept, to 1e-10."""
    network, points = make(*overrides), draw(16, marked)
    parameters = copy_parameters(network)
    learned = Reference(parameters, (8, 2), **changes)
    logits, expected = network(points), learned(points)
    assert_close(logits, expected, "logits")
    cross_entropy(logits, LABEL).backward()
    cross_entropy(expected, LABEL).backward()
    for (name, value), rows in zip(network.named_parameters(), parameters, strict=True):
        assert value.grad is not None, name
        assert rows.grad is not None
        assert_close(value.grad, rows.grad.view_as(value), name)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm, mean, variance in zip(norms, *learned.running, strict=True):
        assert_close(norm.running_mean, mean)
        assert_close(norm.running_var, variance)
    network.zero_grad()
    again = copy_parameters(network)
    answers = network.eval()(points[..., :6])
    predicted = Reference(again, (8, 2), learned.running, **changes)(points[..., :6])
    assert_close(answers, predicted, "prediction")
    answers.square().sum().backward()
    predicted.square().sum().backward()
    for (name, value), rows in zip(network.named_parameters(), again, strict=True):
        assert rows.grad is not None
        assert_close(value.grad, rows.grad.view_as(value), name)


def test_parameters_are_those_of_the_published_table():
    network = make()
    shapes = list_shapes(4)
    assert sum(value.numel() for value in network.parameters()) == 3_477_892
    assert [value.numel() for value in network.parameters()] == [
        torch.Size(shape).numel() for shape in shapes
    ]


def test_exactly_sixteen_biases_are_cancelled_by_a_norm_and_every_other_weight_learns():
    """Found by their gradients at the reference, not by a list of names."""
    parameters = copy_parameters(make())
    logits = Reference(parameters, (8, 2), centre=True)(draw(16, False))
    gradients = torch.autograd.grad(cross_entropy(logits, LABEL), parameters)
    still = [gradient for gradient in gradients if gradient.abs().max() < 1e-8]
    assert all(gradient.ndim == 1 for gradient in still)
    assert (len(still), sum(gradient.numel() for gradient in still)) == (16, 6_656)


@pytest.mark.parametrize("train", [True, False])
def test_the_plain_network_of_the_benchmark_is_the_published_one(train):
    _, plain = make_both(16, dropout=False)
    plain.double().train(train)
    points = draw(16, False)
    start = [torch.zeros(norm.num_features, dtype=torch.float64) for norm in list_norms(plain)]
    running = None if train else Running(start, [value + 1 for value in start])
    parameters = copy_parameters(plain)
    logits, expected = plain(points), Reference(parameters, (8, 2), running)(points)
    assert_close(logits, expected)
    cross_entropy(logits, LABEL).backward()
    cross_entropy(expected, LABEL).backward()
    for value, rows in zip(plain.parameters(), parameters, strict=True):
        assert rows.grad is not None
        assert_close(value.grad, rows.grad.view_as(value))


def list_norms(network: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    return [module for module in network.modules() if isinstance(module, kinds)]
