"""Several folds at once, each in a process of its own with one thread.

Small networks keep one core busy, not two: a core per fold beats all cores for one. A process that dies
(memory ran out, it was killed) takes no fold with it but its own, which is known by name.
"""

import logging
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread
from typing import NamedTuple, cast

import torch

from merec.evaluation.splits import Fold
from merec.server import open_context
from merec.tasks.folds import Engine, FoldWriter, Outcome, Trained, try_fold
from merec.tasks.process import keep_freed_memory, quiet_lightning
from merec.tasks.progress import FoldProgress, OnEpoch
from merec.tasks.sharing import receive, share

TrainFold = Callable[[Path, Fold, OnEpoch], Outcome]


class Epoch(NamedTuple):
    """What a worker says after each epoch."""

    epoch: int
    epochs: int


def in_workers(train: TrainFold, workers: int) -> Engine:
    """The engine that trains as many folds at once as there are workers.

    Args:
        train: Trains a fold of a run folder; pickled, its large arrays are shared.
        workers: Processes at a time.
    """

    def engine(
        folds: Sequence[Fold], writer: FoldWriter, progress: FoldProgress
    ) -> Iterator[Trained]:
        if not folds:
            return
        with _ending_on_sigterm(), TemporaryDirectory(prefix="merec-") as shared:
            file = share((writer, partial(train, writer.folder)), Path(shared))
            yield from _Crew(file, workers).work(folds, progress)

    return engine


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
        connection: To it; what is sent is a fold.
        fold: The last that it was given.
        on_epoch: To be told of its epochs.
        started: When it was given.
    """

    process: BaseProcess
    connection: Connection
    fold: Fold
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

    def work(self, folds: Sequence[Fold], progress: FoldProgress) -> Iterator[Trained]:
        """Each fold as it ends."""
        waiting = deque(folds)
        try:
            while waiting or self.busy:
                while waiting and len(self.busy) < self.workers:
                    fold = waiting.popleft()
                    self._give(fold, progress.start_fold(fold.subject))
                for connection in wait(list(self.busy)):
                    trained = self._listen(self.busy[cast(Connection, connection)])
                    if trained is not None:
                        yield trained
        finally:  # they are done, or Ctrl-C, or the one who asked went away
            crew = [*self.busy.values(), *self.idle]
            for worker in crew:
                worker.process.kill()
            for worker in crew:
                worker.process.join()

    def _give(self, fold: Fold, on_epoch: OnEpoch) -> None:
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
            process.start()
            there.close()  # so that this end hears when the other one closes
        worker = _Worker(process, connection, fold, on_epoch, time.perf_counter())
        self.busy[connection] = worker
        with suppress(ConnectionError):  # it died just now, which is heard next
            connection.send(fold)

    def _listen(self, worker: _Worker) -> Trained | None:
        """Take in one thing that a worker says: the end of its fold, or on the way there."""
        try:
            said = worker.connection.recv()
        except (EOFError, OSError):
            said = self._explain_death(worker)
        else:
            if isinstance(said, Trained):
                self.idle.append(worker)
        if isinstance(said, Trained):
            del self.busy[worker.connection]
            return said
        if isinstance(said, Epoch):
            worker.on_epoch(*said)
        else:
            logging.getLogger(said.name).handle(said)
        return None

    def _explain_death(self, worker: _Worker) -> Trained:
        worker.process.join()
        code = worker.process.exitcode or 0
        reason = f"its process ended with code {code}"
        if code < 0:
            reason = f"its process was killed by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL:
            reason += ", as Linux does when memory runs out (then lower task.workers)"
        return Trained(worker.fold, time.perf_counter() - worker.started, reason)


def _run_worker(file: Path, connection: Connection, level: int) -> None:
    """What a process does; once the one that started it dies, it finds nobody to tell and ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it goes to all, and that one says what happens
    logging.root.handlers = [_Teller(connection)]  # type: ignore[arg-type]
    logging.root.setLevel(level)
    quiet_lightning()
    keep_freed_memory()
    torch.set_num_threads(1)

    def on_epoch(epoch: int, epochs: int) -> None:
        try:
            connection.send(Epoch(epoch, epochs))
        except ConnectionError:
            sys.exit(1)

    writer, train = receive(file)
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(try_fold(connection.recv(), writer, train, on_epoch))


class _Teller(QueueHandler):
    """Sends log records to the process that has a terminal."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(ConnectionError):
            self.queue.send(record)  # type: ignore[attr-defined]
