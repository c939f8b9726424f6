"""3×3 convolution, ReLU, batch norm, 3×3 max pooling and dropout as one compiled C++ function.

Separate layers write and read every response seven times; the fused function does so only for pooled
responses. The norm needs only sums of the responses and the pooled responses, since norm and maximum commute
(with a negative scale the minimum is taken).
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from merec.assets import cache_folder
from merec.backbones.kernels.batch_statistics import one_at_a_time, trains_on_cpu
from merec.files import atomic

log = logging.getLogger(__name__)

LANES = 8  # filters come in vectors of so many
KEEP_ALL = (None, 0, 1.0)  # of pooled responses, as `Drawn`
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC")


def count_responses(size: int, padding: int) -> int:
    """Return the number of responses of the 3×3 convolution along `size` px."""
    return size + 2 * padding - 2


def count_pooled(size: int, padding: int) -> int:
    """Return the number of pooled responses along `size` px."""
    return (count_responses(size, padding) - 1) // 3 + 1


@cache
def compile_kernel(in_channels: int, filters: int) -> ctypes.CDLL | None:
    """Compile the function for given numbers of channels and filters (a multiple of `LANES`).

    The result is stored in merec's cache; `None` if there is no compiler.
    """
    source = Path(__file__).with_suffix(".cpp")
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        log.info(
            "no C++ compiler is found; 3×3 convolutions train layer by layer, install g++ for speed"
        )
        return None
    command = [compiler, *FLAGS, f"-DIN={in_channels}", f"-DOUT={filters}"]
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
        identity = [*command[1:], *_describe_processor(), source.read_text(encoding="utf-8")]
        name = hashlib.sha256("\n".join(identity).encode() + version).hexdigest()[:24]
        file = cache_folder() / "kernels" / f"{name}.so"
        if not file.exists():
            with atomic(file) as part:
                subprocess.run(
                    [*command, str(source), "-o", str(part)], capture_output=True, check=True
                )
        return ctypes.CDLL(str(file))
    except (OSError, subprocess.CalledProcessError) as error:
        message = getattr(error, "stderr", b"") or str(error).encode()
        reason = message.decode(errors="replace").strip().splitlines()[:1]
        log.warning("3×3 convolutions train layer by layer: they were not compiled (%s)", *reason)
        return None


def _describe_processor() -> list[str]:
    """Describe the processor of this machine, since several machines may share the cache."""
    file, kinds = Path("/proc/cpuinfo"), ("model", "flags", "Features", "CPU ")
    lines = file.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if file.exists() else []
    return [platform.machine(), platform.processor(), *(x for x in lines if x.startswith(kinds))]


def find_kernel(
    convolution: nn.Conv2d, inputs: Float[Tensor, "batch channels height width"]
) -> ctypes.CDLL | None:
    """Return the kernel for a convolution that is trained on these inputs; `None` if there is none."""
    fits = (
        trains_on_cpu(convolution.weight, inputs)
        and inputs.dtype == torch.float32
        and not inputs.requires_grad
    )
    return (
        compile_kernel(convolution.in_channels, _round_up(convolution.out_channels))
        if fits
        else None
    )


def _round_up(filters: int) -> int:
    return -(-filters // LANES) * LANES


class PooledConvolution(torch.autograd.Function):
    """Fused convolution, ReLU, batch norm, pooling and dropout, for training.

    Dropout uses the words of `Drawn` in the order batch, row, column, filter; without words it keeps all
    responses. Returns the kept responses, mean and variance (biased) of the responses of each filter, and
    tensors for the backward pass.
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
        words: Tensor | None,
        below: int,
        larger: float,
    ) -> tuple[Tensor, ...]:
        """Compute the pooled responses."""
        images = inputs.permute(0, 2, 3, 1).contiguous()
        batch, height, width, channels = images.shape
        filters = len(weight)
        taps, padded_bias = _lay_out(weight), _pad(bias)
        sign = _pad(torch.where(gamma < 0, -1.0, 1.0))
        total = torch.empty(2, len(sign), dtype=torch.float64)
        shape = (batch, count_pooled(height, padding), count_pooled(width, padding), len(sign))
        top = torch.empty(shape)
        kernel = compile_kernel(channels, len(sign))
        assert kernel is not None
        kernel.forward(
            *_point_to(images, taps, padded_bias, sign),
            *(batch, height, width, padding),
            *_point_to(total[0], total[1], top),
        )
        count = batch * count_responses(height, padding) * count_responses(width, padding)
        mean, square = total[:, :filters] / count
        variance = (square - mean**2).clamp_min(0)
        over = torch.rsqrt(variance + eps).float()
        scale = gamma * over
        shift = _pad(beta - mean.float() * scale)
        scale, words = _pad(scale), None if words is None else _pad(words)
        pooled = torch.empty_like(top)
        kernel.finish(
            *_point_to(top, scale, shift, words),
            *(below, ctypes.c_float(larger), top[..., 0].numel()),
            *_point_to(pooled),
        )
        pooled = pooled[..., :filters].permute(0, 3, 1, 2)
        return pooled, mean.float(), variance.float(), over, top

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what the gradient needs."""
        images, weight, bias, gamma, _, _, ctx.padding, words, ctx.below, ctx.larger = inputs
        ctx.mark_non_differentiable(*output[1:])
        _, mean, _, over, top = output
        ctx.save_for_backward(images, weight, bias, gamma, mean, over, top, words)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients of weight, bias and norm from that of the pooled responses."""
        inputs, weight, bias, gamma, mean, over, top, words = ctx.saved_tensors
        images = inputs.permute(0, 2, 3, 1).contiguous()
        batch, height, width, channels = images.shape
        filters = len(weight)
        taps, bias, gamma, mean, over = _lay_out(weight), *map(_pad, (bias, gamma, mean, over))
        grad = _pad(grads[0].permute(0, 2, 3, 1))
        words = None if words is None else _pad(words)
        to_taps = torch.empty(taps.shape, dtype=torch.float64)
        to_filters = torch.empty(3, taps.shape[-1], dtype=torch.float64)
        kernel = compile_kernel(channels, taps.shape[-1])
        assert kernel is not None
        kernel.backward(
            *_point_to(images, taps, bias, gamma, mean, over, top, grad, words),
            *(ctx.below, ctypes.c_float(ctx.larger), batch, height, width, ctx.padding),
            *_point_to(to_taps, *to_filters),
        )
        to_weight = to_taps[..., :filters].permute(3, 2, 0, 1).float()
        to_bias, to_gamma, to_beta = to_filters[:, :filters].float()
        return None, to_weight, to_bias, to_gamma, to_beta, *[None] * 5

    vmap = staticmethod(one_at_a_time(lambda *given: PooledConvolution.apply(*given)))


def _pad(values: Shaped[Tensor, "*some filters"]) -> Tensor:
    """Append zeros for the unused filters of the last vector register."""
    more = _round_up(values.shape[-1]) - values.shape[-1]
    return (nn.functional.pad(values, (0, more)) if more else values).contiguous()


def _lay_out(weight: Float[Tensor, "filters channels 3 3"]) -> Float[Tensor, "3 3 channels padded"]:
    """Return weights in the memory layout of the kernel."""
    return _pad(weight.permute(2, 3, 1, 0))


def _point_to(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    """Return the addresses of tensors; callers must keep a reference to each tensor."""
    assert all(tensor is None or tensor.is_contiguous() for tensor in tensors)
    return [ctypes.c_void_p(tensor if tensor is None else tensor.data_ptr()) for tensor in tensors]
