"""Linear layers with batch norm over all points and ReLU, of whose responses only a few go on.

The norm needs the responses of all points, yet what comes after looks at the first few of each group
(`LeadingNorm`) or at the largest of each channel (`PooledNorm`; it makes no difference whether the ReLU or
the maximum comes first). The statistics follow from mean m and covariance C of the inputs: mean W·m + bias,
variance diag(W C Wᵀ). So do the two terms that they bring to the gradient, products with m and C. What is
not looked at is neither written nor kept nor differentiated.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

BLOCKS = 2  # of a covariance, whose lower half follows from the upper
AT_ONCE = 1 << 20  # responses, as many as a cache holds


class _FewResponses(nn.Module):
    """Linear layer and `BatchNorm1d`.

    Args:
        inputs: Features of a point.
        outputs: Responses.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs)

    def _respond(self, points: Tensor) -> Tensor:
        """The responses of all points, the long way."""
        return self.norm(self.linear(points).flatten(0, 1)).unflatten(0, points.shape[:2])

    def _is_short_way_faster(self, points: Tensor) -> bool:
        """Whether to avoid computing all responses: on a CPU, in the precision of the weights.

        Elsewhere one large product is faster than several small and sparse ones.
        """
        return (
            points.device.type == "cpu"
            and points.dtype == self.linear.weight.dtype
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
        )

    def _recall(self) -> tuple[Tensor, Tensor]:
        """Scale and shift that take linear responses without bias to those of the trained norm."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        return scale, (self.linear.bias - norm.running_mean) * scale + norm.bias

    @property
    def _layer(self) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
        norm = self.norm
        return self.linear.weight, self.linear.bias, norm.weight, norm.bias, norm.eps


@torch.no_grad()
def remember(norm: nn.Module, mean: Tensor, variance: Tensor, count: int) -> None:
    """Update the running statistics as a batch norm does.

    Args:
        norm: A batch norm that keeps them.
        mean: Of each channel, of what it normalised.
        variance: Likewise, biased.
        count: Of how many values each.
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


class LeadingNorm(_FewResponses):
    """Linear layer, batch norm over all points, ReLU; of the first points of each group."""

    def forward(
        self, points: Float[Tensor, "groups points inputs"], leading: int
    ) -> Float[Tensor, "groups leading outputs"]:
        """Responses of the first `leading` points of each group."""
        if not self.training:
            scale, shift = self._recall()
            return linear(points[:, :leading], self.linear.weight * scale[:, None], shift).relu()
        if not self._is_short_way_faster(points):
            return self._respond(points)[:, :leading].relu()
        found, mean, variance, *_ = LeadNormalised.apply(points, *self._layer, leading)
        remember(self.norm, mean, variance, points.shape[0] * points.shape[1])
        return found


class PooledNorm(_FewResponses):
    """Linear layer, batch norm over all points, ReLU, maximum over the points of each group."""

    def forward(
        self, points: Float[Tensor, "groups points inputs"]
    ) -> Float[Tensor, "groups outputs"]:
        """The largest response of each channel in each group."""
        if not self.training:
            scale, shift = self._recall()
            responses = linear(points, self.linear.weight)
            # A norm with a negative scale turns the smallest into the largest.
            most = torch.where(scale < 0, responses.amin(1), responses.amax(1))
            return (most * scale + shift).relu()
        if not self._is_short_way_faster(points):
            return self._respond(points).amax(1).relu()
        pooled, mean, variance, *_ = PoolNormalised.apply(points, *self._layer)
        remember(self.norm, mean, variance, points.shape[0] * points.shape[1])
        return pooled.relu()


class Statistics(NamedTuple):
    """Of the responses to points, without having them.

    Attributes:
        middle: Mean of the inputs.
        spread: Weight times the covariance of the inputs: that of responses with inputs.
        mean: Of the responses, less the bias.
        variance: Of the responses, biased.
    """

    middle: Float[Tensor, "inputs"]
    spread: Float[Tensor, "outputs inputs"]
    mean: Float[Tensor, "outputs"]
    variance: Float[Tensor, "outputs"]


def _measure(flat: Float[Tensor, "points inputs"], weight: Tensor) -> Statistics:
    middle = flat.mean(0)
    spread = weight @ _covary(flat, middle)
    return Statistics(middle, spread, weight @ middle, (spread * weight).sum(1))


def _covary(flat: Tensor, middle: Tensor) -> Tensor:
    """Covariance of the columns; of large ones the lower half is copied from the upper."""
    size = flat.shape[1]
    each = size // BLOCKS if size >= 64 * BLOCKS and size % BLOCKS == 0 else size
    product = torch.empty(size, size, dtype=flat.dtype)
    for start in range(0, size, each):
        stop = start + each
        part = flat[:, start:].t() @ flat[:, start:stop]
        product[start:, start:stop] = part
        product[start:stop, stop:] = part[each:].t()
    return torch.addmm(product, middle[:, None], middle[None], beta=1 / len(flat), alpha=-1)


class _Tied(NamedTuple):
    """What the norm's statistics bring to the gradient of every response.

    Attributes:
        common: Of each channel; to be taken away.
        tilt: Likewise, times the distance of the response from the mean.
    """

    common: Tensor
    tilt: Tensor

    def reach_weight(self, found: Statistics, count: int) -> Tensor:
        return -count * (torch.outer(self.common, found.middle) + self.tilt[:, None] * found.spread)

    def reach_points(self, flat: Tensor, weight: Tensor, found: Statistics) -> Tensor:
        """To be added to what reaches them directly."""
        mixed = weight.t() @ (self.tilt[:, None] * weight)
        return torch.addmm(found.middle @ mixed - self.common @ weight, flat, mixed, alpha=-1)


def _tie(to_beta: Tensor, to_gamma: Tensor, gamma: Tensor, over: Tensor, count: int) -> _Tied:
    return _Tied(to_beta * gamma * over / count, to_gamma * gamma * over**2 / count)


def one_at_a_time(apply: Callable) -> Callable:
    """A rule of vmap: one fold after the other, for each is a product large enough for a core."""

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


class LeadNormalised(torch.autograd.Function):
    """What `LeadingNorm` does while it is trained.

    Returns the responses, mean and variance (biased) of each channel, and what the gradient needs.
    """

    @staticmethod
    def forward(
        points: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
        leading: int,
    ) -> tuple[Tensor, ...]:
        """See the class."""
        found = _measure(points.flatten(0, 1), weight)
        over = torch.rsqrt(found.variance + eps)
        scale = gamma * over
        first = points[:, :leading].flatten(0, 1)
        responses = torch.addmm(beta - found.mean * scale, first, (weight * scale[:, None]).t())
        responses = responses.relu_().unflatten(0, (len(points), leading))
        return responses, found.mean + bias, found.variance, over, *found[:3]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what the gradient needs."""
        points, weight, _, gamma, *_ = inputs
        ctx.mark_non_differentiable(*output[1:])
        responses, _, variance, over, *found = output
        ctx.save_for_backward(points, weight, gamma, responses, over, *found, variance)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """From the gradient of the responses to those of all inputs."""
        points, weight, gamma, responses, over, *rest = ctx.saved_tensors
        found, (groups, each, _) = Statistics(*rest), points.shape
        leading, count = responses.shape[1], groups * each
        live = torch.ops.aten.threshold_backward(grads[0], responses, 0).flatten(0, 1)
        # This way round the product is fast for few features too.
        met = (points[:, :leading].flatten(0, 1).t() @ live).t()
        to_beta = live.sum(0)
        to_gamma = over * ((weight * met).sum(1) - found.mean * to_beta)
        tied = _tie(to_beta, to_gamma, gamma, over, count)
        scale = (gamma * over)[:, None]
        to_weight = scale * met + tied.reach_weight(found, count)
        to_points = None
        if ctx.needs_input_grad[0]:
            to_points = tied.reach_points(points.flatten(0, 1), weight, found).view_as(points)
            to_points[:, :leading] += (live @ (scale * weight)).view(groups, leading, -1)
        # A bias before a norm does nothing.
        return to_points, to_weight, torch.zeros_like(gamma), to_gamma, to_beta, None, None

    vmap = staticmethod(one_at_a_time(lambda *given: LeadNormalised.apply(*given)))


class PoolNormalised(torch.autograd.Function):
    """What `PooledNorm` does while it is trained; on a CPU, for the gradient is made of sparse matrices.

    Returns the pooled responses, mean and variance (biased) of each channel, and what the gradient needs.
    """

    @staticmethod
    def forward(
        points: Tensor, weight: Tensor, bias: Tensor, gamma: Tensor, beta: Tensor, eps: float
    ) -> tuple[Tensor, ...]:
        """See the class."""
        found = _measure(points.flatten(0, 1), weight)
        # A norm with a negative scale turns the largest into the smallest.
        sign = torch.where(gamma < 0, -1.0, 1.0).to(weight.dtype)
        top, where = _find_largest(points, weight * sign[:, None])
        over = torch.rsqrt(found.variance + eps)
        seen = (top * sign - found.mean) * over
        return seen * gamma + beta, found.mean + bias, found.variance, where, seen, over, *found[:3]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what the gradient needs."""
        points, weight, _, gamma, *_ = inputs
        ctx.mark_non_differentiable(*output[1:])
        _, _, variance, where, seen, over, *found = output
        ctx.save_for_backward(points, weight, gamma, where, seen, over, *found, variance)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """From the gradient of the pooled responses to those of all inputs."""
        points, weight, gamma, where, seen, over, *rest = ctx.saved_tensors
        grad, found, (groups, each, _) = grads[0], Statistics(*rest), points.shape
        flat, count = points.flatten(0, 1), groups * each
        to_beta, to_gamma = grad.sum(0), (grad * seen).sum(0)
        tied = _tie(to_beta, to_gamma, gamma, over, count)
        direct = grad * (gamma * over)
        row = where + each * torch.arange(groups)[:, None]
        to_weight = _stack(row.t(), direct.t(), count) @ flat
        to_weight += tied.reach_weight(found, count)
        to_points = tied.reach_points(flat, weight, found)
        to_points += _transpose(row, direct, count) @ weight
        # A bias before a norm does nothing.
        to_bias = torch.zeros_like(gamma)
        return to_points.view_as(points), to_weight, to_bias, to_gamma, to_beta, None

    vmap = staticmethod(one_at_a_time(lambda *given: PoolNormalised.apply(*given)))


def _find_largest(points: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Largest response of each channel in each group, and the point it came from (of equal ones the last).

    A few groups at a time, so that the responses stay in the cache. Torch's own maximum takes four times as
    long once it is asked for the place.
    """
    groups, each, _ = points.shape
    block = max(1, AT_ONCE // (each * len(weight)))
    number = torch.arange(each, dtype=torch.uint8 if each <= 256 else torch.int32)[:, None]
    top, where = [], []
    for start in range(0, groups, block):
        some = points[start : start + block]
        responses = linear(some, weight)
        largest = responses.amax(1)
        top.append(largest)
        where.append(((responses == largest[:, None]) * number).amax(1))
    return torch.cat(top), torch.cat(where).long()


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
