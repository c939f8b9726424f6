"""Training of several folds at once, in worker processes with one thread each.

Small networks use one core, so one core per fold is faster than all cores for one fold. If a process dies
(out of memory, killed), only its folds are lost, and they are reported by name.
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
    """Message of a worker after each epoch."""

    epoch: int
    epochs: int


def in_workers(engine: Engine, cut: Cut, workers: int) -> Engine:
    """Return the engine that runs another engine in several worker processes.

    Args:
        engine: Runs the folds of a worker; it is pickled, and its large arrays are in shared memory.
        cut: Groups the folds into chunks. A worker takes one chunk at a time; if it dies, only the results of
            that chunk are lost.
        workers: Number of worker processes.
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
    """End workers and remove shared files before a scheduler's SIGTERM ends this process."""

    def leave(*_: object) -> None:
        raise SystemExit

    handles_sigterm = (
        current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if handles_sigterm:
        signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if handles_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@dataclass
class _Worker:
    """Worker process and its folds.

    Attributes:
        process: The process.
        connection: Connection that sends folds and receives messages.
        folds: Folds that the worker has not trained yet.
        title: Name of all folds of the worker.
        on_epoch: Called after each epoch.
        started: Time when the folds were sent.
    """

    process: BaseProcess
    connection: Connection
    folds: list[Fold]
    title: str
    on_epoch: OnEpoch
    started: float


class _Crew:
    """All worker processes.

    Args:
        file: The file that `share` wrote.
        workers: Number of worker processes.
    """

    def __init__(self, file: Path, workers: int):
        self.file, self.workers = file, workers
        self.busy: dict[Connection, _Worker] = {}
        self.idle: list[_Worker] = []
        self.context = open_context()

    def work(self, chunks: Sequence[Sequence[Fold]], progress: Progress) -> Iterator[Trained]:
        """Train all chunks, and yield each fold as it ends."""
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
        """Receive one message of a worker and return the folds that ended."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            left, worker.folds = worker.folds, []
            spent, reason = time.perf_counter() - worker.started, self._explain_death(worker)
            return [Trained(fold, spent, reason) for fold in left]
        if isinstance(message, Trained):
            worker.folds = [fold for fold in worker.folds if fold.number != message.fold.number]
            if not worker.folds:
                self.idle.append(worker)
            return [message]
        if isinstance(message, Epoch):
            worker.on_epoch(*message)
        else:
            logging.getLogger(message.name).handle(message)
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
    """Run the engine on the folds that arrive, until the main process dies or closes the connection."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all processes; the main one reports it
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
    """Progress of a worker, sent to the main process."""

    connection: Connection

    def start_fold(self, subject: str) -> OnEpoch:
        """Return the function that sends the epochs of a fold."""
        return self._tell

    def _tell(self, epoch: int, epochs: int) -> None:
        try:
            self.connection.send(Epoch(epoch, epochs))
        except ConnectionError:
            sys.exit(1)

    def stop_fold(self, subject: str) -> None:
        """Do nothing: the next message says that the fold ended."""


class _Teller(QueueHandler):
    """Logging handler that sends records to the main process."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(ConnectionError):
            self.queue.send(record)  # type: ignore[attr-defined]
