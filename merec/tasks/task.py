"""Contract between `merec train` and a task."""

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
    """Something that is trained and writes a run folder.

    Attributes:
        datamodule: The samples.
        corpus: Their corpus, with the labels that are scored.
        protocol: Protocol that all folds together predict.
        chosen: The folds that are run; none if nobody is held out.
        min_subjects: Number of training subjects that must show an action unit for a fold to learn it.
        pretraining: All that networks are pretrained on; `None` if there is no pretraining.
        is_main_process: Whether this process writes the run folder; of several that train one network the
            first does.
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
        """Train what is not finished, and write it to the run folder."""


class NetworkTask:
    """Base of the tasks that train networks.

    Attributes:
        fold_trainer: Trains the folds.
    """

    fold_trainer: FoldTrainer

    @property
    def datamodule(self) -> ClipDataModule:
        """The samples, with the labels of the target."""
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
        """All that networks are pretrained on; each fold leaves out what it must not see."""
        pretrainer = self.fold_trainer.pretrainer
        return None if pretrainer is None else pretrainer.data

    @property
    def is_main_process(self) -> bool:
        """True if this process writes the run folder."""
        return self.fold_trainer.is_main_process
