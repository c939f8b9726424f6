"""Several folds at once, in processes with one thread each.

Small networks keep one core busy, not two: a core per fold beats all cores for one. A process that dies
(memory ran out, it was killed) takes no folds with it but its own, which are known by name.
"""

import logging
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import current_thread, main_thread
from typing import NamedTuple, cast

import torch

from merec.errors import DiskError
from merec.evaluation.splits import Fold
from merec.forkserver import open_context
from merec.tasks.engines.shared_memory import receive, share
from merec.tasks.fold_runner import Engine, FoldWriter, Trained, name_folds
from merec.tasks.process_setup import (
    keep_freed_memory,
    quiet_lightning,
    return_freed_memory,
)
from merec.tasks.progress import OnEpoch, Progress
from merec.temporary_folder import own_folder
from merec.types import InputError

Cut = Callable[[Sequence[Fold]], Sequence[Sequence[Fold]]]


class Epoch(NamedTuple):
    """What a worker says after each epoch."""

    epoch: int
    epochs: int


def in_workers(engine: Engine, cut: Cut, workers: int) -> Engine:
    """The engine that has several processes train folds by another engine.

    Args:
        engine: What a process does with the folds that it is given; pickled, its large arrays are shared.
        cut: Which folds are given at a time; what a process that dies takes with it.
        workers: Processes at a time.
    """

    def work(
        folds: Sequence[Fold], writer: FoldWriter, progress: Progress
    ) -> Generator[Trained, None, None]:
        if not folds:
            return
        with _ending_on_sigterm(), own_folder() as shared:
            try:
                file = share((writer, engine), shared)
            except OSError as error:
                raise DiskError(
                    f"{shared} has no room for the samples that worker processes share ({error.strerror}); "
                    "set TMPDIR to a folder that has, or task.engine=loop",
                    error,
                ) from error
            return_freed_memory()  # this process only waits from here on
            yield from _Crew(file, workers).work(cut(folds), progress)

    return work


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let a scheduler's SIGTERM end this process as Lightning does, workers and shared files first."""

    def leave(*_: object) -> None:
        raise SystemExit

    own = current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if own:
        signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if own:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@dataclass
class _Worker:
    """A process and what it works on.

    Attributes:
        process: Itself.
        connection: To it; what is sent are folds.
        folds: Those that it was given and has not trained yet.
        title: Of all that it was given.
        on_epoch: To be told of their epochs.
        started: When they were given.
    """

    process: BaseProcess
    connection: Connection
    folds: list[Fold]
    title: str
    on_epoch: OnEpoch
    started: float


class _Crew:
    """Processes that work on folds.

    Args:
        file: What `share` wrote.
        workers: Processes at a time.
    """

    def __init__(self, file: Path, workers: int):
        self.file, self.workers = file, workers
        self.busy: dict[Connection, _Worker] = {}
        self.idle: list[_Worker] = []
        self.context = open_context()

    def work(self, chunks: Sequence[Sequence[Fold]], progress: Progress) -> Iterator[Trained]:
        """Each fold as it ends."""
        waiting = deque(chunks)
        try:
            while waiting or self.busy:
                while waiting and len(self.busy) < self.workers:
                    folds = waiting.popleft()
                    title = name_folds(folds)
                    self._give(folds, title, progress.start_fold(title))
                for connection in wait(list(self.busy)):
                    worker = self.busy[cast(Connection, connection)]
                    yield from self._listen(worker)
                    if not worker.folds:
                        progress.stop_fold(worker.title)
                        del self.busy[worker.connection]
        finally:  # they are done, or Ctrl-C, or the one who asked went away
            crew = [*self.busy.values(), *self.idle]
            for worker in crew:
                worker.process.kill()
            for worker in crew:
                worker.process.join()

    def _give(self, folds: Sequence[Fold], title: str, on_epoch: OnEpoch) -> None:
        if self.idle:
            last = self.idle.pop()
            process, connection = last.process, last.connection
        else:
            connection, there = self.context.Pipe()
            level = logging.root.level
            process = self.context.Process(
                target=_run_worker,
                args=(self.file, there, level),
                name=f"fold worker {len(self.busy)}",
                daemon=True,
            )
            try:
                process.start()
            except (OSError, EOFError) as error:  # EOFError: the server died
                reason = str(error) or "the process that starts it has died"
                raise InputError(
                    f"no worker can be started ({reason}), as when memory has run out: lower "
                    "task.workers or take task.engine=loop; finished folds are kept, and the "
                    "same command runs only the others"
                ) from error
            there.close()  # so that this end hears when the other one closes
        started = time.perf_counter()
        worker = _Worker(process, connection, list(folds), title, on_epoch, started)
        self.busy[connection] = worker
        with suppress(ConnectionError):  # it died just now, which is heard next
            connection.send(folds)

    def _listen(self, worker: _Worker) -> list[Trained]:
        """Take in one thing that a worker says: that a fold or some ended, or what happened on the way."""
        try:
            said = worker.connection.recv()
        except (EOFError, OSError):
            left, worker.folds = worker.folds, []
            spent, reason = time.perf_counter() - worker.started, self._explain_death(worker)
            return [Trained(fold, spent, reason) for fold in left]
        if isinstance(said, Trained):
            worker.folds = [fold for fold in worker.folds if fold.number != said.fold.number]
            if not worker.folds:
                self.idle.append(worker)
            return [said]
        if isinstance(said, Epoch):
            worker.on_epoch(*said)
        else:
            logging.getLogger(said.name).handle(said)
        return []

    def _explain_death(self, worker: _Worker) -> str:
        worker.process.join()
        code = worker.process.exitcode or 0
        if code == -signal.SIGKILL:
            return (
                "its process was killed by SIGKILL, as Linux does when memory runs out (then lower "
                "task.workers)"
            )
        if code < 0:
            return f"its process was killed by {signal.Signals(-code).name}"
        return f"its process ended with code {code}"


def _run_worker(file: Path, connection: Connection, level: int) -> None:
    """What a process does; once the one that started it dies, it finds nobody to tell and ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it goes to all, and that one says what happens
    logging.root.handlers = [_Teller(connection)]  # type: ignore[arg-type]
    logging.root.setLevel(level)
    quiet_lightning()
    keep_freed_memory()
    torch.set_num_threads(1)
    writer, engine = receive(file)
    with suppress(EOFError, ConnectionError):
        while True:
            for trained in engine(connection.recv(), writer, _Reports(connection)):
                connection.send(trained)


@dataclass(frozen=True)
class _Reports:
    """The progress of a process, told to the one that draws it."""

    connection: Connection

    def start_fold(self, subject: str) -> OnEpoch:
        """Tell of its epochs."""
        return self._tell

    def _tell(self, epoch: int, epochs: int) -> None:
        try:
            self.connection.send(Epoch(epoch, epochs))
        except ConnectionError:
            sys.exit(1)

    def stop_fold(self, subject: str) -> None:
        """Nothing: it is known by what is sent next."""


class _Teller(QueueHandler):
    """Sends log records to the process that has a terminal."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(ConnectionError):
            self.queue.send(record)  # type: ignore[attr-defined]
