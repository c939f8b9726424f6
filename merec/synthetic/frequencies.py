"""How often emotions, action units and durations occur in CAS(ME)^3, and draws that follow it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from merec.corpora.reading.action_units import read_action_units
from merec.types import ActionUnit

# The four classes, as in the papers that keep "others".
CLASSES = {
    "negative": ("disgust", "fear", "anger", "sad"),
    "positive": ("happy",),
    "surprise": ("surprise",),
    "others": ("others",),
}


@dataclass(frozen=True)
class EmotionFrequencies:
    """What moves with an emotion, and how often.

    Attributes:
        samples: Rows of the official annotation.
        combinations: Common sets of action units, with their number of rows.
        rest: Number of rows with other sets.
        sizes: Number of those other rows by how many action units they have.
        action_units: How often each action unit occurs in those other rows.
    """

    samples: int
    combinations: dict[tuple[ActionUnit, ...], int]
    rest: int
    sizes: dict[int, int]
    action_units: dict[ActionUnit, int]


@dataclass(frozen=True)
class Frequencies:
    """The official annotation, summed up (`emotions.yaml` says how).

    Attributes:
        emotions: By emotion, the most frequent first.
        quantiles: Of all the durations below.
        durations: Frames (30/s) at those quantiles: `rise` (onset to apex), `fall` (apex to offset),
            `first` (onset of the first expression of a clip), `gap` (offset to the next onset).
        per_clip: Number of clips by how many expressions they hold.
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
    """Emotions of `samples` samples with the skew of the real set, the most frequent first.

    By largest remainders, among the four classes first and then among the emotions of each, so that all
    four occur from four samples on.
    """
    emotions = read_frequencies().emotions
    counts = _apportion(
        {name: sum(emotions[e].samples for e in members) for name, members in CLASSES.items()},
        samples,
    )
    for name in counts:
        if counts[name] == 0 and samples >= len(CLASSES):
            counts[max(counts, key=lambda other: counts[other])] -= 1
            counts[name] = 1
    chosen: dict[str, int] = {}
    for name, members in CLASSES.items():
        chosen |= _apportion({e: emotions[e].samples for e in members}, counts[name])
    return [emotion for emotion in emotions for _ in range(chosen[emotion])]


def draw_action_units(emotion: str, rng: np.random.Generator) -> tuple[ActionUnit, ...]:
    """A set of action units that goes with the emotion, in the order in which it is annotated.

    A common set as often as it occurs; else as many action units as the other rows have, each as often as it
    occurs in them, so that sets come up which the annotation does not hold.
    """
    found = read_frequencies().emotions[emotion]
    sets: list[tuple[ActionUnit, ...] | None] = [*found.combinations, None]
    chosen = sets[_draw_index([*found.combinations.values(), found.rest], rng)]
    if chosen is not None:
        return chosen
    size = list(found.sizes)[_draw_index(list(found.sizes.values()), rng)]
    left = dict(found.action_units)
    units: list[ActionUnit] = []
    while len(units) < size and left:
        unit = list(left)[_draw_index(list(left.values()), rng)]
        units.append(unit)
        # Both sides of one action unit would be that action unit.
        left = {other: n for other, n in left.items() if other.number != unit.number}
    # Most rows of the annotation name the larger number first: 2+1, 26+25.
    return tuple(sorted(units, key=lambda unit: -unit.number))


def draw_duration(kind: str, rng: np.random.Generator) -> int:
    """Frames (30/s) of a `rise`, `fall`, `first` or `gap`; between the quantiles it is interpolated."""
    found = read_frequencies()
    share = rng.uniform(found.quantiles[0], found.quantiles[-1])
    return round(float(np.interp(share, found.quantiles, found.durations[kind])))


def draw_clip_size(rng: np.random.Generator) -> int:
    """How many expressions a clip holds."""
    found = read_frequencies().per_clip
    return list(found)[_draw_index(list(found.values()), rng)]


def _draw_index(weights: list[int], rng: np.random.Generator) -> int:
    return int(rng.choice(len(weights), p=np.array(weights) / sum(weights)))


def _apportion(weights: Mapping[str, int], total: int) -> dict[str, int]:
    """Share `total` out in proportion to `weights`; the largest remainders are rounded up."""
    share = {name: total * weight / sum(weights.values()) for name, weight in weights.items()}
    counts = {name: math.floor(value) for name, value in share.items()}
    by_remainder = sorted(share, key=lambda name: counts[name] - share[name])
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts
