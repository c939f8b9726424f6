"""Contrastive pretraining makes two views of a sample alike, and draws what its seed says."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from merec.tasks import Contrastive
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.epoch_recorder import RecordEpochs
from merec.types import Batch

PEOPLE, SIGNAL, PIXELS, EMBEDDING = 64, 8, 20, 16
IDS = np.array([f"clip{number}" for number in range(PEOPLE)], dtype=object)
SOFTMAX = ContrastSettings("softmax", "first_batch", 32, 0.1, 0.5, False)
SETTINGS = {
    "softmax": SOFTMAX,
    "nce": replace(SOFTMAX, mode="nce", z="ema"),
    "in batch": replace(SOFTMAX, mode="in_batch"),
}
settings_of_all = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())


class Linears(nn.Module):
    """The least backbone of two views: a layer for each, and a head that no pretraining uses."""

    embedding = EMBEDDING
    fresh = ("head",)

    def __init__(self, dropout: float = 0.0):
        super().__init__()
        self.first, self.second = nn.Linear(PIXELS, EMBEDDING), nn.Linear(PIXELS, EMBEDDING)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(2 * EMBEDDING, 3)

    def encode(self, views: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        first, second = views
        return normalize(self.first(self.dropout(first))), normalize(self.second(second))


def show(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two views of 64 people: what is their own, seen in two ways, and noise that differs with the seed."""
    rng = torch.Generator().manual_seed(99)
    rows = torch.randn(PEOPLE, SIGNAL, generator=rng)
    ways = torch.randn(2, SIGNAL, PIXELS, generator=rng)
    noise = torch.randn(2, PEOPLE, PIXELS, generator=torch.Generator().manual_seed(seed))
    first, second = rows @ ways + 0.5 * noise
    return first, second


def make_batches(seed: int = 0) -> list[Batch]:
    """All people in an order of their own."""
    first, second = show(0)
    order = torch.randperm(PEOPLE, generator=torch.Generator().manual_seed(seed))
    return [
        Batch((first[some], second[some]), torch.zeros(len(some), dtype=torch.long), IDS[some])
        for some in order.split(16)
    ]


class Batches:
    """The same people in each epoch, if told so in an order that differs."""

    def __init__(self, shuffled: bool):
        self.shuffled, self.epoch = shuffled, 0

    def __iter__(self) -> Iterator[Batch]:
        self.epoch += self.shuffled
        return iter(make_batches(self.epoch))


def make(settings: ContrastSettings = SOFTMAX, dropout: float = 0.0, **changes) -> Contrastive:
    torch.manual_seed(0)
    arguments = {
        "backbone": Linears(dropout),
        "optimizer": partial(torch.optim.SGD, lr=0.5, momentum=0.9, weight_decay=1e-3),
        "scheduler": None,
        "settings": settings,
        "sample_id": IDS,
        "seed": 0,
        "held_out": "s01",
        "interval": "epoch",
    }
    return Contrastive(**(arguments | changes))


@pytest.fixture
def train(quiet_trainer) -> Callable[..., RecordEpochs]:
    """Pretrain for some epochs."""

    def run(task: Contrastive, epochs: int, shuffled: bool = True) -> RecordEpochs:
        record = RecordEpochs([], lambda epoch, epochs: None)
        trainer = quiet_trainer(max_epochs=epochs, logger=False, callbacks=[record])
        trainer.fit(task, train_dataloaders=Batches(shuffled))
        return record

    return run


@torch.no_grad()
def retrieve(task: Contrastive) -> float:
    """Share of people whose second view is found by their first, both under noise never trained on."""
    first, second = task.backbone.encode(show(1))
    return ((first @ second.T).argmax(1) == torch.arange(PEOPLE)).double().mean().item()


@settings_of_all
def test_pretraining_finds_the_other_view_of_a_sample(train, settings):
    task = make(settings)
    assert retrieve(task) < 0.1
    record = train(task, 20)
    assert retrieve(task) > 0.7  # chance is 1 / 64
    assert record.loss[-1] < record.loss[0] / 2
    assert record.accuracy[0] < 0.5 < record.accuracy[-1]


def test_with_the_released_defect_the_second_encoder_stays_as_it_was(train):
    task = make(replace(SOFTMAX, softmax_overwrite=True))
    before = {name: value.clone() for name, value in task.backbone.state_dict().items()}
    train(task, 2)
    after = task.backbone.state_dict()
    assert torch.equal(after["second.weight"], before["second.weight"])
    assert not torch.equal(after["first.weight"], before["first.weight"])


@settings_of_all
def test_what_a_pretrained_encoder_does_not_bring_learns_nothing(train, settings):
    task = make(settings)
    before = {name: value.clone() for name, value in task.backbone.state_dict().items()}
    groups = task.configure_optimizers().param_groups
    learning = {id(parameter) for group in groups for parameter in group["params"]}
    encoders = [*task.backbone.first.parameters(), *task.backbone.second.parameters()]
    assert learning == {id(parameter) for parameter in encoders}
    train(task, 2)
    for name, value in task.backbone.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("head")


def test_each_sample_is_remembered_in_its_own_row():
    task, batch = make(replace(SOFTMAX, momentum=0)), make_batches()[0]
    rows = [int(name.removeprefix("clip")) for name in batch.sample_id]
    assert rows != sorted(rows)
    before = task.objective.second_bank
    task.training_step(batch, 0)
    _, second = task.backbone.encode(batch.inputs)
    torch.testing.assert_close(task.objective.second_bank[rows], second.detach())
    rest = np.setdiff1d(np.arange(PEOPLE), rows)
    assert torch.equal(task.objective.second_bank[rest], before[rest])


def test_a_checkpoint_holds_encoders_and_banks():
    names = set(make().state_dict())
    assert {"backbone.first.weight", "objective.first_bank", "objective.second_bank"} <= names
    assert {name.partition(".")[0] for name in names} == {"backbone", "objective"}


@pytest.mark.parametrize("change", [{"seed": 1}, {"held_out": "s02"}])
def test_the_banks_depend_on_seed_and_held_out_subject_and_on_nothing_drawn_before(change):
    def draw(**changes) -> torch.Tensor:
        torch.rand(len(changes) + 1)
        return make(**changes).objective.first_bank

    assert torch.equal(draw(), draw(backbone=Linears()))
    assert not torch.equal(draw(), draw(**change))


def first_loss(dropout: float = 0.0, **changes) -> float:
    """Loss of a batch, from the same weights and banks, under what the first epoch draws."""
    task = make(dropout=dropout, **changes)
    task.objective.load_state_dict(make().objective.state_dict())
    torch.rand(5)
    task.on_train_epoch_start()
    return task.training_step(make_batches()[0], 0)["loss"].item()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_is_drawn_depends_on_seed_and_held_out_subject_and_on_nothing_drawn_before(dropout):
    assert first_loss(dropout) == first_loss(dropout)
    losses = {first_loss(dropout), first_loss(dropout, seed=1), first_loss(dropout, held_out="s02")}
    assert len(losses) == 3


def test_each_epoch_draws_anew_from_the_seed(train):
    still = partial(torch.optim.SGD, lr=0.0)
    settings = replace(SOFTMAX, momentum=0.999999)
    losses = train(make(settings, optimizer=still), 2, shuffled=False).loss
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)
    assert train(make(settings, optimizer=still), 2, shuffled=False).loss == losses


@pytest.mark.parametrize(("interval", "times"), [("epoch", 3), ("step", 12)])
def test_the_schedule_counts_epochs_or_steps(train, interval, times):
    schedule = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    task = make(scheduler=schedule, interval=interval)
    train(task, 3)
    assert task.optimizers().param_groups[0]["lr"] == pytest.approx(0.5 / 2**times)
