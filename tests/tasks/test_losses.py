"""The focal loss is the paper's, and cross entropy where gamma is 0."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from merec.errors import InputError
from merec.tasks.losses import focal_loss


def draw(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(9, 4, generator=rng, dtype=dtype)
    label = torch.randint(4, (9,), generator=rng)
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=dtype)
    return logits.requires_grad_(), label, weight


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
def test_it_is_the_formula_of_the_paper_sample_by_sample(gamma):
    logits, label, weight = draw()
    total = share = 0.0
    for row, of_class in zip(logits.tolist(), label.tolist(), strict=True):
        p = math.exp(row[of_class]) / sum(map(math.exp, row))
        total -= weight[of_class].item() * (1 - p) ** gamma * math.log(p)
        share += weight[of_class].item()
    assert focal_loss(logits, label, weight, gamma).item() == pytest.approx(
        total / share, rel=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_gamma_it_is_weighted_cross_entropy_bit_for_bit(dtype):
    logits, label, weight = draw(dtype)
    losses = [
        focal_loss(logits, label, weight, gamma=0),
        cross_entropy(logits, label, weight=weight),
    ]
    assert torch.equal(*losses)
    assert torch.equal(*(torch.autograd.grad(loss, logits)[0] for loss in losses))


@pytest.mark.parametrize("gamma", [0.5, 1, 2])
def test_gradients_are_those_of_finite_differences(gamma):
    logits, label, weight = draw()
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, label, weight, gamma), (logits,))


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_a_sample_named_with_certainty_leaves_loss_and_gradient_finite(gamma):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0, 0]), torch.ones(2), gamma)
    assert loss.item() == pytest.approx(100)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_what_is_named_rightly_weighs_less():
    label, weight = torch.tensor([0]), torch.ones(2)
    for margin, least, most in [(4.0, 0, 1e-3), (-4.0, 0.95, 1)]:
        logits = torch.tensor([[margin, 0.0]])
        share = focal_loss(logits, label, weight, 2) / cross_entropy(logits, label)
        assert least < share < most


def test_a_negative_gamma_is_refused():
    with pytest.raises(InputError, match=r"loss\.gamma=-1, but it is 0"):
        focal_loss(*draw(), gamma=-1)
