"""Task that trains one network with one held-out subject or without any."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pytorch_lightning.loggers import Logger

from merec.datamodules import ClipDataModule
from merec.evaluation.splits import Fold, leave_one_subject_out, select_folds
from merec.run_folder import RunFolder
from merec.run_folder.checkpoint import write_checkpoint
from merec.tasks.fold_runner import FoldWriter, one_by_one, run_folds
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.outcome import Outcome
from merec.tasks.progress import FoldProgress, OnEpoch
from merec.tasks.task import NetworkTask
from merec.tasks.training_settings import TrainingSettings


@dataclass
class FinetuneOnce(NetworkTask):
    """Task that trains one network with one held-out subject or without any.

    Attributes:
        training: Settings of the training.
        fold: Number of the held-out subject; `None` trains on everyone, for use on other data.
    """

    training: TrainingSettings
    fold: int | None
    takes_devices: ClassVar[bool] = False  # whether several devices may train the network

    def __post_init__(self) -> None:
        self.fold_trainer = FoldTrainer(self.training, takes_devices=self.takes_devices)
        self.protocol = self.corpus.protocol
        folds = leave_one_subject_out(self.datamodule.subject)
        self.chosen = [] if self.fold is None else select_folds(folds, self.fold)
        self.fold_trainer.check_starts(self.chosen)

    def hold_out(self) -> ClipDataModule:
        """Return the samples, with the subject of the fold held out if there is one."""
        every = self.datamodule
        if not self.chosen:  # as a fold without a held-out subject: `standard` scales by it
            return every.hold_out(every.train_rows, every.test_rows, every.held_out)
        (fold,) = self.chosen
        return every.hold_out(fold.train, fold.test, fold.held_out)

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train, and write the held-out predictions, or the checkpoint if nobody is held out."""

        def train(_: Fold, on_epoch: OnEpoch) -> Outcome:
            return self.fold_trainer.train_fold(data, folder, on_epoch, logger=logger or False)

        data = self.hold_out()
        self.fold_trainer.write_pairs(folder)
        if self.chosen:
            writer = FoldWriter(self.corpus, self.training.seed, folder)
            run_folds(self.chosen, writer, "finetune", one_by_one(train), None)
        elif not RunFolder(folder).checkpoint.exists():
            with FoldProgress("finetune", 1, 0) as progress:
                report = progress.start_fold("everyone")
                task, _, _ = self.fold_trainer.fit(data, report, logger or False)
            write_checkpoint(
                RunFolder(folder).checkpoint, self.fold_trainer.pack(task, data, folder)
            )
