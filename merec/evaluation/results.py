"""Runs pooled and scored: seeds side by side, fold ranges joined."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Int

from merec.evaluation.metrics import METRICS, confusion_by_subject, f1_per_class, recall_per_class
from merec.evaluation.optimism import Optimism, measure_optimism
from merec.evaluation.predictions import assert_complete
from merec.evaluation.protocol import assert_same_protocol
from merec.evaluation.runs import Epochs, Run
from merec.evaluation.statistics import bootstrap, percentile_interval, pooled
from merec.settings import flatten, shared_settings
from merec.types import InputError, Protocol

log = logging.getLogger(__name__)


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

    def score_classes(self, subset: str = "Full") -> dict[str, dict[str, float]]:
        """F1, recall and number of samples of each class, averaged over seeds."""
        counts = self.confusions(subset)[1].sum(1)
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
        return self._optimism

    @cached_property  # table, page and dashboard all ask, and every fold's file is read for it
    def _optimism(self) -> list[Optimism]:
        readings = []
        for seed in self.seeds:
            folds: dict[int, Epochs] = {}
            for run in self.runs:
                if seed in run.predictions["seed"].to_numpy():
                    folds |= run.read_epochs()
            if len(folds) == self.protocol.subjects:
                known = self.predictions[self.predictions["seed"] == seed].set_index("sample_id")
                ids = np.concatenate([fold.sample_id for fold in folds.values()])
                readings.append(
                    measure_optimism(
                        [row for fold in folds.values() for row in fold.predicted],
                        known.loc[ids, "label"].to_numpy(),
                        known.loc[ids, "subject"].to_numpy(str),
                        len(self.protocol.classes),
                    )
                )
        return readings


def pool_runs(runs: Sequence[Run]) -> list[Result]:
    """Join runs that differ in nothing but seed and fold range.

    A configuration that is not whole is passed over with a warning if it was only found below a folder
    that the user named, and if others are whole.

    Raises:
        InputError: If protocols differ, or a sample is missing or predicted twice.
    """
    for run in runs[1:]:
        assert_same_protocol(runs[0].protocol, run.protocol, str(runs[0].folder), str(run.folder))
    groups: dict[tuple[str, str | None], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.configuration, []).append(run)
    whole: list[tuple[list[Run], pd.DataFrame]] = []
    passed_over: list[InputError] = []
    for group in groups.values():
        table = pd.concat([run.predictions for run in group], ignore_index=True)
        try:
            assert_complete(table, group[0].protocol, ", ".join(str(run.folder) for run in group))
        except InputError as error:
            if any(run.named for run in group):
                raise
            passed_over.append(error)
            continue
        _warn_of_unlike_code(group)
        whole.append((group, table))
    if not whole:
        raise passed_over[0]
    for reason in passed_over:
        log.warning("passed over: %s", reason)
    names = _name_apart([group for group, _ in whole])
    return [
        Result(name, group[0].protocol, group, table)
        for name, (group, table) in zip(names, whole, strict=True)
    ]


def _warn_of_unlike_code(group: list[Run]) -> None:
    """Say so if runs that are pooled were begun by different code or libraries."""
    for what in ("commit", "versions"):
        if len({str(run.environment.get(what)) for run in group}) > 1:
            log.warning(
                "%s pools runs of different %s: %s",
                group[0].environment["name"],
                what if what == "versions" else "commits",
                ", ".join(f"{run.folder} ({run.environment.get(what)})" for run in group),
            )


def _name_apart(groups: list[list[Run]]) -> list[str]:
    """The name of each group, with the settings that tell it from others of the same name."""
    names = [group[0].environment["name"] for group in groups]
    all_settings = [flatten(shared_settings(group[0].config)) for group in groups]
    details = []
    for name, mine in zip(names, all_settings, strict=True):
        same = [other for other, n in zip(all_settings, names, strict=True) if n == name]
        keys = [key for key in mine if any(other.get(key) != mine[key] for other in same)]
        shown = [f"{key.rpartition('.')[2]}={mine[key]}" for key in keys]
        details.append(list(dict.fromkeys(shown)))
    for most in (3, None):  # three settings to be short, all of them if that takes two for one
        apart = [
            f"{name} ({', '.join(detail[:most])})" if detail else name
            for name, detail in zip(names, details, strict=True)
        ]
        if len(set(apart)) == len(apart):
            return apart
    # They differ in what no name shows: the pixels they were trained on, say.
    hashes = ["/".join(h[:8] for h in group[0].configuration if h) for group in groups]
    return [f"{name} [{short}]" for name, short in zip(apart, hashes, strict=True)]
