"""3×3 convolution, ReLU, batch norm and 3×3 max pooling in plain torch, pooled before they are normalised.

A norm and a maximum may change places (with a negative scale the smallest response is sought). Then nothing
but the pooled responses is normalised, the gradient of all of them is one pass in place, and both may go
through the images a few at a time, whose responses a cache holds.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from merec.backbones.kernels.norms import one_at_a_time

# As published (1: 28 px of responses to 28 px of a map) and as in the released PyTorch code (2: 30 px).
PADDINGS = (1, 2)
POOLING = ([3, 3], [3, 3], [1, 1], [1, 1])  # window, stride, padding, dilation
AT_ONCE = 1 << 19  # responses, as many as a cache holds
aten = torch.ops.aten


def count_responses(size: int, padding: int) -> int:
    """Return how many responses the 3×3 convolution gives along `size` px."""
    return size + 2 * padding - 2


def count_pooled(size: int, padding: int) -> int:
    """Return how many responses are left along `size` px once they are pooled."""
    return (count_responses(size, padding) - 1) // 3 + 1


def is_faster(convolution: nn.Conv2d, inputs: Float[Tensor, "batch channels height width"]) -> bool:
    """Whether this way is faster for a convolution that is trained on these inputs: on a CPU."""
    return (
        inputs.device.type == "cpu"
        and inputs.dtype == convolution.weight.dtype
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class PooledLayers(torch.autograd.Function):
    """Convolution, ReLU, batch norm and pooling, while they are trained.

    Returns what is pooled, mean and variance (biased) of each filter's responses, and what the gradient
    needs: the inverse deviation, the pooled responses before the norm, and of each part of the images all
    responses and where the pooled ones were.
    """

    @staticmethod
    def forward(
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
        padding: int,
    ) -> tuple[Tensor, ...]:
        """See the class."""
        sign = _tell_sign(gamma)
        turned = bool((gamma < 0).any())
        responses, tops, places, moments = [], [], [], []
        for part in _divide(inputs, weight):
            found = conv2d(part, weight, bias, padding=padding).relu_()
            if turned:
                found.mul_(_spread(sign))
            top, place = aten.max_pool2d_with_indices(found, *POOLING)
            moments.append(torch.stack(torch.batch_norm_update_stats(found, None, None, 0.0)))
            responses.append(found)
            tops.append(top)
            places.append(place)
        share = inputs.new_tensor([len(top) / len(inputs) for top in tops])[:, None]
        middles, variances = torch.stack(moments, 1)
        middle = (share * middles).sum(0)
        variance = (share * (variances + (middles - middle) ** 2)).sum(0)
        over = torch.rsqrt(variance + eps)
        top, scale = torch.cat(tops), gamma.abs() * over
        pooled = top * _spread(scale) + _spread(beta - middle * scale)
        return pooled, middle * sign, variance, over, top, *responses, *places

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what the gradient needs."""
        images, weight, _, gamma, _, _, ctx.padding = inputs
        ctx.mark_non_differentiable(*output[1:])
        _, mean, _, *rest = output
        ctx.save_for_backward(images, weight, gamma, mean, *rest)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """From the gradient of what is pooled to those of inputs, weight, bias and norm."""
        inputs, weight, gamma, mean, over, top, *kept = ctx.saved_tensors
        responses, places = kept[: len(kept) // 2], kept[len(kept) // 2 :]
        grad, filters, padding = grads[0], len(weight), [ctx.padding] * 2
        count = sum(response[:, 0].numel() for response in responses)
        sign = _tell_sign(gamma)
        turned, middle, scale = bool((gamma < 0).any()), mean * sign, gamma.abs() * over
        to_beta = grad.sum((0, 2, 3))
        to_scale = (grad * (top - _spread(middle)) * _spread(over)).sum((0, 2, 3))
        # To responses that were not pooled a norm's gradient is linear in them.
        steepness = -scale * over * to_scale / count
        offset = -scale * to_beta / count - steepness * middle
        found: list[tuple[Tensor | None, Tensor, Tensor]] = []
        for part, response, place, upper in zip(
            _divide(inputs, weight),
            responses,
            places,
            _divide(grad * _spread(scale), weight, inputs),
            strict=True,
        ):
            whole = aten.max_pool2d_with_indices_backward(upper, response, *POOLING, False, place)
            rows = whole.permute(0, 2, 3, 1)  # filters last: a vector is added to each pixel
            rows.addcmul_(response.permute(0, 2, 3, 1), steepness).add_(offset)
            if turned:
                rows.mul_(sign)
                response = response.abs()
            aten.threshold_backward.grad_input(whole, response, 0, grad_input=whole)
            found.append(
                aten.convolution_backward(
                    *(whole, part, weight, [filters], [1, 1], padding, [1, 1], False, [0, 0], 1),
                    [ctx.needs_input_grad[0], True, True],
                )
            )
        to_inputs, to_weight, to_bias = zip(*found, strict=True)
        return (
            torch.cat(to_inputs) if ctx.needs_input_grad[0] else None,
            torch.stack(to_weight).sum(0),
            torch.stack(to_bias).sum(0),
            to_scale * sign,
            to_beta,
            None,
            None,
        )

    vmap = staticmethod(one_at_a_time(lambda *given: PooledLayers.apply(*given)))


def _divide(values: Tensor, weight: Tensor, images: Tensor | None = None) -> tuple[Tensor, ...]:
    """In parts of so many images that a cache holds their responses."""
    each = len(weight) * (values if images is None else images)[0, 0].numel()
    return values.split(max(1, AT_ONCE // each))


def _tell_sign(gamma: Tensor) -> Tensor:
    return torch.where(gamma < 0, -1.0, 1.0).to(gamma)


def _spread(filters: Tensor) -> Tensor:
    """Of each filter, along an image's axes."""
    return filters[:, None, None]
