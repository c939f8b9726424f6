"""A corpus of frames through a feature store: every pair of modality and representation, fold by fold."""

from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
import yaml
from torch.nn.functional import cross_entropy

from merec.baselines import Baseline
from merec.config_groups import home
from merec.config_parts import assemble
from merec.datamodules import Augmentation, ClipDataModule, PairPool
from merec.errors import InputError
from merec.evaluation.fold_choice import FoldChoice
from merec.evaluation.protocol import assert_same_protocol, describe_protocol
from merec.evaluation.splits import Fold, leave_one_subject_out
from merec.features.prepare import FeatureStore, Loaded
from merec.features.representations import (
    MODALITIES,
    Representation,
    list_representations,
    open_representation,
)
from merec.features.representations.clip import MASKS
from merec.provenance import describe_environment
from merec.tasks import Contrastive, Finetune
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.training_settings import TrainingSettings
from merec.types import Batch, Camera, Corpus

SHOWN = {
    representation.name: {modality: representation.channels(modality) for modality in MODALITIES}
    for representation in list_representations()
}
PAIRS = [(kind, modality) for kind, modalities in SHOWN.items() for modality in modalities]
SUBJECTS = ("spNO.1", "spNO.2", "spNO.3")
OFF = yaml.safe_load((home() / "conf" / "datamodule" / "_clips.yaml").read_text())["augment"]
del OFF["_target_"]
# All that may happen to each representation.
ON = {
    "flow_map": {"flip": 0.5},
    "views": {"flip": 0.5, "crop": 0.2, "jitter": 0.4, "grey": 0.2},
    "points": {"flip": 0.5, "dropout": 0.875, "scale": 1.25, "shift": 0.1, "rotate": 10},
    "landmark_graph": {"flip": 0.5, "rotate": 10},
    "clip": {"flip": 0.5},
}


class StandIn(FeatureStore):
    """A store whose every array is drawn; `failed` rows are not ready, `spoilt` ones are another's."""

    def __init__(self, failed: tuple[int, ...] = (), spoilt: tuple[int, ...] = ()):
        self.failed, self.spoilt, self.asked = failed, spoilt, 0

    def load(
        self, corpus: Corpus, representation: Representation, modality: str, views=None
    ) -> Loaded:
        self.asked += 1
        rng = np.random.default_rng(0)
        count, names = len(corpus.index), representation.channels(modality, views)
        kind = representation.name
        if kind == "points":
            arrays = {"points": rng.normal(size=(count, 8, 16, 6)).astype(np.float32)}
        elif kind == "landmark_graph":
            arrays = {"nodes": rng.normal(size=(count, 468, 8)).astype(np.float32)}
        elif kind == "flow_map":
            arrays = {"maps": rng.integers(0, 256, (count, 3, 28, 28), dtype=np.uint8)}
        elif kind == "clip":
            clips = rng.normal(3, 2, (count, len(names[0]), 4, 16, 16))
            for mask in (at for at, name in enumerate(names[0]) if name in MASKS):
                clips[:, mask] = clips[:, mask] > 2
            arrays = {"clips": clips.astype(np.float32)}
        else:
            shapes = [(count, len(of_view), 32, 32) for of_view in names]
            first, second = (rng.normal(at, 2, shape) for at, shape in enumerate(shapes))
            arrays = {"first": first.astype(np.float32), "second": second.astype(np.float32)}
        for array in arrays.values():
            array[list(self.spoilt)] = 77
        ready = np.array([row for row in range(count) if row not in self.failed], dtype=np.int64)
        return Loaded(
            ready,
            {name: array[ready] for name, array in arrays.items()},
            "no face" if self.failed else "",
        )


@pytest.fixture
def corpus() -> Corpus:
    """18 samples of three subjects in random order; only what a data module reads of a corpus of frames."""
    rows = [
        (f"{subject}_{clip}", "made", subject, f"{clip}", 0 if clip else 1 + number % 2, "here")
        for number, subject in enumerate(SUBJECTS)
        for clip in range(6)
    ]
    names = ["sample_id", "corpus", "subject", "clip", "label", "depth"]
    index = pd.DataFrame(rows, columns=names).sample(frac=1, random_state=0, ignore_index=True)
    protocol = describe_protocol("made", index, ("negative", "positive", "surprise"))
    return Corpus(protocol, index, None, (), Camera(900, 900, 320, 240, 640, 480))


def make(corpus: Corpus, kind: str, modality: str, **changes: Any) -> ClipDataModule:
    settings = {
        "channels": None,
        "scaling": "raw",
        "batch_size": 4,
        "num_workers": 0,
        "seed": 0,
        "features": StandIn(),
    }
    return ClipDataModule(corpus, modality, kind, **(settings | changes))


def fold_of(data: ClipDataModule, subject: str = "spNO.2") -> Fold:
    return next(f for f in leave_one_subject_out(data.subject) if f.held_out == subject)


def hold_out(*arguments: Any, **changes: Any) -> ClipDataModule:
    data = make(*arguments, **changes)
    fold = fold_of(data)
    return data.hold_out(fold.train, fold.test, fold.held_out)


def draw(data: ClipDataModule, epoch: int = 0) -> list[Batch]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def split(inputs: Any) -> tuple[torch.Tensor, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)


def by_sample(batches: list[Batch]) -> dict[str, tuple[torch.Tensor, ...]]:
    """Return the input of each sample, whichever batch it is in."""
    return {
        name: tuple(view[row] for view in split(batch.inputs))
        for batch in batches
        for row, name in enumerate(batch.sample_id)
    }


def same(a: dict, b: dict) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(x, y) for name in a for x, y in zip(a[name], b[name], strict=True))


# Shapes


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_every_pair_reaches_a_batch_of_the_right_shapes(corpus, kind, modality, augmented):
    wanted = ON[kind] if augmented else {}
    if modality == "depth":
        wanted = {name: value for name, value in wanted.items() if name not in ("jitter", "grey")}
    data = hold_out(corpus, kind, modality, augment=Augmentation(**OFF | wanted))
    counts = {"rgb": (3, 3), "depth": (1, 1), "fused": (3, 1)}[modality]
    shapes = {
        "points": [(4, 8, 16, 6)],
        "landmark_graph": [(4, 468, 8)],
        "flow_map": [(4, 3, 28, 28)],
        "views": [(4, count, 32, 32) for count in counts],
        "clip": [(4, len(data.channels), 4, 16, 16)],
    }[kind]
    expected = {
        "points": 6,
        "landmark_graph": 8,
        "flow_map": 3,
        "views": counts,
        "clip": len(data.channels),
    }
    assert data.in_channels == expected[kind]
    trained = (
        [(4, 8, 16, 7)] if kind == "points" and augmented else shapes
    )  # dropped ones are marked
    for batch, wanted in (
        (draw(data)[0], trained),
        (next(iter(data.predict_dataloader())), shapes),
    ):
        assert isinstance(batch.inputs, tuple) == (kind == "views")
        assert [tuple(view.shape) for view in split(batch.inputs)] == wanted
        assert all(view.dtype == torch.float32 for view in split(batch.inputs))
        moved = data.transfer_batch_to_device(batch, torch.device("meta"), 0)
        assert [view.device.type for view in split(moved.inputs)] == ["meta"] * len(shapes)
        assert moved.label.device.type == "meta"
        assert moved.sample_id is batch.sample_id


@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_a_batch_shows_the_features_of_the_samples_it_names(corpus, kind, modality):
    data = hold_out(corpus, kind, modality, features=StandIn(failed=(0, 7)))
    given = StandIn(failed=(0, 7)).load(corpus, open_representation(kind), modality)
    names = corpus.index["sample_id"].iloc[given.rows].tolist()
    output = by_sample([*draw(data), *data.predict_dataloader()])
    assert sorted(output) == sorted(names)
    for at, name in enumerate(names):
        for view, array in zip(output[name], given.arrays.values(), strict=True):
            np.testing.assert_array_equal(view, array[at].astype(np.float32))


# Samples that are not ready


def test_samples_that_are_not_ready_are_left_out_and_counted(corpus, caplog):
    data = make(corpus, "points", "fused", features=StandIn(failed=(2, 3, 5)))
    assert "3 of 18 samples of made" in caplog.text
    assert "left out: no face; `merec prepare` says" in caplog.text
    left = corpus.index["sample_id"].drop([2, 3, 5]).tolist()
    assert data.sample_id.tolist() == data.corpus.index["sample_id"].tolist() == left
    assert len(data.label) == len(data.subject) == len(data.sample_inputs.views[0]) == 15
    # A number on what is left is no number on the protocol.
    assert data.corpus.protocol == describe_protocol(
        "made-subset", data.corpus.index, corpus.protocol.classes
    )


def test_colour_keeps_the_samples_without_depth_unless_all_modalities_are_to_have_the_same(
    corpus, caplog
):
    class DepthLacks(StandIn):
        def load(
            self, corpus: Corpus, representation: Representation, modality: str, views=None
        ) -> Loaded:
            store = StandIn() if modality == "rgb" else StandIn(failed=(2, 3))
            return store.load(corpus, representation, modality)

    whole = make(corpus, "flow_map", "rgb", features=DepthLacks())
    assert whole.corpus.protocol == corpus.protocol
    assert not caplog.text
    depth = make(corpus, "flow_map", "depth", features=DepthLacks())
    alike = make(corpus, "flow_map", "rgb", features=DepthLacks(), require_depth=True)
    assert "2 of 18 samples" in caplog.text
    assert "datamodule.require_depth=true" in caplog.text
    assert alike.sample_id.tolist() == depth.sample_id.tolist()
    assert_same_protocol(alike.corpus.protocol, depth.corpus.protocol, "rgb", "depth")
    np.testing.assert_array_equal(
        alike.sample_inputs.maps, np.delete(whole.sample_inputs.maps, [2, 3], axis=0)
    )
    with pytest.raises(InputError, match=r"require_depth=true leaves what has no usable depth"):
        assert_same_protocol(whole.corpus.protocol, depth.corpus.protocol, "rgb", "depth")


def test_nothing_is_said_and_the_protocol_kept_if_all_are_ready(corpus, caplog):
    data = make(corpus, "flow_map", "depth")
    assert not caplog.text
    assert data.corpus.protocol == corpus.protocol
    assert data.corpus.channels == data.channels == ("dz", "dz_x", "dz_y")
    assert data.sample_inputs.maps.dtype == np.uint8


def test_features_that_are_no_numbers_name_their_sample(corpus):
    class Odd(StandIn):
        def load(
            self, corpus: Corpus, representation: Representation, modality: str, views=None
        ) -> Loaded:
            loaded = super().load(corpus, representation, modality)
            loaded.arrays["points"][4, 0, 0, 0] = np.nan
            return loaded

    name = corpus.index["sample_id"].iloc[4]
    with pytest.raises(InputError, match=f"the points of sample {name} hold numbers .* not finite"):
        make(corpus, "points", "fused", features=Odd())


# Scale


@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_no_statistic_changes_with_the_held_out_subject(corpus, kind, modality):
    intact = hold_out(corpus, kind, modality, scaling="standard")
    test, train = (tuple(rows.tolist()) for rows in (intact.test_rows, intact.train_rows))
    spoilt = hold_out(corpus, kind, modality, scaling="standard", features=StandIn(spoilt=test))
    assert not torch.equal(split(spoilt.inputs)[0], split(intact.inputs)[0])
    assert same(by_sample(draw(spoilt)), by_sample(draw(intact)))
    for a, b in zip(spoilt.scales, intact.scales, strict=True):
        assert torch.equal(a.zero, b.zero)
        assert torch.equal(a.one, b.one)
    # A training subject has a say.
    rest = StandIn(spoilt=train[:3])
    seen = hold_out(corpus, kind, modality, scaling="standard", features=rest)
    assert not torch.equal(seen.scales[-1].zero, intact.scales[-1].zero)


@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_each_channel_of_each_view_is_standard_over_the_training_subjects(corpus, kind, modality):
    data = hold_out(corpus, kind, modality, scaling="standard")
    for view, names in zip(split(data.inputs), data.names, strict=True):
        axis = open_representation(kind).channel_axis % view.ndim
        channels = view[data.train_rows].movedim(axis, 0).flatten(1)
        assert len(channels) == len(names)
        masks = torch.tensor([name in MASKS for name in names])
        assert set(channels[masks].unique().tolist()) <= {0, 1}  # as it was
        assert channels[~masks].mean(1).abs().max() < 1e-4
        assert (channels[~masks].std(1) - 1).abs().max() < 1e-3


def test_depth_known_all_over_in_training_does_not_blow_up_what_is_unknown_of_the_held_out(corpus):
    class Whole(StandIn):
        def load(
            self, corpus: Corpus, representation: Representation, modality: str, views=None
        ) -> Loaded:
            loaded = super().load(corpus, representation, modality)
            held_out = (corpus.index["subject"] == "spNO.2").to_numpy()
            loaded.arrays["clips"][~held_out, 1] = 1
            return loaded

    data = hold_out(corpus, "clip", "depth", scaling="standard", features=Whole())
    assert set(data.inputs[data.test_rows, 1].unique().tolist()) == {0, 1}
    assert data.inputs.abs().max() < 10


def test_a_sample_is_mirrored_before_it_is_scaled(corpus):
    augment = Augmentation(**OFF | {"flip": 1.0})
    data = hold_out(corpus, "flow_map", "rgb", scaling="standard", augment=augment)
    raw, scale = data.sample_inputs.views[0], data.scales[0]
    position = {name: row for row, name in enumerate(data.sample_id)}
    for name, (output,) in by_sample(draw(data)).items():
        u = 255 - raw[position[name], 0].flip(-1)
        torch.testing.assert_close(output[0], (u - scale.zero[0, 0]) / scale.one[0, 0])


def test_a_mirrored_clip_is_the_mirrored_face_in_every_frame(corpus):
    for modality, (names,) in SHOWN["clip"].items():
        data = hold_out(corpus, "clip", modality, augment=Augmentation(**OFF | {"flip": 1.0}))
        position = {name: row for row, name in enumerate(data.sample_id)}
        for name, (output,) in by_sample(draw(data)).items():
            assert len(output) == len(names)
            assert torch.equal(output, data.sample_inputs.views[0][position[name]].flip(-1))


# Another corpus


@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_another_corpus_is_shown_alike(corpus, kind, modality):
    settings = {
        "scaling": "standard",
        "batch_size": 5,
        "seed": 3,
        "augment": Augmentation(**OFF | {"flip": 0.5}),
        "balanced": True,
    }
    if kind == "flow_map":
        settings["channels"] = list(SHOWN[kind][modality][0][::-1])
    index = corpus.index.assign(sample_id=corpus.index["sample_id"] + "_macro")
    other = replace(corpus, index=index, protocol=replace(corpus.protocol, name="other"))
    output = make(corpus, kind, modality, **settings).of(other)
    expected = make(other, kind, modality, **settings)
    assert output.corpus.protocol.name == "other"
    assert output.channels == expected.channels
    everyone = np.arange(len(index))
    folds = [data.hold_out(everyone, everyone[:0], "nobody") for data in (output, expected)]
    one, two = (draw(fold, epoch=1) for fold in folds)
    assert [batch.sample_id.tolist() for batch in one] == [
        batch.sample_id.tolist() for batch in two
    ]
    assert same(by_sample(one), by_sample(two))


# Draws


@pytest.mark.parametrize("kind", SHOWN)
def test_what_happens_depends_on_seed_subject_epoch_and_sample_only(corpus, kind):
    augment = Augmentation(**OFF | ON[kind])
    data = hold_out(corpus, kind, "rgb", augment=augment)
    output = by_sample(draw(data, epoch=3))
    torch.manual_seed(1)  # no global stream is read
    other_batches = hold_out(corpus, kind, "rgb", augment=augment, batch_size=7)
    assert same(by_sample(draw(other_batches, epoch=3)), output)
    workers = hold_out(corpus, kind, "rgb", augment=augment, num_workers=2)
    assert same(by_sample(draw(workers, epoch=3)), output)
    # A resumed run draws epoch 3 without the epochs before it.
    loader = data.train_dataloader()
    for epoch in range(4):
        loader.sampler.set_epoch(epoch)
        last = list(loader)
    assert same(by_sample(last), output)
    renamed = data.hold_out(data.train_rows, data.test_rows, "somebody else")
    for changed in (
        by_sample(draw(data, epoch=4)),
        by_sample(draw(renamed, epoch=3)),
        by_sample(draw(hold_out(corpus, kind, "rgb", augment=augment, seed=1), epoch=3)),
    ):
        assert not same(changed, output)


@pytest.mark.parametrize("kind", SHOWN)
def test_nothing_happens_to_held_out_samples(corpus, kind):
    augmented = hold_out(corpus, kind, "rgb", augment=Augmentation(**OFF | ON[kind]))
    plain = hold_out(corpus, kind, "rgb")
    predicted = (by_sample(list(data.predict_dataloader())) for data in (augmented, plain))
    assert same(*predicted)
    assert not same(by_sample(draw(augmented)), by_sample(draw(plain)))


def test_balanced_draws_show_every_class_as_often(corpus):
    data = hold_out(corpus, "flow_map", "rgb", balanced=True)
    counts = np.zeros(3, dtype=int)
    for epoch in range(2):
        batches = draw(data, epoch)
        labels = np.concatenate([batch.label.numpy() for batch in batches])
        assert len(labels) == len(data.train_rows) == 12
        classes = np.bincount(labels, minlength=3)
        counts += classes
        drawn = [name for batch in batches for name in batch.sample_id]
        assert set(drawn) <= set(data.sample_id[data.train_rows])
        again = [name for batch in draw(data, epoch) for name in batch.sample_id]
        assert again == drawn
    there = np.unique(data.label[data.train_rows])
    assert len(set(counts[there])) == 1
    plain = np.bincount(data.label[data.train_rows], minlength=3)[there]
    assert len(set(plain)) > 1


# What is refused


@pytest.mark.parametrize(
    ("change", "kind", "modality", "message"),
    [
        (
            {},
            "video",
            "rgb",
            "representation=video is unknown; did you mean views",
        ),
        ({}, "points", "thermal", "datamodule=thermal .* choose a modality of rgb, depth, fused"),
        ({"depth": None}, "views", "fused", "has no depth; use datamodule=rgb"),
        ({"depth": None}, "flow_map", "depth", "has no depth; use datamodule=rgb"),
        ({"depth": None}, "clip", "fused", "has no depth; use datamodule=rgb"),
        ({"flow_maps": 0}, "clip", "rgb", "has flow maps only; use datamodule=rgb and a backbone"),
        ({"camera": None}, "points", "depth", "camera .* corpus.intrinsics, or use datamodule=rgb"),
    ],
)
def test_a_pair_without_sense_is_refused_before_anything_is_built(
    corpus, change, kind, modality, message
):
    if "depth" in change:
        corpus = replace(corpus, index=corpus.index.assign(depth=None))
    if "camera" in change:
        corpus = replace(corpus, camera=None)
    if "flow_maps" in change:
        corpus = replace(corpus, flow_maps=np.zeros((18, 3, 28, 28), np.uint8))
    store = StandIn()
    with pytest.raises(InputError, match=message):
        make(corpus, kind, modality, features=store)
    assert store.asked == 0


@pytest.mark.parametrize(
    ("kind", "modality", "views", "message"),
    [
        ("views", "rgb", ["rgb", "rgb"], r"views=\[rgb,rgb\] shows one view twice; name two diff"),
        ("views", "rgb", ["rgb", "heat"], r"is no pair of views; give two of rgb, depth, flow"),
        ("views", "rgb", ["rgb"], r"is no pair of views; give two of rgb, depth, flow"),
        ("views", "rgb", ["flow", "depth"], "of datamodule=fused, but this is datamodule=rgb"),
        ("views", "depth", ["rgb", "depth"], "of datamodule=fused, but this is datamodule=depth"),
        ("views", "fused", ["rgb", "flow"], "of datamodule=rgb, but this is datamodule=fused"),
        ("points", "rgb", ["rgb", "flow"], "but points are read here; use backbone=dual_view"),
    ],
)
def test_a_pair_of_views_without_sense_is_refused_in_one_line(
    corpus, kind, modality, views, message
):
    store = StandIn()
    with pytest.raises(InputError, match=message):
        make(corpus, kind, modality, features=store, views=views)
    assert store.asked == 0


def test_a_view_that_the_corpus_lacks_is_refused(corpus):
    bare = replace(corpus, index=corpus.index.assign(depth=None))
    with pytest.raises(InputError, match="has no depth; use datamodule=rgb"):
        make(bare, "views", "fused", views=["flow", "depth"])


def test_channels_follow_the_pair_of_views(corpus):
    data = hold_out(corpus, "views", "fused", views=["flow", "depth"], scaling="standard")
    assert data.names == (("u", "v", "strain"), ("dz",))
    assert data.in_channels == (3, 1)
    for scale, view in zip(data.scales, data.sample_inputs.views, strict=True):
        torch.testing.assert_close(scale.zero.flatten(), view[data.train_rows].mean((0, 2, 3)))
    assert hold_out(corpus, "views", "fused").names == SHOWN["views"]["fused"]


def test_colour_needs_neither_depth_nor_camera(corpus):
    bare = replace(corpus, index=corpus.index.assign(depth=None), camera=None)
    for kind in SHOWN:
        assert len(make(bare, kind, "rgb").label) == 18


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": ["strain"]}, "datamodule.channels has strain; made has u, v, dz"),
        ({"scaling": "minmax"}, "choose raw, unit or standard"),
        ({"augment": Augmentation(**OFF | {"dropout": 0.5})}, "change points"),
        (
            {"augment": Augmentation(**OFF | {"jitter": 0.4})},
            "the colours of views, which flow_map",
        ),
    ],
)
def test_no_feature_is_computed_for_what_is_refused(corpus, changes, message):
    store = StandIn()
    with pytest.raises(InputError, match=message):
        make(corpus, "flow_map", "fused", features=store, **changes)
    assert store.asked == 0


def test_unit_scaling_is_for_flow_maps(corpus):
    with pytest.raises(InputError, match="choose raw or standard"):
        make(corpus, "points", "rgb", scaling="unit")


def test_frames_without_a_store_are_refused(corpus):
    with pytest.raises(InputError, match=r"datamodule\.features"):
        make(corpus, "flow_map", "rgb", features=None)


# What a run was made of


def hash_content(data: ClipDataModule) -> str:
    return describe_environment({"name": "made", "task": {}}, [data], [], data.corpus.protocol)[
        "content"
    ]


@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_a_run_notices_other_features_of_a_sample(corpus, kind, modality):
    intact = hash_content(make(corpus, kind, modality))
    assert hash_content(make(corpus, kind, modality, batch_size=8)) == intact
    spoilt = [
        hash_content(make(corpus, kind, modality, features=StandIn(spoilt=(row,))))
        for row in (0, 17)
    ]
    assert len({intact, *spoilt}) == 3


def test_a_run_does_not_mind_another_order_of_samples(corpus):
    data = make(corpus, "views", "rgb")
    turned = copy(data)
    reversed_arrays = tuple(array[::-1] for array in data.sample_inputs.arrays)
    turned.sample_inputs = replace(data.sample_inputs, arrays=reversed_arrays)
    assert hash_content(turned) != hash_content(data)
    turned.sample_id = data.sample_id[::-1]
    assert hash_content(turned) == hash_content(data)


# Through a task


class TwoViews(torch.nn.Module):
    """A backbone small enough to train in a blink."""

    reads = "views"

    def __init__(self, in_channels: tuple[int, int], num_classes: int):
        super().__init__()
        self.name = torch.nn.Linear(sum(in_channels), num_classes)

    def forward(self, inputs: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        first, second = inputs
        return self.name(torch.cat([first.mean((2, 3)), second.mean((2, 3))], dim=1))


def make_trainer(data: ClipDataModule) -> FoldTrainer:
    settings = {
        "datamodule": data,
        "backbone": partial(TwoViews),
        "finetune": partial(
            Finetune,
            optimizer=partial(torch.optim.SGD, lr=0.1),
            scheduler=None,
            loss=cross_entropy,
            class_balanced=False,
        ),
        "trainer": partial(
            pl.Trainer,
            max_epochs=1,
            accelerator="cpu",
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ),
        "seed": 0,
        "freeze": "none",
        "weights": None,
        "transductive": False,
        "pretrain": None,
        "pretrain_epochs": None,
        "pretrain_steps": None,
        "pretrain_groups": None,
        "monitor_steps": None,
        "least_intensity": 0,
        "pool": PairPool(source="unlabelled", batch_size=None, augment=None),
        "contrast": ContrastSettings("in_batch", "ema", 1, 0.1, 0.5, False),
        "contrastive": Contrastive,
        "target": "emotion",
        "min_subjects": 2,
        "legacy": {},
    }
    return FoldTrainer(assemble(TrainingSettings, settings))


def test_two_views_are_trained_watched_and_predicted(corpus):
    data = hold_out(corpus, "views", "fused", augment=Augmentation(**OFF | ON["views"]))
    task, trainer, epochs = make_trainer(data).fit(data, lambda *_: None)
    assert epochs.predicted.shape == (6, 1)
    predicted = trainer.predict(task, dataloaders=data.predict_dataloader())
    assert np.concatenate([ids for ids, _ in predicted]).tolist() == epochs.sample_id.tolist()


def test_a_backbone_that_reads_something_else_is_refused(corpus):
    with pytest.raises(InputError, match="TwoViews reads views, but .*representation=points"):
        make_trainer(make(corpus, "points", "rgb"))


def test_baselines_read_flow_maps_only(corpus):
    how = (0, FoldChoice(None, "subject", None, None, None), "emotion", 3)
    with pytest.raises(InputError, match="task=baseline reads flow_map, not views"):
        Baseline(make(corpus, "views", "rgb"), "any", {}, {}, {}, *how)


@pytest.fixture
def still(corpus: Corpus) -> Corpus:
    """The corpus with frame numbers; onset and apex of every third sample are one frame."""
    onset = np.arange(len(corpus.index))
    apex = onset + (onset % 3 > 0)
    return replace(corpus, index=corpus.index.assign(onset=onset, apex=apex))


@pytest.mark.parametrize("scaling", ["raw", "standard"])
@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_samples_without_motion_are_predicted_but_neither_train_nor_scale(
    still, kind, modality, scaling
):
    if kind == "points" and scaling == "standard":
        pytest.skip("points are normalised one sample at a time")
    motionless = tuple(np.flatnonzero(still.index["onset"] == still.index["apex"]))
    assert len(motionless) == 6
    given = {"scaling": scaling, "batch_size": 3}
    sound, spoilt = (
        hold_out(still, kind, modality, features=features, **given)
        for features in (StandIn(), StandIn(spoilt=motionless))
    )
    assert not set(sound.train_rows) & set(motionless)
    every = leave_one_subject_out(sound.subject)
    assert sorted(np.concatenate([fold.test for fold in every])) == list(range(18))
    assert set(sound.test_rows) & set(motionless)
    for one, other in zip(sound.train_dataloader(), spoilt.train_dataloader(), strict=True):
        assert (one.sample_id == other.sample_id).all()
        pairs = (one.inputs, other.inputs)
        views = [pair if isinstance(pair, tuple) else (pair,) for pair in pairs]
        assert all(torch.equal(a, b) for a, b in zip(*views, strict=True))
    for a, b in zip(sound.scales or (), spoilt.scales or (), strict=True):
        assert torch.equal(a.zero, b.zero)
        assert torch.equal(a.one, b.one)
    assert len(hold_out(still, kind, modality, drop_zero_motion=False).train_rows) == 12


def test_a_corpus_without_any_motion_to_train_on_is_refused(still):
    frozen = replace(still, index=still.index.assign(apex=still.index["onset"]))
    with pytest.raises(InputError, match=r"none of 12 training samples of made.*drop_zero_motion"):
        hold_out(frozen, "points", "fused")
