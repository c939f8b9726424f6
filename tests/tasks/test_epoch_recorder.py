"""Records of epochs hold what happened, and recording changes nothing."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from merec.backbones import STSTNet
from merec.datamodules import ClipDataModule
from merec.errors import InputError
from merec.targets.emotion import Emotion
from merec.tasks import Finetune
from merec.tasks.epoch_recorder import RecordEpochs

EPOCHS = 3
ADAM = partial(torch.optim.Adam, lr=1e-2)


@pytest.fixture
def data(make_data, fold_of) -> ClipDataModule:
    fold = fold_of("s01")
    return make_data().hold_out(fold.train, fold.test, fold.held_out)


@pytest.fixture
def fit(data: ClipDataModule, quiet_trainer) -> Callable[..., tuple[Finetune, RecordEpochs]]:
    """Train a network while recording; `watch=False` gives the recorder no samples."""

    def run(
        watch: bool = True,
        epochs: int = EPOCHS,
        optimizer: Any = ADAM,
        dropout: float = 0.5,
        on_epoch: Callable[[int, int], None] = lambda epoch, epochs: None,
        logger: Any = False,
    ) -> tuple[Finetune, RecordEpochs]:
        torch.manual_seed(0)
        label = data.label[data.train_rows]
        backbone = STSTNet(3, 3, [3, 5, 8], dropout, 28, 1, True)
        task = Finetune(
            backbone,
            optimizer,
            None,
            cross_entropy,
            False,
            Emotion(("a", "b", "c")),
            label,
            0,
            data.held_out,
            "none",
        )
        record = RecordEpochs(list(data.predict_dataloader()) if watch else [], on_epoch)
        trainer = quiet_trainer(max_epochs=epochs, logger=logger, callbacks=[record])
        trainer.fit(task, datamodule=data)
        return task, record

    return run


def state(task: Finetune) -> dict[str, torch.Tensor]:
    actual = {key: value.clone() for key, value in task.state_dict().items()}
    assert "backbone.norm.running_mean" in actual  # what a careless prediction would change
    return actual


def predict(task: Finetune, data: ClipDataModule) -> np.ndarray:
    task.eval()
    with torch.no_grad():
        predicted = [task.backbone(batch.inputs).argmax(1) for batch in data.predict_dataloader()]
    return torch.cat(predicted).numpy()


def test_watching_changes_no_weight_and_no_statistic(fit):
    watched, record = fit(watch=True)
    alone, nothing = fit(watch=False)
    assert record.to_epochs().predicted.shape == (5, EPOCHS)
    assert nothing.to_epochs().predicted.shape == (0, EPOCHS)
    a, b = state(watched), state(alone)
    assert all(torch.equal(a[key], b[key]) for key in a)
    np.testing.assert_array_equal(record.to_epochs().train_loss, nothing.to_epochs().train_loss)
    longer, _ = fit(watch=True, epochs=EPOCHS + 1)  # the comparison can tell two trainings apart
    assert not torch.equal(a["backbone.classify.weight"], state(longer)["backbone.classify.weight"])


def test_the_recorded_epochs_are_those_of_runs_that_end_there(fit, data):
    _, record = fit()
    recorded = record.to_epochs()
    for epoch in range(1, EPOCHS + 1):
        task, _ = fit(epochs=epoch)
        np.testing.assert_array_equal(recorded.predicted[:, epoch - 1], predict(task, data))
    assert recorded.sample_id.tolist() == data.sample_id[data.test_rows].tolist()


def test_loss_and_accuracy_are_means_over_samples_not_over_batches(fit, data):
    # At a rate of 0 and without dropout the network stays, and each batch can be computed again.
    task, record = fit(epochs=2, optimizer=partial(torch.optim.SGD, lr=0.0), dropout=0.0)
    task.train()
    sizes = set()
    for epoch in range(2):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        losses, hits = [], []
        for batch in loader:
            with torch.no_grad():
                logits = task.backbone(batch.inputs)
            sizes.add(len(batch.label))
            losses += cross_entropy(logits, batch.label, reduction="none").tolist()
            hits += (logits.argmax(1) == batch.label).tolist()
        assert record.to_epochs().train_loss[epoch] == pytest.approx(np.mean(losses), rel=1e-5)
        assert record.to_epochs().train_accuracy[epoch] == np.mean(hits)
    assert len(sizes) > 1  # with batches of one size a mean over batches would do as well


def test_each_epoch_is_reported_once_counted_from_one(fit):
    predicted = []
    fit(on_epoch=lambda epoch, epochs: predicted.append((epoch, epochs)))
    assert predicted == [(1, EPOCHS), (2, EPOCHS), (3, EPOCHS)]


def test_each_epoch_is_logged_once(fit, notes):
    _, record = fit(logger=notes)
    recorded = record.to_epochs()
    rows = [(step, row) for step, row in notes.rows if "train/loss" in row]
    assert [step for step, _ in rows] == list(range(EPOCHS))
    assert [row["train/loss"] for _, row in rows] == recorded.train_loss.tolist()
    assert [row["train/accuracy"] for _, row in rows] == recorded.train_accuracy.tolist()


def test_a_loss_that_is_not_finite_stops_with_the_epoch_and_the_remedy(fit):
    with pytest.raises(InputError, match=r"training loss is (nan|inf) in epoch 1; lower .*\.lr"):
        fit(optimizer=partial(torch.optim.Adam, lr=1e30))
