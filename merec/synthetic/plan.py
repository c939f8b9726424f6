"""Plan a synthetic corpus: subjects, clips, expressions and frames to render."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from merec.seeding import derive_seed
from merec.synthetic.frequencies import (
    apportion_emotions,
    draw_action_units,
    draw_clip_size,
    draw_duration,
)
from merec.types import ActionUnit, InputError

FRAMES = ("key", "all", "pair")
MICRO_PEAK = (0.5, 3.0)  # px of a face crop of 224 px
MACRO_PEAK = (6.0, 15.0)
# Frames at 30/s: a macro-expression lasts 0.5 to 4 s from onset to offset (Ekman's definition).
MACRO_RISE = (8, 24)
MACRO_FALL = (16, 90)
POOL_SPAN = 31  # frames of an unlabelled clip with movement: 16 key frames, every second frame


@dataclass(frozen=True)
class Expression:
    """Micro- or macro-expression in a clip.

    Attributes:
        onset: Frame number of the first movement.
        apex: Frame number of the largest movement; equal to `onset` if the face does not move.
        offset: Frame number at which the face is at rest again.
        action_units: Action units of the expression.
        emotion: One of the seven emotions of CAS(ME)^3.
        peak: Largest movement at the apex, px of a face crop of 224 px.
    """

    onset: int
    apex: int
    offset: int
    action_units: tuple[ActionUnit, ...]
    emotion: str
    peak: float


@dataclass(frozen=True)
class ClipPlan:
    """Plan of one clip of a subject.

    Attributes:
        subject: Name of the subject, e.g. `spNO.1`.
        clip: Letter of the clip, or name of an unlabelled clip.
        folder: Folder of `color/` and `depth/`, relative to the root of the corpus.
        expressions: Expressions in temporal order; expressions of a real table may overlap.
        frames: Sorted numbers of the frames to render.
        kind: `micro`, `macro` or `unlabelled`.
    """

    subject: str
    clip: str
    folder: str
    expressions: tuple[Expression, ...]
    frames: tuple[int, ...]
    kind: str


def plan_corpus(
    subjects: int,
    samples: int,
    unlabelled: int,
    macro: int,
    zero_motion: float | int,
    seed: int,
    frames: str,
) -> list[ClipPlan]:
    """Plan a corpus of synthetic subjects.

    Emotions and samples without motion are distributed over the whole corpus, so that a small corpus has the
    class proportions of CAS(ME)^3 too; action units are drawn given the emotion. Clips, frame numbers and
    peaks of a subject depend only on the seed and its name, not on the number of subjects. Macro-expressions
    and unlabelled clips are assigned to the subjects in turn.

    Args:
        subjects: Number of subjects, named `spNO.1`, `spNO.2`, ….
        samples: Number of micro-expressions of each subject, one to three per clip.
        unlabelled: Number of clips without labels, in `Part_B/{subject}/u{n}`.
        macro: Number of macro-expressions in the corpus, one per clip.
        zero_motion: Share of the micro-expressions (0 to 1) without motion, whose apex is annotated at the
            onset.
        seed: Seed of every random draw.
        frames: `key`, `all` or `pair`, see `choose_frames`.

    Raises:
        InputError: If a number is too small or `frames` is unknown.
    """
    for name, value, minimum in (
        ("subjects", subjects, 1),
        ("samples", samples, 1),
        ("unlabelled", unlabelled, 0),
        ("macro", macro, 0),
    ):
        if value < minimum:
            raise InputError(f"{name}={value}; expected a whole number from {minimum}")
    check_frames(frames)
    count = subjects * samples
    emotions = _shuffle_emotions(count, seed, "micro")
    rng = np.random.default_rng(derive_seed(seed, "plan", "zero motion"))
    still = (rng.permutation(count) < round(zero_motion * count)).tolist()
    contents = list(zip(emotions, still, strict=True))
    clips: list[ClipPlan] = []
    for number in range(subjects):
        subject_contents = contents[number * samples : (number + 1) * samples]
        clips += _plan_micro(f"spNO.{number + 1}", subject_contents, seed, frames)
    return (
        clips
        + plan_macro(clips, macro, seed, frames)
        + plan_unlabelled(clips, unlabelled, seed, frames)
    )


def plan_macro(clips: Sequence[ClipPlan], macro: int, seed: int, frames: str) -> list[ClipPlan]:
    """Plan macro-expressions of the subjects of `clips`, each in a clip of its own with an unused letter."""
    used: dict[str, set[str]] = {}
    for clip in clips:
        # On a case-insensitive file system J and j are one folder.
        used.setdefault(clip.subject, set()).add(clip.clip.casefold())
    subjects = list(used)
    planned = []
    for number, emotion in enumerate(_shuffle_emotions(macro, seed, "macro")):
        subject, turn = subjects[number % len(subjects)], number // len(subjects)
        letters = next(name for name in map(name_clip, count()) if name not in used[subject])
        used[subject].add(letters)
        expression = _draw_macro(subject, turn, emotion, seed)
        planned.append(_make_clip(subject, letters, [expression], frames, "macro"))
    return planned


def plan_unlabelled(
    clips: Sequence[ClipPlan], unlabelled: int, seed: int, frames: str
) -> list[ClipPlan]:
    """Plan clips without labels, `Part_B/{subject}/u{n}`, of the subjects of `clips` in turn."""
    subjects = list(dict.fromkeys(clip.subject for clip in clips))
    return [
        _plan_pool_clip(subjects[number % len(subjects)], number + 1, seed, frames)
        for number in range(unlabelled)
    ]


def check_frames(frames: str) -> None:
    """Raise an `InputError` if `frames` is not in `FRAMES`."""
    if frames not in FRAMES:
        raise InputError(f"frames={frames}; expected one of {', '.join(FRAMES)}")


def choose_frames(expressions: Iterable[Expression], frames: str) -> tuple[int, ...]:
    """Return the sorted numbers of the frames to render.

    Args:
        expressions: Expressions of a clip.
        frames: `pair`: onset and apex; `key`: onset, apex, offset and four evenly spaced frames between (two
            before and two after the apex, fewer if there is no room); `all`: every frame from onset to
            offset.
    """
    numbers: set[int] = set()
    for expression in expressions:
        if frames == "all":
            numbers.update(range(expression.onset, expression.offset + 1))
            continue
        if frames == "pair":
            numbers.update((expression.onset, expression.apex))
            continue
        for start, end in (
            (expression.onset, expression.apex),
            (expression.apex, expression.offset),
        ):
            numbers.update(start + round(third * (end - start) / 3) for third in range(4))
    return tuple(sorted(numbers))


def draw_peak(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """Draw the largest movement of an expression, px of a crop of 224 px, log-uniform within limits.

    Small movements are thus more frequent than large ones; the median of `MICRO_PEAK` is 1.2 px.
    """
    low, high = np.log(limits)
    return round(float(np.exp(rng.uniform(low, high))), 3)


def _shuffle_emotions(samples: int, seed: int, kind: str) -> list[str]:
    order = np.random.default_rng(derive_seed(seed, "plan", "emotions", kind)).permutation(samples)
    emotions = apportion_emotions(samples)
    return [emotions[position] for position in order]


def _plan_micro(
    subject: str, contents: Sequence[tuple[str, bool]], seed: int, frames: str
) -> Iterator[ClipPlan]:
    """Distribute the micro-expressions of a subject over clips of one to three.

    Args:
        subject: Name of the subject.
        contents: Emotion of each expression, and whether the face stays still.
        seed: Seed of the corpus.
        frames: Frames to render, see `choose_frames`.
    """
    # Separate generators, so that times and peaks do not depend on the emotions.
    rng = np.random.default_rng(derive_seed(seed, "plan", subject, "time"))
    units_rng = np.random.default_rng(derive_seed(seed, "plan", subject, "action units"))
    done = number = 0
    while done < len(contents):
        size = min(draw_clip_size(rng), len(contents) - done)
        expressions: list[Expression] = []
        for emotion, is_still in contents[done : done + size]:
            if expressions:
                onset = expressions[-1].offset + draw_duration("gap", rng)
            else:
                onset = max(2, draw_duration("first", rng))
            apex = onset + draw_duration("rise", rng)
            offset = apex + draw_duration("fall", rng)
            peak = draw_peak(MICRO_PEAK, rng)
            units = draw_action_units(emotion, units_rng)
            apex = onset if is_still else apex
            expressions.append(Expression(onset, apex, offset, units, emotion, peak))
        yield _make_clip(subject, name_clip(number), expressions, frames, "micro")
        done, number = done + size, number + 1


def _draw_macro(subject: str, turn: int, emotion: str, seed: int) -> Expression:
    rng = np.random.default_rng(derive_seed(seed, "plan", subject, "macro", turn))
    onset = max(2, draw_duration("first", rng))
    apex = onset + int(rng.integers(*MACRO_RISE, endpoint=True))
    offset = apex + int(rng.integers(*MACRO_FALL, endpoint=True))
    peak = draw_peak(MACRO_PEAK, rng)
    return Expression(onset, apex, offset, draw_action_units(emotion, rng), emotion, peak)


def _plan_pool_clip(subject: str, number: int, seed: int, frames: str) -> ClipPlan:
    """Plan an unlabelled clip: 31 to 60 frames with one or two micro-expressions in the first 31."""
    rng = np.random.default_rng(derive_seed(seed, "plan", subject, "unlabelled", number))
    start = max(2, draw_duration("first", rng))
    length = int(rng.integers(POOL_SPAN, 60, endpoint=True))
    parts = int(rng.integers(1, 2, endpoint=True))
    room = POOL_SPAN // parts
    expressions = []
    for part in range(parts):
        onset = start + part * room + int(rng.integers(0, room // 3))
        apex = onset + min(draw_duration("rise", rng), room // 3)
        offset = min(apex + draw_duration("fall", rng), start + (part + 1) * room - 1)
        emotion = str(rng.choice(apportion_emotions(100)))
        units = draw_action_units(emotion, rng)
        expressions.append(
            Expression(onset, apex, offset, units, emotion, draw_peak(MICRO_PEAK, rng))
        )
    numbers: Iterable[int] = range(start, start + length)
    if frames == "key":
        numbers = range(start, start + POOL_SPAN, 2)
    elif frames == "pair":
        strongest = max(expressions, key=lambda expression: expression.peak)
        numbers = choose_frames([strongest], frames)
    name = f"u{number}"
    folder = f"Part_B/{subject}/{name}"
    return ClipPlan(subject, name, folder, tuple(expressions), tuple(numbers), "unlabelled")


def _make_clip(
    subject: str, clip: str, expressions: list[Expression], frames: str, kind: str
) -> ClipPlan:
    numbers = choose_frames(expressions, frames)
    return ClipPlan(subject, clip, f"{subject}/{clip}", tuple(expressions), numbers, kind)


def name_clip(number: int) -> str:
    """Return the letters of a clip as of a spreadsheet column: 0 is a, 25 is z, 26 is aa."""
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters
