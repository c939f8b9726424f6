"""Contrastive loss between the two views of samples (Li et al., Neurocomputing 619, 2025).

An anchor, one view of a sample, is scored against the other view of the same sample (its partner) and against
this view of other samples (negatives). Negatives are drawn from a memory bank, which contains the last
embeddings of each sample of the pool, or they are the rest of the batch.
"""

from dataclasses import dataclass
from math import inf, log, nan
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize

from merec.types import InputError

MODES = ("softmax", "nce", "in_batch")
ESTIMATES = ("first_batch", "ema")  # of the constant Z
_EPSILON = 1e-7
_Z_DECAY = 0.99


@dataclass(frozen=True)
class ContrastSettings:
    """Hyperparameters of the contrastive loss.

    Attributes:
        mode: `softmax`: classify the partner among all scored samples. `nce`: classify each scored sample as
            partner or noise. Both use memory banks. `in_batch`: as `softmax`, among the samples of the batch.
        z: Estimate of the normalisation constant of `nce`: from the `first_batch` only, or an exponential
            moving average (`ema`) over batches.
        negatives: Samples drawn from the memory banks for each anchor.
        temperature: Temperature by which scores are divided.
        momentum: Momentum of the memory bank: weight of the old row when its sample is seen again.
        softmax_overwrite: Defect of the released code, to reproduce its numbers: the second view's scores are
            replaced by the first's, so that the second encoder gets no gradient.

    Raises:
        InputError: If a value is invalid.
    """

    mode: str
    z: str
    negatives: int
    temperature: float | int
    momentum: float | int
    softmax_overwrite: bool

    def __post_init__(self) -> None:
        for key, allowed in (("mode", MODES), ("z", ESTIMATES)):
            if getattr(self, key) not in allowed:
                raise InputError(
                    f"task.contrast.{key}={getattr(self, key)} is unknown; there is {', '.join(allowed)}"
                )
        if self.negatives < 1:
            raise InputError(
                f"task.contrast.negatives={self.negatives}, but it is 1 at least; released with 2048"
            )
        if not 0 < self.temperature < inf:
            raise InputError(
                f"task.contrast.temperature={self.temperature}, but it is above 0; released with 0.05"
            )
        if not 0 <= self.momentum < 1:
            raise InputError(
                f"task.contrast.momentum={self.momentum}, but it is 0 at least and below 1; released with "
                "0.5"
            )
        if self.softmax_overwrite and self.mode != "softmax":
            raise InputError(
                "task.legacy.softmax_overwrite=true is a defect of task.contrast.mode=softmax, but the mode "
                f"is {self.mode}; set one or the other"
            )

    def chance(self, pairs: int, batches: int) -> float:
        """Return the contrastive accuracy of random guessing.

        Args:
            pairs: Number of pairs that are contrasted.
            batches: Number of batches per epoch; `in_batch` matches within a batch.
        """
        if self.mode == "in_batch":
            return batches / pairs
        # Negatives are drawn with replacement, and one that is the anchor's own sample is no rival.
        return 1 / (1 + (pairs - 1) * (1 - (1 - 1 / pairs) ** self.negatives))

    def check_pool(self, pairs: int) -> None:
        """Refuse a number of pairs that is too small.

        Raises:
            InputError: If there are fewer than two pairs, or fewer than the negatives to draw.
        """
        if pairs < 2:
            raise InputError(
                f"pairs to pretrain on: {pairs}, but telling them apart takes 2 at least; lower "
                "task.least_intensity, or add unlabelled clips"
            )
        if self.mode != "in_batch" and self.negatives > pairs:
            raise InputError(
                f"task.contrast.negatives={self.negatives}, but there are {pairs} pairs to pretrain on; set "
                f"it to {pairs} or less, or task.contrast.mode=in_batch"
            )


class Scored(NamedTuple):
    """Result of contrasting a batch.

    Attributes:
        loss: Sum of the losses of both views, averaged over the batch.
        hits: Number of samples whose first view has its highest score with its own second view.
    """

    loss: Float[Tensor, ""]
    hits: Int[Tensor, ""]


class Contrast(nn.Module):
    """Contrastive loss with memory banks, which are buffers and part of the checkpoint.

    The initial rows and the negatives are drawn from torch's global generator on the CPU.

    Args:
        pool: Number of samples.
        size: Size of an embedding.
        settings: Settings of the contrast.

    Raises:
        InputError: If there are fewer than two samples, or fewer than the negatives to draw.
    """

    def __init__(self, pool: int, size: int, settings: ContrastSettings):
        super().__init__()
        settings.check_pool(pool)
        self.pool, self.settings = pool, settings
        self.first_bank: Tensor
        self.second_bank: Tensor
        self.log_z: Tensor
        if settings.mode != "in_batch":
            self.register_buffer("first_bank", _draw_bank(pool, size))
            self.register_buffer("second_bank", _draw_bank(pool, size))
        if settings.mode == "nce":
            self.register_buffer("log_z", torch.full((2,), nan))  # of each view; not estimated yet

    def forward(
        self,
        first: Float[Tensor, "batch size"],
        second: Float[Tensor, "batch size"],
        at: Int[Tensor, " batch"],
    ) -> Scored:
        """Compute the loss of a batch; call `update` after the optimiser step.

        Args:
            first: Embeddings of the first views, of unit norm.
            second: Embeddings of the second views.
            at: Indices of the samples in the pool.

        Raises:
            InputError: If `in_batch` gets a batch of one sample.
        """
        # In bfloat16 a similarity is off by .004, which the temperature makes .08.
        with torch.autocast(first.device.type, enabled=False):
            wide = torch.promote_types(first.dtype, torch.float32)
            return self._score(first.to(wide), second.to(wide), at)

    def _score(self, first: Tensor, second: Tensor, at: Int[Tensor, " batch"]) -> Scored:
        settings = self.settings
        if settings.mode == "in_batch":
            first_keys, second_keys, drawn = first, second, _turn(at)
        else:
            first_keys, second_keys, drawn = self.first_bank, self.second_bank, self._draw(at)
        forth = (first @ second_keys.T).gather(1, drawn)
        back = (second @ first_keys.T).gather(1, drawn)
        # A sample that is drawn as its own negative is no rival to itself.
        rivals = forth.masked_fill(drawn == drawn[:, :1], -inf)
        hits = (forth[:, 0] > rivals.amax(1)).sum()
        if settings.softmax_overwrite:
            forth, back = forth / settings.temperature, forth
        logits = torch.stack([forth, back]) / settings.temperature
        if settings.mode == "nce":
            log_p = logits - self._estimate_log_z(logits.detach())[:, None, None]
            return Scored(noise_contrast(log_p, settings.negatives / self.pool), hits)
        return Scored(-logits.log_softmax(2)[..., 0].sum(0).mean(), hits)

    @torch.no_grad()
    def update(
        self,
        first: Float[Tensor, "batch size"],
        second: Float[Tensor, "batch size"],
        at: Int[Tensor, " batch"],
    ) -> None:
        """Update the memory banks with the embeddings of a batch."""
        if self.settings.mode == "in_batch":
            return
        # New tensors: the backward pass still needs the old ones.
        self.first_bank = _renew(self.first_bank, first, at, self.settings.momentum)
        self.second_bank = _renew(self.second_bank, second, at, self.settings.momentum)

    def _draw(self, at: Int[Tensor, " batch"]) -> Int[Tensor, "batch columns"]:
        """Return the columns of each sample: itself, then negatives drawn from the pool with replacement."""
        negatives = torch.randint(self.pool, (len(at), self.settings.negatives))
        return torch.cat([at[:, None], negatives.to(at.device)], 1)

    def _estimate_log_z(self, logits: Float[Tensor, "2 batch columns"]) -> Float[Tensor, "2"]:
        """Estimate the logarithm of Z = pool · mean(exp(logits)) of each view."""
        estimate = logits.logsumexp((1, 2)) + log(self.pool / logits[0].numel())
        kept = self.log_z
        if self.settings.z == "ema":
            kept = torch.logaddexp(kept + log(_Z_DECAY), estimate + log(1 - _Z_DECAY))
        self.log_z = torch.where(self.log_z.isnan(), estimate, kept)
        return self.log_z


def noise_contrast(log_p: Float[Tensor, "views batch columns"], noise: float) -> Float[Tensor, ""]:
    """Compute the NCE loss of partners (column 0) against noise (other columns).

    With c = noise + ε, log(p / (p + c)) is computed as the log-sigmoid of log p - log c, which does not
    overflow at low temperatures.

    Args:
        log_p: Log-probability of the sample of each column under the model.
        noise: K·Pn: number of negatives per anchor times the probability that a sample is drawn as a
            negative.

    Returns:
        Sum over views and columns, averaged over the batch.
    """
    margin = log_p - log(noise + _EPSILON)
    rejected = logsigmoid(-margin[..., 1:]) + log(noise / (noise + _EPSILON))
    return -(logsigmoid(margin[..., 0]) + rejected.sum(2)).sum(0).mean()


def _draw_bank(pool: int, size: int) -> Float[Tensor, "pool size"]:
    """Draw rows from U(-s, s) and normalise them to unit norm, so s has no effect.

    With the released s = 1/√(size/3), and without normalisation, rows would have unit norm only on average.
    """
    return normalize(2 * torch.rand(pool, size) - 1)


def _renew(
    bank: Float[Tensor, "pool size"],
    embedding: Float[Tensor, "batch size"],
    at: Int[Tensor, " batch"],
    momentum: float | int,
) -> Float[Tensor, "pool size"]:
    """Return a memory bank with some rows moved towards embeddings."""
    return bank.index_copy(0, at, normalize(momentum * bank[at] + (1 - momentum) * embedding))


def _turn(at: Int[Tensor, " batch"]) -> Int[Tensor, "batch batch"]:
    """Return for each position of a batch this position, then all other positions."""
    if len(at) < 2:
        raise InputError(
            "task.contrast.mode=in_batch tells the samples of a batch apart, but this one has 1; "
            "pretrain on batches of 2 or more"
        )
    place = torch.arange(len(at), device=at.device)
    return (place[:, None] + place) % len(at)
