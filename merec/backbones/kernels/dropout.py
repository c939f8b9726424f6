"""Dropout for folds that are stacked by `torch.vmap`, with one generator per fold.

A torch generator on a CPU needs 5 ns for a word of 64 bits, which is enough for four responses, and 20 ns for
a number in `bernoulli_`. So masks from words take an eighth of the time of `nn.Dropout`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

_BITS = 16
_PER_WORD = 64 // _BITS  # responses that one word serves
_stacked: Sequence[torch.Generator] = ()


@contextmanager
def draw_from(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Use generator f for the dropout masks of fold f of a vmap, inside a `with` block.

    Args:
        generators: One per fold, on the device of the data.
    """
    global _stacked
    before, _stacked = _stacked, generators
    try:
        yield
    finally:
        _stacked = before


class Drawn(NamedTuple):
    """Random words, one per response. A response is kept and scaled if its word is less than `below`."""

    words: Int[Tensor, "..."]
    below: int
    scale: float


def drop(dropout: nn.Dropout, responses: Tensor) -> Tensor:
    """Apply dropout in training: drop responses, and scale kept responses so that the mean is preserved.

    Random numbers come from torch's default generator, or under vmap from the generators of `draw_from`. The
    dropout probability is rounded to a multiple of 2⁻¹⁶.
    """
    drawn = draw(dropout, responses)
    if drawn is None:
        return responses
    words, below, scale = drawn
    return responses * (words < below).to(responses.dtype).mul_(scale)


def draw(dropout: nn.Dropout, responses: Tensor) -> Drawn | None:
    """Draw the mask of kept responses for this shape; `None` keeps all."""
    if not dropout.training or dropout.p == 0:
        return None
    kept = round((1 - dropout.p) * 2**_BITS)
    words = draw_words(responses.detach())
    return Drawn(words, kept - 2 ** (_BITS - 1), 2**_BITS / max(1, kept))


# Operators rather than an autograd.Function, for torch.compile cannot look into one with a rule for vmap.


@torch.library.custom_op(
    "merec::draw_words", mutates_args=(), tags=torch.Tag.nondeterministic_seeded
)
def draw_words(responses: Tensor) -> Tensor:
    """Draw 16 bits for each response from the default generator."""
    return _draw(responses[None], (None,))[0]


@torch.library.custom_op(
    "merec::draw_stacked_words", mutates_args=(), tags=torch.Tag.nondeterministic_seeded
)
def draw_stacked_words(responses: Tensor) -> Tensor:
    """Draw 16 bits for each response of stacked folds, each fold from its generator of `draw_from`."""
    return _draw(responses, _stacked)


def _draw(responses: Tensor, generators: Sequence[torch.Generator | None]) -> Tensor:
    folds, *shape = responses.shape
    if responses.device.type == "mps":  # which has no words of 64 bits
        short = torch.empty(responses.shape, dtype=torch.int16, device=responses.device)
        for word, generator in zip(short, generators, strict=True):
            word.random_(-(2 ** (_BITS - 1)), 2 ** (_BITS - 1), generator=generator)
        return short
    size = torch.Size(shape).numel()
    words = torch.empty(folds, -(-size // _PER_WORD), dtype=torch.int64, device=responses.device)
    for word, generator in zip(words, generators, strict=True):
        word.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    return words.view(torch.int16)[:, :size].reshape(responses.shape)


@draw_words.register_fake
@draw_stacked_words.register_fake
def _shape(responses: Tensor) -> Tensor:
    return torch.empty(responses.shape, dtype=torch.int16, device=responses.device)


@draw_words.register_vmap
def _draw_stacked(
    info: object, dims: tuple[int | None, ...], responses: Tensor
) -> tuple[Tensor, int]:
    assert dims[0] is not None
    return draw_stacked_words(responses.movedim(dims[0], 0)), 0
