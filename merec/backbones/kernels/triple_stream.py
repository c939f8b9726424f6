"""STSTNet with compiled first layers, and with its average pooling merged into the last layer."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear, pad

from merec.backbones.kernels.batch_statistics import update_statistics
from merec.backbones.kernels.dropout import draw
from merec.backbones.kernels.pooled_convolution import (
    KEEP_ALL,
    PooledConvolution,
    count_pooled,
    count_responses,
    find_kernel,
)


def classify_maps(
    network: Any, maps: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch classes"]:
    """Fast implementation of `STSTNet.forward`."""
    network.check_size(maps)
    pooled = _pool_responses(network, maps)
    weight = _spread_weight(network.classify.weight, *pooled.shape[1:])
    return linear(pooled.flatten(1), weight, network.classify.bias)


def _pool_responses(network: Any, maps: Tensor) -> Float[Tensor, "batch high wide filters"]:
    """Compute the pooled responses after dropout, with the filters as last axis."""
    convolution, norm, dropout = network.convolution, network.norm, network.dropout
    kernel = network.training and network.compiled and find_kernel(convolution, maps)
    if not kernel:
        pooled = network.max_pool(norm(torch.relu(convolution(maps))))
        return dropout(pooled.permute(0, 2, 3, 1))
    padding, _ = convolution.padding
    rows, columns = (count_responses(size, padding) for size in maps.shape[2:])
    high, wide = (count_pooled(size, padding) for size in maps.shape[2:])
    drawn = draw(dropout, maps.new_empty(len(maps), high, wide, len(norm.weight)))
    pooled, mean, variance, *_ = PooledConvolution.apply(
        *(maps, convolution.weight, convolution.bias, norm.weight, norm.bias, norm.eps),
        *(padding, *(drawn or KEEP_ALL)),
    )
    update_statistics(norm, mean, variance, len(maps) * rows * columns)
    return pooled.permute(0, 2, 3, 1)


def _spread_weight(
    weight: Float[Tensor, "classes features"], height: int, width: int, filters: int
) -> Float[Tensor, "classes pixels"]:
    """Return the weights of the last layer for responses before average pooling, each divided by 4."""
    high, wide = height // 2, width // 2
    quarters = weight.view(len(weight), filters, high, 1, wide, 1) / 4
    squares = quarters.expand(-1, -1, -1, 2, -1, 2).reshape(-1, filters, 2 * high, 2 * wide)
    whole = pad(squares, (0, width - 2 * wide, 0, height - 2 * high))
    return whole.permute(0, 2, 3, 1).flatten(1)
