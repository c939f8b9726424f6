"""Emotion from the coded action units: an upper bound for networks that see only the face."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.base import BaseEstimator, clone
from threadpoolctl import threadpool_limits

from merec.targets.unit_labels import assert_coded, mark_coded
from merec.types import InputError


class TrueActionUnits(BaseEstimator):
    """Classifier that reads the coded action units instead of flow maps.

    Args:
        estimator: scikit-learn classifier with probabilities.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self.estimator = estimator

    def check(self, index: pd.DataFrame, multilabel: bool, name: str) -> None:
        """Refuse an unsuitable target or corpus.

        Args:
            index: Samples of the corpus.
            multilabel: Whether action units are the target.
            name: Name of the corpus, for messages.

        Raises:
            InputError: If action units are the target, or none are coded.
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
        """Fit a copy of the estimator to training samples and predict held-out samples.

        Inputs are the action units that at least one training sample shows. Samples with unknown units are
        not trained on; as held-out samples they get the class frequencies of the training data.

        Args:
            train: Training samples with `action_units` and `label`.
            test: Held-out samples with `action_units`.
            num_classes: Number of classes of the protocol.

        Returns:
            Probability of each class; 0 for a class that is not in the training data.

        Raises:
            InputError: If the training samples with coded action units have fewer than two classes.
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
