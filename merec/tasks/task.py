"""Interface between `merec train` and a task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pytorch_lightning.loggers import Logger

from merec.datamodules import ClipDataModule
from merec.evaluation.splits import Fold
from merec.tasks.fold_trainer import FoldTrainer
from merec.types import Corpus
from merec.types import Protocol as EvaluationProtocol


class Task(Protocol):
    """Interface of an object that trains networks or estimators and writes a run folder.

    Attributes:
        datamodule: Samples of the task.
        corpus: Their corpus, with the labels that are scored.
        protocol: Protocol of the predictions of all folds.
        chosen: Folds to run; empty if nobody is held out.
        min_subjects: Number of training subjects that must show an action unit for a fold to learn it.
        pretraining: All pretraining data; `None` if there is no pretraining.
        is_main_process: Whether this process writes the run folder (with DDP, the first process).
    """

    protocol: EvaluationProtocol
    chosen: Sequence[Fold]

    @property
    def datamodule(self) -> ClipDataModule: ...  # noqa: D102
    @property
    def corpus(self) -> Corpus: ...  # noqa: D102
    @property
    def min_subjects(self) -> int: ...  # noqa: D102
    @property
    def pretraining(self) -> ClipDataModule | None: ...  # noqa: D102
    @property
    def is_main_process(self) -> bool: ...  # noqa: D102

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train everything that is not finished and write it to the run folder."""


class NetworkTask:
    """Base of the tasks that train networks.

    Attributes:
        fold_trainer: Trains the folds.
    """

    fold_trainer: FoldTrainer

    @property
    def datamodule(self) -> ClipDataModule:
        """Samples with the labels of the target."""
        return self.fold_trainer.datamodule

    @property
    def corpus(self) -> Corpus:
        """Their corpus, with the labels that are scored."""
        return self.datamodule.corpus

    @property
    def min_subjects(self) -> int:
        """Number of training subjects that must show an action unit for a fold to learn it."""
        return self.fold_trainer.settings.min_subjects

    @property
    def pretraining(self) -> ClipDataModule | None:
        """All pretraining data; each fold leaves out held-out subjects."""
        pretrainer = self.fold_trainer.pretrainer
        return None if pretrainer is None else pretrainer.data

    @property
    def is_main_process(self) -> bool:
        """True if this process writes the run folder."""
        return self.fold_trainer.is_main_process
