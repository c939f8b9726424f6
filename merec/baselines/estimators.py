"""scikit-learn estimators on flow maps: features, mirror images, and inner parameter selection."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import BaseCrossValidator, ParameterGrid
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from merec.features.representations.flow_map import mirror
from merec.metrics import confusion, uf1
from merec.types import InputError

Describe = Callable[[np.ndarray, Sequence[str]], np.ndarray]


def _has(method: str) -> Callable[[Any], bool]:
    return lambda search: hasattr(search.estimator, method)


class NestedChoice(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Meta-estimator that chooses parameters by the pooled UF1 of inner folds, then fits on all samples.

    Like `GridSearchCV`, except for the score: UF1 is computed from the pooled inner predictions, as in the
    outer result, whereas `GridSearchCV` averages over folds, in which classes may be missing. If candidates
    are equal, the first of the grid is chosen, so list the simplest first.

    Args:
        estimator: Estimator whose parameters are chosen.
        param_grid: Values to try by parameter name, in all combinations: `{"svc__C": [1, 10]}`.
        inner: Splitter that keeps groups together, e.g. `StratifiedGroupKFold`.

    Attributes:
        classes_: Classes in the training data.
        best_estimator_: Estimator with the chosen parameters, fitted to all rows.
        best_params_: Chosen parameters.
        best_score_: Pooled inner UF1 of the chosen parameters; it is optimistic, since it is a maximum.
        scores_: Parameters and pooled inner UF1 of every candidate, in the order of the grid.
        tried_: Number of candidates.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        param_grid: Mapping[str, Sequence[Any]],
        inner: BaseCrossValidator,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.inner = inner

    def fit(
        self,
        X: Float[np.ndarray, "rows features"],  # noqa: N803 - scikit-learn's name
        y: Int[np.ndarray, " rows"],
        groups: Shaped[np.ndarray, " rows"],
    ) -> "NestedChoice":
        """Choose and fit.

        Args:
            X: Features.
            y: Label of each row.
            groups: Subject of each row; inner splits keep subjects together.

        Raises:
            InputError: If `inner` puts a subject into both parts of a split.
        """
        self.classes_, label = np.unique(y, return_inverse=True)
        with (
            warnings.catch_warnings()
        ):  # of a class of few samples: some parts lack it, as is known
            warnings.filterwarnings("ignore", "The least populated class")
            folds = list(self.inner.split(X, y, groups))
        for train, test in folds:
            shared = np.intersect1d(groups[train], groups[test])
            if len(shared):
                raise InputError(
                    f"{type(self.inner).__name__} puts {shared[0]} on both sides of an inner "
                    "split; take one by group, e.g. sklearn.model_selection.StratifiedGroupKFold"
                )
        self.scores_ = []
        for params in ParameterGrid(self.param_grid):
            candidate = clone(self.estimator).set_params(**params)
            predicted = _predict_parts(candidate, X, label, folds)
            counts = confusion(label, predicted, len(self.classes_))
            self.scores_.append((params, float(uf1(counts))))
        self.best_params_, self.best_score_ = max(self.scores_, key=lambda scored: scored[1])
        self.tried_ = len(self.scores_)
        self.best_estimator_ = clone(self.estimator).set_params(**self.best_params_).fit(X, y)
        return self

    def predict(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the classes predicted by the chosen estimator."""
        return self.best_estimator_.predict(X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the probabilities of the chosen estimator."""
        return self.best_estimator_.predict_proba(X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: Float[np.ndarray, "rows features"]) -> np.ndarray:  # noqa: N803
        """Return the decision values of the chosen estimator."""
        return self.best_estimator_.decision_function(X)


def _predict_parts(
    candidate: BaseEstimator,
    features: Float[np.ndarray, "rows features"],
    label: Int[np.ndarray, " rows"],
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
) -> Int[np.ndarray, " rows"]:
    """Predict the class of each row by a fit to the other folds, which may contain only one class."""
    predicted = np.empty_like(label)
    for train, test in folds:
        if (label[train] == label[train[0]]).all():  # most estimators would refuse
            predicted[test] = label[train[0]]
        else:
            fitted = clone(candidate).fit(features[train], label[train])
            predicted[test] = fitted.predict(features[test])
    return predicted


def fit_and_score(
    estimator: BaseEstimator,
    describe: Describe,
    train_maps: UInt8[np.ndarray, "train channels height width"],
    train_label: Int[np.ndarray, " train"],
    train_subject: Shaped[np.ndarray, " train"],
    test_maps: UInt8[np.ndarray, "test channels height width"],
    channels: Sequence[str],
    num_classes: int,
) -> tuple[Float[np.ndarray, "test classes"], dict[str, Any]]:
    """Fit a copy of an estimator to maps and their mirror images, and predict held-out maps.

    A map and its mirror image have the same subject, so an inner split by subject keeps them together. The
    scores of both are averaged.

    Args:
        estimator: Classifier; if it has `fit(X, y, groups)`, it also gets the subjects.
        describe: Computes one row of features per map from maps and their channel names, independently of
            other maps.
        train_maps: Motion of the training samples, 0..255.
        train_label: Labels of the training samples, 0 to `num_classes` - 1; a class may be absent.
        train_subject: Subjects of the training samples.
        test_maps: Motion of the held-out samples.
        channels: Names of the maps' channels.
        num_classes: Number of classes of the protocol.

    Returns:
        One score per class, with sum 1 and 0 for a class that is not in the training data: probabilities if
        the estimator computes them, else the softmax of its decision values, which ranks the classes but is
        not calibrated. Also the chosen parameters with their inner score (`inner_uf1`, or the name in the
        estimator's `criterion`) and the number of candidates (`tried`); empty for an estimator that chooses
        none.

    Raises:
        InputError: If the training data have fewer than two classes, or a label outside the protocol.
    """
    _assert_labels(train_label, num_classes)
    pairs = getattr(estimator, "pairs_mirror_images", False)  # it describes both in a row itself
    times = 1 if pairs else 2
    groups = {}
    if has_fit_parameter(estimator, "groups"):
        groups["groups"] = np.tile(train_subject, times)
    # One thread: sums come in one order, whatever number of workers run beside this one.
    with threadpool_limits(limits=1):
        both = np.concatenate([train_maps, mirror(train_maps, channels)][:times])
        rows = describe(both, channels)
        fitted = clone(estimator).fit(rows, np.tile(train_label, times), **groups)
        views = [
            describe(view, channels) for view in (test_maps, mirror(test_maps, channels))[:times]
        ]
        scores = np.zeros((len(test_maps), num_classes))
        scores[:, fitted.classes_] = _score(fitted, views)
    if not hasattr(fitted, "best_params_"):
        return scores, {}
    criterion = getattr(fitted, "criterion", "inner_uf1")
    search = {criterion: fitted.best_score_, "tried": fitted.tried_}
    return scores, {**fitted.best_params_, **search}


def _assert_labels(train_label: Int[np.ndarray, " train"], num_classes: int) -> None:
    present = np.unique(train_label)
    if len(present) < 2 or present[0] < 0 or present[-1] >= num_classes:
        raise InputError(
            f"training labels are {present.tolist()}; expected at least two of "
            f"{list(range(num_classes))}: check the corpus' class map, or train on more subjects"
        )


def fit_and_score_units(
    estimator: BaseEstimator,
    describe: Describe,
    train_maps: UInt8[np.ndarray, "train channels height width"],
    train_marks: Float[np.ndarray, "train units"],
    train_subject: Shaped[np.ndarray, " train"],
    test_maps: UInt8[np.ndarray, "test channels height width"],
    channels: Sequence[str],
    units: Sequence[str],
) -> tuple[Float[np.ndarray, "test units"], dict[str, Any]]:
    """Fit a separate copy of an estimator to the presence of each action unit; see `fit_and_score`.

    If all or no training samples show an action unit, its score is 1 or 0.

    Args:
        estimator: Classifier.
        describe: Likewise.
        train_maps: Likewise.
        train_marks: 1 if a training sample shows an action unit, else 0.
        train_subject: Likewise.
        test_maps: Likewise.
        channels: Likewise.
        units: Names of the action units.

    Returns:
        One score per action unit, 0 to 1, with .5 at the decision threshold of the estimator; and the chosen
        parameters of each.
    """
    scores = np.zeros((len(test_maps), train_marks.shape[1]))
    notes: dict[str, Any] = {}
    for unit, (name, marks) in enumerate(zip(units, train_marks.T, strict=True)):
        if marks.all() or not marks.any():
            scores[:, unit] = marks.all()
            notes[name] = {}
            continue
        given = train_maps, marks.astype(np.int64), train_subject, test_maps, channels
        predicted, chosen = fit_and_score(estimator, describe, *given, num_classes=2)
        scores[:, unit] = predicted[:, 1]
        notes[name] = chosen
    return scores, notes


def _score(
    fitted: BaseEstimator, views: Sequence[Float[np.ndarray, "rows features"]]
) -> Float[np.ndarray, "rows present"]:
    """Return one score per training class: the mean over maps and their mirror images."""
    if hasattr(fitted, "predict_proba"):
        return np.mean([fitted.predict_proba(view) for view in views], axis=0)
    values = np.mean([fitted.decision_function(view) for view in views], axis=0)
    if values.ndim == 1:  # of two classes scikit-learn gives the value of the second alone
        values = np.stack([np.zeros_like(values), values], axis=1)
    return softmax(values, axis=1)
