"""Folds are finished or absent: skipped when finished, and never in each other's way."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from merec.errors import InputError, StopError
from merec.evaluation.splits import Fold, leave_one_subject_out
from merec.metrics import confusion, uar, uf1
from merec.run_folder import RunFolder
from merec.run_folder.epochs import Epochs
from merec.run_folder.prediction_table import read_predictions
from merec.tasks.fold_runner import FoldWriter, one_by_one, run_folds
from merec.tasks.outcome import Outcome
from merec.tasks.progress import OnEpoch
from merec.types import Corpus

TrainFold = Callable[[Fold, OnEpoch], Outcome]


@pytest.fixture
def folds(made: Corpus) -> list[Fold]:
    return leave_one_subject_out(made.index["subject"].tolist())


@pytest.fixture
def guess(made: Corpus) -> TrainFold:
    """An outcome of random probabilities; samples come in reversed order, to be joined by id."""

    def train(fold: Fold, _: OnEpoch) -> Outcome:
        rng = np.random.default_rng(fold.number)
        ids = made.index["sample_id"].iloc[fold.test].tolist()[::-1]
        epochs = Epochs(
            sample_id=np.array(ids),
            predicted=rng.integers(0, 3, (len(ids), 2)),
            train_loss=rng.random(2),
            train_accuracy=rng.random(2),
        )
        checkpoint = {"state_dict": {"weight": torch.full((2,), float(fold.number))}}
        probability = rng.dirichlet(np.ones(3), len(ids))
        return Outcome(ids, probability, epochs, checkpoint, {"chosen": fold.number})

    return train


@pytest.fixture
def run(made: Corpus, folds: list[Fold], guess: TrainFold, tmp_path: Path) -> Callable[..., Path]:
    """Run folds into `tmp_path`."""

    def run_some(train_fold: TrainFold = guess, some: Any = folds, logger: Any = None) -> Path:
        run_folds(some, FoldWriter(made, 7, tmp_path), "made", one_by_one(train_fold), logger)
        return tmp_path

    return run_some


def files_of(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        file: (file.stat().st_mtime_ns, file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def fail_on(guess: TrainFold, *subjects: str, error: Exception | None = None) -> TrainFold:
    def train(fold: Fold, on_epoch: OnEpoch) -> Outcome:
        if fold.held_out in subjects:
            raise error or RuntimeError(f"no face found in {fold.held_out}")
        return guess(fold, on_epoch)

    return train


def test_what_a_fold_gave_is_written_and_joined_by_sample_id(made, folds, guess, run):
    folder = run()
    for fold in folds:
        predicted = guess(fold, None)
        table = read_predictions(RunFolder(folder).fold(fold.number).predictions)
        assert sorted(table["sample_id"]) == sorted(predicted.sample_id)
        assert set(table["subject"]) == {fold.held_out}
        assert set(table["fold"]) == {fold.number}
        assert set(table["seed"]) == {7}
        by_id = table.set_index("sample_id").loc[list(predicted.sample_id)]
        columns = [f"p_{name}" for name in made.protocol.classes]
        np.testing.assert_array_equal(by_id[columns].to_numpy(), predicted.probability)
        np.testing.assert_array_equal(by_id["predicted"], predicted.probability.argmax(1))
        labels = made.index.set_index("sample_id")["label"]
        np.testing.assert_array_equal(by_id["label"], labels.loc[by_id.index])


def test_epochs_checkpoint_and_notes_can_be_read_back(folds, guess, run, read_fold):
    folder = run()
    for fold in folds:
        predicted, actual = guess(fold, None), read_fold(folder, fold.number)
        for name in ("sample_id", "predicted", "train_loss", "train_accuracy"):
            np.testing.assert_array_equal(actual.epochs[name], getattr(predicted.epochs, name))
        assert actual.checkpoint["state_dict"]["weight"].tolist() == [fold.number] * 2
        assert actual.notes["chosen"] == fold.number
        assert actual.notes["held_out"] == fold.held_out
        assert actual.notes["seconds"] >= 0


def test_an_outcome_without_epochs_and_weights_writes_neither(made, folds, run):
    def train(fold: Fold, _: OnEpoch) -> Outcome:
        ids = made.index["sample_id"].iloc[fold.test].tolist()
        return Outcome(ids, np.full((len(ids), 3), 1 / 3))

    folder = run(train, folds[:1])
    assert {f.name for f in RunFolder(folder).fold(0).path.iterdir()} == {
        "fold.json",
        "predictions.csv",
    }


def test_finished_folds_are_neither_trained_nor_touched_again(folds, guess, run):
    folder = run(some=folds[:4])
    before, trained = files_of(folder), []

    def train(fold: Fold, on_epoch: OnEpoch) -> Outcome:
        trained.append(fold.number)
        return guess(fold, on_epoch)

    run(train)
    assert trained == [4, 5]
    after = files_of(folder)
    assert len(after) > len(before) > 0
    assert {file: after[file] for file in before} == before
    run(train)
    assert trained == [4, 5]


@pytest.mark.parametrize("bad", [["006"], ["s01"], ["006", "sub02"]])
def test_a_failing_fold_does_not_stop_the_others_and_is_named(folds, guess, run, tmp_path, bad):
    with pytest.raises(InputError) as error:
        run(fail_on(guess, *bad))
    message = str(error.value)
    assert message.startswith(f"{len(bad)} of 6 folds failed")
    assert f"the first said: RuntimeError: no face found in {bad[0]}" in message
    assert "the same command runs only these again" in message
    for fold in folds:
        failed = fold.held_out in bad
        assert (f"{fold.number} {fold.held_out}" in message) == failed
        assert RunFolder(tmp_path).fold(fold.number).path.exists() != failed


def test_folds_that_failed_are_run_again_by_the_same_command(folds, guess, run, tmp_path):
    with pytest.raises(InputError):
        run(fail_on(guess, "s01"))
    before = files_of(tmp_path)
    run()
    after = files_of(tmp_path)
    assert {file: after[file] for file in before} == before
    assert {file.parent.name for file in after.keys() - before.keys()} == {"002"}


def test_probabilities_that_are_not_finite_are_a_failed_fold_with_nothing_written(
    folds, guess, run, tmp_path
):
    def diverge(fold: Fold, on_epoch: OnEpoch) -> Outcome:
        predicted = guess(fold, on_epoch)
        if fold.number == 1:
            predicted.probability[0] = np.nan
        return predicted

    with pytest.raises(InputError, match=r"1 of 6 folds failed \(1 007\).*not finite"):
        run(diverge)
    assert not RunFolder(tmp_path).fold(1).path.exists()
    assert len(list(tmp_path.glob("folds/*/predictions.csv"))) == 5


@pytest.mark.parametrize("change", ["missing", "twice", "foreign"])
def test_predictions_of_other_samples_are_a_failed_fold_with_nothing_written(
    folds, guess, run, tmp_path, change
):
    def mix_up(fold: Fold, on_epoch: OnEpoch) -> Outcome:
        predicted = guess(fold, on_epoch)
        ids = list(predicted.sample_id)
        if change == "missing":
            return Outcome(ids[1:], predicted.probability[1:])
        ids[0] = ids[1] if change == "twice" else "sub99_1"
        return Outcome(ids, predicted.probability)

    with pytest.raises(InputError, match=r"predicted other samples than the held-out ones"):
        run(mix_up, folds[2:3])
    assert not RunFolder(tmp_path).fold(2).path.exists()


@pytest.mark.parametrize(
    "step", ["run_folder.fold_folder.write_json", "run_folder.fold_folder.write_predictions"]
)
def test_a_fold_killed_while_it_is_written_is_not_finished(
    folds, guess, run, tmp_path, monkeypatch, step
):
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"merec.{step}", die)
        with pytest.raises(KeyboardInterrupt):
            run(some=folds[:2])
    assert not list(tmp_path.rglob("predictions.csv"))
    assert not list(tmp_path.rglob("*.part*"))
    run(some=folds[:2])  # the same command makes it whole
    assert len(list(tmp_path.rglob("predictions.csv"))) == 2


def test_a_killed_sweep_keeps_what_was_finished_before(folds, guess, run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(fail_on(guess, "s01", error=KeyboardInterrupt()))
    assert sorted(file.parent.name for file in tmp_path.rglob("predictions.csv")) == ["000", "001"]


def test_folds_may_come_one_by_one(folds, run):
    def as_they_come() -> Iterator[Fold]:
        yield from folds

    assert len(list(run(some=as_they_come()).rglob("predictions.csv"))) == 6


def test_scores_so_far_are_those_of_all_finished_folds_pooled(folds, run, notes):
    folder = run(some=folds[:3])
    run(logger=notes)
    assert [row["folds/done"] for _, row in notes.rows] == [4, 5, 6]
    for done, (_, row) in zip([4, 5, 6], notes.rows, strict=True):
        files = [RunFolder(folder).fold(number).predictions for number in range(done)]
        table = pd.concat([read_predictions(file) for file in files])
        counts = confusion(table["label"].to_numpy(), table["predicted"].to_numpy(), 3)
        assert row["folds/uf1_so_far"] == float(uf1(counts)) > 0
        assert row["folds/uar_so_far"] == float(uar(counts))


def test_a_damaged_finished_fold_is_named_before_anything_is_trained(folds, guess, run, tmp_path):
    run(some=folds[:1])
    file = RunFolder(tmp_path).fold(0).predictions
    file.write_text(file.read_text(encoding="utf-8")[:-60], encoding="utf-8")

    def never(fold: Fold, _: OnEpoch) -> Outcome:
        raise AssertionError(f"{fold.held_out} was trained")

    with pytest.raises(InputError, match=r"000/predictions\.csv is damaged"):
        run(never)


def test_a_full_disk_stops_training_at_once_and_the_same_command_goes_on(
    folds, guess, run, tmp_path
):
    tried = []

    def train(fold: Fold, on_epoch: OnEpoch) -> Outcome:
        tried.append(fold.number)
        if len(tried) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")
        return guess(fold, on_epoch)

    with pytest.raises(
        StopError, match=r"No space left on device.*1 of \d+ folds are finished"
    ) as error:
        run(train)
    assert "\n" not in str(error.value)
    assert len(tried) == 2
    assert not [file for file in tmp_path.rglob("*") if ".part" in file.name]
    run()
    assert len(list(tmp_path.glob("folds/*/predictions.csv"))) == len(folds)
