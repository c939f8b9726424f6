"""Do probabilities mean what they say? Reliability, calibration error and Brier score; a temperature.

Everything is computed from held-out predictions. No number of a report is taken after a temperature: it is
for clips that no run has seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from merec.evaluation.pretraining import read_settings
from merec.evaluation.results import IDENTITY, Result
from merec.evaluation.statistics import (
    draw_subjects,
    effective_subjects,
    mean_interval,
    t_interval,
)

BINS = 10
DRAWS = 2_000  # of a second number beside the scores; its interval is read to two digits
TEMPERATURES = (0.1, 10.0)  # beyond these a temperature is taken for not determined
# Classifiers without probabilities, of which scores are the softmax of their decision values.
_DECIDING = (
    "SVC",
    "LinearSVC",
    "NuSVC",
    "RidgeClassifier",
    "MirrorRidge",
    "HalfFaceCommittee",
)


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of equal width by the probability of the class they name.

    Attributes:
        samples: How many fall into each bin.
        confidence: Their mean probability; not a number in an empty bin, as below.
        accuracy: The share that is right.
    """

    samples: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]


def measure_reliability(
    probability: Float[np.ndarray, "samples classes"],
    label: Int[np.ndarray, " samples"],
    bins: int = BINS,
) -> Reliability:
    """How often predictions of each confidence are right (Guo et al. 2017, §2)."""
    confidence, right, where = _bin(probability, label, bins)
    samples = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(where, each, minlength=bins) / samples for each in (confidence, right)]
    return Reliability(samples, *means)


def measure_calibration_error(
    probability: Float[np.ndarray, "samples classes"],
    label: Int[np.ndarray, " samples"],
    bins: int = BINS,
) -> float:
    """Expected calibration error: mean gap of confidence and accuracy of the bins, by their samples.

    A gap counts whichever way it goes, so that few samples give an error even to honest probabilities.
    """
    confidence, right, where = _bin(probability, label, bins)
    gap = np.bincount(where, right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(label))


def brier_of_samples(
    probability: Float[np.ndarray, "samples classes"], label: Int[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"]:
    """Squared distance of each sample's probabilities to the truth, 0 to 2 (Brier 1950)."""
    return ((probability - np.eye(probability.shape[1])[label]) ** 2).sum(1)


def _bin(
    probability: np.ndarray, label: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence of each sample, 1 if it is right, and its bin; a bin holds its lower edge, the last both."""
    confidence = probability.max(1)
    right = (probability.argmax(1) == label).astype(float)
    where = np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="right") - 1
    return confidence, right, np.clip(where, 0, bins - 1)


def read_probability(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[Float[np.ndarray, "samples classes"], Int[np.ndarray, " samples"]]:
    """Probabilities and labels of a table of predictions."""
    probability = predictions[[f"p_{name}" for name in classes]].to_numpy(float)
    return probability, predictions["label"].to_numpy(np.int64)


def score_calibration(results: Sequence[Result]) -> pd.DataFrame:
    """Calibration error and Brier score of every result, averaged over seeds, with subject intervals.

    Returns:
        One row per result: `kind` of score (see `name_scores`), mean `confidence`, `accuracy`, and `ece` and
        `brier` with the ends of their 95 % intervals (`ece_low`, …).
    """
    rows = []
    for result in results:
        classes = result.protocol.classes
        errors, gaps, subjects = [], [], result.predictions["subject"].to_numpy(str)
        for _, table in result.predictions.groupby("seed"):
            probability, label = read_probability(table, classes)
            errors.append(measure_calibration_error(probability, label))
            gaps.append(_draw_errors(probability, label, table["subject"].to_numpy(str)))
        probability, label = read_probability(result.predictions, classes)
        brier = brier_of_samples(probability, label)
        samples = np.unique(subjects, return_counts=True)[1]
        ece_low, ece_high = t_interval(
            float(np.mean(errors)),
            np.mean(gaps, axis=0),
            len(samples),
            effective_subjects(samples[:, None]),
        ).tolist()
        brier_low, brier_high = mean_interval(brier, subjects, DRAWS, limits=(0.0, 2.0))
        rows.append(
            {
                **result.identity,
                "kind": name_scores(result),
                "confidence": probability.max(1).mean(),
                "accuracy": (probability.argmax(1) == label).mean(),
                **{"ece": np.mean(errors), "ece_low": ece_low, "ece_high": ece_high},
                **{"brier": brier.mean(), "brier_low": brier_low, "brier_high": brier_high},
            }
        )
    columns = ["kind", "confidence", "accuracy"]
    columns += [f"{name}{end}" for name in ("ece", "brier") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*IDENTITY, *columns])


def _draw_errors(
    probability: np.ndarray, label: np.ndarray, subject: np.ndarray
) -> Float[np.ndarray, " draws"]:
    """The calibration error of sets of subjects drawn with replacement."""
    confidence, right, where = _bin(probability, label, BINS)
    _, number = np.unique(subject, return_inverse=True)
    gap = np.zeros((number.max() + 1, BINS))
    np.add.at(gap, (number, where), right - confidence)
    times = draw_subjects(len(gap), DRAWS, 0)
    return np.abs(times @ gap).sum(1) / (times @ np.bincount(number))


def name_scores(result: Result) -> str:
    """What a result's probabilities are: a model's own, or decision values made to sum to 1."""
    settings = read_settings(result)
    chosen = settings.get("estimators", {}).get(settings.get("estimator"))
    if chosen is not None and gives_decision_values(chosen):
        return "decision values"
    return "probabilities"


def gives_decision_values(estimator: Mapping[str, Any]) -> bool:
    """Whether a configured estimator has no probabilities, so that its scores are not calibrated."""
    name = str(estimator.get("_target_", "")).rpartition(".")[2]
    if name in _DECIDING and not estimator.get("probability", False):
        return True
    children = [child for value in estimator.values() for child in _list_children(value)]
    return any(map(gives_decision_values, children))


def _list_children(value: object) -> list[Mapping[str, Any]]:
    """The nodes in a value of a config."""
    return [
        each
        for each in (value if isinstance(value, list) else [value])
        if isinstance(each, Mapping)
    ]


def fit_temperature(
    log_probability: Float[np.ndarray, "samples classes"], label: Int[np.ndarray, " samples"]
) -> float | None:
    """Fit the temperature that makes held-out predictions most likely (Guo et al. 2017, §4.2).

    The loss is convex in 1/T. It has no minimum where every prediction is right (T → 0 is best) and where the
    predictions are no better than guessing (T → ∞); any number would be the optimizer's, not the data's.

    Args:
        log_probability: Of samples that the model was not trained on, such as the held-out predictions of a
            finished leave-one-subject-out run; up to a constant per sample, so logits will do. A probability
            of 0 counts as the least number above it.
        label: Their true classes.

    Returns:
        Above 1 where the model was too sure, below 1 where it was not sure enough; `None` if the loss has no
        minimum within `TEMPERATURES`.
    """
    finite = np.maximum(log_probability, np.log(np.finfo(float).tiny))
    truth = np.take_along_axis(finite, label[:, None], axis=1)[:, 0]

    def slope(inverse: float) -> float:
        expected = (softmax(finite * inverse, axis=1) * finite).sum(1)
        return float(np.mean(expected - truth))

    least, most = (1 / temperature for temperature in reversed(TEMPERATURES))
    if not slope(least) < 0 < slope(most):
        return None
    return float(1 / brentq(slope, least, most))


def apply_temperature(
    log_probability: Float[np.ndarray, "samples classes"], temperature: float
) -> Float[np.ndarray, "samples classes"]:
    """Probabilities after a temperature; the order of the classes stays."""
    known = np.maximum(log_probability, np.log(np.finfo(float).tiny))
    return np.exp(log_softmax(known / temperature, axis=1))
