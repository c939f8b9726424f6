"""Calibration of probabilities: reliability, calibration error, Brier score and temperature scaling.

Everything is computed from held-out predictions. Reports do not use the temperature; it is meant for new
clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

BINS = 10
TEMPERATURES = (0.1, 10.0)  # beyond these a temperature is taken for not determined


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of equal width by the probability of the predicted class.

    Attributes:
        samples: Number of samples in each bin.
        confidence: Mean probability in each bin; NaN in an empty bin.
        accuracy: Share of correct predictions in each bin; NaN in an empty bin.
    """

    samples: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]


def measure_reliability(
    probability: Float[np.ndarray, "samples classes"],
    label: Int[np.ndarray, " samples"],
    bins: int = BINS,
) -> Reliability:
    """Measure the accuracy of predictions by confidence (Guo et al. 2017, §2)."""
    confidence, right, where = bin_predictions(probability, label, bins)
    samples = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [
            np.bincount(where, values, minlength=bins) / samples for values in (confidence, right)
        ]
    return Reliability(samples, *means)


def measure_calibration_error(
    probability: Float[np.ndarray, "samples classes"],
    label: Int[np.ndarray, " samples"],
    bins: int = BINS,
) -> float:
    """Compute the expected calibration error: mean of |confidence - accuracy|, weighted by samples per bin.

    Absolute differences are averaged, so with few samples the error is positive even for calibrated
    probabilities.
    """
    confidence, right, where = bin_predictions(probability, label, bins)
    gap = np.bincount(where, right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(label))


def brier_of_samples(
    probability: Float[np.ndarray, "samples classes"], label: Int[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"]:
    """Compute the squared distance of each sample's probabilities to the truth, 0 to 2 (Brier 1950)."""
    return ((probability - np.eye(probability.shape[1])[label]) ** 2).sum(1)


def bin_predictions(
    probability: np.ndarray, label: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each sample its confidence, whether it is correct, and its bin (lower edge included)."""
    confidence = probability.max(1)
    right = (probability.argmax(1) == label).astype(float)
    where = np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="right") - 1
    return confidence, right, np.clip(where, 0, bins - 1)


def read_probability(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[Float[np.ndarray, "samples classes"], Int[np.ndarray, " samples"]]:
    """Return probabilities and labels of a table of predictions."""
    probability = predictions[[f"p_{name}" for name in classes]].to_numpy(float)
    return probability, predictions["label"].to_numpy(np.int64)


def fit_temperature(
    log_probability: Float[np.ndarray, "samples classes"], label: Int[np.ndarray, " samples"]
) -> float | None:
    """Fit the temperature that minimises the log loss of held-out predictions (Guo et al. 2017, §4.2).

    The loss is convex in 1/T. It has no minimum if every prediction is correct (T → 0 is best) or if the
    predictions are no better than guessing (T → ∞); the result of an optimiser would then be arbitrary.

    Args:
        log_probability: Log-probabilities of samples that the model was not trained on, e.g. of a finished
            leave-one-subject-out run. A constant per sample may be added, so logits are allowed. A
            probability of 0 is replaced by the smallest positive number.
        label: True classes.

    Returns:
        Temperature, above 1 if the model is overconfident, below 1 if it is underconfident; `None` if the
        loss has no minimum within `TEMPERATURES`.
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
    """Return probabilities after temperature scaling; the order of the classes does not change."""
    clipped = np.maximum(log_probability, np.log(np.finfo(float).tiny))
    return np.exp(log_softmax(clipped / temperature, axis=1))
