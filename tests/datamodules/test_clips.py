"""Batches: samples, order and scale; nothing of them comes from the held-out subject."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from merec.datamodules import ClipDataModule, PairPool
from merec.datamodules.batches import OrderedBatches
from merec.datamodules.pretraining import open_pretraining
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.splits import Fold, leave_one_subject_out
from merec.types import Batch, Corpus

CLASSES = ("negative", "positive", "surprise")
SUBJECTS = ("006", "s01", "s02", "sub01")


@pytest.fixture
def corpus() -> Corpus:
    """29 samples of four subjects, whose rows are not grouped."""
    rng = np.random.default_rng(0)
    rows = [
        (f"{subject}_{clip}", "made", subject, f"{clip}", (clip + number) % 3)
        for number, subject in enumerate(SUBJECTS)
        for clip in range(5 + 2 * (number % 3) + (number == 3))
    ]
    index = pd.DataFrame(rows, columns=["sample_id", "corpus", "subject", "clip", "label"])
    index = index.sample(frac=1, random_state=0, ignore_index=True)
    maps = rng.integers(0, 256, (len(index), 3, 28, 28), dtype=np.uint8)
    maps[:, 1] //= 2  # channels of unlike mean and spread
    return Corpus(describe_protocol("made", index, CLASSES), index, maps, ("u", "v", "strain"))


def make(corpus: Corpus, **changes) -> ClipDataModule:
    settings = {
        "modality": "rgb",
        "representation": "flow_map",
        "channels": ["strain", "v", "u"],
        "scaling": "raw",
        "batch_size": 4,
        "num_workers": 0,
        "seed": 0,
    }
    return ClipDataModule(corpus, **(settings | changes))


def fold_of(corpus: Corpus, subject: str = "s01") -> Fold:
    folds = leave_one_subject_out(corpus.index["subject"].tolist())
    return next(fold for fold in folds if fold.held_out == subject)


def hold_out(corpus: Corpus, subject: str = "s01", **changes) -> ClipDataModule:
    fold = fold_of(corpus, subject)
    return make(corpus, **changes).hold_out(fold.train, fold.test, fold.held_out)


def draw(data: ClipDataModule, epoch: int) -> list[Batch]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)  # as Lightning does
    return list(loader)


def order(data: ClipDataModule, epoch: int = 0) -> list[str]:
    return np.concatenate([batch.sample_id for batch in draw(data, epoch)]).tolist()


# Order


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7, 8, 100])
@pytest.mark.parametrize("epoch", [0, 1])
def test_every_training_sample_is_drawn_once_per_epoch_and_no_other(corpus, batch_size, epoch):
    data = hold_out(corpus, batch_size=batch_size)
    index = corpus.index
    expected = Counter(index["sample_id"][index["subject"] != "s01"])
    assert 0 < len(expected) < len(index)
    assert Counter(order(data, epoch)) == expected
    batches = draw(data, epoch)
    assert len(batches) == len(data.train_dataloader())
    *rest, last = [len(batch.label) for batch in batches]
    assert set(rest) <= {batch_size}
    # One that is left over joins the others: a norm cannot be trained on it.
    assert min(2, batch_size) <= last <= batch_size + 1


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7, 8, 100])
def test_even_batches_hold_every_training_sample_and_are_of_one_size(corpus, batch_size):
    """A contrast among three samples left over is no task, and a norm over three is noise."""
    data = hold_out(corpus, batch_size=batch_size, even_batches=True)
    batches = draw(data, epoch=0)
    assert Counter(order(data, 0)) == Counter(data.sample_id[data.train_rows].tolist())
    sizes = [len(batch.label) for batch in batches]
    assert len(sizes) == len(data.train_dataloader())
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(3, batch_size)
    assert min(sizes) >= 2


def test_a_batch_shows_the_maps_and_labels_of_the_samples_it_names(corpus):
    row = {sample_id: number for number, sample_id in enumerate(corpus.index["sample_id"])}
    for batch in draw(hold_out(corpus), epoch=3):
        rows = [row[sample_id] for sample_id in batch.sample_id]
        np.testing.assert_array_equal(batch.inputs.numpy(), corpus.flow_maps[rows][:, [2, 1, 0]])
        np.testing.assert_array_equal(batch.label.numpy(), corpus.index["label"].iloc[rows])


def test_held_out_samples_come_once_in_the_order_of_the_index(corpus):
    data = hold_out(corpus, batch_size=3)
    predicted = np.concatenate([batch.sample_id for batch in data.predict_dataloader()]).tolist()
    index = corpus.index
    assert predicted == index["sample_id"][index["subject"] == "s01"].tolist()
    assert predicted


@pytest.mark.parametrize("samples", [0, 1, 4, 5])
def test_ordered_batches_are_as_many_as_they_say(samples):
    batches = OrderedBatches(np.arange(samples), batch_size=4)
    assert len(list(batches)) == len(batches)
    assert [row for rows in batches for row in rows.rows] == list(range(samples))


def test_the_order_is_the_same_again_for_the_same_seed_subject_and_epoch(corpus):
    np.random.seed(1)
    torch.manual_seed(1)
    first = order(hold_out(corpus), epoch=5)
    np.random.seed(2)
    torch.manual_seed(2)
    assert order(hold_out(corpus), epoch=5) == first


def test_the_order_differs_between_epochs_seeds_and_held_out_subjects(corpus):
    fold = fold_of(corpus)
    data = make(corpus)
    # The same rows under another name: only the name differs.
    renamed = data.hold_out(fold.train, fold.test, "somebody else")
    orders = [
        order(data.hold_out(fold.train, fold.test, fold.held_out), epoch=0),
        order(data.hold_out(fold.train, fold.test, fold.held_out), epoch=1),
        order(hold_out(corpus, seed=1), epoch=0),
        order(renamed, epoch=0),
        sorted(order(renamed, epoch=0)),
    ]
    assert len({tuple(one) for one in orders}) == len(orders)


def test_the_order_of_an_epoch_does_not_depend_on_the_epochs_drawn_before(corpus):
    data = hold_out(corpus)
    loader = data.train_dataloader()
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        last = [sample_id for batch in loader for sample_id in batch.sample_id]
    assert last == order(hold_out(corpus), epoch=2)
    # A half-drawn epoch leaves no trace either.
    loader.sampler.set_epoch(0)
    next(iter(loader))
    assert [sample_id for batch in loader for sample_id in batch.sample_id] == order(data, epoch=0)


def test_the_order_does_not_depend_on_other_folds_drawn_in_between(corpus):
    data = make(corpus)
    folds = [fold_of(corpus, subject) for subject in SUBJECTS]
    views = [data.hold_out(fold.train, fold.test, fold.held_out) for fold in folds]
    together = [order(view) for view in views]
    alone = [order(hold_out(corpus, subject)) for subject in SUBJECTS]
    assert together == alone
    assert order(views[0]) == together[0]


def test_batches_are_equal_for_any_number_of_workers(corpus):
    alone = draw(hold_out(corpus, num_workers=0), epoch=1)
    workers = draw(hold_out(corpus, num_workers=2), epoch=1)
    assert len(alone) == len(workers) > 2
    for a, b in zip(alone, workers, strict=True):
        assert a.sample_id.tolist() == b.sample_id.tolist()
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.label, b.label)


# Scale


def test_raw_values_are_the_maps_exactly(corpus):
    data = make(corpus, channels=["u", "v", "strain"], scaling="raw")
    assert data.inputs.dtype == torch.float32
    np.testing.assert_array_equal(data.inputs.numpy(), corpus.flow_maps.astype(np.float32))


def test_unit_values_are_the_maps_over_255_exactly(corpus):
    data = make(corpus, channels=["u", "v", "strain"], scaling="unit")
    expected = corpus.flow_maps.astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(data.inputs.numpy(), expected)
    assert data.inputs.max() <= 1


@pytest.mark.parametrize("channels", [["strain", "v", "u"], ["v"], ["strain", "u"]])
@pytest.mark.parametrize("scaling", ["raw", "standard"])
def test_channels_come_in_the_order_asked_for(corpus, channels, scaling):
    data = hold_out(corpus, channels=channels, scaling=scaling)
    every = hold_out(corpus, channels=["u", "v", "strain"], scaling=scaling)
    assert data.in_channels == len(channels) == data.inputs.shape[1]
    for at, channel in enumerate(channels):
        # Sums may be taken in another order over another number of channels.
        torch.testing.assert_close(
            data.inputs[:, at], every.inputs[:, ["u", "v", "strain"].index(channel)]
        )


def test_standard_inputs_equal_a_float64_reference_over_the_training_subjects(corpus):
    fold = fold_of(corpus)
    maps = corpus.flow_maps[:, [2, 1, 0]].astype(np.float64)
    seen = maps[fold.train]
    mean = seen.mean((0, 2, 3), keepdims=True)
    spread = seen.std((0, 2, 3), ddof=1, keepdims=True)
    inputs = hold_out(corpus, scaling="standard").inputs.numpy()
    np.testing.assert_allclose(inputs, (maps - mean) / spread, atol=1e-5, rtol=0)
    # Zero mean and unit variance over those who are trained on, not over everyone.
    assert np.abs(inputs[fold.train].mean((0, 2, 3))).max() < 1e-5
    assert np.abs(inputs[fold.train].std((0, 2, 3)) - 1).max() < 1e-3


@pytest.mark.parametrize("scaling", ["raw", "unit", "standard"])
def test_the_held_out_maps_change_no_training_input(corpus, scaling):
    fold = fold_of(corpus)
    maps = corpus.flow_maps.copy()
    maps[fold.test] = 255
    spoilt = hold_out(replace(corpus, flow_maps=maps), scaling=scaling)
    intact = hold_out(corpus, scaling=scaling)
    assert torch.equal(spoilt.inputs[fold.train], intact.inputs[fold.train])
    assert not torch.equal(spoilt.inputs[fold.test], intact.inputs[fold.test])
    # The same change to a training subject is not without effect.
    maps = corpus.flow_maps.copy()
    maps[fold.train[:3]] = 255
    seen = hold_out(replace(corpus, flow_maps=maps), scaling=scaling)
    same = torch.equal(seen.inputs[fold.train[3:]], intact.inputs[fold.train[3:]])
    assert same == (scaling != "standard")


def test_a_constant_channel_stays_finite(corpus):
    maps = corpus.flow_maps.copy()
    maps[:, 0] = 7
    data = hold_out(replace(corpus, flow_maps=maps), scaling="standard")
    assert torch.isfinite(data.inputs).all()


# Views of a fold


@pytest.mark.parametrize("scaling", ["raw", "unit", "standard"])
def test_folds_share_memory(corpus, scaling):
    data = make(corpus, scaling=scaling)
    for subject in SUBJECTS:
        fold = fold_of(corpus, subject)
        view = data.hold_out(fold.train, fold.test, fold.held_out)
        assert view.sample_inputs is data.sample_inputs
        assert view.label.data_ptr() == data.label.data_ptr()


@pytest.mark.parametrize("scaling", ["raw", "standard"])
def test_a_view_leaves_the_data_module_as_it_was(corpus, scaling):
    data = make(corpus, scaling=scaling)
    before, rows = data.inputs.clone(), data.train_rows.copy()
    fold = fold_of(corpus)
    view = data.hold_out(fold.train, fold.test, fold.held_out)
    assert (view.held_out, data.held_out) == ("s01", "nobody")
    np.testing.assert_array_equal(data.train_rows, rows)
    assert len(data.test_rows) == 0
    assert torch.equal(data.inputs, before)


def test_a_subject_on_both_sides_is_refused_by_name(corpus):
    fold = fold_of(corpus, "s02")
    leaky = np.append(fold.train, fold.test[0])
    with pytest.raises(InputError, match=r"subject s02 is both in train and in test"):
        make(corpus).hold_out(leaky, fold.test[1:], "s02")


# What is refused


@pytest.mark.parametrize(
    ("modality", "representation"),
    [("depth", "flow_map"), ("fused", "flow_map"), ("rgb", "points"), ("rgb", "views")],
)
def test_what_flow_maps_do_not_have_is_refused_with_what_would_do(corpus, modality, representation):
    with pytest.raises(InputError) as error:
        make(corpus, modality=modality, representation=representation)
    message = str(error.value)
    for word in (f"datamodule={modality}", representation, "datamodule=rgb", "flow_map", "ststnet"):
        assert word in message


def test_an_unknown_channel_is_refused_with_those_there_are(corpus):
    with pytest.raises(InputError, match=r"datamodule\.channels has w; made has u, v, strain"):
        make(corpus, channels=["u", "w"])


def test_an_unknown_scaling_is_refused_with_those_there_are(corpus):
    with pytest.raises(
        InputError, match=r"scaling=minmax is unknown; choose raw, unit or standard"
    ):
        make(corpus, scaling="minmax")


def test_flow_maps_are_not_told_to_choose_another_backbone(corpus):
    pool = PairPool(source="samples", batch_size=4, augment=None)
    with pytest.raises(InputError, match="made holds flow maps alone; choose a corpus of frames"):
        open_pretraining("contrastive", make(corpus), pool)
