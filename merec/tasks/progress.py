"""How far a sweep is: bars over folds and epochs on a terminal, ten lines in a log file."""

import logging
from multiprocessing import current_process
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

log = logging.getLogger(__name__)


class FoldProgress:
    """Counts folds, and epochs within a fold.

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
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=self.quiet,
        )
        self.fold_bar = self.bars.add_task(title, total=folds, completed=done)
        self.epoch_bar = self.bars.add_task("", total=None, visible=False)

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

    def start_fold(self, subject: str) -> None:
        """Begin the fold that holds `subject` out."""
        self.subject = subject
        self.bars.reset(self.epoch_bar, description=f"  {subject}", visible=False)

    def finish_epoch(self, epoch: int, epochs: int) -> None:
        """Say that `epoch` (from 1) of `epochs` is done."""
        self.bars.update(self.epoch_bar, completed=epoch, total=epochs, visible=True)

    def finish_fold(self, seconds: float) -> None:
        """Say that a fold is done."""
        before, self.done = self.done, self.done + 1
        self.bars.update(self.fold_bar, completed=self.done)
        if self.quiet and (self.done * 10) // self.folds > (before * 10) // self.folds:
            log.info(
                "%s: fold %d of %d (%s) took %.1f s",
                self.title,
                self.done,
                self.folds,
                self.subject,
                seconds,
            )
