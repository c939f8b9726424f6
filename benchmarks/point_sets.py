"""Networks of point sets against the same networks with an expanded list of edges in torch_geometric."""

import copy
from functools import partial

import torch
from torch import nn

from benchmarks.point_gcn import learn
from benchmarks.timing import in_turn
from merec.backbones.kernels.acceleration import accelerate
from merec.config import build, compose_node

BATCH, K = 16, 256  # the recipe's samples, points per region
NAMES = ("pointnet2", "edgeconv")


def make_both(name: str) -> tuple[nn.Module, nn.Module]:
    """Make a network as torch_geometric computes it, and its faster form with the same weights.

    Nothing is dropped, so that outputs can be compared.
    """
    torch.manual_seed(0)
    config = compose_node("backbone", [f"backbone={name}", "backbone.head_dropout=0"])
    expanded = build(config)(in_channels=6, num_classes=7)
    return expanded, accelerate(copy.deepcopy(expanded))


def describe_point_sets(repeats: int) -> list[str]:
    """Return the lines of the measurements for the README."""
    lines = [
        "",
        "## Networks of point sets",
        "",
        f"Forward and backward pass of {BATCH} samples with {K} points per region, one thread, in turn. The "
        "reference is the same network with a list of all edges and torch_geometric's layers as they are. "
        "Difference: largest between the logits of both, relative to the largest logit.",
        "",
        "| backbone | torch_geometric | merec | ratio | difference |",
        "|---|---|---|---|---|",
    ]
    points = torch.randn(BATCH, 8, K, 6)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in NAMES:
        expanded, dense = make_both(name)
        with torch.no_grad():
            expected, actual = expanded(points), dense(points)
        difference = float((expected - actual).abs().max() / expected.abs().max())
        took = in_turn(
            repeats, expanded=partial(learn, expanded, points), dense=partial(learn, dense, points)
        )
        ratio = took["expanded"] / took["dense"]
        lines.append(
            f"| {name} | {1e3 * took['expanded']:.0f} ms | {1e3 * took['dense']:.0f} ms | **{ratio:.2f}** | "
            f"{difference:.0e} |"
        )
    torch.set_num_threads(threads)
    return lines
