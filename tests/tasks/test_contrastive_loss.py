"""The contrastive objective is the paper's, and reaches both encoders."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from merec.errors import InputError
from merec.tasks.contrastive_loss import Contrast, ContrastSettings

POOL, SIZE, BATCH, NEGATIVES = 12, 6, 5, 8
SOFTMAX = ContrastSettings("softmax", "first_batch", NEGATIVES, 0.2, 0.5, False)
SETTINGS = {
    "softmax": SOFTMAX,
    "softmax, as released": replace(SOFTMAX, temperature=0.05, momentum=0.3),
    "overwritten": replace(SOFTMAX, softmax_overwrite=True),
    "nce, z of the first batch": replace(SOFTMAX, mode="nce"),
    "nce, z averaged": replace(SOFTMAX, mode="nce", z="ema", temperature=0.1),
    "in batch": replace(SOFTMAX, mode="in_batch"),
}
settings_of_all = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
BANKED = {name: settings for name, settings in SETTINGS.items() if settings.mode != "in_batch"}
settings_of_banks = pytest.mark.parametrize("settings", BANKED.values(), ids=BANKED.keys())


def build(settings: ContrastSettings, dtype: torch.dtype = torch.float32) -> Contrast:
    torch.manual_seed(0)
    return Contrast(POOL, SIZE, settings).to(dtype)


def draw_batch(
    number: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings of unit norm, two views that are not unlike, and where their samples lie in the pool."""
    rng = torch.Generator().manual_seed(number)
    first = torch.randn(BATCH, SIZE, generator=rng, dtype=dtype)
    second = first + torch.randn(BATCH, SIZE, generator=rng, dtype=dtype)
    at = torch.randperm(POOL, generator=rng)[:BATCH]
    return normalize(first).requires_grad_(), normalize(second).requires_grad_(), at


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


class Naive:
    """The objective number by number, from the paper's formulas (methods.md A3)."""

    def __init__(self, settings: ContrastSettings, banks: list[list[list[float]]]):
        self.settings, self.banks = settings, banks
        self.z: list[float | None] = [None, None]

    def step(self, views: list[list[list[float]]], at: list[int], drawn: list[list[int]]):
        """Loss and hits of a batch, which the banks then remember."""
        settings, temperature = self.settings, self.settings.temperature
        if settings.mode == "in_batch":
            rows = [[b] + [o for o in range(len(at)) if o != b] for b in range(len(at))]
            keys, part = views, list(range(len(at)))
        else:
            rows = [[i, *rest] for i, rest in zip(at, drawn, strict=True)]
            keys, part = self.banks, at
        scores = [
            [[dot(views[v][b], keys[1 - v][j]) for j in rows[b]] for b in range(len(at))]
            for v in (0, 1)
        ]
        hits = sum(
            all(scores[0][b][0] > s for s, j in zip(scores[0][b], rows[b], strict=True) if j != i)
            for b, i in enumerate(part)
        )
        units = [temperature, temperature]
        if settings.softmax_overwrite:
            scores, units = [scores[0], scores[0]], [temperature**2, temperature]
        contrast = self._nce if settings.mode == "nce" else self._softmax
        loss = sum(
            contrast(v, [[math.exp(s / units[v]) for s in row] for row in scores[v]])
            for v in (0, 1)
        )
        self._remember(views, at)
        return loss, hits

    def _softmax(self, view: int, weights: list[list[float]]) -> float:
        return -sum(math.log(row[0] / sum(row)) for row in weights) / len(weights)

    def _nce(self, view: int, weights: list[list[float]]) -> float:
        every = [w for row in weights for w in row]
        z = sum(every) / len(every) * POOL
        recorded = self.z[view]
        if recorded is not None:
            z = recorded if self.settings.z == "first_batch" else 0.99 * recorded + 0.01 * z
        self.z[view] = z
        noise, total = NEGATIVES / POOL, 0.0
        for row in weights:
            total += math.log(row[0] / z / (row[0] / z + noise + 1e-7))
            total += sum(math.log(noise / (w / z + noise + 1e-7)) for w in row[1:])
        return -total / len(weights)

    def _remember(self, views: list[list[list[float]]], at: list[int]) -> None:
        share = self.settings.momentum
        for bank, view in zip(self.banks, views, strict=True):
            for i, seen in zip(at, view, strict=True) if bank else ():
                row = [
                    share * old + (1 - share) * new for old, new in zip(bank[i], seen, strict=True)
                ]
                bank[i] = [value / math.sqrt(dot(row, row)) for value in row]


@settings_of_all
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_loss_hits_and_banks_are_those_of_a_naive_loop(settings, dtype, most):
    objective = build(settings, dtype)
    banked = settings.mode != "in_batch"
    names = ("first_bank", "second_bank")
    banks = [objective.get_buffer(name).tolist() if banked else [] for name in names]
    naive, every = Naive(settings, banks), []
    for number in range(6):
        first, second, at = draw_batch(number, dtype)
        torch.manual_seed(number)
        loss, hits = objective(first, second, at)
        objective.update(first, second, at)
        torch.manual_seed(number)
        drawn = torch.randint(POOL, (BATCH, NEGATIVES)).tolist()
        expected = naive.step([first.tolist(), second.tolist()], at.tolist(), drawn)
        assert loss.item() == pytest.approx(expected[0], rel=most)
        assert hits.item() == expected[1]
        every.append(expected[1])
    assert 0 < sum(every) < 6 * BATCH
    for name, bank in zip(names, naive.banks, strict=True) if banked else ():
        np.testing.assert_allclose(objective.get_buffer(name).numpy(), bank, atol=most)


def gradients(objective: Contrast, first, second, at) -> tuple[torch.Tensor | None, ...]:
    torch.manual_seed(7)
    loss = objective(first, second, at).loss
    return torch.autograd.grad(loss, (first, second), allow_unused=True)


@settings_of_all
def test_gradients_reach_both_views_unless_the_second_is_overwritten(settings):
    of_first, of_second = gradients(build(settings), *draw_batch(0))
    assert (of_first.abs().amax(1) > 1e-4).all()
    if settings.softmax_overwrite:
        assert of_second is None
    else:
        assert (of_second.abs().amax(1) > 1e-4).all()


@settings_of_banks
def test_what_is_remembered_gets_no_gradient(settings):
    objective = build(settings)
    first, second, at = draw_batch(0)
    alone = gradients(objective, first, second, at)[0]
    beside_another = gradients(objective, first, draw_batch(1)[1], at)[0]
    assert torch.equal(alone, beside_another)
    objective.update(first, second, at)
    assert not any(buffer.requires_grad for buffer in objective.buffers())


def test_the_constant_of_nce_gets_no_gradient():
    objective = build(replace(SOFTMAX, mode="nce"))
    batch = draw_batch(0)
    estimated, recorded = gradients(objective, *batch), gradients(objective, *batch)
    torch.testing.assert_close(estimated, recorded)


@settings_of_all
def test_gradients_can_be_taken_after_a_batch_is_remembered(settings):
    objective = build(settings)
    first, second, at = draw_batch(0)
    before = gradients(objective, first, second, at)[0]
    torch.manual_seed(7)
    loss = objective(first, second, at).loss
    objective.update(first, second, at)
    loss.backward()
    assert torch.equal(first.grad, before)


@settings_of_banks
def test_rows_of_the_banks_have_unit_norm_and_only_those_seen_change(settings):
    objective = build(settings)
    before = torch.stack([objective.first_bank, objective.second_bank])
    torch.testing.assert_close(before.norm(dim=2), torch.ones(2, POOL))
    assert not torch.equal(before[0], before[1])
    for _ in range(50):
        first, second, at = draw_batch(0)
        objective.update(first, second, at)
    after = torch.stack([objective.first_bank, objective.second_bank])
    torch.testing.assert_close(after.norm(dim=2), torch.ones(2, POOL))
    changed = (before != after).any(2)
    assert changed.sum(1).tolist() == [BATCH, BATCH]
    assert changed[:, at].all()
    torch.testing.assert_close(after[:, at], torch.stack([first, second]).detach())


@settings_of_all
def test_a_state_that_is_loaded_goes_on_as_it_was_saved(settings):
    saved, other = build(settings), build(settings)
    for number in range(3):
        batch = draw_batch(number)
        saved(*batch)
        saved.update(*batch)
    state = saved.state_dict()
    banks = set() if settings.mode == "in_batch" else {"first_bank", "second_bank"}
    assert set(state) == banks | ({"log_z"} if settings.mode == "nce" else set())
    other.load_state_dict(state)
    losses = []
    for objective in (saved, other):
        torch.manual_seed(1)
        losses.append(objective(*draw_batch(3)).loss.item())
    assert losses[0] == losses[1]
    if banks:
        torch.manual_seed(1)
        assert build(settings)(*draw_batch(3)).loss.item() != losses[0]


@settings_of_banks
def test_a_seed_decides_what_is_drawn(settings):
    losses = []
    for seed in (1, 1, 2):
        objective = build(settings)
        torch.manual_seed(seed)
        losses.append(objective(*draw_batch(0)).loss.item())
    assert losses[0] == losses[1] != losses[2]


@settings_of_all
def test_views_that_are_all_alike_hit_nothing(settings):
    objective = build(settings)
    for name, bank in objective.named_buffers():
        if name.endswith("bank"):
            bank[:] = torch.eye(SIZE)[0]
    same = torch.eye(SIZE)[:1].repeat(BATCH, 1)
    assert objective(same, same, torch.arange(BATCH)).hits == 0


@settings_of_all
def test_partners_that_are_alike_and_unlike_all_others_hit_and_cost_little(settings):
    """The sample itself may be among its negatives: that is no miss."""
    objective = Contrast(SIZE, SIZE, replace(settings, negatives=SIZE))
    apart = torch.eye(SIZE)
    for name, bank in objective.named_buffers():
        if name.endswith("bank"):
            bank[:] = apart
    right = objective(apart, apart, torch.arange(SIZE))
    wrong = objective(apart, apart.roll(1, 0), torch.arange(SIZE))
    assert right.hits == SIZE
    assert wrong.hits == (
        0 if settings.mode == "in_batch" else SIZE
    )  # a bank is what is remembered
    wrong = objective(apart.roll(1, 0), apart, torch.arange(SIZE))
    assert wrong.hits == 0
    assert right.loss < wrong.loss


@pytest.mark.parametrize("mode", ["softmax", "nce", "in_batch"])
def test_a_low_temperature_leaves_loss_and_gradients_finite(mode):
    objective = build(replace(SOFTMAX, mode=mode, temperature=0.005))
    batch = draw_batch(0)
    assert torch.isfinite(objective(*batch).loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(objective, *batch))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "simclr"}, r"task\.contrast\.mode=simclr .*softmax, nce, in_batch"),
        ({"z": "mean"}, r"task\.contrast\.z=mean .*first_batch, ema"),
        ({"negatives": 0}, r"task\.contrast\.negatives=0, but it is 1 at least"),
        ({"temperature": 0}, r"task\.contrast\.temperature=0, but it is above 0"),
        ({"temperature": -0.1}, r"task\.contrast\.temperature=-0\.1, but"),
        ({"temperature": math.nan}, r"task\.contrast\.temperature=nan, but"),
        ({"momentum": 1}, r"task\.contrast\.momentum=1, but it is 0 at least and below 1"),
        ({"momentum": -0.5}, r"task\.contrast\.momentum=-0\.5, but"),
        (
            {"mode": "nce", "softmax_overwrite": True},
            r"softmax_overwrite=true .*but the mode is nce",
        ),
        ({"mode": "in_batch", "softmax_overwrite": True}, r"softmax_overwrite=true .*is in_batch"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(SOFTMAX, **change)


@pytest.mark.parametrize("mode", ["softmax", "nce"])
def test_more_negatives_than_pairs_are_refused_with_what_would_do(mode):
    settings = replace(SOFTMAX, mode=mode, negatives=2048)
    expected = (
        "task.contrast.negatives=2048, but there are 288 pairs to pretrain on; set it to 288 or less, or "
        "task.contrast.mode=in_batch"
    )
    with pytest.raises(InputError) as refused:
        Contrast(288, SIZE, settings)
    assert str(refused.value) == expected
    Contrast(288, SIZE, replace(settings, negatives=288))
    Contrast(288, SIZE, replace(settings, mode="in_batch"))


@pytest.mark.parametrize("pool", [0, 1])
@pytest.mark.parametrize("mode", ["softmax", "nce", "in_batch"])
def test_a_pool_in_which_there_is_nothing_to_tell_apart_is_refused(mode, pool):
    with pytest.raises(InputError, match=rf"pretrain on: {pool}, .* 2 at least"):
        Contrast(pool, SIZE, replace(SOFTMAX, mode=mode, negatives=1))


def test_a_batch_of_one_has_no_other_to_be_told_from():
    first, second, at = (entry[:1] for entry in draw_batch(0))
    with pytest.raises(InputError, match="this one has 1; pretrain on batches of 2 or more"):
        build(replace(SOFTMAX, mode="in_batch"))(first, second, at)
    assert torch.isfinite(build(SOFTMAX)(first, second, at).loss)


@pytest.mark.parametrize(
    ("mode", "negatives", "pairs"), [("softmax", 3, 10), ("nce", 40, 12), ("in_batch", 3, 8)]
)
def test_the_chance_of_contrastive_accuracy_is_that_of_random_scores(mode, negatives, pairs):
    settings = ContrastSettings(mode, "first_batch", negatives, 0.1, 0.5, False)
    rng, hits, trials = np.random.default_rng(0), 0, 20_000
    for _ in range(trials):
        scores = rng.random(pairs)  # of each sample of the pool, the anchor's partner first
        drawn = np.arange(pairs) if mode == "in_batch" else rng.integers(0, pairs, negatives)
        rivals = scores[drawn[drawn != 0]]
        hits += scores[0] > rivals.max(initial=-1)
    chance = settings.chance(pairs, batches=1)
    assert abs(hits / trials - chance) < 0.03


@settings_of_all
def test_half_precision_blurs_no_similarity(settings):
    batch = draw_batch(0)
    torch.manual_seed(1)
    whole = build(settings)(*batch)
    torch.manual_seed(1)
    half = build(settings)
    with torch.autocast("cpu", torch.bfloat16):
        actual = half(*batch)
    torch.testing.assert_close(actual.loss, whole.loss, rtol=0, atol=0)
