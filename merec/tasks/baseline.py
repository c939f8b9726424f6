"""What simple estimators reach: scikit-learn through the same folds, predictions and report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pytorch_lightning.loggers import Logger
from sklearn.base import BaseEstimator

from merec.datamodules import ClipDataModule
from merec.evaluation.splits import Fold, select_folds, split
from merec.tasks.estimators import fit_and_score
from merec.tasks.folds import FoldWriter, Outcome, one_by_one, run_folds
from merec.tasks.progress import OnEpoch
from merec.types import InputError


@dataclass
class Baseline:
    """A scikit-learn estimator on described flow maps, every subject or data set held out once.

    Attributes:
        datamodule: The samples; their maps are read as they are, in the channels it names.
        estimator: Which of `estimators` to run.
        estimators: Estimators by name.
        keep: Channels to describe, by modality.
        describe: From maps, channel names and those to `keep` to one row of features per map; by estimator,
            or for all `others`.
        seed: Written beside the predictions; the estimators draw no random numbers.
        folds: Which folds: `None` for all, or e.g. `"0-9"`.
        hold_out: What each fold holds out: a `subject`, or all of a data set (`corpus`).
        train_on: With `corpus`: data sets to train on, always these alone; `None` for all but the held-out.
    """

    datamodule: ClipDataModule
    estimator: str
    estimators: Mapping[str, BaseEstimator]
    keep: Mapping[str, Sequence[str]]
    describe: Mapping[str, Callable[..., np.ndarray]]
    seed: int
    folds: str | int | None
    hold_out: str
    train_on: Sequence[str] | None

    def __post_init__(self) -> None:
        if self.datamodule.representation != "flow_map":
            raise InputError(
                f"task=baseline reads flow_map, not {self.datamodule.representation}; take backbone=ststnet, "
                "whose recipe gives flow maps, or set datamodule.representation=flow_map"
            )
        if self.estimator not in self.estimators:
            raise InputError(
                f"task.estimator={self.estimator} is unknown; there are {', '.join(self.estimators)}"
            )
        folds, self.protocol = split(self.datamodule.corpus, self.hold_out, self.train_on)
        self.chosen = select_folds(folds, self.folds)

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Fit the folds that are not finished and write them to `folder`."""
        corpus = self.datamodule.corpus
        describe = self.describe.get(self.estimator, self.describe["others"])
        describe = partial(describe, keep=self.keep[self.datamodule.modality])
        maps, tested = self.datamodule.maps, self.datamodule.tested_maps
        label = self.datamodule.label.numpy()

        def train(fold: Fold, _: OnEpoch) -> Outcome:
            scores, chosen = fit_and_score(
                self.estimators[self.estimator],
                describe,
                maps[fold.train],
                label[fold.train],
                self.datamodule.subject[fold.train],
                tested[fold.test],
                self.datamodule.channels,
                len(corpus.protocol.classes),
            )
            ids = self.datamodule.sample_id[fold.test].tolist()
            return Outcome(ids, scores, notes=chosen)

        writer = FoldWriter(corpus, self.seed, folder)
        run_folds(self.chosen, writer, self.estimator, one_by_one(train), logger)
