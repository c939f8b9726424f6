"""Dropout whose folds, stacked by `torch.vmap`, each draw from a generator of their own.

A torch generator takes 5 ns of a CPU for a word of 64 bits, of which four responses each get a quarter, and
20 ns for a number in `bernoulli_`: drawn from words, masks cost an eighth of what they cost `nn.Dropout`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_BITS = 16
_EACH = 64 // _BITS  # responses that one word serves
_stacked: Sequence[torch.Generator] = ()


@contextmanager
def draw_from(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Inside, fold f of a vmap drops what generator f says.

    Args:
        generators: One per fold, on the device of the data.
    """
    global _stacked
    before, _stacked = _stacked, generators
    try:
        yield
    finally:
        _stacked = before


class Dropout(nn.Dropout):
    """Drop responses while training, and scale the others up, so that their mean stays.

    Alone it draws from torch's default generator; under vmap as `draw_from` says. The share that is dropped
    is rounded to a multiple of 2⁻¹⁶.
    """

    def forward(self, responses: Tensor) -> Tensor:
        """The responses that are left; of any shape."""
        if not self.training or self.p == 0:
            return responses
        return responses * draw_mask(responses.detach(), 1 - self.p)


# Operators rather than an autograd.Function, for torch.compile cannot look into one with a rule for vmap.


@torch.library.custom_op(
    "merec::draw_mask", mutates_args=(), tags=torch.Tag.nondeterministic_seeded
)
def draw_mask(responses: Tensor, keep: float) -> Tensor:
    """What to multiply responses by, 0 or about 1 / `keep`; drawn from the default generator."""
    return _draw(responses[None], keep, (None,))[0]


@torch.library.custom_op(
    "merec::draw_masks", mutates_args=(), tags=torch.Tag.nondeterministic_seeded
)
def draw_masks(responses: Tensor, keep: float) -> Tensor:
    """The same for a stack of folds, each from its own of the generators of `draw_from`."""
    return _draw(responses, keep, _stacked)


def _draw(responses: Tensor, keep: float, generators: Sequence[torch.Generator | None]) -> Tensor:
    folds, *shape = responses.shape
    if responses.device.type == "mps":  # which has no words of 64 bits
        masks = torch.empty_like(responses, memory_format=torch.contiguous_format)
        for mask, generator in zip(masks, generators, strict=True):
            mask.bernoulli_(keep, generator=generator)
        return masks.div_(keep)
    size = torch.Size(shape).numel()
    words = torch.empty(folds, -(-size // _EACH), dtype=torch.int64, device=responses.device)
    for word, generator in zip(words, generators, strict=True):
        word.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    kept = round(keep * 2**_BITS)
    masks = words.view(torch.int16)[:, :size] < kept - 2 ** (_BITS - 1)
    return masks.view(responses.shape).to(responses.dtype).mul_(2**_BITS / max(1, kept))


@draw_mask.register_fake
@draw_masks.register_fake
def _shape(responses: Tensor, keep: float) -> Tensor:
    return torch.empty(responses.shape, dtype=responses.dtype, device=responses.device)


@draw_mask.register_vmap
def _draw_stacked(
    info: object, dims: tuple[int | None, ...], responses: Tensor, keep: float
) -> tuple[Tensor, int]:
    assert dims[0] is not None
    return draw_masks(responses.movedim(dims[0], 0), keep), 0
