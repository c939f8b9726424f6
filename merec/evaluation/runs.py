"""Run folders on disk, read back."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jaxtyping import Float, Int

from merec.evaluation.predictions import read_predictions
from merec.source_code import combine
from merec.types import InputError, Protocol

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Epochs:
    """What one fold did, epoch by epoch.

    Attributes:
        sample_id: Held-out samples.
        predicted: Their predicted class after each epoch, or for each action unit whether it is said to be
            there. Recorded, never used to choose.
        train_loss: Mean training loss of each epoch.
        train_accuracy: Training accuracy of each epoch, as trained (dropout on); of action units how many are
            told rightly, there or not.
    """

    sample_id: np.ndarray
    predicted: Int[np.ndarray, "samples epochs *units"]
    train_loss: Float[np.ndarray, " epochs"]
    train_accuracy: Float[np.ndarray, " epochs"]


@dataclass(frozen=True)
class Run:
    """One run folder: some folds of one seed.

    Attributes:
        folder: Where it lies.
        config: The resolved config.
        environment: Name, hashes, command, commit and versions.
        protocol: Which samples it is about.
        predictions: Those of its finished folds.
        named: Whether the user named this very folder, rather than one above it.
    """

    folder: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    protocol: Protocol
    predictions: pd.DataFrame
    named: bool = True

    @property
    def configuration(self) -> tuple[str | None, ...]:
        """What runs share that differ in nothing but seed and fold range: hashes of config, data and code."""
        known = self.environment
        return known["configuration"], known.get("content"), "+".join(self.codes) or None

    @property
    def codes(self) -> list[str]:
        """A hash of each version of the code that its folds were trained by; one, unless that was forced."""
        known = [each["code"] for each in list_sessions(self.environment) if each.get("code")]
        return list(dict.fromkeys(combine(code) for code in known))

    def read_epochs(self) -> dict[int, Epochs]:
        """The epochs of each fold, by fold number; empty for estimators that have none."""
        found = {}
        for number in self.predictions["fold"].unique().tolist():
            file = fold_folder(self.folder, number) / "epochs.npz"
            if file.exists():
                with np.load(file) as arrays:
                    found[number] = Epochs(**{key: arrays[key] for key in arrays.files})
        return found

    def read_pairs(self) -> pd.DataFrame | None:
        """The pool of pairs it was pretrained on: `sample_id`, `subject`, `intensity`, `kept`; if it was.

        Raises:
            InputError: If the file is damaged.
        """
        file = self.folder / "pairs.csv"
        if not file.exists():
            return None
        try:
            text = dict.fromkeys(("sample_id", "subject"), str)
            table = pd.read_csv(file, dtype=text, keep_default_na=False)
            return table[["sample_id", "subject", "intensity", "kept"]].astype(
                {"intensity": float, "kept": bool}
            )
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{file} is damaged ({error}); run the command of its folder again in a new one"
            ) from error

    def read_table(self, name: str) -> pd.DataFrame:
        """A small table that folds wrote beside their predictions, with their `seed` and `fold`.

        Empty if none did.
        """
        tables = [pd.DataFrame()]
        folds = self.predictions[["seed", "fold"]].drop_duplicates()
        for seed, number in folds.itertuples(index=False):
            file = fold_folder(self.folder, number) / f"{name}.csv"
            if file.exists():  # as with predictions: a sample called 006 or NA is that
                table = pd.read_csv(file, dtype={"sample_id": str}, keep_default_na=False)
                tables.append(table.assign(seed=seed, fold=number))
        return pd.concat(tables, ignore_index=True)


def list_sessions(environment: dict[str, Any]) -> list[dict[str, Any]]:
    """What a run was begun with, and what each resume by other code or machine went on with."""
    return [environment, *environment.get("resumed", [])]


def fold_folder(folder: Path, number: int) -> Path:
    """Where fold `number` of a run lies."""
    return folder / "folds" / f"{number:03d}"


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        InputError: If it is no run folder, or nothing in it has finished.
    """
    for name in ("config.yaml", "environment.json"):
        if not (folder / name).exists():
            raise InputError(
                f"{folder} is no run folder: it has no {name}; give a folder that `merec train` "
                "wrote"
            )
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        protocol = Protocol.from_dict(environment["protocol"])
        _ = environment["configuration"], environment["name"]
    except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise InputError(
            f"config.yaml or environment.json of {folder} is damaged ({type(error).__name__}: "
            f"{error}); run its command again in a new folder"
        ) from error
    # The folds, not the pooled table: a run that was killed has only the former.
    files = sorted((folder / "folds").glob("*/predictions.csv"))
    if not files:
        raise InputError(f"no fold of {folder} has finished; run its command again")
    predictions = pd.concat([read_predictions(file) for file in files], ignore_index=True)
    return Run(folder, config, environment, protocol, predictions)


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Read run folders, or all run folders below the folders given, each once.

    Below a folder, runs of which no fold has finished are passed over with a warning.

    Raises:
        InputError: If a path does not exist or holds no run.
    """
    runs: dict[Path, Run] = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path} is no folder; give run folders, or a folder that holds some")
        inside = sorted(file.parent for file in path.rglob("environment.json"))
        if not inside:
            raise InputError(f"there is no run in {path}: no environment.json below it")
        for folder in inside:
            named = folder == path or len(inside) == 1
            if folder.resolve() in runs:
                continue
            if not named and not any(folder.glob("folds/*/predictions.csv")):
                log.warning("%s is passed over: no held-out predictions in it", folder)
                continue
            runs[folder.resolve()] = replace(read_run(folder), named=named)
    if not runs:
        raise InputError(f"no run in {', '.join(map(str, paths))} has held-out predictions")
    return list(runs.values())
