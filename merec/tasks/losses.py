"""Losses that torch does not have; each takes logits, labels and class weights and returns a mean."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, nll_loss, normalize

from merec.types import InputError


def focal_loss(
    logits: Float[Tensor, "batch classes"],
    label: Int[Tensor, " batch"],
    weight: Float[Tensor, " classes"],
    gamma: float | int,
) -> Float[Tensor, ""]:
    """Compute cross entropy with weight (1 - p)^gamma per sample, p being the probability of its class.

    Lin et al., Focal Loss for Dense Object Detection (ICCV 2017), equation 5. The mean is weighted as in
    torch's `cross_entropy`, which is equal to the loss with gamma = 0, bit for bit.

    Raises:
        InputError: If gamma is negative.
    """
    if gamma < 0:
        raise InputError(
            f"loss.gamma={gamma}, but it is 0 (cross entropy) or more; the paper's is 2"
        )
    log_p = logits.log_softmax(1)
    # Where p rounds to 1, the slope of a power below 1 would be infinite.
    miss = (-log_p.expm1()).clamp_min(torch.finfo(log_p.dtype).tiny)
    return nll_loss(miss**gamma * log_p, label, weight=weight)


def cosine_loss(
    logits: Float[Tensor, "batch classes"],
    label: Int[Tensor, " batch"],
    weight: Float[Tensor, " classes"],
) -> Float[Tensor, ""]:
    """Compute 1 - the cosine of the angle between the logits and the axis of the class, 0 to 2.

    Barz and Denzler, Deep Learning on Small Datasets without Pre-Training using Cosine Loss (WACV 2020). The
    mean is weighted as in torch's `cross_entropy`. The loss does not depend on the length of the logits, so
    their softmax gives the most probable class, but no calibrated probability.
    """
    # Without a least length, the slope would have no bound where all logits are near 0.
    return 1 + nll_loss(normalize(logits, eps=1e-3), label, weight=weight)


def binary_cross_entropy(
    logits: Float[Tensor, "batch units"],
    label: Float[Tensor, "batch units"],
    weight: Float[Tensor, " units"],
) -> Float[Tensor, ""]:
    """Compute binary cross entropy of action units, averaged over samples and action units.

    Args:
        logits: Logits of the presence of each action unit.
        label: 1 if the action unit is present, else 0.
        weight: Weight of samples with each action unit; samples without it have weight 1.
    """
    return binary_cross_entropy_with_logits(logits, label, pos_weight=weight)


def describe_loss(loss: Any) -> tuple[str, bool]:
    """Return the name of a loss (or partial of a loss), and whether it is a multi-label loss."""
    function = getattr(loss, "func", loss)
    return getattr(function, "__name__", str(loss)), function is binary_cross_entropy
