"""Progress display: bars of folds and epochs on a terminal, ten lines in a log file."""

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

OnEpoch = Callable[[int, int], None]  # called with (epoch from 1, number of epochs)


@runtime_checkable
class Progress(Protocol):
    """Protocol of progress displays; a fold is named by its held-out subject."""

    def start_fold(self, subject: str) -> OnEpoch:
        """Start the display of a fold and return the function to call after each epoch."""

    def stop_fold(self, subject: str) -> None:
        """End the display of a fold, whether it succeeded or failed."""


class FoldProgress:
    """Display of finished folds, and of the epochs of each fold in training.

    Args:
        title: Name of the run.
        folds: Number of folds to run.
        done: Number of folds that were finished before.
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
        """Start the display of the fold of `subject` and return the function to call after each epoch."""
        bar = self.bars.add_task(f"  {subject}", total=None)
        self.epoch_bars[subject] = bar
        return partial(self._finish_epoch, bar)

    def _finish_epoch(self, bar: TaskID, epoch: int, epochs: int) -> None:
        self.bars.update(bar, completed=epoch, total=epochs)

    def stop_fold(self, subject: str) -> None:
        """Remove the bar of a fold, if it has one, whether it succeeded or failed."""
        if subject in self.epoch_bars:
            self.bars.remove_task(self.epoch_bars.pop(subject))

    def finish_fold(self, subject: str, seconds: float) -> None:
        """Count a finished fold."""
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
