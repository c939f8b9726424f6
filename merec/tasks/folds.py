"""One fold after the other into a run folder: finished ones are skipped, failed ones do not stop the rest."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from pytorch_lightning.loggers import Logger

from merec.evaluation.metrics import confusion, uar, uf1
from merec.evaluation.predictions import read_predictions, tabulate, write_predictions
from merec.evaluation.runs import Epochs, fold_folder
from merec.evaluation.splits import Fold
from merec.files import atomic, write_json
from merec.tasks.progress import FoldProgress
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What training on everyone but one subject gave.

    Attributes:
        sample_id: Held-out samples.
        probability: Their probability of each class.
        epochs: What happened epoch by epoch, if there are epochs.
        checkpoint: Weights, and whom they never saw.
        notes: What was chosen inside the fold.
        tables: Small tables to keep beside the predictions, by file name.
    """

    sample_id: Sequence[str]
    probability: Float[np.ndarray, "samples classes"]
    epochs: Epochs | None = None
    checkpoint: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def run_folds(
    folds: Iterable[Fold],
    corpus: Corpus,
    seed: int,
    folder: Path,
    title: str,
    train_fold: Callable[[Fold, FoldProgress], Outcome],
    logger: Logger | None,
) -> None:
    """Train each fold that is not finished yet and write what it gave to `folder/folds/NNN/`.

    `predictions.csv` is written last, so a fold that has it is whole.

    Raises:
        InputError: After all folds were tried, naming those that failed.
    """
    folds = list(folds)
    files = {fold.number: fold_folder(folder, fold.number) / "predictions.csv" for fold in folds}
    tables = [read_predictions(file) for file in files.values() if file.exists()]
    todo = [fold for fold in folds if not files[fold.number].exists()]
    failed: list[tuple[Fold, Exception]] = []
    with FoldProgress(title, len(folds), len(folds) - len(todo)) as progress:
        for fold in todo:
            progress.start_fold(fold.subject)
            started = time.perf_counter()
            try:
                outcome = train_fold(fold, progress)
                seconds = time.perf_counter() - started
                tables.append(_write_fold(fold, outcome, corpus, seed, folder, seconds))
            except Exception as error:  # one bad fold must not lose the others
                log.error("fold %d (%s) failed: %s", fold.number, fold.subject, error)
                log.debug("traceback", exc_info=error)
                failed.append((fold, error))
                continue
            progress.finish_fold(seconds)
            if logger:
                _log_progress(logger, tables, len(corpus.protocol.classes))
    if failed:
        _, reason = failed[0]
        names = ", ".join(f"{fold.number} {fold.subject}" for fold, _ in failed)
        raise InputError(
            f"{len(failed)} of {len(folds)} folds failed ({names}); the first said: {reason}. "
            "The others are kept; the same command runs only these again"
        ) from reason


def _write_fold(
    fold: Fold, outcome: Outcome, corpus: Corpus, seed: int, folder: Path, seconds: float
) -> pd.DataFrame:
    """Write all files of a fold, its predictions last, and return these."""
    target = fold_folder(folder, fold.number)
    rows = corpus.index.iloc[fold.test]
    classes = corpus.protocol.classes
    table = tabulate(rows, outcome.sample_id, outcome.probability, classes, fold.number, seed)
    if outcome.epochs is not None:
        with atomic(target / "epochs.npz") as part:
            np.savez_compressed(part, **asdict(outcome.epochs))
    if outcome.checkpoint is not None:
        with atomic(target / "checkpoint.ckpt") as part:
            torch.save(outcome.checkpoint, part)
    for name, small in outcome.tables.items():
        with atomic(target / f"{name}.csv") as part:
            small.to_csv(part, index=False)
    notes = {"fold": fold.number, "subject": fold.subject, "seconds": round(seconds, 3)}
    write_json(target / "fold.json", notes | outcome.notes)
    write_predictions(target / "predictions.csv", table)
    return table


def _log_progress(logger: Logger, tables: list[pd.DataFrame], num_classes: int) -> None:
    """UF1 and UAR of the folds finished so far, pooled: something to watch while it runs."""
    table = pd.concat(tables)
    counts = confusion(table["label"].to_numpy(), table["predicted"].to_numpy(), num_classes)
    scores = {"folds/uf1_so_far": float(uf1(counts)), "folds/uar_so_far": float(uar(counts))}
    logger.log_metrics({"folds/done": len(tables)} | scores, step=len(tables))
