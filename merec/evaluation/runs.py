"""Reading of run folders."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from merec.evaluation.fold_predictions import read_fold
from merec.evaluation.protocol import describe_protocol
from merec.run_folder import ENVIRONMENT, RunFolder
from merec.run_folder.environment import list_sessions
from merec.run_folder.epochs import Epochs
from merec.run_folder.fold_folder import FoldFolder
from merec.run_folder.identity import is_hash_of
from merec.run_folder.reading import FOLD_AGAIN, RUN_AGAIN, UnexpectedError, reading
from merec.source_code import combine
from merec.targets import open_target
from merec.types import InputError, Protocol

log = logging.getLogger(__name__)

_SCORE_TOLERANCE = 1e-6  # of sums of ratios in another order


@dataclass(frozen=True)
class Run:
    """Run folder with some folds of one seed.

    Attributes:
        folder: Path of the run folder.
        config: Resolved config.
        environment: Name, hashes, command, commit and versions.
        protocol: Protocol of the samples.
        predictions: Predictions of the finished folds.
        named: Whether the user named this folder, and not only a folder above it.
    """

    folder: RunFolder
    config: dict[str, Any]
    environment: dict[str, Any]
    protocol: Protocol
    predictions: pd.DataFrame
    named: bool = True

    @property
    def configuration(self) -> tuple[str | None, ...]:
        """Hashes of config, data and code; equal for runs that differ only in seed and fold range."""
        environment = self.environment
        return (
            environment["configuration"],
            environment.get("content"),
            "+".join(self.codes) or None,
        )

    @property
    def codes(self) -> list[str]:
        """Hashes of the versions of the code that trained the folds; one, unless `resume=force` was used."""
        codes = [
            session["code"] for session in list_sessions(self.environment) if session.get("code")
        ]
        return list(dict.fromkeys(combine(code) for code in codes))

    def read_epochs(self) -> dict[int, Epochs]:
        """Read the epochs of each fold, by fold number; empty for estimators.

        Raises:
            InputError: If a file is damaged, or its samples or classes differ from the fold's predictions.
        """
        recorded = {}
        for number, rows in self.predictions.groupby("fold"):
            fold = self.folder.fold(int(number))
            epochs = fold.read_epochs()
            if epochs is not None:
                with reading(fold.epochs, FOLD_AGAIN):
                    self._check_epochs(epochs, rows)
                recorded[int(number)] = epochs
        return recorded

    def _check_epochs(self, epochs: Epochs, rows: pd.DataFrame) -> None:
        if sorted(epochs.sample_id.tolist()) != sorted(rows["sample_id"]):
            raise UnexpectedError("its samples are not those of the predictions beside it")
        target, predicted = open_target(self.protocol), epochs.predicted
        if predicted.shape[2:] != target.shape:
            raise UnexpectedError(f"predicted has the shape {predicted.shape}")
        if predicted.size and not 0 <= predicted.min() <= predicted.max() <= target.highest:
            raise UnexpectedError(f"predicted is not from 0 to {target.highest} everywhere")

    def read_table(self, name: str, columns: Mapping[str, str]) -> pd.DataFrame:
        """Read a small table that folds wrote with their predictions, with columns `seed` and `fold`.

        The result is empty if no fold wrote one.

        Args:
            name: Name of the table.
            columns: Columns as in `merec.run_folder.reading.read_csv`.

        Raises:
            InputError: If a file is damaged.
        """
        tables = [pd.DataFrame()]
        folds = self.predictions[["seed", "fold"]].drop_duplicates()
        for seed, number in folds.itertuples(index=False):
            table = self.folder.fold(number).read_table(name, columns)
            if table is not None:
                tables.append(table.assign(seed=seed, fold=number))
        return pd.concat(tables, ignore_index=True)


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        InputError: If it is not a run folder, or no fold is finished.
    """
    files = RunFolder(folder)
    for file in (files.config, files.environment):
        if not file.exists():
            raise InputError(
                f"{folder} is no run folder: it has no {file.name}; give a folder that `merec train` "
                "wrote"
            )
    config, environment = files.read_config(), files.read_environment()
    if config.get("task") and not is_hash_of(environment["configuration"], config):
        raise InputError(
            f"{files.config} is not what the run was trained with, whose hash {files.environment.name} has "
            f"({environment['configuration'][:60]}): it was edited, or is of another run; copy it back, or "
            "train again"
        )
    protocol = Protocol.from_dict(environment["protocol"])
    # The folds, not the pooled table: a run that was killed has only the former.
    folds = files.list_finished()
    if not folds and files.checkpoint.exists():
        raise InputError(
            f"{folder} holds a network and no held-out predictions; give its checkpoint.ckpt to merec "
            "predict, or train with task=loso to have it scored"
        )
    if not folds and (files.is_whole or files.predictions.exists()):
        raise InputError(
            f"{folder} has scores, but its folder folds/ is missing, from which all tables are made; copy "
            "that, too, or run its command again in a new folder"
        )
    if not folds:
        raise InputError(f"no fold of {folder} has finished; run its command again")
    seed = config.get("seed")
    tables = []
    for fold in folds:
        if not fold.name.isdigit() or int(fold.name) >= protocol.folds:
            raise InputError(
                f"{fold.path} is no fold of this run, whose folds are 000 to {protocol.folds - 1:03d}; "
                "move it elsewhere"
            )
        try:
            tables.append(read_fold(fold, protocol, seed))
        except InputError as error:
            raise _blame(files, folds, protocol, seed, error) from None
    predictions = pd.concat(tables, ignore_index=True)
    return Run(files, config, environment, protocol, predictions)


def _blame(
    folder: RunFolder,
    folds: Sequence[FoldFolder],
    protocol: Protocol,
    seed: int | None,
    error: InputError,
) -> InputError:
    """Return the error for an invalid fold; if most folds are invalid, it blames the file of the protocol."""

    def count(seed: int | None) -> int:
        wrong = 0
        for fold in folds:
            try:
                read_fold(fold, protocol, seed)
            except InputError:
                wrong += 1
        return wrong

    wrong = count(seed)
    if wrong < 2 or wrong <= len(folds) / 2:
        return error
    edited = seed is not None and count(None) < wrong
    reason = str(error).partition(" is damaged (")[2].rpartition("); ")[0] or str(error)
    return InputError(
        f"{folder.config if edited else folder.environment} was changed, or is of another run: {wrong} of "
        f"{len(folds)} folds do not fit it ({folds[0].name}, {reason}); copy it back, or {RUN_AGAIN}"
    )


def _check_scores(run: Run) -> None:
    """Refuse a complete run whose predictions do not give the scores in its `metrics.json`."""
    protocol, table = run.protocol, run.predictions
    # Of other samples or labels `assert_complete` says more.
    if describe_protocol(protocol.name, table, protocol.classes).hash != protocol.hash:
        return
    target, metrics = open_target(protocol), run.folder.metrics.name
    recorded = run.folder.read_scores(target)
    counts = target.count(table)[1].sum(1)
    for name, value in recorded.items():
        now = float(np.mean(target.scorers[name](counts)))
        if abs(now - value) > _SCORE_TOLERANCE:
            raise InputError(
                f"{run.folder}: {name.upper()} of its fold tables is {now:.4f}, but its {metrics} says "
                f"{value:.4f}: predictions were changed; delete the folds that were changed ({metrics} if "
                "none was) and run the same command again"
            )


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Read the given run folders, or all run folders below the given folders, without duplicates.

    Runs below a folder without any finished fold are skipped with a warning.

    Raises:
        InputError: If a path does not exist or contains no run, or the predictions of a complete run do not
            match its scores.
    """
    runs: dict[Path, Run] = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path} is no folder; give run folders, or a folder that holds some")
        inside = sorted(file.parent for file in path.rglob(ENVIRONMENT))
        if not inside:
            raise InputError(f"there is no run in {path}: no {ENVIRONMENT} below it")
        for folder in inside:
            named = folder == path or len(inside) == 1
            if folder.resolve() in runs:
                continue
            files = RunFolder(folder)
            if not named and not files.list_finished():
                lost = "its folds/ is missing, copy it too" if files.is_whole else ""
                reason = lost or "no held-out predictions in it"
                log.warning("%s is passed over: %s", folder, reason)
                continue
            run = replace(read_run(folder), named=named)
            _check_scores(run)
            runs[folder.resolve()] = run
    if not runs:
        raise InputError(f"no run in {', '.join(map(str, paths))} has held-out predictions")
    return list(runs.values())
