"""Run folders on disk, read back and pooled: seeds side by side, fold ranges joined."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jaxtyping import Float, Int

from merec.evaluation.metrics import METRICS, confusion_by_subject, f1_per_class, recall_per_class
from merec.evaluation.optimism import Optimism, measure_optimism
from merec.evaluation.predictions import assert_complete, read_predictions
from merec.evaluation.protocol import assert_same_protocol
from merec.evaluation.statistics import bootstrap, percentile_interval, pooled
from merec.types import InputError, Protocol


@dataclass(frozen=True)
class Epochs:
    """What one fold did, epoch by epoch.

    Attributes:
        sample_id: Held-out samples.
        predicted: Their predicted class after each epoch. Recorded, never used to choose.
        train_loss: Mean training loss of each epoch.
        train_accuracy: Training accuracy of each epoch, as trained (dropout on).
    """

    sample_id: np.ndarray
    predicted: Int[np.ndarray, "samples epochs"]
    train_loss: Float[np.ndarray, " epochs"]
    train_accuracy: Float[np.ndarray, " epochs"]


@dataclass(frozen=True)
class Run:
    """One run folder: some folds of one seed."""

    folder: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    protocol: Protocol
    predictions: pd.DataFrame

    def read_epochs(self) -> dict[int, Epochs]:
        """The epochs of each fold, by fold number; empty for estimators that have none."""
        found = {}
        for number in self.predictions["fold"].unique().tolist():
            file = fold_folder(self.folder, number) / "epochs.npz"
            if file.exists():
                with np.load(file) as arrays:
                    found[number] = Epochs(**{key: arrays[key] for key in arrays.files})
        return found


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
            if folder.resolve() not in runs:
                runs[folder.resolve()] = read_run(folder)
    return list(runs.values())


@dataclass(frozen=True)
class Score:
    """A pooled metric, averaged over seeds, with its 95 % subject-bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Result:
    """All folds and seeds of one configuration, pooled.

    Attributes:
        name: Short name, unique within a report.
        protocol: Which samples were predicted.
        runs: The run folders it was pooled from.
        predictions: Every sample of the protocol once per seed.
    """

    name: str
    protocol: Protocol
    runs: list[Run]
    predictions: pd.DataFrame

    @property
    def seeds(self) -> list[int]:
        """The seeds, sorted."""
        return sorted(self.predictions["seed"].unique().tolist())

    @property
    def transductive(self) -> bool:
        """Whether any pretraining saw held-out subjects."""
        return any(run.environment.get("transductive", False) for run in self.runs)

    @property
    def subsets(self) -> dict[str, pd.DataFrame]:
        """`Full`, and the same predictions by source data set where there are several."""
        by_corpus = {str(name): rows for name, rows in self.predictions.groupby("corpus")}
        return {"Full": self.predictions} | (by_corpus if len(by_corpus) > 1 else {})

    def confusions(
        self, subset: str = "Full"
    ) -> tuple[list[str], Int[np.ndarray, "seeds subjects classes classes"]]:
        """Subjects of a subset, and a confusion matrix for each seed and subject."""
        return confusion_by_subject(self.subsets[subset], len(self.protocol.classes))

    def score(self, subset: str = "Full") -> dict[str, Score]:
        """UF1, UAR and accuracy of a subset, each with its interval."""
        _, counts = self.confusions(subset)
        return {
            name: Score(pooled(metric, counts), *percentile_interval(bootstrap(metric, counts)))
            for name, metric in METRICS.items()
        }

    def score_classes(self) -> dict[str, dict[str, float]]:
        """F1, recall and number of samples of each class, averaged over seeds."""
        counts = self.confusions()[1].sum(1)
        f1, recall = f1_per_class(counts).mean(0), recall_per_class(counts).mean(0)
        return {
            name: {
                "f1": float(f1[c]),
                "recall": float(recall[c]),
                "samples": int(counts[0, c].sum()),
            }
            for c, name in enumerate(self.protocol.classes)
        }

    def read_optimism(self) -> list[Optimism]:
        """One reading of the optimism meter per seed; empty where there are no epochs."""
        readings = []
        for seed in self.seeds:
            folds: dict[int, Epochs] = {}
            for run in self.runs:
                if seed in run.predictions["seed"].to_numpy():
                    folds |= run.read_epochs()
            lengths = {fold.predicted.shape[1] for fold in folds.values()}
            # Folds of unlike length (epochs chosen by inner subjects) have no common last epoch.
            if len(folds) == self.protocol.subjects and len(lengths) == 1:
                known = self.predictions[self.predictions["seed"] == seed].set_index("sample_id")
                ids = np.concatenate([fold.sample_id for fold in folds.values()])
                predicted = np.concatenate([fold.predicted for fold in folds.values()])
                readings.append(
                    measure_optimism(
                        predicted,
                        known.loc[ids, "label"].to_numpy(),
                        known.loc[ids, "subject"].to_numpy(str),
                        len(self.protocol.classes),
                    )
                )
        return readings


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        flat |= (
            flatten(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
        )
    return flat


def pool_runs(runs: Sequence[Run]) -> list[Result]:
    """Join runs that differ in nothing but seed and fold range.

    Raises:
        InputError: If protocols differ, or a sample is missing or predicted twice.
    """
    for run in runs[1:]:
        assert_same_protocol(runs[0].protocol, run.protocol, str(runs[0].folder), str(run.folder))
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.environment["configuration"], []).append(run)
    results = []
    for name, group in zip(_name_apart(list(groups.values())), groups.values(), strict=True):
        table = pd.concat([run.predictions for run in group], ignore_index=True)
        assert_complete(table, group[0].protocol, ", ".join(str(run.folder) for run in group))
        results.append(Result(name, group[0].protocol, group, table))
    return results


def _name_apart(groups: list[list[Run]]) -> list[str]:
    """The name of each group, with the settings that tell it from others of the same name."""
    names = [group[0].environment["name"] for group in groups]
    details = []
    for name, group in zip(names, groups, strict=True):
        same = [
            flatten(other[0].config) for other, n in zip(groups, names, strict=True) if n == name
        ]
        mine = flatten(group[0].config)
        keys = [
            key
            for key in mine
            if key not in ("seed", "fold", "folds")
            and not key.startswith(("logger", "hydra"))
            and any(other.get(key) != mine[key] for other in same)
        ]
        details.append([f"{key.rpartition('.')[2]}={mine[key]}" for key in keys])
    for most in (3, None):  # three settings to be short, all of them if that takes two for one
        apart = [
            f"{name} ({', '.join(detail[:most])})" if detail else name
            for name, detail in zip(names, details, strict=True)
        ]
        if len(set(apart)) == len(apart):
            return apart
    # They differ in what no name shows (another version of the code, say).
    hashes = [group[0].environment["configuration"] for group in groups]
    return [
        f"{name} [{configuration[:8]}]" for name, configuration in zip(apart, hashes, strict=True)
    ]
