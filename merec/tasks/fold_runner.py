"""Runner of folds: writes each fold, skips finished folds and continues after failed ones."""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from pytorch_lightning.loggers import Logger

from merec.errors import StopError
from merec.evaluation.fold_predictions import read_fold
from merec.evaluation.predictions import tabulate
from merec.evaluation.splits import Fold
from merec.files import describe_disk_error, find_disk_error
from merec.run_folder import RunFolder
from merec.run_folder.checkpoint import write_checkpoint
from merec.run_folder.fold_folder import FoldFolder
from merec.targets import open_target
from merec.tasks.outcome import Outcome
from merec.tasks.progress import FoldProgress, OnEpoch, Progress
from merec.tracebacks import describe_mistake, format_traceback, tracebacks
from merec.types import Corpus, InputError, Protocol

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoldWriter:
    """Writer of the folds of one run, each to `folds/NNN/`.

    Attributes:
        corpus: Corpus of the predicted samples, with their labels.
        seed: Seed of the run.
        folder: The run folder.
    """

    corpus: Corpus
    seed: int
    folder: Path

    def locate(self, fold: Fold) -> FoldFolder:
        """Return the folder of a fold."""
        return RunFolder(self.folder).fold(fold.number)

    def read(self, fold: Fold) -> pd.DataFrame:
        """Read the predictions of a finished fold (see `read_fold`).

        Raises:
            InputError: As `read_fold`, or if a label differs from the corpus.
        """
        folder, protocol = self.locate(fold), self.corpus.protocol
        table = read_fold(folder, protocol, self.seed)
        labels = self.corpus.index.set_index("sample_id")["label"]
        rows = zip(table["sample_id"], table["label"], strict=True)
        for line, (name, label) in enumerate(rows, 2):
            if name in labels.index and labels[name] != label:
                raise InputError(
                    f"{folder.predictions}, line {line}: sample {name} has label {label}, but "
                    f"{labels[name]} in the corpus; delete that folder of the fold and give the command "
                    "again"
                )
        return table

    def write(self, fold: Fold, outcome: Outcome, seconds: float) -> None:
        """Write all files of a fold, its predictions last."""
        folder = self.locate(fold)
        rows = self.corpus.index.iloc[fold.test]
        table = tabulate(
            rows,
            outcome.sample_id,
            outcome.probability,
            open_target(self.corpus.protocol),
            fold.number,
            self.seed,
        )
        if outcome.epochs is not None:
            folder.write_epochs(outcome.epochs)
        if outcome.checkpoint is not None:
            write_checkpoint(folder.checkpoint, outcome.checkpoint)
        for name, small in outcome.tables.items():
            folder.write_table(name, small)
        notes = {"fold": fold.number, "held_out": fold.held_out, "seconds": round(seconds, 3)}
        folder.write_notes(notes | outcome.notes)
        folder.write_predictions(table)


@dataclass(frozen=True)
class Trained:
    """Result of an attempt to train a fold.

    Attributes:
        fold: Which.
        seconds: Seconds of the training.
        failure: Reason why the fold has no predictions; empty if it has.
        stops: Whether all other folds would fail for the same reason, e.g. a full disk.
        traceback: Traceback of an unexpected error, e.g. a bug in a network.
        epochs: Number of finished epochs.
    """

    fold: Fold
    seconds: float
    failure: str | None = None
    stops: bool = False
    traceback: str = ""
    epochs: int = 0


Engine = Callable[[Sequence[Fold], FoldWriter, Progress], Generator[Trained, None, None]]


def name_folds(folds: Sequence[Fold]) -> str:
    """Return a short name of folds that are trained jointly."""
    first, *rest = (fold.held_out for fold in folds)
    return f"{first} and {len(rest)} others" if rest else first


def one_by_one(train: Callable[[Fold, OnEpoch], Outcome]) -> Engine:
    """Return the engine that trains folds sequentially in this process."""
    return partial(_one_by_one, train)


def _one_by_one(
    train: Callable[[Fold, OnEpoch], Outcome],
    folds: Sequence[Fold],
    writer: FoldWriter,
    progress: Progress,
) -> Generator[Trained, None, None]:
    for fold in folds:
        yield try_fold(fold, writer, train, progress.start_fold(fold.held_out))


def try_fold(
    fold: Fold,
    writer: FoldWriter,
    train: Callable[[Fold, OnEpoch], Outcome],
    on_epoch: OnEpoch,
    spent: float = 0.0,
) -> Trained:
    """Train a fold and write it; errors are returned, so that other folds can continue.

    Args:
        fold: Which.
        writer: Writer of the fold.
        train: Settings of the training.
        on_epoch: Called after each epoch.
        spent: Seconds that the fold took before.
    """
    started, finished = time.perf_counter() - spent, 0

    def count_epoch(epoch: int, epochs: int) -> None:
        nonlocal finished
        finished += 1
        on_epoch(epoch, epochs)

    try:
        outcome = train(fold, count_epoch)
        seconds = time.perf_counter() - started
        writer.write(fold, outcome, seconds)
    except Exception as error:
        seconds, full = time.perf_counter() - started, find_disk_error(error)
        log.debug("traceback", exc_info=error)
        if isinstance(error, StopError):
            return Trained(fold, seconds, describe_mistake(error), stops=True)
        if full is not None:
            return Trained(fold, seconds, describe_disk_error(full), stops=True)
        return Trained(
            fold,
            seconds,
            describe_mistake(error),
            traceback=format_traceback(error),
            epochs=finished,
        )
    return Trained(fold, seconds)


def run_folds(
    folds: Iterable[Fold], writer: FoldWriter, title: str, engine: Engine, logger: Logger | None
) -> None:
    """Train each unfinished fold and write its results.

    If two folds fail with the same error in their first epoch, and none has succeeded, the other folds are
    skipped.

    Raises:
        InputError: After all folds, if some failed; the message names them.
    """
    folds = list(folds)
    done = [fold for fold in folds if writer.locate(fold).is_whole]
    tables = [writer.read(fold) for fold in done]
    todo = [fold for fold in folds if not writer.locate(fold).is_whole]
    failed: list[Trained] = []
    succeeded = 0
    with (
        FoldProgress(title, len(folds), len(done)) as progress,
        closing(engine(todo, writer, progress)) as training,
    ):
        for trained in training:
            fold = trained.fold
            progress.stop_fold(fold.held_out)
            if trained.stops:
                raise StopError(
                    f"fold {fold.number} ({fold.held_out}): {trained.failure}; {len(tables)} of "
                    f"{len(folds)} folds are finished and kept"
                )
            if trained.failure is not None:
                log.error("fold %d (%s) failed: %s", fold.number, fold.held_out, trained.failure)
                if trained.traceback:
                    tracebacks.error("fold %d:\n%s", fold.number, trained.traceback)
                failed.append(trained)
                if not succeeded and _fail_alike(failed):
                    break
                continue
            succeeded += 1
            progress.finish_fold(fold.held_out, trained.seconds)
            tables.append(writer.read(fold))
            if logger:
                _log_progress(logger, tables, writer.corpus.protocol)
    if failed and len(failed) + len(tables) < len(folds):
        raise InputError(
            f"stopped after {len(failed)} of {len(folds)} folds, which failed alike before an epoch was "
            f"over, as all would: {failed[0].failure}{_point_to(failed[0], writer)}"
        )
    if failed:
        failed.sort(key=lambda trained: trained.fold.number)
        names = ", ".join(
            f"{trained_fold.fold.number} {trained_fold.fold.held_out}" for trained_fold in failed
        )
        raise InputError(
            f"{len(failed)} of {len(folds)} folds failed ({names}); the first said: "
            f"{failed[0].failure}{_point_to(failed[0], writer)}. "
            "The others are kept; the same command runs only these again"
        )


def _fail_alike(failed: Sequence[Trained]) -> bool:
    """Return whether several folds failed with the same error in the same place in their first epoch."""
    return len(failed) > 1 and len({fold.failure for fold in failed}) == 1 and not failed[0].epochs


def _point_to(failed: Trained, writer: FoldWriter) -> str:
    return f"; its traceback is in {RunFolder(writer.folder).log}" if failed.traceback else ""


def _log_progress(logger: Logger, tables: list[pd.DataFrame], protocol: Protocol) -> None:
    """Log the pooled scores of the folds that are finished so far."""
    target = open_target(protocol)
    counts = target.count(pd.concat(tables))[1].sum((0, 1))
    scores = {
        f"folds/{name}_so_far": float(target.scorers[name](counts))
        for name in target.metrics_of_decisions
    }
    logger.log_metrics({"folds/done": len(tables)} | scores, step=len(tables))
