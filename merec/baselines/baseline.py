"""Task of scikit-learn estimators, with the same folds, predictions and reports as networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from pytorch_lightning.loggers import Logger
from sklearn.base import BaseEstimator

from merec.baselines.estimators import Describe, fit_and_score, fit_and_score_units
from merec.baselines.true_action_units import TrueActionUnits
from merec.datamodules import ClipDataModule
from merec.evaluation.fold_choice import FoldChoice
from merec.evaluation.protocol import set_target
from merec.evaluation.splits import Fold
from merec.targets import find_target, open_target
from merec.tasks.fold_runner import FoldWriter, one_by_one, run_folds
from merec.tasks.outcome import Outcome
from merec.tasks.progress import OnEpoch
from merec.types import InputError


@dataclass
class Baseline:
    """Task that holds out every subject, group or data set once and fits a scikit-learn estimator.

    Estimators read features of flow maps; `TrueActionUnits` reads the coded action units instead.

    Attributes:
        datamodule: Samples of the task. Their flow maps are used without scaling, in the channels of the
            datamodule.
        estimator: Name of the estimator to run, a key of `estimators`.
        estimators: Estimators by name.
        keep: Channels from which features are computed, by modality.
        describe: Functions from maps, channel names and `keep` to one row of features per map, by estimator;
            `others` is used for all estimators without an entry.
        seed: Seed that is written with the predictions; the estimators draw no random numbers.
        fold_choice: Rule of the split into training and held-out samples.
        target: Name of the target: `emotion`, or `action_units` with a separate estimator for each unit.
        min_subjects: Number of training subjects that must show an action unit for a fold to learn it.
    """

    datamodule: ClipDataModule
    estimator: str
    estimators: Mapping[str, BaseEstimator]
    keep: Mapping[str, Sequence[str]]
    describe: Mapping[str, Callable[..., np.ndarray]]
    seed: int
    fold_choice: FoldChoice
    target: str
    min_subjects: int
    pretraining: ClassVar[None] = None
    is_main_process: ClassVar[bool] = True

    def __post_init__(self) -> None:
        representation = self.datamodule.representation
        if not representation.stretched:
            raise InputError(
                f"task=baseline reads flow_map, not {representation.name}; take backbone=ststnet, "
                "whose recipe gives flow maps, or set datamodule.representation=flow_map"
            )
        if self.estimator not in self.estimators:
            raise InputError(
                f"task.estimator={self.estimator} is unknown; there are {', '.join(self.estimators)}"
            )
        estimator = self.estimators[self.estimator]
        if isinstance(estimator, TrueActionUnits):
            corpus, kind = self.datamodule.corpus, find_target(self.target)
            estimator.check(corpus.index, kind.multilabel, corpus.protocol.name)
        self.corpus = set_target(
            self.datamodule.corpus, self.target, self.min_subjects, self.fold_choice.groups
        )
        self.datamodule = self.datamodule.keep_samples(self.corpus)
        self.chosen, self.protocol = self.fold_choice.split(self.corpus)
        # Once, before anything is written: each fold would say the same.
        self._open_describe()(self.datamodule.sample_inputs.maps[:2], self.datamodule.channels)

    def _open_describe(self) -> Describe:
        describe = self.describe.get(self.estimator, self.describe["others"])
        return partial(describe, keep=self.keep[self.datamodule.modality])

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Fit the unfinished folds and write them to `folder`."""
        fit = partial(self._fit, self.estimators[self.estimator], self._open_describe())
        writer = FoldWriter(replace(self.corpus, protocol=self.protocol), self.seed, folder)
        run_folds(self.chosen, writer, self.estimator, one_by_one(fit), logger)

    def _fit(
        self,
        estimator: BaseEstimator,
        describe: Describe,
        fold: Fold,
        _: OnEpoch,
    ) -> Outcome:
        data, index, target = self.datamodule, self.corpus.index, open_target(self.protocol)
        rows, sample_id = data.drop_still(fold.train), data.sample_id[fold.test].tolist()
        if isinstance(estimator, TrueActionUnits):
            train, test = index.iloc[rows], index.iloc[fold.test]
            return Outcome(sample_id, estimator.fit_and_score(train, test, len(target.classes)))
        learnt = target.find_trained(index.iloc[rows], self.min_subjects)
        trained = tuple(name for name in target.classes if name in learnt)
        label = replace(target, classes=trained).encode(index.iloc[rows])
        inputs = data.sample_inputs
        samples = inputs.maps[rows], label, data.subject[rows], inputs.tested_maps[fold.test]
        if target.multilabel:
            scores, notes = fit_and_score_units(
                estimator, describe, *samples, data.channels, trained
            )
        else:
            scores, notes = fit_and_score(
                estimator, describe, *samples, data.channels, len(trained)
            )
        return Outcome(sample_id, target.spread(scores, trained), notes=notes)
