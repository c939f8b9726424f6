"""Leave-one-subject-out task (or group, or data set), with a new network per fold."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from pytorch_lightning.loggers import Logger

from merec.evaluation.fold_choice import FoldChoice
from merec.evaluation.splits import Fold
from merec.tasks.engines.engine_choice import EngineChoice
from merec.tasks.fold_runner import FoldWriter, run_folds
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.inner_epoch_selection import choose_epochs
from merec.tasks.outcome import Outcome
from merec.tasks.progress import OnEpoch
from merec.tasks.task import NetworkTask
from merec.tasks.training_settings import TrainingSettings
from merec.types import InputError


@dataclass
class LeaveOneSubjectOut(NetworkTask):
    """Task that holds out every subject once, or every group of subjects, or every data set.

    Attributes:
        training: Settings of the training of a fold.
        fold_choice: Rule that defines the held-out samples of each fold.
        engine_choice: Engine that runs the folds.
        selection: `last` keeps the last of a fixed number of epochs. `inner` chooses the number of epochs on
            a part of the training subjects, then trains on all training subjects for this number.
        inner_parts: Number of parts into which `inner` divides the training subjects; one part is used for
            the selection.
    """

    training: TrainingSettings
    fold_choice: FoldChoice
    engine_choice: EngineChoice
    selection: str
    inner_parts: int

    def __post_init__(self) -> None:
        groups, shared = self.fold_choice.groups, self.training.pretraining.pretrain_groups
        if groups is not None and shared is not None:
            raise InputError(
                f"task.pretrain_groups={shared} with task.hold_out=groups, whose folds each "
                "pretrain one encoder for a group; leave task.pretrain_groups out"
            )
        self.fold_trainer = FoldTrainer(self.training, groups)
        self.engine_choice.check(self.selection)
        if self.selection not in ("last", "inner"):
            raise InputError(f"task.selection={self.selection} is unknown; choose last or inner")
        self.chosen, self.protocol = self.fold_choice.split(self.corpus)
        self.fold_trainer.check_starts(self.chosen)
        if self.selection == "inner":
            self._check_inner_parts()

    def _check_inner_parts(self) -> None:
        """Refuse more inner parts than a fold has training subjects.

        Raises:
            InputError: If so; the message contains the largest possible number.
        """
        for fold in self.chosen:
            most = len(np.unique(self.datamodule.subject[fold.train]))
            if self.inner_parts > most:
                raise InputError(
                    f"task.inner_parts={self.inner_parts}, but with {fold.held_out} held out there are "
                    f"{most} training subjects; "
                    + (f"set it to {most} or less" if most > 1 else "set task.selection=last")
                )

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train the folds that are not finished and write them to `folder`."""
        self.fold_trainer.write_pairs(folder)
        writer = FoldWriter(
            replace(self.corpus, protocol=self.protocol), self.training.seed, folder
        )
        unfinished = sum(not writer.locate(fold).is_whole for fold in self.chosen)
        train_alone = partial(self._train_alone, folder)
        engine = self.engine_choice.open(self.fold_trainer, train_alone, unfinished, self.selection)
        run_folds(self.chosen, writer, self.protocol.split, engine, logger)

    def _train_alone(self, folder: Path, fold: Fold, on_epoch: OnEpoch) -> Outcome:
        trainer = self.fold_trainer
        data = self.datamodule.hold_out(fold.train, fold.test, fold.held_out)
        if self.selection == "last":
            return trainer.train_fold(data, folder, on_epoch)
        best = choose_epochs(trainer, fold, self.inner_parts, on_epoch)
        outcome = trainer.train_fold(data, folder, on_epoch, max_epochs=best)
        outcome.notes["epochs"] = best
        return outcome
