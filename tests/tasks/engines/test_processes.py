"""Folds in processes of their own give what the loop gives, and one that dies takes no other with it."""

import logging
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import merec.tasks.fold_runner
from merec.errors import InputError
from merec.tasks.engines.chunks import deal
from merec.tasks.fold_runner import name_folds
from merec.tasks.progress import FoldProgress, OnEpoch

SUBJECTS = 6


def test_the_same_folds_give_the_same_as_the_loop(swept, train, read_fold):
    folder = train(engine="processes")
    for number in range(SUBJECTS):
        ours, theirs = read_fold(folder, number), read_fold(swept, number)
        np.testing.assert_allclose(ours.probability, theirs.probability, atol=1e-4)
        np.testing.assert_array_equal(
            ours.predictions["sample_id"], theirs.predictions["sample_id"]
        )
        np.testing.assert_allclose(
            ours.epochs["train_loss"], theirs.epochs["train_loss"], rtol=1e-3
        )
        assert ours.checkpoint["merec"] == theirs.checkpoint["merec"]


def test_the_number_of_epochs_is_chosen_in_the_process_too(train, read_fold):
    settings = {"selection": "inner", "folds": "1-2"}
    ours, theirs = train(engine="processes", **settings), train(engine="loop", **settings)
    for number in (1, 2):
        assert read_fold(ours, number).notes["epochs"] == read_fold(theirs, number).notes["epochs"]


class Kill(FoldProgress):
    """Kills the process of one subject after its first epoch."""

    subject = "s01"

    def start_fold(self, subject: str) -> OnEpoch:
        on_epoch = super().start_fold(subject)

        def kill(epoch: int, epochs: int) -> None:
            on_epoch(epoch, epochs)
            if subject == self.subject:
                children = multiprocessing.active_children()
                (rows,) = [child for child in children if child.name.startswith("fold worker")]
                assert rows.pid is not None
                os.kill(rows.pid, signal.SIGKILL)

        return kill


def test_a_killed_process_is_named_and_the_same_command_finishes_the_rest(
    swept, make_loso, new_folder, read_fold, monkeypatch
):
    folder = new_folder()
    with monkeypatch.context() as patch:
        patch.setattr(merec.tasks.fold_runner, "FoldProgress", Kill)
        with pytest.raises(InputError) as error:
            # One at a time, so that its process is known.
            make_loso(engine="processes", workers=1, chunk=1).run(folder, None)
    message = str(error.value)
    assert message.startswith("1 of 6 folds failed (2 s01)")
    assert "killed by SIGKILL, as Linux does when memory runs out" in message
    assert "task.workers" in message
    done = {file.parent.name for file in folder.rglob("predictions.csv")}
    assert done == {"000", "001", "003", "004", "005"}
    assert not list(folder.rglob("*.part*"))
    make_loso(engine="processes").run(folder, None)
    np.testing.assert_allclose(
        read_fold(folder, 2).probability, read_fold(swept, 2).probability, atol=1e-4
    )


def test_a_killed_process_takes_with_it_what_it_was_given(make_loso, new_folder, monkeypatch):
    folder, loso = new_folder(), make_loso(engine="processes", workers=1, chunk=2)
    lost = deal(loso.fold_trainer, 2, 1, loso.chosen)[1]
    monkeypatch.setattr(merec.tasks.fold_runner, "FoldProgress", Kill)
    monkeypatch.setattr(Kill, "subject", name_folds(lost))
    with pytest.raises(InputError, match="2 of 6 folds failed.*killed by SIGKILL"):
        loso.run(folder, None)
    missing = {f"{fold.number:03d}" for fold in lost}
    done = {file.parent.name for file in folder.rglob("predictions.csv")}
    assert done == {f"{number:03d}" for number in range(SUBJECTS)} - missing


def test_what_a_process_logs_and_why_it_fails_is_told_by_the_one_that_started_it(
    make_loso, new_folder, caplog
):
    folder = new_folder()
    with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as error:
        make_loso(engine="processes", folds="0-1", lr=float("inf")).run(folder, None)
    assert "2 of 2 folds failed (0 006, 1 007)" in str(error.value)
    assert "the training loss is nan in epoch" in str(error.value)
    assert "fold 1 (007) failed" in caplog.text
    messages = [record for record in caplog.records if record.process != os.getpid()]
    assert "traceback" in {record.message.splitlines()[0] for record in messages}
    assert not list(Path(folder).rglob("predictions.csv"))


def test_a_worker_that_cannot_be_started_is_told_in_a_line(train, monkeypatch):
    def start(self: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", start)
    with pytest.raises(InputError, match=r"Cannot allocate memory.*lower task.workers"):
        train(engine="processes", folds="0-1")
