"""Engines that train several folds jointly, and the size of their chunks."""

import gc
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from merec.datamodules import ClipDataModule
from merec.evaluation.splits import Fold
from merec.run_folder.epochs import Epochs
from merec.tasks.engines.interleaved import InterleavedFolds
from merec.tasks.engines.joint_training import JointTraining, check_joint_training, is_out_of_memory
from merec.tasks.engines.stacked import StackedFinetune
from merec.tasks.epoch_recorder import check_loss
from merec.tasks.finetune import Finetune
from merec.tasks.fold_runner import Engine, FoldWriter, Trained, name_folds, try_fold
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.outcome import Outcome
from merec.tasks.progress import OnEpoch, Progress
from merec.tracebacks import describe_mistake, format_traceback, tracebacks
from merec.types import InputError

log = logging.getLogger(__name__)

SHARE = 0.5  # of the free memory is for folds
COPIES = 4  # of a weight in memory: itself, its gradient, two numbers of the optimiser
INTERLEAVED_FOLDS = 8  # folds that a process interleaves if their steps are short
SHORT = 0.2  # seconds of a short step; Lightning spends 5 ms an epoch
MARGIN = 2  # memory of a step in units of what it keeps for the gradient


class Held(NamedTuple):
    """Fold with its samples."""

    fold: Fold
    view: ClipDataModule


def in_stacks(trainer: FoldTrainer, chunk: int | None, compiled: bool) -> Engine:
    """Return the engine that trains several folds as one network.

    Args:
        trainer: Trains the folds.
        chunk: Number of folds per chunk; `None` for as many as fit into memory.
        compiled: Whether steps go through `torch.compile`.

    Raises:
        InputError: If stacked folds would influence each other.
    """
    check_trainer(trainer)
    join = partial(StackedFinetune, compiled=compiled)

    def engine(
        folds: Sequence[Fold], writer: FoldWriter, progress: Progress
    ) -> Generator[Trained, None, None]:
        held = _hold(trainer, folds)
        if held:
            waiting = cut_chunks(held, chunk or count_fitting(trainer, held[0].view))
            yield from _train_chunks(waiting, _Trainer(trainer, join, writer, progress))

    return engine


def interleave_folds(trainer: FoldTrainer) -> Engine:
    """Return the engine that interleaves folds; all must have the same number of steps per epoch.

    Raises:
        InputError: If the folds would influence each other.
    """
    check_trainer(trainer)
    steps = trainer.networks.trainer(logger=False).accumulate_grad_batches
    if steps != 1:
        raise InputError(f"trainer.accumulate_grad_batches={steps} cannot be side by side")
    return partial(_interleave_folds, trainer)


def _interleave_folds(
    trainer: FoldTrainer, folds: Sequence[Fold], writer: FoldWriter, progress: Progress
) -> Generator[Trained, None, None]:
    held = _hold(trainer, folds)
    yield from _train_chunks([held], _Trainer(trainer, InterleavedFolds, writer, progress))


def check_trainer(trainer: FoldTrainer) -> None:
    """Refuse settings that would let jointly trained folds influence each other.

    Raises:
        InputError: If so; the message names the setting.
    """
    fresh = trainer.make_fresh(trainer.datamodule)
    check_joint_training(
        fresh.optimizer(list(fresh.parameters())), trainer.networks.trainer(logger=False)
    )


def _hold(trainer: FoldTrainer, folds: Sequence[Fold]) -> list[Held]:
    data = trainer.datamodule
    return [Held(fold, data.hold_out(fold.train, fold.test, fold.held_out)) for fold in folds]


def _train_chunks(waiting: list[list[Held]], crew: "_Trainer") -> Iterator[Trained]:
    """Train each chunk of folds jointly.

    A chunk that runs out of memory is halved. After another error the folds of the chunk are trained one by
    one, so that only the faulty fold fails.
    """
    while waiting:
        some, *waiting = waiting
        if len(some) == 1:
            yield crew.train_alone(some[0])
            continue
        try:
            yield from crew.train_jointly(some)
        except _Stopped as stopped:
            parts = 2 if is_out_of_memory(stopped.reason) else len(some)
            log.warning("%s; trying them in %d parts", stopped, parts)
            waiting = [*_split(some, parts), *waiting]
        gc.collect()  # a module and its trainer refer to each other
        torch.cuda.empty_cache()


class _Stopped(Exception):  # noqa: N818
    """Error: a chunk of folds was not trained."""

    def __init__(self, folds: int, reason: Exception):
        line = str(reason) if is_out_of_memory(reason) else describe_mistake(reason)
        line = (line or type(reason).__name__).splitlines()[0]
        super().__init__(f"{folds} folds cannot be trained at once ({line})")
        self.reason = reason


@dataclass(frozen=True)
class _Trainer:
    """Trainer and writer of folds."""

    trainer: FoldTrainer
    join: Callable[..., JointTraining]
    writer: FoldWriter
    progress: Progress

    def train_jointly(self, some: Sequence[Held]) -> Iterator[Trained]:
        """Train a chunk of folds jointly, then predict and write each fold."""
        title = name_folds([held.fold for held in some])
        started, report = time.perf_counter(), self.progress.start_fold(title)
        try:
            views = [held.view for held in some]
            together = self.trainer.fit_jointly(views, report, self.join)
        except Exception as error:
            trace = "" if is_out_of_memory(error) else format_traceback(error)
            if trace:
                tracebacks.error("%s, together:\n%s", title, trace)
            raise _Stopped(len(some), error) from error
        finally:
            self.progress.stop_fold(title)
        spent = (time.perf_counter() - started) / len(some)
        for held, gave in zip(some, together, strict=True):
            yield self._conclude(held, gave, spent)

    def _conclude(
        self, held: Held, gave: tuple[Finetune, pl.Trainer, Epochs], spent: float
    ) -> Trained:
        def conclude(_: Fold, on_epoch: OnEpoch) -> Outcome:
            for number, loss in enumerate(gave[2].train_loss, 1):
                check_loss(loss, number)
            return self.trainer.conclude(*gave, held.view, self.writer.folder)

        report = self.progress.start_fold(held.fold.held_out)
        return try_fold(held.fold, self.writer, conclude, report, spent)

    def train_alone(self, held: Held) -> Trained:
        """Train one fold separately, and write it."""

        def train(_: Fold, on_epoch: OnEpoch) -> Outcome:
            return self.trainer.train_fold(held.view, self.writer.folder, on_epoch)

        report = self.progress.start_fold(held.fold.held_out)
        return try_fold(held.fold, self.writer, train, report)


def cut_chunks(held: Sequence[Held], most: int) -> list[list[Held]]:
    """Cut folds into chunks of the same classes and the same number of steps per epoch.

    Folds in a chunk are sorted by the size of their last batch.

    Args:
        held: Folds to cut.
        most: Highest number of folds of a chunk.
    """
    steps = {id(one): (one.view.classes, len(one.view.train_dataloader())) for one in held}
    order = sorted(held, key=lambda one: (steps[id(one)], len(one.view.train_rows)))
    alike = [list(some) for _, some in groupby(order, lambda one: steps[id(one)])]
    return [part for some in alike for part in _split(some, -(-len(some) // most))]


def _split(some: list[Held], parts: int) -> list[list[Held]]:
    size = -(-len(some) // parts)
    return [some[start : start + size] for start in range(0, len(some), size)]


def cut_each(folds: Sequence[Fold]) -> list[list[Fold]]:
    """Cut folds into chunks of one."""
    return [[fold] for fold in folds]


def deal(trainer: FoldTrainer, size: int, workers: int, folds: Sequence[Fold]) -> list[list[Fold]]:
    """Cut folds into chunks of nearly equal size, so that all workers finish at about the same time.

    Args:
        trainer: Trains the folds.
        size: Highest number of folds of a chunk.
        workers: Number of worker processes.
        folds: Folds to train.
    """
    rounds = -(-len(folds) // (size * workers))
    most = -(-len(folds) // (rounds * workers))
    chunks = cut_chunks(_hold(trainer, folds), most)
    return [[held.fold for held in some] for some in chunks]


def choose_size(trainer: FoldTrainer) -> int:
    """Return the number of folds that a worker interleaves, from the duration of one training step.

    Interleaved folds share Lightning's overhead per step and epoch, which matters if steps are short. For
    long steps it only means that a process that dies loses more folds.
    """
    data = trainer.datamodule
    try:
        task, batch = trainer.make_fresh(data), next(iter(data.train_dataloader()))
        started = time.perf_counter()
        task.training_step(batch, 0)["loss"].backward()
        seconds = time.perf_counter() - started
    except Exception:  # each fold will raise it again, with its name
        return 1
    return INTERLEAVED_FOLDS if seconds < SHORT else 1


def count_fitting(trainer: FoldTrainer, view: ClipDataModule) -> int:
    """Return the number of folds that fit into `SHARE` of the free memory, estimated from one fold."""
    runner, task = trainer.networks.trainer(logger=False), trainer.make_fresh(view)
    try:
        measured = measure_fold(task, view, runner)
    except Exception as error:  # the fold alone will raise it again, with its name
        reason = describe_mistake(error)
        log.warning("the memory of a fold cannot be measured (%s); one at a time", reason)
        return 1
    free = measure_free(runner.strategy.root_device)
    log.info("a fold takes %.1f MiB of the %.0f MiB that are free", measured / 2**20, free / 2**20)
    return max(1, int(SHARE * free / measured))


def measure_fold(task: Finetune, view: ClipDataModule, trainer: pl.Trainer) -> int:
    """Estimate the memory of training a fold from the tensors that one step saves for backward, bytes.

    Args:
        task: Untrained module of the fold, which takes the step.
        view: Samples of the fold.
        trainer: Trainer that determines device and precision.
    """
    device, precision = trainer.strategy.root_device, trainer.precision_plugin
    task = precision.convert_module(task.to(device))  # type: ignore[assignment]
    batch = precision.convert_input(next(iter(view.train_dataloader())).to(device))
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return value

    with precision.forward_context(), saved_tensors_hooks(keep, lambda value: value):
        step = task.training_step(batch, 0)  # its graph keeps the saved tensors alive
    weights = sum(value.nbytes for value in task.parameters())
    inputs = batch.inputs if isinstance(batch.inputs, tuple) else (batch.inputs,)
    del step
    return COPIES * weights + MARGIN * sum(kept.values()) + sum(view.nbytes for view in inputs)


def measure_free(device: torch.device) -> int:
    """Return the free memory of a device in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        (line,) = [line for line in lines if line.startswith("MemAvailable:")]
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # no Linux: about half of what there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
