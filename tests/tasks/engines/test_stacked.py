"""Folds that are trained together give what each gives alone."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from merec.backbones import DualView, LitePointGCN, STSTNet
from merec.backbones.lite_point_gcn import Legacy
from merec.datamodules import Augmentation, ClipDataModule
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.splits import leave_one_subject_out
from merec.features.prepare import FeatureStore, Loaded
from merec.features.representations import Representation
from merec.tasks import Finetune
from merec.tasks.engines.interleaved import InterleavedFolds
from merec.tasks.engines.joint_training import ELEMENTWISE, JointTraining, check_joint_training
from merec.tasks.engines.stacked import StackedFinetune
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.losses import focal_loss
from merec.types import Corpus

CLASSES = ("negative", "positive", "surprise")
# Training on 13, 13 and 11 of 17 samples in batches of 4: three steps, the last ones of 5, 5 and 3.
SAMPLES = {"a": 4, "b": 4, "c": 6, "d": 3}
EPOCHS = 3


class Drawn(FeatureStore):
    """Features that are drawn, and larger where the label is."""

    def __init__(self, side: int):
        """Views of `side` px."""
        view = (3, side, side)
        self.shapes = {
            "points": {"points": (8, 8, 6)},
            "views": {"first": view, "second": view},
        }

    def load(
        self, corpus: Corpus, representation: Representation, modality: str, views=None
    ) -> Loaded:
        rng = np.random.default_rng(0)
        label = corpus.index["label"].to_numpy()
        arrays = {
            name: rng.normal(size=(len(label), *shape)).astype(np.float32)
            * (1 + label.reshape(-1, *[1] * len(shape))).astype(np.float32)
            for name, shape in self.shapes[representation.name].items()
        }
        return Loaded(np.arange(len(label)), arrays, "")


class Tiny(nn.Module):
    """Two views through linear layers, a norm and dropout."""

    fresh = ("head",)

    def __init__(self, in_channels: Any, num_classes: int):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Flatten(), nn.Linear(6 * 8 * 8, 7), nn.BatchNorm1d(7), nn.ReLU(inplace=True)),
            *(nn.Dropout(0.3), nn.Linear(7, 9), nn.Tanh(), nn.Dropout(0.5)),
        )
        self.head = nn.Linear(9, num_classes)

    def forward(self, views: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return self.head(self.body(torch.cat(views, 1)))


BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "ststnet": partial(STSTNet, streams=[3, 5, 8], dropout=0.5, size=28, padding=1, compiled=True),
    "ststnet, padding 2": partial(
        STSTNet, streams=[3, 5, 8], dropout=0.5, size=28, padding=2, compiled=True
    ),
    "tiny": Tiny,
    "lite_point_gcn": partial(
        LitePointGCN,
        features=["x", "y", "z", "u", "v", "dz"],
        keep=[0.75, 0.5],
        widths=[[8, 8], [8, 12], [12, 16, 20]],
        pool="max",
        graph="learned",
        graph_width=10,
        graph_blocks=2,
        graph_dropout=0.2,
        head_width=10,
        head_dropout=0.4,
        apart=True,
        centre_motion=True,
        legacy=Legacy(False, False, False),
    ),
    "resnet18": partial(DualView, encoder="resnet18", size=64, embedding=8, attention=True),
    "alexnet": partial(DualView, encoder="alexnet", size=64, embedding=8, attention=False),
}
READS = {"ststnet": "flow_map", "ststnet, padding 2": "flow_map", "lite_point_gcn": "points"}
NOTHING = {"flip": 0.0, "crop": 1.0, "jitter": 0.0, "grey": 0.0, "dropout": 0.0, "scale": 1.0}
NOTHING |= {"shift": 0.0, "apart": False}
AUGMENT = {
    "flow_map": {"flip": 0.5},
    "points": {"dropout": 0.5, "scale": 1.2, "shift": 0.1},
    "views": {"flip": 0.5, "crop": 0.5},
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rows = [
        (f"{subject}_{clip}", "made", subject, f"{clip}", (clip + number) % 3)
        for number, (subject, clips) in enumerate(SAMPLES.items())
        for clip in range(clips)
    ]
    index = pd.DataFrame(rows, columns=["sample_id", "corpus", "subject", "clip", "label"])
    index = index.sample(frac=1, random_state=0, ignore_index=True)
    maps = np.random.default_rng(0).integers(0, 200, (len(index), 3, 28, 28), dtype=np.uint8)
    for row, label in enumerate(index["label"]):
        maps[row, 1, 9 * label : 9 * label + 9] += 55
    return Corpus(describe_protocol("made", index, CLASSES), index, maps, ("u", "v", "strain"))


@pytest.fixture(scope="module")
def make(corpus, make_data, make_loso, quiet_trainer) -> Callable[..., FoldTrainer]:
    """The trainer of folds of a backbone; options of its data, finetuning and trainer."""

    def build(
        backbone: str = "ststnet",
        data: dict[str, Any] | None = None,
        finetune: dict[str, Any] | None = None,
        trainer: dict[str, Any] | None = None,
        **changes: Any,
    ) -> FoldTrainer:
        output = READS.get(backbone, "views")
        settings: dict[str, Any] = {"channels": None, "representation": output} | (data or {})
        if output != "flow_map":
            side = getattr(BACKBONES[backbone], "keywords", {}).get("size", 8)
            settings = {"features": Drawn(side), "scaling": "raw"} | settings
        rows = corpus if output == "flow_map" else replace(corpus, flow_maps=None, channels=())
        learning: dict[str, Any] = {
            "optimizer": partial(torch.optim.Adam, lr=1e-2),
            "scheduler": None,
            "loss": cross_entropy,
            "class_balanced": False,
        }
        running = {"precision": "64-true", "max_epochs": EPOCHS} | (trainer or {})
        task = make_loso(
            data=make_data(corpus=rows, **settings),
            backbone=BACKBONES[backbone],
            finetune=partial(Finetune, **learning | (finetune or {})),
            trainer=partial(quiet_trainer, **running),
            **changes,
        )
        return task.fold_trainer

    return build


each_backbone = pytest.mark.parametrize(
    "backbone",
    [
        "ststnet",
        "ststnet, padding 2",
        "lite_point_gcn",
        pytest.param("resnet18", marks=pytest.mark.slow),
        pytest.param("alexnet", marks=pytest.mark.slow),
    ],
)


STACKED = partial(StackedFinetune, compiled=False)
COMPILED = partial(StackedFinetune, compiled=True)
each_way = pytest.mark.parametrize(
    "join", [STACKED, InterleavedFolds], ids=["stacked", "interleaved"]
)


def ignore(epoch: int, epochs: int) -> None:
    """Module of no interest."""


def hold_out(fold_trainer: FoldTrainer, *subjects: str) -> list[ClipDataModule]:
    folds = {fold.held_out: fold for fold in leave_one_subject_out(fold_trainer.datamodule.subject)}
    chosen = [folds[subject] for subject in subjects]
    return [
        fold_trainer.datamodule.hold_out(fold.train, fold.test, fold.held_out) for fold in chosen
    ]


def predict(task: Finetune, trainer: pl.Trainer, view: ClipDataModule) -> torch.Tensor:
    predicted = trainer.predict(task, dataloaders=view.predict_dataloader())
    assert predicted is not None
    return torch.cat([probability for _, probability in predicted])


def assert_same(
    fold_trainer: FoldTrainer, join: Callable[..., JointTraining], atol: float = 1e-6
) -> None:
    """Alone and together, three folds have the same weights, predictions and epochs."""
    views = hold_out(fold_trainer, "a", "c", "b")
    together = fold_trainer.fit_jointly(views, ignore, join)
    assert len(together) == 3
    for view, (task, trainer, epochs) in zip(views, together, strict=True):
        other, other_trainer, other_epochs = fold_trainer.fit(view, ignore)
        state, other_state = task.state_dict(), other.state_dict()
        assert state.keys() == other_state.keys()
        for name, value in state.items():
            assert value.dtype == other_state[name].dtype
            torch.testing.assert_close(value, other_state[name], atol=atol, rtol=0)
        predicted = predict(task, trainer, view)
        torch.testing.assert_close(
            predicted, predict(other, other_trainer, view), atol=atol, rtol=0
        )
        np.testing.assert_array_equal(epochs.sample_id, other_epochs.sample_id)
        np.testing.assert_array_equal(epochs.predicted, other_epochs.predicted)
        np.testing.assert_allclose(epochs.train_loss, other_epochs.train_loss, atol=atol)
        np.testing.assert_array_equal(epochs.train_accuracy, other_epochs.train_accuracy)
        assert len(epochs.train_loss) == trainer.max_epochs


# Each backbone, with all that is drawn


@each_way
@each_backbone
def test_folds_learn_the_same_together_as_alone(make, backbone, join):
    augment = Augmentation(**NOTHING | AUGMENT[READS.get(backbone, "views")])
    assert_same(make(backbone, data={"augment": augment}), join)


@each_way
def test_two_views_through_norms_and_dropout(make, join):
    """Layers of the encoders of two views, at a size for every run of the tests."""
    assert_same(make("tiny", data={"scaling": "standard"}), join)


@pytest.mark.slow  # in double precision they are equal
@each_way
@each_backbone
def test_single_precision_agrees_but_for_rounding(make, backbone, join):
    # Not Adam, which turns a gradient that is nought but for rounding into a whole step.
    optimizer = partial(torch.optim.SGD, lr=1e-2)
    fold_trainer = make(
        backbone, finetune={"optimizer": optimizer}, trainer={"precision": "32-true"}
    )
    views = hold_out(fold_trainer, "a", "b", "c")
    together = fold_trainer.fit_jointly(views, ignore, join)
    for view, gave in zip(views, together, strict=True):
        predicted, other = (
            predict(*gave[:2], view),
            predict(*fold_trainer.fit(view, ignore)[:2], view),
        )
        torch.testing.assert_close(predicted, other, atol=0.05, rtol=0)


# How they learn


@each_way
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_optimiser_that_is_allowed_steps_each_fold_as_alone(make, name, join):
    kind, momentum = getattr(torch.optim, name), {"momentum": 0.9} if name == "SGD" else {}
    optimizer = partial(kind, lr=1e-3, weight_decay=1e-2, **momentum)
    assert_same(make("tiny", finetune={"optimizer": optimizer}, trainer={"max_epochs": 2}), join)


@each_way
@pytest.mark.parametrize(
    "finetune",
    [
        {"class_balanced": True},
        {"loss": partial(focal_loss, gamma=2), "class_balanced": True},
        {"scheduler": partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)},
    ],
    ids=["class weights", "focal loss", "schedule"],
)
def test_losses_and_schedules_are_those_of_the_fold(make, finetune, join):
    assert_same(make("tiny", finetune=finetune), join)


@each_way
def test_balanced_draws_are_those_of_the_fold(make, join):
    assert_same(make("tiny", data={"balanced": True}), join)


@each_way
def test_a_frozen_encoder_keeps_weights_and_statistics(make, join):
    fold_trainer = make("tiny", freeze="encoder")
    assert_same(fold_trainer, join)
    (view, *_) = views = hold_out(fold_trainer, "a", "b")
    (task, *_), *_ = fold_trainer.fit_jointly(views, ignore, join)
    fresh = fold_trainer.make_fresh(view)
    for name, value in task.backbone.body.state_dict().items():
        assert torch.equal(value, fresh.backbone.body.state_dict()[name].to(value.dtype))
    assert not torch.equal(task.backbone.head.weight, fresh.backbone.head.weight.double())


@each_way
@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_the_trainer_says_in_which_precision(make, precision, monkeypatch, join):
    seen = set()

    class Seen(Tiny):
        def forward(self, views):
            product = views[0].flatten(1) @ views[1].flatten(1).T
            seen.add(product.dtype)
            return super().forward(views)

    monkeypatch.setitem(BACKBONES, "seen", Seen)
    fold_trainer = make("seen", trainer={"precision": precision})
    seen.clear()  # of the trial before the first fold
    fold_trainer.fit_jointly(hold_out(fold_trainer, "a", "b"), ignore, join)
    assert seen == {torch.bfloat16 if precision == "bf16-mixed" else torch.float64}


@each_way
@pytest.mark.parametrize("backbone", ["ststnet", "lite_point_gcn"])
def test_own_layers_train_in_mixed_precision(make, backbone, join):
    """Together and alone they tell what single precision does, but for the rounding of bfloat16."""
    optimizer = {"optimizer": partial(torch.optim.SGD, lr=1e-3)}
    mixed, single = (
        make(backbone, finetune=optimizer, trainer={"precision": precision, "max_epochs": 1})
        for precision in ("bf16-mixed", "32-true")
    )
    (view, *_) = views = hold_out(mixed, "a", "b")
    actual = [predict(*mixed.fit_jointly(views, ignore, join)[0][:2], view)]
    actual.append(predict(*mixed.fit(view, ignore)[:2], view))
    expected = predict(*single.fit(view, ignore)[:2], view)
    for predicted in actual:
        torch.testing.assert_close(predicted.float(), expected, atol=0.05, rtol=0)


@each_way
def test_a_fold_that_diverges_takes_no_other_with_it(make, join):
    fold_trainer = make("tiny")
    views = hold_out(fold_trainer, "a", "b", "c")
    spoilt = fold_trainer.datamodule.sample_inputs.views[0].clone()
    spoilt[:] = torch.nan
    inputs = views[1].sample_inputs
    views[1].sample_inputs = replace(inputs, views=(spoilt, inputs.views[1]))
    together = fold_trainer.fit_jointly(views, ignore, join)
    finite = [bool(np.isfinite(epochs.train_loss).all()) for _, _, epochs in together]
    assert finite == [True, False, True]
    task, trainer, _ = together[2]
    other, other_trainer, _ = fold_trainer.fit(views[2], ignore)
    torch.testing.assert_close(
        predict(task, trainer, views[2]), predict(other, other_trainer, views[2]), atol=1e-6, rtol=0
    )


@each_way
def test_epochs_are_told_once_for_all(make, join):
    messages = []
    fold_trainer = make("tiny")
    fold_trainer.fit_jointly(
        hold_out(fold_trainer, "a", "b"), lambda *message: messages.append(message), join
    )
    assert messages == [(epoch, EPOCHS) for epoch in range(1, EPOCHS + 1)]


# What is refused


def test_an_optimiser_that_mixes_folds_is_refused(quiet_trainer):
    optimizer = torch.optim.LBFGS([nn.Parameter(torch.zeros(2))])
    with pytest.raises(InputError, match="LBFGS cannot train folds together.*task.engine=loop"):
        check_joint_training(optimizer, quiet_trainer(logger=False))


def test_clipping_is_refused(make):
    fold_trainer = make("tiny", trainer={"gradient_clip_val": 1.0})
    with pytest.raises(InputError, match=r"gradient_clip_val=1\.0.*task.engine=loop"):
        fold_trainer.fit_jointly(hold_out(fold_trainer, "a", "b"), ignore, STACKED)


# torch.compile


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["tiny", "lite_point_gcn"])
def test_compiled_steps_are_the_same(make, backbone, monkeypatch, caplog):
    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler on a processor")
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks cannot be traced
    with caplog.at_level(logging.WARNING):
        assert_same(make(backbone), COMPILED)
    assert "torch.compile" not in caplog.text


def test_without_a_compiler_steps_are_taken_uncompiled_and_it_is_said_once(
    make, monkeypatch, caplog
):
    def fail(*_: Any) -> None:
        raise RuntimeError("no compiler\nand a traceback")

    monkeypatch.setattr(torch, "compile", lambda _: fail)
    with caplog.at_level(logging.WARNING):
        assert_same(make("tiny"), COMPILED)
    (predicted,) = [
        record.message for record in caplog.records if record.name == "merec.tasks.engines.stacked"
    ]
    assert predicted.startswith("torch.compile fails (RuntimeError: no compiler")
    assert predicted.endswith("going on without")
