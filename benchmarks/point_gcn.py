"""Lite point GCN against the same layers as one writes them down from the paper."""

import multiprocessing
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.timing import in_turn
from merec.backbones import LitePointGCN
from merec.backbones.kernels.acceleration import accelerate
from merec.backbones.lite_point_gcn import Legacy
from merec.tasks.process_setup import keep_freed_memory

BATCH = 32  # the recipe's
SIZES = (256, 1024)  # points per region


class PublishedLayers(nn.Module):
    """The published network in plain torch, written from the paper's tables.

    Convolutions of kernel 1 over maps of points, batch norm over the maps, gathers, a maximum. Parameters
    come in the order of the paper's table.

    Args:
        num_classes: Number of classes.
        keep: Points of a region in the first and the later stages.
        dropout: Whether there is any.
    """

    def __init__(self, num_classes: int, keep: tuple[int, int], dropout: bool):
        super().__init__()
        self.keep = keep
        self.first = _stage(6, (64, 64, 128))
        self.second = _stage(131, (128, 128, 256))
        self.third = _stage(259, (256, 512, 1024))
        share = 0.2 if dropout else 0.0
        self.enter = _PlainGraphLayer(1024, 512, share)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(_PlainGraphLayer(512, 512, share) for _ in range(2))) for _ in range(2)
        )
        self.leave = _PlainGraphLayer(512, 1024, None)
        self.head = nn.Sequential(
            *(nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.ReLU()),
            *(nn.Dropout(0.4 if dropout else 0), nn.Linear(512, num_classes)),
        )

    def forward(self, points: Tensor) -> Tensor:
        """Logits of points (batch, 8, k, 6), ranked by their motion as it comes."""
        place, motion = points[..., :3], points[..., 3:]
        place, motion, _ = self._take(self.keep[0], motion, place, motion)
        features = self._share(self.first, torch.cat([place, motion], -1))
        place, features, _ = self._take(self.keep[1], motion, place, features)
        features = self._share(self.second, torch.cat([place, features], -1))
        pooled = self._share(self.third, torch.cat([place, features], -1)).amax(2)
        nodes = self.enter(pooled)
        for block in self.blocks:
            nodes = nodes + block(nodes)
        return self.head((self.leave(nodes) + pooled).mean(1))

    def _take(self, k: int, motion: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        order = motion.norm(dim=-1).topk(k, dim=2).indices[..., None]
        return tuple(
            value.gather(2, order.expand(-1, -1, -1, value.shape[-1]))
            for value in (*values, motion)
        )

    def _share(self, stage: nn.Module, points: Tensor) -> Tensor:
        return stage(points.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class _PlainGraphLayer(nn.Module):
    """A · X · W + b; then, unless `dropout` is None, batch norm of all nodes' values, tanh and dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float | None):
        super().__init__()
        self.adjacency = nn.Parameter(torch.full((8, 8), 0.01) + 0.99 * torch.eye(8))
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.norm = None if dropout is None else nn.BatchNorm1d(8 * outputs)
        self.dropout = nn.Dropout(dropout or 0.0)

    def forward(self, nodes: Tensor) -> Tensor:
        mixed = torch.einsum("ij,bjf,fg->big", self.adjacency, nodes, self.weight) + self.bias
        if self.norm is None:
            return mixed
        return self.dropout(self.norm(mixed.flatten(1)).tanh()).view_as(mixed)


def _stage(inputs: int, widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(inputs, width, 1), nn.BatchNorm2d(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers)


def make_both(k: int, dropout: bool) -> tuple[LitePointGCN, PublishedLayers]:
    """Both of the paper's widths, with equal weights.

    Args:
        k: Points per region.
        dropout: Whether there is any.
    """
    torch.manual_seed(0)
    network = LitePointGCN(
        in_channels=6,
        num_classes=4,
        features=["x", "y", "z", "u", "v", "dz"],
        keep=[0.5, 0.125],
        widths=[[64, 64, 128], [128, 128, 256], [256, 512, 1024]],
        pool="max",
        graph="learned",
        graph_width=512,
        graph_blocks=2,
        graph_dropout=0.2 if dropout else 0.0,
        head_width=512,
        head_dropout=0.4 if dropout else 0.0,
        apart=True,
        centre_motion=False,
        legacy=Legacy(detach_stages=False, rank_centred=False, drop_to_first=False),
    )
    published = PublishedLayers(4, (k // 2, k // 8), dropout)
    with torch.no_grad():  # both come in the order of the paper's table
        for rows, other in zip(published.parameters(), network.parameters(), strict=True):
            rows.copy_(other.view_as(rows))
    accelerate(network)
    return network, published


def learn(network: nn.Module, points: Tensor) -> None:
    """Forward and backward pass of a batch."""
    label = torch.arange(len(points)) % 4
    network.zero_grad()
    cross_entropy(network(points), label).backward()


class Trainee:
    """A network in a process of its own, for how a process keeps its memory is set once.

    Args:
        which: 0 merec's, 1 the published layers.
        k: Points per region.
        keep: Whether freed memory is kept, as where merec trains.
    """

    def __init__(self, which: int, k: int, keep: bool):
        self.pool = multiprocessing.get_context("spawn").Pool(1, _set_up, (which, k, keep))

    def __call__(self, job: Callable[[], float | None]) -> float | None:
        """Return the result of a job of the process."""
        return self.pool.apply(job)


def _set_up(which: int, k: int, keep: bool) -> None:
    global network, points, unused
    torch.set_num_threads(1)
    if keep:
        keep_freed_memory()
    network, points = make_both(k, True)[which], torch.randn(BATCH, 8, k, 6)
    unused = _read_peak()


def _learn() -> None:
    learn(network.train(), points)


@torch.inference_mode()
def _look() -> None:
    network.eval()(points[:1])


def _grow() -> float:
    """MB that learning has added to the process."""
    return _read_peak() - unused


def _read_peak() -> float:
    """MB that this process held at most; what getrusage gives begins with its parent's."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) / 1024


def describe_point_gcn(repeats: int) -> list[str]:
    """Lines for the README of the measurements."""
    lines = [
        "",
        "## Lite point GCN",
        "",
        f"The paper's widths, batches of {BATCH}, one thread, a process each, in turn. The reference is the "
        "published layers as convolutions of kernel 1, of equal outputs (`tests/backbones`), in plain torch; "
        "once more it runs in a process that keeps freed memory, as merec's do. Memory is what learning "
        "adds to a process.",
        "",
        "| points per region | pass | plain torch | memory kept | merec | plain / merec | kept / merec |",
        "|---|---|---|---|---|---|---|",
    ]
    for k in SIZES:
        runs = {
            "plain": Trainee(1, k, False),
            "kept": Trainee(1, k, True),
            "ours": Trainee(0, k, True),
        }
        learned, looked = (
            in_turn(repeats, **{name: partial(run, job) for name, run in runs.items()})
            for job in (_learn, _look)
        )
        rows = {
            "forward and backward, ms a sample": {n: 1e3 * s / BATCH for n, s in learned.items()},
            "one clip, forward, ms": {name: 1e3 * seconds for name, seconds in looked.items()},
            "memory, MB": {name: run(_grow) for name, run in runs.items()},
        }
        lines += [
            f"| {k} | {what} | {row['plain']:.1f} | {row['kept']:.1f} | {row['ours']:.1f} "
            f"| {row['plain'] / row['ours']:.2f}× | {row['kept'] / row['ours']:.2f}× |"
            for what, row in rows.items()
        ]
        for run in runs.values():
            run.pool.terminate()
    return lines
