"""Layers of point sets without an expanded list of edges, as each point has as many neighbours.

torch_geometric gathers the features of both ends of each edge, applies a layer to every edge and scatters
what results. An edge convolution is linear before its norm: W·[x_i, x_j - x_i] = (A - B)·x_i + B·x_j, so the
products are taken once per point. Norm and ReLU do not change the order of responses (or reverse it), so the
maximum over neighbours is taken before them, and mean and variance over all edges follow from the two terms.
No maximum needs a scatter, so it is deterministic on every device.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear

from merec.backbones.kernels.batch_statistics import update_statistics
from merec.backbones.kernels.point_stages import pool_points


def abstract_sets(
    layer: Any,
    points: Float[Tensor, "batch regions k inputs"],
    places: Float[Tensor, "batch regions k 3"],
) -> Float[Tensor, "batch regions outputs"]:
    """Fast implementation of `SetAbstraction.forward`."""
    offsets = places - places.mean(2, keepdim=True)
    rows = torch.cat([points, offsets], -1).flatten(0, 2)
    *before, last = layer.convolution.local_nn
    for shared in before:
        rows = shared(rows)
    groups, k = points.shape[:2], points.shape[2]
    return pool_points(last, rows.unflatten(0, (-1, k))).unflatten(0, groups)


def compare_neighbours(
    layer: Any,
    points: Float[Tensor, "batch regions k inputs"],
    neighbours: Int[Tensor, "batch regions k neighbours"],
) -> Float[Tensor, "batch regions k outputs"]:
    """Compute what `EdgeLayer.forward` does."""
    shared = layer.convolution.nn
    norm = shared.norm
    to_point, to_difference = shared.linear.weight.chunk(2, 1)
    flat, index = points.flatten(0, 1), neighbours.flatten(0, 1)
    here = linear(flat, to_point - to_difference, shared.linear.bias)
    # A norm with a negative scale turns the smallest response into the largest.
    sign = torch.where(norm.weight < 0, -1.0, 1.0).to(flat.dtype)
    there = linear(flat, to_difference * sign[:, None])
    if norm.training:
        chosen = torch.zeros(index.shape[:2], dtype=there.dtype, device=there.device)
        chosen = chosen.scatter_add(
            1, index.flatten(1), torch.ones_like(index.flatten(1), dtype=there.dtype)
        )
        there_mean = (chosen[..., None] * there).sum((0, 1)) / chosen.sum()
        there = there - there_mean
    edges = _take(there, index)
    extreme = edges.amax(2) * sign
    if not norm.training:
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        responses = (here + extreme - norm.running_mean) * scale + norm.bias
        return responses.relu().unflatten(0, points.shape[:2])
    count = index.numel()
    here_mean = here.mean((0, 1))
    here = here - here_mean
    total = (
        index.shape[2] * here.square().sum((0, 1))
        + (chosen[..., None] * there.square()).sum((0, 1))
        + 2 * (here * edges.sum(2)).sum((0, 1)) * sign
    )
    variance = total / count
    mean = here_mean + there_mean * sign
    update_statistics(norm, mean.detach(), variance.detach(), count)
    responses = (here + extreme) * (norm.weight * torch.rsqrt(variance + norm.eps)) + norm.bias
    return responses.relu().unflatten(0, points.shape[:2])


def _take(
    points: Float[Tensor, "groups k features"], index: Int[Tensor, "groups k neighbours"]
) -> Float[Tensor, "groups k neighbours features"]:
    """Return the features of the neighbours of each point."""
    every = index.flatten(1)[..., None].expand(-1, -1, points.shape[-1])
    return points.gather(1, every).unflatten(1, index.shape[1:])
