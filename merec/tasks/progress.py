"""How far a sweep is: bars over folds and epochs on a terminal, ten lines in a log file."""

import logging
from collections.abc import Callable
from functools import partial
from multiprocessing import current_process
from types import TracebackType
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

log = logging.getLogger(__name__)

OnEpoch = Callable[[int, int], None]  # told (epoch from 1, epochs)


@runtime_checkable
class Progress(Protocol):
    """Is told what is being trained: a fold by the subject that it holds out, or several by other words."""

    def start_fold(self, subject: str) -> OnEpoch:
        """Begin; what is given is to be told of its epochs."""

    def stop_fold(self, subject: str) -> None:
        """End, whatever came of it."""


class FoldProgress:
    """Counts folds, and epochs within each that is being trained.

    Args:
        title: What is run.
        folds: Number of folds to run.
        done: How many of them were already finished before.
    """

    def __init__(self, title: str, folds: int, done: int):
        worker = current_process().name
        alone = worker == "MainProcess"
        self.title = title if alone else f"{worker}, {title}"
        self.folds, self.done = folds, done
        console = Console(stderr=True)
        # Several jobs of a multirun at once would draw over each other.
        self.quiet = not console.is_terminal or not alone
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=self.quiet,
        )
        self.fold_bar = self.bars.add_task(title, total=folds, completed=done)
        self.epoch_bars: dict[str, TaskID] = {}

    def __enter__(self) -> "FoldProgress":
        if self.done:
            log.info("%s: %d of %d folds are finished already", self.title, self.done, self.folds)
        self.bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bars.stop()

    def start_fold(self, subject: str) -> OnEpoch:
        """Begin the fold that holds `subject` out; what is given is to be told of its epochs."""
        bar = self.bars.add_task(f"  {subject}", total=None)
        self.epoch_bars[subject] = bar
        return partial(self._finish_epoch, bar)

    def _finish_epoch(self, bar: TaskID, epoch: int, epochs: int) -> None:
        self.bars.update(bar, completed=epoch, total=epochs)

    def stop_fold(self, subject: str) -> None:
        """Take the bar of a fold away, if it has one of its own, whatever came of it."""
        if subject in self.epoch_bars:
            self.bars.remove_task(self.epoch_bars.pop(subject))

    def finish_fold(self, subject: str, seconds: float) -> None:
        """Say that a fold is done."""
        before, self.done = self.done, self.done + 1
        self.bars.update(self.fold_bar, completed=self.done)
        if self.quiet and (self.done * 10) // self.folds > (before * 10) // self.folds:
            log.info(
                "%s: fold %d of %d (%s) took %.1f s",
                self.title,
                self.done,
                self.folds,
                subject,
                seconds,
            )
