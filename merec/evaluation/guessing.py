"""Scores of guesses that do not use the images, as baselines for every result."""

import numpy as np
from jaxtyping import Float, Int

from merec.metrics import METRICS

MAJORITY, UNIFORM, BY_FREQUENCY = "majority class", "chance, uniform", "chance, by frequency"
DRAWS = 2_000  # of the guesses; UF1 is then exact to three digits


def score_guesses(
    label: Int[np.ndarray, " samples"], frequency: Float[np.ndarray, " classes"]
) -> dict[str, dict[str, float]]:
    """Compute the scores of the majority class and of random guessing.

    Args:
        label: True classes of the scored samples, e.g. of a data set.
        frequency: Share of each class in the whole protocol, from which guesses are drawn.

    Returns:
        All `METRICS` of each guess: `majority class`, `chance, uniform` (equal probabilities) and `chance, by
        frequency`; the latter two are means over draws.
    """
    classes = len(frequency)
    samples = np.bincount(label, minlength=classes)
    rng = np.random.default_rng(0)
    scores = {}
    for name, probability in (
        (MAJORITY, np.eye(classes)[frequency.argmax()]),
        (UNIFORM, np.full(classes, 1 / classes)),
        (BY_FREQUENCY, frequency),
    ):
        draws = 1 if name == MAJORITY else DRAWS
        rows = [rng.multinomial(number, probability, size=draws) for number in samples]
        counts = np.stack(rows, axis=1)  # rows true, columns guessed
        scores[name] = {metric: float(score(counts).mean()) for metric, score in METRICS.items()}
    return scores


def guess_units(present: Int[np.ndarray, " units"], samples: int) -> Float[np.ndarray, " units"]:
    """Compute the mean F1 of guessing each action unit at its true frequency.

    Args:
        present: Number of samples that show each action unit.
        samples: Number of samples.
    """
    rng = np.random.default_rng(0)
    share = present / samples
    hits = rng.binomial(present, share, size=(DRAWS, len(present)))
    false = rng.binomial(samples - present, share, size=(DRAWS, len(present)))
    named = hits + false + present
    return np.divide(2 * hits, named, out=np.zeros(hits.shape), where=named > 0).mean(0)


def chance_f1(counts: Int[np.ndarray, "*draws units 2 2"]) -> Float[np.ndarray, "*draws units"]:
    """Return the F1 of each action unit if it is always predicted as present."""
    present, absent = counts[..., 1, :].sum(-1), counts[..., 0, :].sum(-1)
    return 2 * present / (2 * present + absent)
