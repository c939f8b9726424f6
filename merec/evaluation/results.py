"""Pooled result and its scores; each score is computed once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from merec.evaluation.completeness import shorten
from merec.evaluation.guessing import chance_f1, guess_units
from merec.evaluation.optimism import Optimism, measure_optimism
from merec.evaluation.result_names import join_remarks
from merec.evaluation.roc_auc import STABLE, Ranking, auc_intervals, score_mean_auc
from merec.evaluation.runs import Run
from merec.evaluation.subject_bootstrap import count_effective, score_intervals
from merec.metrics import f1_per_class, recall_per_class
from merec.run_folder.epochs import Epochs
from merec.run_folder.identity import configuration_hash, shared_settings
from merec.targets import Target, open_target
from merec.targets.unit_scores import f1_per_unit, mean_f1
from merec.types import InputError, Protocol

log = logging.getLogger(__name__)

IDENTITY = ("protocol", "protocol_hash", "result")


@dataclass(frozen=True)
class Score:
    """Pooled metric, averaged over seeds, with its 95 % subject-bootstrap interval (`t_interval`).

    Both ends are NaN for fewer than three subjects.
    """

    value: float
    low: float
    high: float

    def to_columns(self, name: str) -> dict[str, float]:
        """Return the score and the ends of its interval as columns `name`, `name_low`, `name_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True)
class Result:
    """Pooled folds and seeds of one configuration.

    Attributes:
        name: Short name, unique within a report.
        protocol: Protocol of the predicted samples.
        runs: Run folders of the result.
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
    def identity(self) -> dict[str, str]:
        """Columns that identify the result in every CSV row."""
        identity = (self.protocol.name, self.protocol.hash, self.name)
        return dict(zip(IDENTITY, identity, strict=True))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the task, which are equal for all runs."""
        return shared_settings(self.runs[0].config)

    def hash_without(self, keys: Sequence[str]) -> str:
        """Return a hash of the configuration without these settings of the task."""
        rest = {key: value for key, value in self.settings.items() if key not in keys}
        return configuration_hash(rest)

    @property
    def key(self) -> str:
        """Unique identifier of the result, for its figures."""
        return str(self.runs[0].environment["configuration"])

    @property
    def remark(self) -> str | None:
        """Remark of the configs, e.g. `demo scale`."""
        return join_remarks(self.runs)

    @property
    def transductive(self) -> bool:
        """True if any pretraining saw held-out subjects."""
        return any(run.environment.get("transductive", False) for run in self.runs)

    @property
    def without_motion(self) -> int:
        """Number of samples without motion, which are predicted but not trained on."""
        records = [run.environment.get("not_trained_on") or {} for run in self.runs]
        return max(int(record.get("zero_motion", 0)) for record in records)

    @property
    def subsets(self) -> dict[str, pd.DataFrame]:
        """Names of the subsets: `Full`, and each source data set if there are several."""
        by_corpus = {str(name): rows for name, rows in self.predictions.groupby("corpus")}
        return {"Full": self.predictions} | (by_corpus if len(by_corpus) > 1 else {})

    def find_absent_classes(self, subset: str = "Full") -> list[str]:
        """Return the classes without samples in a subset; empty for action units."""
        return self.target.find_absent(self.subsets[subset]["label"].to_numpy())

    @property
    def target(self) -> Target:
        """Target of the predictions."""
        return open_target(self.protocol)

    def confusions(
        self, subset: str = "Full"
    ) -> tuple[list[str], Int[np.ndarray, "seeds subjects *units classes classes"]]:
        """Return subjects and confusion matrices of a subset by seed and subject (and action unit)."""
        return self.target.count(self.subsets[subset])

    def rankings(self, subset: str = "Full") -> list[Ranking]:
        """Rank the samples of a subset by each action unit, in the order of `seeds`."""
        table, classes = (
            self.subsets[subset].sort_values(["seed", "sample_id"]),
            self.protocol.classes,
        )
        rankings = []
        for _, rows in table.groupby("seed"):
            subjects, subject = np.unique(rows["subject"].to_numpy(str), return_inverse=True)
            score = rows[[f"p_{name}" for name in classes]].to_numpy(float)
            present = self.target.read(rows["label"])
            rankings.append(Ranking(score, present, subject, len(subjects)))
        return rankings

    def score(self, subset: str = "Full") -> dict[str, Score]:
        """Compute each score of a subset with its interval, from confusion matrices and (`auc`) rankings."""
        if subset not in self._scores:
            _, counts = self.confusions(subset)
            self._scores[subset] = {
                name: Score(*score_intervals(metric, counts, per_part=False).tolist())
                for name, metric in self.target.scorers.items()
            }
            if "auc" in self.target.metrics:
                self._scores[subset]["auc"] = Score(*self._score_areas(subset)[:, -1].tolist())
        return self._scores[subset]

    def _score_areas(self, subset: str) -> Float[np.ndarray, "3 scores"]:
        """Compute the area under the curve of each action unit and their mean, with intervals."""
        _, counts = self.confusions(subset)
        effective = np.append(
            count_effective(counts, per_part=True), count_effective(counts, per_part=False)
        )
        return auc_intervals(self.rankings(subset), effective)

    def score_seeds(self, subset: str = "Full") -> dict[str, list[float]]:
        """Compute each score of a subset separately for each seed, in the order of `seeds`."""
        pooled = self.confusions(subset)[1].sum(1)
        scores = {
            name: np.asarray(metric(pooled)).tolist()
            for name, metric in self.target.scorers.items()
        }
        if "auc" in self.target.metrics:
            scores["auc"] = [score_mean_auc(ranking) for ranking in self.rankings(subset)]
        return scores

    @cached_property  # several tables ask, and each answer takes thousands of draws
    def _scores(self) -> dict[str, dict[str, Score]]:
        return {}

    def score_classes(self, subset: str = "Full") -> dict[str, dict[str, float]]:
        """Compute F1, recall and number of samples of each class or action unit, averaged over seeds."""
        counts = self.confusions(subset)[1].sum(1)
        rows = f1_per_class(counts).mean(0), recall_per_class(counts).mean(0), counts[0].sum(-1)
        f1, recall, samples = map(self.target.select_classes, rows)
        return {
            name: {"f1": float(f1[c]), "recall": float(recall[c]), "samples": int(samples[c])}
            for c, name in enumerate(self.protocol.classes)
        }

    def score_units(self) -> pd.DataFrame:
        """Score each action unit over all pooled folds.

        Returns:
            One row per action `unit` and a last row for their `mean`: number of `samples` and `subjects` that
            show it, `f1` averaged over seeds with the ends `low` and `high` of its 95 % subject-bootstrap
            interval (NaN for a unit that fewer than three subjects show), `auc`, the area under the ROC
            curve, with `auc_low` and `auc_high`, `stable`, whether at least `STABLE` samples show it,
            `chance`, the F1 of always predicting it, and `by_frequency`, the F1 of guessing it at its true
            frequency.
        """
        return self._units.copy()

    @cached_property
    def _units(self) -> pd.DataFrame:
        _, counts = self.confusions()
        positives = counts[0, :, :, 1].sum(-1)  # by subject and unit
        chance = chance_f1(counts[0].sum(0))
        guessed = guess_units(positives.sum(0), int(counts[0, :, 0].sum()))
        f1, low, high = np.column_stack(
            [
                score_intervals(f1_per_unit, counts, per_part=True),
                score_intervals(mean_f1, counts, per_part=False),
            ]
        )
        return pd.DataFrame(
            {
                "unit": [*self.protocol.classes, "mean"],
                "samples": [*positives.sum(0), positives.sum()],
                "subjects": [*(positives > 0).sum(0), int((positives.sum(1) > 0).sum())],
                "f1": f1,
                "low": low,
                "high": high,
                **dict(zip(("auc", "auc_low", "auc_high"), self._score_areas("Full"), strict=True)),
                "stable": [*(positives.sum(0) >= STABLE), True],
                "chance": [*chance, chance.mean()],
                "by_frequency": [*guessed, guessed.mean()],
            }
        )

    def read_optimism(self) -> list[Optimism]:
        """Return the optimism meter of each seed; empty if no epochs were recorded."""
        return self._optimism

    @cached_property  # table, page and dashboard all ask, and every fold's file is read for it
    def _optimism(self) -> list[Optimism]:
        readings = []
        for seed in self.seeds:
            folds: dict[int, Epochs] = {}
            for run in self.runs:
                if seed in run.predictions["seed"].to_numpy():
                    folds |= run.read_epochs()
            if len(folds) == self.protocol.folds:
                seed_rows = self.predictions[self.predictions["seed"] == seed].set_index(
                    "sample_id"
                )
                ids = np.concatenate([fold.sample_id for fold in folds.values()])
                by_epoch = [row for fold in folds.values() for row in fold.predicted]
                truth, number = self.read_truth(ids), seed_rows.loc[ids, "fold"].to_numpy()
                readings.append(measure_optimism(by_epoch, truth, number, self.target))
            elif folds:
                lost = sorted({*range(self.protocol.folds)} - folds.keys())
                log.warning(
                    "%s: no optimism meter of seed %d, since epochs.npz is missing in %d of %d folds (%s); "
                    "copy it back, or delete these folds and give the run's command again",
                    *(self.name, seed, len(lost), self.protocol.folds),
                    shorten([f"{number:03d}" for number in lost]),
                )
        return readings

    def read_truth(
        self, sample_id: Shaped[np.ndarray, " samples"]
    ) -> Int[np.ndarray, " samples"] | Bool[np.ndarray, "samples units"]:
        """Return the labels of some samples; for action units a matrix of marks."""
        label = self.predictions.drop_duplicates("sample_id").set_index("sample_id")["label"]
        return self.target.read(label.loc[sample_id])


def assert_emotions(results: Sequence[Result]) -> None:
    """Refuse results of action units where scores of emotion classes are computed.

    Raises:
        InputError: If so; the message names one result.
    """
    for result in results:
        if result.target.multilabel:
            raise InputError(
                f"{result.runs[0].folder} tells action units, not emotions; `merec report` puts "
                "configurations side by side, `merec compare` tests them"
            )
