"""Batch norm for custom autograd functions: statistics, their share of the gradient, and the vmap rule."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

BLOCKS = 2  # of a covariance, whose lower half follows from the upper


def trains_on_cpu(weight: Tensor, inputs: Tensor) -> bool:
    """Return whether custom autograd functions are faster: on a CPU, in the precision of the weights."""
    return (
        inputs.device.type == "cpu"
        and inputs.dtype == weight.dtype
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


@torch.no_grad()
def update_statistics(norm: nn.Module, mean: Tensor, variance: Tensor, count: int) -> None:
    """Update the running statistics as a batch norm does.

    Args:
        norm: Batch norm with running statistics.
        mean: Mean of each channel of the batch.
        variance: Biased variance of each channel.
        count: Number of values in a channel.
    """
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    unbiased = variance * (count / max(1, count - 1))
    # Not lerp_, which a stack of folds would take one by one.
    norm.running_mean.mul_(1 - norm.momentum).add_(mean, alpha=norm.momentum)
    norm.running_var.mul_(1 - norm.momentum).add_(unbiased, alpha=norm.momentum)
    norm.num_batches_tracked.add_(1)


def one_at_a_time(apply: Callable) -> Callable:
    """Return a vmap rule that processes folds sequentially, since each product uses a core fully."""

    def rule(info: Any, dims: tuple[int | None, ...], *given: Any) -> tuple[Any, Any]:
        folds = [
            apply(
                *(
                    value if dim is None else value.select(dim, fold)
                    for value, dim in zip(given, dims, strict=True)
                )
            )
            for fold in range(info.batch_size)
        ]
        stacked = tuple(torch.stack(outputs) for outputs in zip(*folds, strict=True))
        return stacked, (0,) * len(stacked)

    return rule


class Statistics(NamedTuple):
    """Statistics of the responses of a linear layer, computed without the responses.

    Attributes:
        input_mean: Mean of the inputs.
        cross_covariance: Covariance of responses and inputs: weight times the covariance of the inputs.
        mean: Mean of the responses without bias.
        variance: Biased variance of the responses.
    """

    input_mean: Float[Tensor, "inputs"]
    cross_covariance: Float[Tensor, "outputs inputs"]
    mean: Float[Tensor, "outputs"]
    variance: Float[Tensor, "outputs"]


def measure(points: Float[Tensor, "points inputs"], weight: Tensor) -> Statistics:
    """Compute the statistics of the responses to some points."""
    mean = points.mean(0)
    cross = weight @ _compute_covariance(points, mean)
    return Statistics(mean, cross, weight @ mean, (cross * weight).sum(1))


def _compute_covariance(points: Tensor, mean: Tensor) -> Tensor:
    """Compute the covariance of the columns; for large matrices the lower half is copied from the upper."""
    size = points.shape[1]
    step = size // BLOCKS if size >= 64 * BLOCKS and size % BLOCKS == 0 else size
    product = torch.empty(size, size, dtype=points.dtype)
    for start in range(0, size, step):
        stop = start + step
        part = points[:, start:].t() @ points[:, start:stop]
        product[start:, start:stop] = part
        product[start:stop, stop:] = part[step:].t()
    return torch.addmm(product, mean[:, None], mean[None], beta=1 / len(points), alpha=-1)


class NormGradient(NamedTuple):
    """Contribution of the batch statistics to the gradient of every response.

    Attributes:
        offset: Value to subtract from each channel.
        slope: Factor of (response - mean), also to subtract.
    """

    offset: Float[Tensor, "outputs"]
    slope: Float[Tensor, "outputs"]

    @classmethod
    def derive(
        cls,
        to_beta: Tensor,
        to_gamma: Tensor,
        gamma: Tensor,
        inverse_deviation: Tensor,
        count: int,
    ) -> "NormGradient":
        """Compute the contribution from the gradients of shift and scale over `count` responses."""
        offset = to_beta * gamma * inverse_deviation / count
        return cls(offset, to_gamma * gamma * inverse_deviation**2 / count)

    def reach_weight(self, statistics: Statistics, count: int) -> Tensor:
        """Return the term to add to the gradient of the weight."""
        tilted = self.slope[:, None] * statistics.cross_covariance
        return -count * (torch.outer(self.offset, statistics.input_mean) + tilted)

    def reach_points(self, points: Tensor, weight: Tensor, statistics: Statistics) -> Tensor:
        """Return the term to add to the gradient of the points."""
        mixed = weight.t() @ (self.slope[:, None] * weight)
        constant = statistics.input_mean @ mixed - self.offset @ weight
        return torch.addmm(constant, points, mixed, alpha=-1)
