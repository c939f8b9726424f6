"""Limits of two cores for one network or two: operations, bytes, and what the machine reaches of both."""

import multiprocessing
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import in_turn
from merec.config import build, compose_node
from merec.tasks.process_setup import keep_freed_memory

SIDE = 2048  # of matrices, to see what a core can do
THREADS = (1, 2)


class Subject(NamedTuple):
    """A network and its usual batch."""

    title: str
    overrides: list[str]
    in_channels: int | tuple[int, int]
    shapes: list[tuple[int, ...]]


SUBJECTS = {
    "ststnet": Subject("STSTNet, 28 px", ["backbone=ststnet"], 3, [(256, 3, 28, 28)]),
    "lite_point_gcn": Subject(
        "lite point GCN, K = 128", ["backbone=lite_point_gcn"], 6, [(32, 8, 128, 6)]
    ),
    "dual_view": Subject(
        "dual view, resnet18, 64 px",
        ["backbone=dual_view", "backbone.size=64"],
        (3, 1),
        [(32, 3, 64, 64), (32, 1, 64, 64)],
    ),
}


class Found(NamedTuple):
    """Cost of one network, on so many threads.

    Attributes:
        operations: Of a step, floating point; multiplication and addition count as two.
        traffic: Bytes that its operators read and write.
        learn: Seconds of a step.
        look: Seconds of the forward pass of one clip.
    """

    operations: int
    traffic: int
    learn: float
    look: float


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of what operators take and give."""

    total = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        actual = function(*args, **(kwargs or {}))
        if not function.is_view:
            tensors = [
                entry for entry in tree_leaves((args, kwargs, actual)) if isinstance(entry, Tensor)
            ]
            self.total += sum(entry.nbytes for entry in tensors)
        return actual


def measure_network(name: str, threads: int, repeats: int) -> Found:
    """Count and time a network; in a process of its own, as threads are set once."""
    subject = SUBJECTS[name]
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.manual_seed(0)
    backbone = build(compose_node("backbone", subject.overrides))
    network: nn.Module = backbone(in_channels=subject.in_channels, num_classes=4)
    views = [torch.randn(shape) for shape in subject.shapes]
    views = [
        view.contiguous(memory_format=torch.channels_last) if name != "lite_point_gcn" else view
        for view in views
    ]
    label = torch.arange(len(views[0])) % 4

    def pack(some: list[Tensor]) -> Any:
        return some[0] if len(some) == 1 else tuple(some)

    def learn() -> None:
        network.train()
        cross_entropy(network(pack(views)), label).backward()

    @torch.inference_mode()
    def look() -> None:
        network.eval()
        network(pack([view[:1] for view in views]))

    learn()
    with FlopCounterMode(display=False) as counter:
        learn()
    with _Traffic() as traffic:
        learn()
    spent = in_turn(repeats, learn=learn, look=look)
    return Found(counter.get_total_flops(), traffic.total, spent["learn"], spent["look"])


def measure_machine(threads: int, repeats: int) -> tuple[float, float]:
    """Operations a second of a large product, and bytes a second of a copy."""
    torch.set_num_threads(threads)
    one, other = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    long = torch.randn(1 << 26)
    into = torch.empty_like(long)
    spent = in_turn(repeats, product=lambda: one @ other, copy=lambda: into.copy_(long))
    return 2 * SIDE**3 / spent["product"], 2 * long.nbytes / spent["copy"]


def run_apart(job: Callable[..., Any], *given: Any) -> Any:
    """Return the result of a job in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(job, given)


def describe_roofline(repeats: int) -> list[str]:
    """Lines for the README of the measurements."""
    machine = {number: run_apart(measure_machine, number, repeats) for number in THREADS}
    peaks = " and ".join(
        f"{operations / 1e9:.0f} GFLOP/s, {moved / 1e9:.1f} GB/s on {number} thread{'s' * (number > 1)}"
        for number, (operations, moved) in machine.items()
    )
    lines = [
        "",
        "## What two cores can give",
        "",
        f"A step of each network (batches of the recipe), a process each. The machine: {peaks} (a product of "
        f"{SIDE}² matrices, a copy of 256 MB). One fold on two threads is *a* times as fast as on one; two "
        "folds on a core each are at most twice as fast, so `processes` can gain 2 / *a* over `loop`. Bytes "
        "are what operators read and write, much of it in the cache. Operations of the compiled kernel are "
        "not counted.",
        "",
        "| network | MFLOP a sample | MB a sample | ms a sample, 1 thread | 2 threads | *a* "
        "| GFLOP/s, 1 thread | of the product's | 2 / *a* | one clip, forward, ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, subject in SUBJECTS.items():
        one, two = (run_apart(measure_network, name, number, repeats) for number in THREADS)
        batch = subject.shapes[0][0]
        rate, gain = one.operations / one.learn, one.learn / two.learn
        lines.append(
            f"| {subject.title} | {one.operations / batch / 1e6:.1f} | {one.traffic / batch / 1e6:.2f} "
            f"| {1e3 * one.learn / batch:.3f} | {1e3 * two.learn / batch:.3f} | {gain:.2f} "
            f"| {rate / 1e9:.0f} | {100 * rate / machine[1][0]:.0f} % | {2 / gain:.2f} "
            f"| {1e3 * one.look:.2f} |"
        )
    return lines
