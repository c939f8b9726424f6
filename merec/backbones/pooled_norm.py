"""A linear map, batch norm over all points and the maximum of each group, without the points in between.

Of a group's points only the largest response of each channel goes on, so most of what a linear layer, a norm
and a pooling write and differentiate is never looked at again. The statistics of the norm follow from mean m
and covariance C of the inputs: mean W·m + bias, variance diag(W C Wᵀ). The gradient of the responses is one
value per group and channel, less two terms that the norm's statistics bring, which again are products with m
and C. So the backward pass takes half the arithmetic, and nothing of the size of the responses is kept.
"""

import warnings
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear


class PooledNorm(nn.Module):
    """Linear layer, `BatchNorm1d` over all points, maximum over the points of each group.

    Args:
        inputs: Features of a point.
        outputs: Of a group.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(
        self, points: Float[Tensor, "groups points inputs"]
    ) -> Float[Tensor, "groups outputs"]:
        """The largest normalised response of each channel in each group."""
        if not self.training:
            return self._predict(points)
        if torch.compiler.is_compiling() or points.device.type != "cpu":
            # One large product is faster there than several small and sparse ones.
            return (
                self.norm(self.linear(points).flatten(0, 1)).unflatten(0, points.shape[:2]).amax(1)
            )
        pooled, mean, variance, *_ = PoolNormalised.apply(
            points,
            self.linear.weight,
            self.linear.bias,
            self.norm.weight,
            self.norm.bias,
            self.norm.eps,
        )
        self._remember(mean, variance, points.shape[0] * points.shape[1])
        return pooled

    def _predict(self, points: Tensor) -> Tensor:
        """With the statistics of training, which make the norm a part of the linear layer."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        bias = (self.linear.bias - norm.running_mean) * scale + norm.bias
        return linear(points, self.linear.weight * scale[:, None], bias).amax(1)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics as `BatchNorm1d` does."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        assert norm.momentum is not None
        unbiased = variance * (count / max(1, count - 1))
        # Not lerp_, which a stack of folds would take one by one.
        norm.running_mean.mul_(1 - norm.momentum).add_(mean, alpha=norm.momentum)
        norm.running_var.mul_(1 - norm.momentum).add_(unbiased, alpha=norm.momentum)
        norm.num_batches_tracked.add_(1)


class PoolNormalised(torch.autograd.Function):
    """What `PooledNorm` does while it is trained; on a CPU, for the gradient is made of sparse matrices.

    Returns the pooled responses, mean and variance (biased) of each channel, and what the gradient needs.
    """

    @staticmethod
    def forward(
        points: Tensor, weight: Tensor, bias: Tensor, gamma: Tensor, beta: Tensor, eps: float
    ) -> tuple[Tensor, ...]:
        """See the class."""
        flat = points.flatten(0, 1)
        middle = flat.mean(0)
        covariance = torch.addmm(
            torch.outer(middle, middle), flat.t(), flat, beta=-1, alpha=1 / len(flat)
        )
        spread = weight @ covariance
        mean, variance = weight @ middle, (spread * weight).sum(1)
        # A norm with a negative scale turns the largest into the smallest.
        sign = torch.where(gamma < 0, -1.0, 1.0).to(weight.dtype)
        top, where = linear(points, weight * sign[:, None]).max(1)
        over = torch.rsqrt(variance + eps)
        seen = (top * sign - mean) * over
        return seen * gamma + beta, mean + bias, variance, where, seen, over, spread, middle

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what the gradient needs."""
        points, weight, _, gamma, *_ = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(points, weight, gamma, *output[3:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """From the gradient of the pooled responses to those of all inputs."""
        points, weight, gamma, where, seen, over, spread, middle = ctx.saved_tensors
        grad, (groups, each, _) = grads[0], points.shape
        flat, count = points.flatten(0, 1), groups * each
        to_beta, to_gamma = grad.sum(0), (grad * seen).sum(0)
        # Of the responses: `direct` where the largest was, less `common`, less `tilt` times their distance
        # from the mean.
        direct = grad * (gamma * over)
        common, tilt = to_beta * gamma * over / count, to_gamma * gamma * over**2 / count
        row = where + each * torch.arange(groups)[:, None]
        by_channel = _stack(row.t(), direct.t(), count)
        to_weight = by_channel @ flat - torch.outer(count * common, middle)
        to_weight -= (count * tilt)[:, None] * spread
        mixed = weight.t() @ (tilt[:, None] * weight)
        to_points = _transpose(row, direct, count) @ weight
        to_points.addmm_(flat, mixed, alpha=-1).add_(middle @ mixed - common @ weight)
        # A bias before a norm does nothing.
        to_bias = torch.zeros_like(gamma)
        return to_points.view_as(points), to_weight, to_bias, to_gamma, to_beta, None

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *given: Any) -> tuple[Any, Any]:
        """One fold after the other: each is a product large enough for a core."""
        folds = [
            PoolNormalised.apply(
                *(
                    value if dim is None else value.select(dim, fold)
                    for value, dim in zip(given, dims, strict=True)
                )
            )
            for fold in range(info.batch_size)
        ]
        stacked = tuple(torch.stack(outputs) for outputs in zip(*folds, strict=True))
        return stacked, (0,) * len(stacked)


def _stack(column: Tensor, value: Tensor, columns: int) -> Tensor:
    """A sparse matrix with as many values in each row; columns rise along a row."""
    rows, each = column.shape
    start = torch.arange(0, rows * each + 1, each)
    return _sparse(start, column.reshape(-1), value.reshape(-1), (rows, columns))


def _transpose(column: Tensor, value: Tensor, columns: int) -> Tensor:
    """The transpose of the sparse matrix whose columns are those of `value`."""
    flat, channels = column.reshape(-1), column.shape[1]
    order = flat.argsort(stable=True)
    start = torch.zeros(columns + 1, dtype=torch.long)
    torch.cumsum(torch.bincount(flat, minlength=columns), 0, out=start[1:])
    channel = torch.arange(channels).repeat(len(column))[order]
    return _sparse(start, channel, value.reshape(-1)[order], (columns, channels))


def _sparse(start: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():  # CSR is "in beta" for good
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return torch.sparse_csr_tensor(start, column, value, shape, check_invariants=False)
