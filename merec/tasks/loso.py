"""Leave one subject, group or data set out: a fresh network for each, which chooses nothing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning.loggers import Logger

from merec.datamodules import ClipDataModule
from merec.evaluation.protocol import set_target
from merec.evaluation.splits import (
    Fold,
    leave_one_subject_out,
    select_folds,
    split,
)
from merec.run_folder import RunFolder
from merec.run_folder.checkpoint import write_checkpoint
from merec.subject_groups import check_groups
from merec.tasks.engines.chunks import choose_size, cut_each, deal, in_stacks, side_by_side
from merec.tasks.engines.processes import in_workers
from merec.tasks.fold_runner import Engine, FoldWriter, one_by_one, run_folds
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.inner_epoch_selection import choose_epochs
from merec.tasks.outcome import Outcome
from merec.tasks.progress import FoldProgress, OnEpoch
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)

ENGINES = ("loop", "processes", "stacked", "auto")


@dataclass
class LeaveOneSubjectOut(FoldTrainer):
    """Hold every subject out once, or every group of subjects, or every data set.

    Attributes:
        folds: Which folds: `None` for all, or e.g. `"0-9"`.
        hold_out: What each fold holds out: a `subject`, one of several `groups` of subjects, or all of a data
            set (`corpus`).
        groups: With `groups`: how many; see `merec.subject_groups.balance_groups`.
        train_on: With `corpus`: data sets to train on, always these alone; `None` for all but the held-out.
        train_subjects: How many subjects each fold trains on, see `limit_training_subjects`; `None` for all.
        engine: `loop` trains one fold after the other, `processes` several at once, each in a process with
            one thread, `stacked` several at once as one network with stacked weights, `auto` as is fastest
            for device and backbone. All give the same predictions.
        workers: Processes at a time; `None` for as many as there are cores.
        chunk: Folds that are stacked, `None` for as many as fit into memory; or that a process is given at a
            time, `None` for one, or `SIDE_BY_SIDE` of a network whose steps are short.
        compiled: Whether steps of stacked folds go through `torch.compile`.
        selection: `last` keeps the last of a fixed number of epochs. `inner` chooses the number of epochs
            on a part of the training subjects, then trains on all of them for that many.
        inner_parts: One of so many parts of the training subjects is what `inner` chooses on.
    """

    folds: str | int | None
    hold_out: str
    groups: int | None
    train_on: Sequence[str] | None
    train_subjects: int | None
    engine: str
    workers: int | None
    chunk: int | None
    compiled: bool
    selection: str
    inner_parts: int

    def __post_init__(self) -> None:
        check_groups(self.hold_out, self.groups)
        if self.groups is not None and self.pretrain_groups is not None:
            raise InputError(
                f"task.pretrain_groups={self.pretrain_groups} with task.hold_out=groups, whose folds each "
                "pretrain one encoder for a group; leave task.pretrain_groups out"
            )
        super().__post_init__()
        if self.engine not in ENGINES:
            raise InputError(
                f"task.engine={self.engine} is unknown; there are {', '.join(ENGINES)}"
            )
        for name in ("workers", "chunk"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InputError(
                    f"task.{name}={number}; give 1 or more, or null for what fits this machine"
                )
        if self.engine == "stacked" and self.selection == "inner":
            raise InputError(
                "task.engine=stacked trains all folds for as long, but task.selection=inner chooses for how "
                "long; set task.engine=auto"
            )
        if self.selection not in ("last", "inner"):
            raise InputError(f"task.selection={self.selection} is unknown; choose last or inner")
        folds, self.protocol = split(
            self.datamodule.corpus,
            self.hold_out,
            self.train_on,
            self.groups,
            self.train_subjects,
        )
        self.chosen = select_folds(folds, self.folds)
        self.check_starts(self.chosen)
        if self.selection == "inner":
            for fold in self.chosen:
                most = len(np.unique(self.datamodule.subject[fold.train]))
                if self.inner_parts > most:
                    raise InputError(
                        f"task.inner_parts={self.inner_parts}, but with {fold.held_out} held out there are "
                        f"{most} training subjects; "
                        + (f"set it to {most} or less" if most > 1 else "set task.selection=last")
                    )

    def label_corpus(self) -> Corpus:
        """Return the corpus with what is learnt as its labels, so that every fold learns what is scored."""
        return set_target(self.datamodule.corpus, self.target, self.min_subjects, self.groups)

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train the folds that are not finished and write them to `folder`."""
        self.write_pairs(folder)
        corpus = replace(self.datamodule.corpus, protocol=self.protocol)
        writer = FoldWriter(corpus, self.seed, folder)
        run_folds(self.chosen, writer, self.protocol.split, self._open_engine(writer), logger)

    def _open_engine(self, writer: FoldWriter) -> Engine:
        workers, engine = self.workers or torch.get_num_threads(), self.engine
        if engine == "auto":
            todo = sum(not writer.locate(fold).is_whole for fold in self.chosen)
            engine, why = choose_engine(self.device.type, todo, workers, self.selection)
            log.info("task.engine=auto takes %s: %s", engine, why)
        if engine == "processes":
            return self._open_workers(writer, workers)
        if engine == "stacked":
            try:
                return in_stacks(self, self.chunk, self.compiled)
            except InputError as error:
                if self.engine == "stacked":
                    raise
                log.warning("they cannot be stacked, so task.engine=loop: %s", error)
        return one_by_one(partial(self._train_alone, writer.folder))

    def _open_workers(self, writer: FoldWriter, workers: int) -> Engine:
        alone = one_by_one(partial(self._train_alone, writer.folder))
        size = self.chunk
        if size is None:
            size = choose_size(self)
        if size > 1 and self.selection == "last":
            try:
                return in_workers(side_by_side(self), partial(deal, self, size, workers), workers)
            except InputError as error:
                log.info("each fold is trained alone: %s", error)
        return in_workers(alone, cut_each, workers)

    def _train_alone(self, folder: Path, fold: Fold, on_epoch: OnEpoch) -> Outcome:
        data = self.datamodule.hold_out(fold.train, fold.test, fold.held_out)
        if self.selection == "last":
            return self.train_fold(data, folder, on_epoch)
        best = choose_epochs(self, fold, self.inner_parts, on_epoch)
        outcome = self.train_fold(data, folder, on_epoch, max_epochs=best)
        outcome.notes["epochs"] = best
        return outcome


def choose_engine(device: str, folds: int, workers: int, selection: str) -> tuple[str, str]:
    """The engine that is fastest, and why; see benchmarks/README.md.

    Args:
        device: `cpu` or another, on which a network is trained.
        folds: How many are to be trained.
        workers: Processes at a time: cores of this process, or `task.workers`.
        selection: How the number of epochs is chosen.

    Returns:
        `loop`, `processes` or `stacked`, and the reason as a clause.
    """
    if device != "cpu":
        if selection == "inner":
            return "loop", "each fold chooses its own number of epochs, so folds cannot be stacked"
        return "stacked", f"one small network at a time leaves {device} idle"
    if folds < 2:
        return "loop", "there is one fold to train" if folds else "no fold is left to train"
    if workers < 2:
        return "loop", f"{folds} folds share one core, or one worker process"
    used = min(folds, workers)
    return "processes", f"{used} folds on a core each are faster than one on {used} cores"


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
        self.check_starts(self.chosen)

    def hold_out(self) -> ClipDataModule:
        """The samples with that subject held out, or nobody."""
        every = self.datamodule
        if not self.chosen:  # as a fold without a held-out subject: `standard` scales by it
            return every.hold_out(every.train_rows, every.test_rows, every.held_out)
        (fold,) = self.chosen
        return every.hold_out(fold.train, fold.test, fold.held_out)

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train, and write the held-out predictions, or the checkpoint if nobody is held out."""

        def train(_: Fold, on_epoch: OnEpoch) -> Outcome:
            return self.train_fold(data, folder, on_epoch, logger=logger or False)

        data = self.hold_out()
        self.write_pairs(folder)
        if self.chosen:
            writer = FoldWriter(self.datamodule.corpus, self.seed, folder)
            run_folds(self.chosen, writer, "finetune", one_by_one(train), None)
        elif not RunFolder(folder).checkpoint.exists():
            with FoldProgress("finetune", 1, 0) as progress:
                report = progress.start_fold("everyone")
                task, _, _ = self.fit(data, report, logger or False)
            write_checkpoint(RunFolder(folder).checkpoint, self.pack(task, data, folder))
