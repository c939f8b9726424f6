"""Finetuning weighs, seeds and schedules as it says."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn.functional import cross_entropy

from merec.backbones import STSTNet
from merec.config import build, compose_node
from merec.errors import InputError
from merec.targets.emotion import Emotion
from merec.tasks import Finetune
from merec.tasks.starting_weights import load_weights
from merec.tasks.trainer_factory import ignore_cluster, read_keywords
from merec.types import Batch

ADAM = partial(torch.optim.Adam, lr=1e-2)


def make(num_classes=3, dropout=0.5, size=28, **changes) -> Finetune:
    torch.manual_seed(0)
    settings = {
        "backbone": STSTNet(3, num_classes, [3, 5, 8], dropout, size, 1, True),
        "optimizer": ADAM,
        "scheduler": None,
        "loss": cross_entropy,
        "class_balanced": False,
        "target": Emotion(tuple(map(str, range(num_classes)))),
        "label": torch.arange(num_classes),
        "seed": 0,
        "held_out": "s01",
        "freeze": "none",
    }
    return Finetune(**(settings | changes))


@pytest.fixture
def batch() -> Batch:
    rng = torch.Generator().manual_seed(0)
    inputs = torch.rand(9, 3, 28, 28, generator=rng)
    label = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2])
    return Batch(inputs, label, np.array([f"clip{n}" for n in range(9)], dtype=object))


@pytest.mark.parametrize("counts", [[250, 109, 83], [1, 1, 1], [7, 1, 300], [5, 2]])
def test_balanced_weights_equal_those_of_scikit_learn(counts):
    label = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=label)
    task = make(len(counts), class_balanced=True, label=torch.tensor(label))
    np.testing.assert_allclose(task.class_weight.numpy(), expected, rtol=1e-6)


def test_class_weights_are_taken_to_a_power():
    label = torch.tensor([0] * 16 + [1] * 4)
    root = make(2, class_balanced=0.5, label=label).class_weight
    torch.testing.assert_close(root, torch.tensor([(20 / 32) ** 0.5, (20 / 8) ** 0.5]))


def test_a_class_that_training_lacks_leaves_the_weights_finite():
    task = make(class_balanced=True, label=torch.tensor([0] * 5 + [2] * 3))
    assert torch.isfinite(task.class_weight).all()


def test_unbalanced_classes_weigh_the_same():
    task = make(class_balanced=False, label=torch.tensor([0, 0, 0, 1, 2]))
    assert task.class_weight.tolist() == [1, 1, 1]


@pytest.mark.parametrize("balanced", [False, True])
def test_the_loss_is_cross_entropy_under_the_class_weights(batch, balanced):
    task = make(dropout=0.0, class_balanced=balanced, label=batch.label).train()
    weight = compute_class_weight("balanced", classes=np.arange(3), y=batch.label.numpy())
    predicted = task.training_step(batch, 0)
    logits = task.backbone(batch.inputs)
    entry = cross_entropy(logits, batch.label, reduction="none")
    share = torch.tensor(weight if balanced else np.ones(3), dtype=torch.float32)[batch.label]
    torch.testing.assert_close(predicted["loss"], (entry * share).sum() / share.sum())
    assert int(predicted["hits"]) == int((logits.argmax(1) == batch.label).sum())


def test_probabilities_sum_to_one_and_carry_their_sample_ids(batch):
    ids, probability = make().eval().predict_step(batch, 0)
    assert ids.tolist() == batch.sample_id.tolist()
    assert probability.shape == (9, 3)
    torch.testing.assert_close(probability.sum(1), torch.ones(9))


def first_loss(batch: Batch, **changes) -> float:
    """Loss of a batch under the dropout of the first epoch, whatever was drawn before."""
    task = make(**changes).train()
    torch.rand(5)
    task.on_train_epoch_start()
    return task.training_step(batch, 0)["loss"].item()


def test_dropout_depends_on_seed_and_held_out_subject_and_on_nothing_drawn_before(batch):
    assert first_loss(batch) == first_loss(batch)
    losses = [first_loss(batch), first_loss(batch, seed=1), first_loss(batch, held_out="s02")]
    assert len(set(losses)) == 3
    without = [first_loss(batch, dropout=0.0, held_out=name) for name in ("s01", "s02")]
    assert without[0] == without[1]  # it is dropout that differs


class Rates(pl.Callback):
    """Keep the learning rate and the order of samples of each epoch."""

    def __init__(self) -> None:
        self.rates: list[set[float]] = []
        self.order: list[list[str]] = []

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        self.rates.append(set())
        self.order.append([])

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.rates[-1].add(trainer.optimizers[0].param_groups[0]["lr"])
        self.order[-1] += batch.sample_id.tolist()


@pytest.fixture
def watch(quiet_trainer) -> Callable[..., Rates]:
    """Train four epochs and give what the optimiser did."""

    def run(data, **changes) -> Rates:
        rates = Rates()
        trainer = quiet_trainer(max_epochs=4, logger=False, callbacks=[rates])
        trainer.fit(make(**changes), datamodule=data)
        return rates

    return run


def test_the_schedule_is_stepped_once_per_epoch_and_not_per_batch(make_data, watch):
    schedule = partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5)
    data = make_data(batch_size=8)
    assert len(data.train_dataloader()) > 2
    assert watch(data, scheduler=schedule).rates == [{1e-2}, {1e-2}, {5e-3}, {5e-3}]


def test_without_a_schedule_the_rate_stays(make_data, watch):
    assert watch(make_data(), scheduler=None).rates == [{1e-2}] * 4


def test_the_trainer_draws_each_epoch_in_its_own_order(make_data, fold_of, watch):
    fold = fold_of("s01")
    data = make_data().hold_out(fold.train, fold.test, fold.held_out)
    expected = []
    for epoch in range(4):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        expected.append([sample_id for batch in loader for sample_id in batch.sample_id])
    assert watch(data).order == expected
    assert len({tuple(order) for order in expected}) == 4


def test_weights_come_back_as_they_were_saved():
    saved, fresh = make().state_dict(), STSTNet(3, 3, [3, 5, 8], 0.5, 28, 1, True)
    assert not torch.equal(fresh.convolution.weight, saved["backbone.convolution.weight"])
    load_weights(fresh, saved, "a.ckpt")
    for key, value in fresh.state_dict().items():
        assert torch.equal(value, saved[f"backbone.{key}"])


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64])
def test_weights_that_are_no_real_numbers_are_refused_by_name(dtype):
    state = make().state_dict()
    state["backbone.convolution.weight"] = state["backbone.convolution.weight"].to(dtype)
    with pytest.raises(InputError, match=rf"^a.ckpt: backbone.convolution.weight holds {dtype}"):
        load_weights(STSTNet(3, 3, [3, 5, 8], 0.5, 28, 1, True), state, "a.ckpt")


def test_weights_of_another_precision_are_taken():
    state = make().bfloat16().state_dict()
    fresh = STSTNet(3, 3, [3, 5, 8], 0.5, 28, 1, True)
    load_weights(fresh, state, "a.ckpt")
    assert torch.equal(fresh.convolution.weight, state["backbone.convolution.weight"].float())


@pytest.mark.parametrize(
    ("backbone", "reason"),
    [
        (STSTNet(3, 5, [3, 5, 8], 0.5, 28, 1, True), r"classify\.weight.*\[3, 400\].*\[5, 400\]"),
        (STSTNet(1, 3, [3, 5, 8], 0.5, 28, 1, True), r"convolution\.weight"),
        (STSTNet(3, 3, [3, 5], 0.5, 28, 1, True), r"convolution\.weight"),
        (nn.Linear(4, 3), r"Unexpected key"),
    ],
    ids=["classes", "channels", "streams", "backbone"],
)
def test_weights_of_another_network_are_refused_with_reason_and_remedy(backbone, reason):
    state = make().state_dict()
    with pytest.raises(InputError, match=reason) as error:
        load_weights(backbone, state, "a.ckpt")
    message = str(error.value)
    assert message.startswith(f"a.ckpt does not fit {type(backbone).__name__}")
    assert "train with the backbone, channels and classes it was saved from" in message
    assert "\n" not in message


def test_what_a_config_says_of_a_trainer_is_read_through_every_partial():
    """Precision decides an encoder's identity, and callbacks of the config must run."""
    node = compose_node("trainer", ["trainer=cpu", "trainer.precision=bf16-mixed"])
    made = ignore_cluster(build(node))
    actual = read_keywords(made)
    assert [type(plugin) for plugin in actual["plugins"]] == [LightningEnvironment]
    assert actual["precision"] == "bf16-mixed"
    assert {"callbacks", "max_epochs", "devices"} <= actual.keys()
    assert read_keywords(partial(partial(int, base=2), base=8)) == {"base": 8}
