"""Focal and cosine loss are those of their papers; focal is cross entropy where gamma is 0."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from merec.errors import InputError
from merec.tasks.losses import cosine_loss, focal_loss


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


def test_the_cosine_loss_is_the_formula_of_the_paper_sample_by_sample():
    logits, label, weight = draw()
    total = share = 0.0
    for row, of_class in zip(logits.tolist(), label.tolist(), strict=True):
        total += weight[of_class].item() * (1 - row[of_class] / math.hypot(*row))
        share += weight[of_class].item()
    assert cosine_loss(logits, label, weight).item() == pytest.approx(total / share, rel=1e-12)


def test_the_cosine_loss_looks_at_the_direction_of_logits_only():
    logits, label, weight = draw()
    losses = [cosine_loss(factor * logits, label, weight).item() for factor in (0.1, 1, 1000)]
    assert losses == pytest.approx([losses[1]] * 3, rel=1e-12)
    one = torch.eye(4)[:1]
    assert [cosine_loss(sign * one, label[:1] * 0, weight.float()).item() for sign in (1, -1)] == [
        0,
        2,
    ]


def test_gradients_of_the_cosine_loss_are_those_of_finite_differences():
    logits, label, weight = draw()
    assert torch.autograd.gradcheck(lambda x: cosine_loss(x, label, weight), (logits,))


def test_logits_of_zero_leave_the_cosine_loss_and_its_slope_bounded():
    logits = torch.zeros(2, 3, requires_grad=True)
    loss = cosine_loss(logits, torch.tensor([0, 2]), torch.ones(3))
    assert loss.item() == 1
    loss.backward()
    assert 0 < logits.grad.abs().max() <= 1000
