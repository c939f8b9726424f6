"""Do probabilities mean what they say? Reliability, calibration error and Brier score; a temperature.

Everything is computed from held-out predictions. No number of a report is taken after a temperature: it is
for clips that no run has seen.
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
    """Predictions in bins of equal width by the probability of the class they name.

    Attributes:
        samples: Number of samples in each bin.
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
    """Measure how often predictions of each confidence are right (Guo et al. 2017, §2)."""
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
    """Compute the expected calibration error: mean gap of confidence and accuracy, bins weighed by samples.

    A gap counts whichever way it goes, so that few samples give an error even to honest probabilities.
    """
    confidence, right, where = bin_predictions(probability, label, bins)
    gap = np.bincount(where, right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(label))


def brier_of_samples(
    probability: Float[np.ndarray, "samples classes"], label: Int[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"]:
    """Squared distance of each sample's probabilities to the truth, 0 to 2 (Brier 1950)."""
    return ((probability - np.eye(probability.shape[1])[label]) ** 2).sum(1)


def bin_predictions(
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
    clipped = np.maximum(log_probability, np.log(np.finfo(float).tiny))
    return np.exp(log_softmax(clipped / temperature, axis=1))
