"""Folds are cut into chunks that can be stacked and fit; a chunk that fails costs no fold that need not."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from merec.datamodules import ClipDataModule
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.splits import leave_one_subject_out
from merec.run_folder.prediction_table import read_predictions
from merec.tasks import LeaveOneSubjectOut
from merec.tasks.engines.chunks import (
    INTERLEAVED_FOLDS,
    Held,
    choose_size,
    count_fitting,
    cut_chunks,
    deal,
    in_stacks,
    interleave_folds,
    measure_fold,
    measure_free,
)
from merec.tasks.fold_runner import FoldWriter, run_folds
from merec.types import Corpus

# In batches of 4 each fold trains on 17, 16, 15, 17, 14 or 11 of 18 samples: 4, 4, 4, 4, 4 or 3 steps.
SAMPLES = {"a": 1, "b": 2, "c": 3, "d": 1, "e": 4, "f": 7}


@pytest.fixture(scope="module")
def corpus(made) -> Corpus:
    rows = [
        (f"{subject}_{clip}", "made", subject, f"{clip}", clip % 3)
        for subject, clips in SAMPLES.items()
        for clip in range(clips)
    ]
    index = pd.DataFrame(rows, columns=["sample_id", "corpus", "subject", "clip", "label"])
    maps = np.random.default_rng(0).integers(0, 256, (len(index), 3, 28, 28), dtype=np.uint8)
    return Corpus(
        describe_protocol("made", index, made.protocol.classes), index, maps, made.channels
    )


@pytest.fixture
def loso(corpus, make_data, make_loso) -> LeaveOneSubjectOut:
    return make_loso(data=make_data(corpus=corpus), epochs=2)


def hold_out(loso: LeaveOneSubjectOut) -> list[Held]:
    data = loso.datamodule
    return [
        Held(fold, data.hold_out(fold.train, fold.test, fold.held_out))
        for fold in leave_one_subject_out(data.subject)
    ]


@pytest.fixture
def stack(loso, new_folder) -> Callable[..., Path]:
    """Train all folds in stacks of up to so many."""

    def run(chunk: int | None) -> Path:
        folder = new_folder()
        writer = FoldWriter(loso.datamodule.corpus, loso.training.seed, folder)
        engine = in_stacks(loso.fold_trainer, chunk, compiled=False)
        run_folds(loso.chosen, writer, "test", engine, None)
        return folder

    return run


def name_stacks(monkeypatch: pytest.MonkeyPatch, loso: LeaveOneSubjectOut) -> list[str]:
    """Record which folds are trained together from now on; one letter per fold."""
    stacks, fit, together = [], loso.fold_trainer.fit, loso.fold_trainer.fit_jointly

    def note(data: ClipDataModule, *rest: Any, **options: Any) -> Any:
        stacks.append(data.held_out)
        return fit(data, *rest, **options)

    def note_all(views: Sequence[ClipDataModule], *rest: Any) -> Any:
        stacks.append("".join(view.held_out for view in views))
        return together(views, *rest)

    monkeypatch.setattr(loso.fold_trainer, "fit", note)
    monkeypatch.setattr(loso.fold_trainer, "fit_jointly", note_all)
    return stacks


# Who goes with whom


@pytest.mark.parametrize(
    ("most", "chunks"),
    [(9, ["f", "ecbad"]), (3, ["f", "ecb", "ad"]), (1, ["f", "e", "c", "b", "a", "d"])],
)
def test_chunks_have_as_many_steps_and_neighbours_train_on_as_many(loso, most, chunks):
    cut = cut_chunks(hold_out(loso), most)
    assert ["".join(entry.fold.held_out for entry in some) for some in cut] == chunks


def test_a_larger_batch_takes_more_memory(loso):
    view = hold_out(loso)[0].view
    runner = loso.fold_trainer.networks.trainer(logger=False)
    small = measure_fold(loso.fold_trainer.make_fresh(view), view, runner)
    view.batch_size = 16
    large = measure_fold(loso.fold_trainer.make_fresh(view), view, runner)
    # The responses of the convolution alone: 16 filters on 28×28 px in 4 or 16 samples.
    assert small > 4 * 16 * 28**2 * 4
    assert 3 * small < large < 5 * small


def test_half_of_what_is_free_is_filled(loso, monkeypatch):
    view = hold_out(loso)[0].view
    entry = measure_fold(
        loso.fold_trainer.make_fresh(view), view, loso.fold_trainer.networks.trainer(logger=False)
    )
    for free, folds in ((7 * entry, 3), (entry // 2, 1)):
        monkeypatch.setattr("merec.tasks.engines.chunks.measure_free", lambda _, free=free: free)
        assert count_fitting(loso.fold_trainer, view) == folds


def test_some_memory_is_free():
    assert 2**20 < measure_free(torch.device("cpu")) < 2**50


# What is written


def test_stacks_write_what_the_loop_writes(loso, stack, new_folder, read_fold):
    alone, together = new_folder(), stack(3)
    loso.run(alone, None)
    for number in range(len(SAMPLES)):
        one, other = read_fold(alone, number), read_fold(together, number)
        assert (one.predictions["sample_id"] == other.predictions["sample_id"]).all()
        np.testing.assert_allclose(other.probability, one.probability, atol=1e-4)
        assert other.checkpoint["merec"] == one.checkpoint["merec"]
        assert other.epochs["predicted"].shape == one.epochs["predicted"].shape
        assert other.notes["seconds"] > 0


def test_without_a_number_memory_decides(loso, stack, monkeypatch):
    stacks = name_stacks(monkeypatch, loso)
    monkeypatch.setattr("merec.tasks.engines.chunks.count_fitting", lambda *_: 4)
    stack(None)
    assert stacks == ["f", "ecb", "ad"]


def test_interleaved_folds_write_what_the_loop_writes_but_for_nothing(loso, new_folder, read_fold):
    alone, together, some = new_folder(), new_folder(), loso.chosen[:5]
    loso.run(alone, None)
    writer = FoldWriter(loso.datamodule.corpus, loso.training.seed, together)
    run_folds(some, writer, "test", interleave_folds(loso.fold_trainer), None)
    for fold in some:
        one, other = read_fold(alone, fold.number), read_fold(together, fold.number)
        np.testing.assert_allclose(other.probability, one.probability, atol=1e-6)
        np.testing.assert_array_equal(other.epochs["predicted"], one.epochs["predicted"])
        assert other.checkpoint["merec"] == one.checkpoint["merec"]


# What workers are given


@pytest.mark.parametrize(
    ("size", "workers", "sizes"),
    [(8, 2, [1, 3, 2]), (2, 2, [1, 2, 2, 1]), (1, 2, [1] * 6), (3, 1, [1, 3, 2])],
)
def test_chunks_are_dealt_so_that_workers_have_equally_many(loso, size, workers, sizes):
    dealt = deal(loso.fold_trainer, size, workers, loso.chosen)
    assert [len(some) for some in dealt] == sizes
    assert sorted(fold.number for some in dealt for fold in some) == list(range(len(SAMPLES)))


def test_folds_of_short_steps_are_interleaved(loso, monkeypatch):
    assert choose_size(loso.fold_trainer) == INTERLEAVED_FOLDS
    monkeypatch.setattr("merec.tasks.engines.chunks.SHORT", 0)
    assert choose_size(loso.fold_trainer) == 1


def test_gradients_that_add_up_over_batches_are_refused_for_interleaved_folds(loso):
    loso.fold_trainer.networks.trainer.keywords["accumulate_grad_batches"] = 2
    with pytest.raises(InputError, match="accumulate_grad_batches=2"):
        interleave_folds(loso.fold_trainer)


# What fails

each_engine = pytest.mark.parametrize(
    "open_engine",
    [lambda trainer: in_stacks(trainer, 5, False), interleave_folds],
    ids=["stacked", "interleaved"],
)


def test_a_chunk_for_which_memory_runs_out_is_halved(loso, stack, monkeypatch, caplog):
    fit = loso.fold_trainer.fit_jointly

    def fill(views: Sequence[ClipDataModule], *rest: Any) -> Any:
        if len(views) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
        return fit(views, *rest)

    monkeypatch.setattr(loso.fold_trainer, "fit_jointly", fill)
    stacks = name_stacks(monkeypatch, loso)
    with caplog.at_level(logging.WARNING):
        folder = stack(5)
    assert stacks == ["f", "ecbad", "ecb", "ec", "b", "ad"]
    assert "5 folds cannot be trained at once (DefaultCPUAllocator" in caplog.text
    assert len(list(folder.glob("folds/*/predictions.csv"))) == len(SAMPLES)


@each_engine
def test_a_fold_that_cannot_be_trained_fails_alone(loso, new_folder, monkeypatch, open_engine):
    begin = loso.fold_trainer._begin

    def refuse(data: ClipDataModule, *rest: Any) -> Any:
        if data.held_out == "c":
            raise InputError("c is refused")
        return begin(data, *rest)

    monkeypatch.setattr(loso.fold_trainer, "_begin", refuse)
    folder = new_folder()
    writer = FoldWriter(loso.datamodule.corpus, loso.training.seed, folder)
    with pytest.raises(InputError, match="1 of 5 folds failed.*c is refused"):
        run_folds(loso.chosen[:5], writer, "test", open_engine(loso.fold_trainer), None)
    done = sorted(read_predictions(file)["subject"][0] for file in folder.glob("folds/*/*.csv"))
    assert done == ["a", "b", "d", "e"]


@each_engine
def test_a_fold_that_diverges_fails_alone(loso, new_folder, monkeypatch, open_engine):
    fit = loso.fold_trainer.fit_jointly

    def spoil(views: Sequence[ClipDataModule], *rest: Any) -> Any:
        for view in views:
            if view.held_out == "c":
                spoilt = torch.full_like(view.sample_inputs.views[0], torch.nan)
                view.sample_inputs = replace(view.sample_inputs, views=(spoilt,))
        return fit(views, *rest)

    monkeypatch.setattr(loso.fold_trainer, "fit_jointly", spoil)
    loso.fold_trainer.networks.backbone.keywords["compiled"] = (
        False  # a maximum of its kernel passes over what is no number
    )
    folder = new_folder()
    writer = FoldWriter(loso.datamodule.corpus, loso.training.seed, folder)
    with pytest.raises(InputError, match="1 of 5 folds failed.*loss is nan in epoch 1"):
        run_folds(loso.chosen[:5], writer, "test", open_engine(loso.fold_trainer), None)
    assert len(list(folder.glob("folds/*/predictions.csv"))) == 4


def test_what_cannot_be_stacked_is_refused_before_anything_is_trained(loso):
    loso.fold_trainer.networks.trainer.keywords["gradient_clip_val"] = 0.5
    with pytest.raises(InputError, match="task.engine=loop"):
        in_stacks(loso.fold_trainer, None, compiled=False)
