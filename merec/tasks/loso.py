"""Leave one subject out: a fresh network for every subject, who chooses nothing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning.loggers import Logger

from merec.datamodules import ClipDataModule
from merec.evaluation.metrics import confusion, uf1
from merec.evaluation.splits import (
    Fold,
    leave_one_subject_out,
    select_folds,
    split_inner_subjects,
)
from merec.files import atomic
from merec.seeding import derive_seed
from merec.tasks.folds import Outcome, run_folds
from merec.tasks.progress import FoldProgress
from merec.tasks.training import FoldTrainer
from merec.types import InputError


@dataclass
class LeaveOneSubjectOut(FoldTrainer):
    """Hold every subject out once.

    Attributes:
        folds: Which folds: `None` for all, or e.g. `"0-9"`.
        engine: `loop` trains one fold after the other.
        selection: `last` keeps the last of a fixed number of epochs. `inner` chooses the number of epochs
            on a part of the training subjects, then trains on all of them for that many.
        inner_parts: One of so many parts of the training subjects is what `inner` chooses on.
    """

    folds: str | int | None
    engine: str
    selection: str
    inner_parts: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine != "loop":
            raise InputError(f"task.engine={self.engine} is unknown; there is loop")
        if self.selection not in ("last", "inner"):
            raise InputError(f"task.selection={self.selection} is unknown; choose last or inner")
        self.chosen = select_folds(leave_one_subject_out(self.datamodule.subject), self.folds)

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train the folds that are not finished and write them to `folder`."""

        def train(fold: Fold, progress: FoldProgress) -> Outcome:
            data = self.datamodule.hold_out(fold.train, fold.test, fold.subject)
            if self.selection == "last":
                return self.train_fold(data, folder, progress.finish_epoch)
            best = self._choose_epochs(fold, progress)
            outcome = self.train_fold(data, folder, progress.finish_epoch, max_epochs=best)
            outcome.notes["epochs"] = best
            return outcome

        corpus = self.datamodule.corpus
        self.write_pairs(folder)
        run_folds(self.chosen, corpus, self.seed, folder, "leave one subject out", train, logger)

    def _choose_epochs(self, fold: Fold, progress: FoldProgress) -> int:
        """The number of epochs of highest pooled UF1 on inner subjects; the fewest if several are."""
        every = self.datamodule
        labels = every.label.numpy()
        seed = derive_seed(self.seed, fold.subject, "inner") % 2**32
        train, inner = split_inner_subjects(fold, every.subject, labels, self.inner_parts, seed)
        data = every.hold_out(train, inner, f"{fold.subject}, inner")
        # Starting weights may have seen the inner subjects, but never the held-out one.
        _, _, epochs = self.fit(data, progress.finish_epoch, unseen=fold.test)
        position = {sample_id: row for row, sample_id in enumerate(every.sample_id)}
        truth = labels[[position[sample_id] for sample_id in epochs.sample_id]]
        num_classes = len(every.corpus.protocol.classes)
        scores = [float(uf1(confusion(truth, said, num_classes))) for said in epochs.predicted.T]
        return int(np.argmax(scores)) + 1


@dataclass
class FinetuneOnce(FoldTrainer):
    """Train one network, holding out one subject or nobody.

    Attributes:
        fold: Number of the held-out subject; `None` trains on everyone, for use on other data.
    """

    fold: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        folds = leave_one_subject_out(self.datamodule.subject)
        self.chosen = [] if self.fold is None else select_folds(folds, self.fold)

    def hold_out(self) -> ClipDataModule:
        """The samples with that subject held out, or nobody."""
        every = self.datamodule
        if not self.chosen:  # as a fold without a held-out subject: `standard` scales by it
            return every.hold_out(every.train_rows, every.test_rows, every.held_out)
        (fold,) = self.chosen
        return every.hold_out(fold.train, fold.test, fold.subject)

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train, and write the held-out predictions, or the checkpoint if nobody is held out."""

        def train(_: Fold, progress: FoldProgress) -> Outcome:
            return self.train_fold(data, folder, progress.finish_epoch, logger=logger or False)

        data, corpus = self.hold_out(), self.datamodule.corpus
        self.write_pairs(folder)
        if self.chosen:
            run_folds(self.chosen, corpus, self.seed, folder, "finetune", train, None)
        elif not (folder / "checkpoint.ckpt").exists():
            with FoldProgress("finetune", 1, 0) as progress:
                progress.start_fold("everyone")
                task, _, _ = self.fit(data, progress.finish_epoch, logger or False)
            with atomic(folder / "checkpoint.ckpt") as part:
                torch.save(self.pack(task, data, folder), part)
