"""Frequencies of emotions, action units and durations in CAS(ME)^3, and random draws that follow them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from merec.corpora.reading.action_units import read_action_units
from merec.types import ActionUnit

# The four-class problem of the papers that keep "others".
CLASSES = {
    "negative": ("disgust", "fear", "anger", "sad"),
    "positive": ("happy",),
    "surprise": ("surprise",),
    "others": ("others",),
}


@dataclass(frozen=True)
class EmotionFrequencies:
    """Frequencies of action units with one emotion.

    Attributes:
        samples: Number of rows of the official annotation.
        combinations: Number of rows of each common set of action units.
        rest: Number of rows with a rare set.
        sizes: Number of those rare rows by their number of action units.
        action_units: Number of those rare rows in which an action unit occurs.
    """

    samples: int
    combinations: dict[tuple[ActionUnit, ...], int]
    rest: int
    sizes: dict[int, int]
    action_units: dict[ActionUnit, int]


@dataclass(frozen=True)
class Frequencies:
    """Summary statistics of the official annotation; `emotions.yaml` documents how they were computed.

    Attributes:
        emotions: Frequencies by emotion, the most frequent emotion first.
        quantiles: Quantile levels, 0 to 1, of every list in `durations`.
        durations: Frames (30/s) at those quantiles: `rise` (onset to apex), `fall` (apex to offset),
            `first` (onset of the first expression of a clip), `gap` (offset to the next onset).
        per_clip: Number of clips by their number of expressions.
    """

    emotions: dict[str, EmotionFrequencies]
    quantiles: list[float]
    durations: dict[str, list[int]]
    per_clip: dict[int, int]


@cache
def read_frequencies() -> Frequencies:
    """Read `emotions.yaml`."""
    text = files("merec.synthetic").joinpath("emotions.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    emotions = {
        name: EmotionFrequencies(
            samples=entry["samples"],
            combinations={
                read_action_units(units).read: n for units, n in entry["combinations"].items()
            },
            rest=entry["rest"]["samples"],
            sizes=entry["rest"]["sizes"],
            action_units={
                read_action_units(unit).read[0]: n
                for unit, n in entry["rest"]["action_units"].items()
            },
        )
        for name, entry in content["emotions"].items()
    }
    frames = content["frames"]
    quantiles = [float(share) for share in frames.pop("quantiles")]
    return Frequencies(emotions, quantiles, frames, content["per_clip"])


def apportion_emotions(samples: int) -> list[str]:
    """Return the emotions of `samples` samples in the proportions of CAS(ME)^3, most frequent first.

    Samples are apportioned by largest remainders, first to the four classes, then to the emotions within each
    class. With four or more samples, every class occurs.
    """
    emotions = read_frequencies().emotions
    counts = _apportion(
        {name: sum(emotions[e].samples for e in members) for name, members in CLASSES.items()},
        samples,
    )
    for name in counts:
        if counts[name] == 0 and samples >= len(CLASSES):
            counts[max(counts, key=lambda label: counts[label])] -= 1
            counts[name] = 1
    emotion_counts: dict[str, int] = {}
    for name, members in CLASSES.items():
        emotion_counts |= _apportion({e: emotions[e].samples for e in members}, counts[name])
    return [emotion for emotion in emotions for _ in range(emotion_counts[emotion])]


def draw_action_units(emotion: str, rng: np.random.Generator) -> tuple[ActionUnit, ...]:
    """Draw a set of action units for an emotion, in the order in which the annotation writes them.

    Common sets are drawn with their frequency. In place of the rare sets, a number of action units is drawn,
    then each action unit by its frequency in the rare rows; the result may be a set that the annotation does
    not contain.
    """
    frequencies = read_frequencies().emotions[emotion]
    sets: list[tuple[ActionUnit, ...] | None] = [*frequencies.combinations, None]
    common = sets[_draw_index([*frequencies.combinations.values(), frequencies.rest], rng)]
    if common is not None:
        return common
    size = list(frequencies.sizes)[_draw_index(list(frequencies.sizes.values()), rng)]
    candidates = dict(frequencies.action_units)
    units: list[ActionUnit] = []
    while len(units) < size and candidates:
        unit = list(candidates)[_draw_index(list(candidates.values()), rng)]
        units.append(unit)
        # L12 with R12 would be the two-sided 12, so a number is drawn at most once.
        candidates = {u: n for u, n in candidates.items() if u.number != unit.number}
    # Most rows of the annotation write the larger number first: 2+1, 26+25.
    return tuple(sorted(units, key=lambda unit: -unit.number))


def draw_duration(kind: str, rng: np.random.Generator) -> int:
    """Draw a duration in frames (30/s), interpolated between the quantiles.

    Args:
        kind: `rise` (onset to apex), `fall` (apex to offset), `first` (frames before the first onset of a
            clip) or `gap` (offset to the next onset).
        rng: Random generator.
    """
    frequencies = read_frequencies()
    level = rng.uniform(frequencies.quantiles[0], frequencies.quantiles[-1])
    return round(float(np.interp(level, frequencies.quantiles, frequencies.durations[kind])))


def draw_clip_size(rng: np.random.Generator) -> int:
    """Draw the number of expressions of a clip."""
    counts = read_frequencies().per_clip
    return list(counts)[_draw_index(list(counts.values()), rng)]


def _draw_index(weights: list[int], rng: np.random.Generator) -> int:
    return int(rng.choice(len(weights), p=np.array(weights) / sum(weights)))


def _apportion(weights: Mapping[str, int], total: int) -> dict[str, int]:
    """Apportion `total` in proportion to `weights`; the largest remainders are rounded up."""
    share = {name: total * weight / sum(weights.values()) for name, weight in weights.items()}
    counts = {name: math.floor(value) for name, value in share.items()}
    by_remainder = sorted(share, key=lambda name: counts[name] - share[name])
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts
