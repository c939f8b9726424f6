"""Dropout drops the share it is told, and under vmap each fold drops what it would drop alone."""

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from merec.backbones.kernels.acceleration import accelerate
from merec.backbones.kernels.dropout import draw_from

SHAPE = (4, 5, 3)  # not a multiple of the responses that one word serves


def make_dropout(share: float) -> nn.Module:
    return accelerate(nn.Dropout(share))


def drop_alone(responses: Tensor, seed: int, dropout: nn.Module) -> Tensor:
    torch.manual_seed(seed)
    return dropout(dropout(responses) + 1)


def drop_together(responses: Tensor, dropout: nn.Module, dim: int = 0) -> Tensor:
    generators = [torch.Generator().manual_seed(seed) for seed in range(responses.shape[dim])]
    with draw_from(generators):
        return torch.vmap(lambda fold: dropout(dropout(fold) + 1), in_dims=dim)(responses)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.85])
def test_the_share_is_dropped_and_the_mean_stays(share):
    torch.manual_seed(0)
    left = make_dropout(share)(torch.ones(1_000_000, dtype=torch.float64))
    spread = (share * (1 - share) / len(left)) ** 0.5
    assert (left == 0).double().mean().item() == pytest.approx(share, abs=5 * spread)
    assert left.max().item() == pytest.approx(1 / (1 - share), rel=1e-3)
    assert left.unique().numel() == 2
    assert left.mean().item() == pytest.approx(1, abs=5 * spread / (1 - share))


def test_neighbours_are_dropped_independently():
    """Four of them come out of one word."""
    torch.manual_seed(0)
    dropped = make_dropout(0.5)(torch.ones(200_000)).view(-1, 4).t()
    apart = torch.corrcoef(dropped) - torch.eye(4)
    assert apart.abs().max() < 0.02


@pytest.mark.parametrize("share", [0, 1])
def test_all_or_nothing_is_dropped_at_the_ends(share):
    responses = torch.randn(SHAPE)
    assert torch.equal(make_dropout(share)(responses), responses * (1 - share))


def test_nothing_is_dropped_in_prediction():
    responses = torch.randn(SHAPE)
    assert make_dropout(0.5).eval()(responses) is responses


def test_alone_the_default_generator_decides():
    responses, dropout = torch.randn(SHAPE), make_dropout(0.5)
    first, other = (drop_alone(responses, seed, dropout) for seed in (1, 2))
    assert torch.equal(first, drop_alone(responses, 1, dropout))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("dim", [0, 2])
def test_together_each_fold_drops_what_it_drops_alone(dtype, dim):
    dropout, folds = make_dropout(0.3), torch.randn(3, *SHAPE, dtype=dtype)
    together = drop_together(folds.movedim(0, dim), dropout, dim)
    for seed, fold in enumerate(folds):
        assert torch.equal(together[seed], drop_alone(fold, seed, dropout))


def test_the_layout_of_the_responses_does_not_matter():
    responses = torch.randn(2, 8, 6, 6)
    last = responses.contiguous(memory_format=torch.channels_last)
    dropout = make_dropout(0.5)
    assert torch.equal(drop_alone(responses, 0, dropout), drop_alone(last, 0, dropout))


def test_what_was_dropped_gets_no_gradient_and_the_rest_is_scaled():
    responses = torch.randn(3, *SHAPE, requires_grad=True)
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    with draw_from(generators):
        left = torch.vmap(make_dropout(0.5))(responses)
    (gradient,) = torch.autograd.grad(left.sum(), responses)
    assert torch.equal(gradient, torch.where(left == 0, 0.0, 2.0))


def test_folds_without_generators_of_their_own_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        torch.vmap(make_dropout(0.5))(torch.ones(3, *SHAPE))


@pytest.mark.parametrize("stacked", [False, True])
def test_compiled_it_drops_the_same(stacked, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks cannot be traced
    dropout, responses = make_dropout(0.5), torch.randn(3, *SHAPE)
    compiled = torch.compile(
        torch.vmap(dropout) if stacked else dropout, backend="aot_eager", fullgraph=True
    )
    predicted = []
    for drop in (compiled, torch.vmap(dropout) if stacked else dropout):
        torch.manual_seed(0)
        with draw_from([torch.Generator().manual_seed(seed) for seed in range(3)]):
            predicted.append(drop(responses))
    assert torch.equal(*predicted)
