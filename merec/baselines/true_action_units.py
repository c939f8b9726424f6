"""Emotion from the coded action units: the ceiling of any network that sees the face alone."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.base import BaseEstimator, clone
from threadpoolctl import threadpool_limits

from merec.targets.unit_labels import assert_coded, mark_coded
from merec.types import InputError


class TrueActionUnits(BaseEstimator):
    """A classifier that is given the coded action units in place of flow maps.

    Args:
        estimator: A scikit-learn classifier with probabilities.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self.estimator = estimator

    def check(self, index: pd.DataFrame, multilabel: bool, name: str) -> None:
        """Refuse a target or a corpus that it makes no sense for.

        Args:
            index: Samples of the corpus.
            multilabel: Whether action units are the target.
            name: Name of the corpus, for messages.

        Raises:
            InputError: If the target is the action units themselves, or none are coded.
        """
        if multilabel:
            raise InputError(
                "task.estimator=true_action_units predicts the emotion from the coded action units; with "
                "task.target=action_units they would predict themselves; set task.target=emotion"
            )
        assert_coded(index, name)

    def fit_and_score(
        self, train: pd.DataFrame, test: pd.DataFrame, num_classes: int
    ) -> Float[np.ndarray, "test classes"]:
        """Fit a copy to training samples and score others.

        Inputs are the action units that some training sample shows. Samples whose units are not known are not
        trained on; each is scored by the frequencies of the classes in training.

        Args:
            train: Training samples with `action_units` and `label`.
            test: Held-out samples with `action_units`.
            num_classes: Classes of the protocol.

        Returns:
            Probability of each class; 0 for one that training lacks.

        Raises:
            InputError: If fewer than two classes of training samples have coded action units.
        """
        coded, has_units = (
            train[train["action_units"].notna()],
            test["action_units"].notna().to_numpy(),
        )
        label = coded["label"].to_numpy(np.int64)
        if len(np.unique(label)) < 2:
            raise InputError(
                f"training samples with coded action units are of class {np.unique(label).tolist()} alone; "
                "expected two classes at least: train on more subjects"
            )
        numbers = sorted({unit.number for units in coded["action_units"] for unit in units})
        units = [f"AU{number}" for number in numbers]
        scores = np.tile(np.bincount(label, minlength=num_classes) / len(label), (len(test), 1))
        if has_units.any():
            with threadpool_limits(limits=1):  # sums come in one order on any number of cores
                fitted = clone(self.estimator).fit(mark_coded(coded, units).astype(float), label)
                marks = mark_coded(test[has_units], units).astype(float)
                scores[has_units] = 0.0
                scores[np.ix_(has_units, fitted.classes_)] = fitted.predict_proba(marks)
        return scores
