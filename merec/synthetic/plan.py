"""What is rendered: subjects, clips, expressions and the frames that are written."""

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
# Frames at 30/s: macro-expressions last .5 to 4 s (Ekman's definition), their rise is part of it.
MACRO_RISE = (8, 24)
MACRO_FALL = (16, 90)
POOL_SPAN = 31  # frames of an unlabelled clip in which the face moves: 16 key frames, every second


@dataclass(frozen=True)
class Expression:
    """A micro- or macro-expression in a clip.

    Attributes:
        onset: Frame number of the first movement.
        apex: Frame number of the largest movement; equal to `onset` if the face does not move.
        offset: Frame number at which the face is at rest again.
        action_units: What moves.
        emotion: One of the seven of CAS(ME)^3.
        peak: Largest movement at the apex, in px of a face crop of 224 px.
    """

    onset: int
    apex: int
    offset: int
    action_units: tuple[ActionUnit, ...]
    emotion: str
    peak: float


@dataclass(frozen=True)
class ClipPlan:
    """One clip: a subject in front of a camera, and what the face does.

    Attributes:
        subject: e.g. `spNO.1`.
        clip: Letter of the clip, or name of an unlabelled one.
        folder: Folder of `color/` and `depth/`, relative to the corpus's root.
        expressions: Micro- or macro-expressions, in order of time; those of a real table may overlap.
        frames: Numbers of the frames that are written, sorted.
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
    """Plan a corpus of made subjects.

    Emotions are dealt over the whole corpus, so that its skew is that of the real set however small it is;
    which action units move follows from the emotion. Samples without motion are dealt so too. All else about
    a subject (clips, frame numbers, peaks) depends on the seed and its name alone, not on how many others
    there are. Macro-expressions and unlabelled clips go round the subjects.

    Args:
        subjects: Number of subjects, `spNO.1` and so on.
        samples: Micro-expressions of each subject, one to three in a clip.
        unlabelled: Clips without labels, `Part_B/{subject}/u{n}`.
        macro: Macro-expressions in all, each in a clip of its own.
        zero_motion: Share of the micro-expressions whose apex is annotated at the onset and whose face does
            not move, 0 to 1.
        seed: Of everything that is drawn.
        frames: `key`, `all` or `pair`, see `choose_frames`.

    Raises:
        InputError: If a number is too small or `frames` is none of the three.
    """
    for name, value, least in (
        ("subjects", subjects, 1),
        ("samples", samples, 1),
        ("unlabelled", unlabelled, 0),
        ("macro", macro, 0),
    ):
        if value < least:
            raise InputError(f"{name}={value}, but it is {least} at least; give {name}={least}")
    check_frames(frames)
    count = subjects * samples
    emotions = _deal_emotions(count, seed, "micro")
    rng = np.random.default_rng(derive_seed(seed, "plan", "zero motion"))
    still = (rng.permutation(count) < round(zero_motion * count)).tolist()
    shown = list(zip(emotions, still, strict=True))
    clips: list[ClipPlan] = []
    for number in range(subjects):
        own = shown[number * samples : (number + 1) * samples]
        clips += _plan_micro(f"spNO.{number + 1}", own, seed, frames)
    return (
        clips
        + plan_macro(clips, macro, seed, frames)
        + plan_unlabelled(clips, unlabelled, seed, frames)
    )


def plan_macro(clips: Sequence[ClipPlan], macro: int, seed: int, frames: str) -> list[ClipPlan]:
    """Plan macro-expressions of the subjects of `clips`, each in a clip with a letter not yet taken."""
    taken: dict[str, set[str]] = {}
    for clip in clips:
        # Some disks hold J and j to be one folder.
        taken.setdefault(clip.subject, set()).add(clip.clip.casefold())
    subjects = list(taken)
    planned = []
    for number, emotion in enumerate(_deal_emotions(macro, seed, "macro")):
        subject, turn = subjects[number % len(subjects)], number // len(subjects)
        letters = next(name for name in map(name_clip, count()) if name not in taken[subject])
        taken[subject].add(letters)
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
    """Refuse a word that is not in `FRAMES`."""
    if frames not in FRAMES:
        raise InputError(f"frames={frames}; expected one of {', '.join(FRAMES)}")


def choose_frames(expressions: Iterable[Expression], frames: str) -> tuple[int, ...]:
    """Numbers of the frames to write, sorted.

    `all` is each frame from onset to offset, `pair` onset and apex. `key` is onset, apex, offset and four
    between: two before the apex and two after it, evenly spaced, fewer where there is no room.
    """
    chosen: set[int] = set()
    for expression in expressions:
        if frames == "all":
            chosen.update(range(expression.onset, expression.offset + 1))
            continue
        if frames == "pair":
            chosen.update((expression.onset, expression.apex))
            continue
        for a, b in (
            (expression.onset, expression.apex),
            (expression.apex, expression.offset),
        ):
            chosen.update(a + round(third * (b - a) / 3) for third in range(4))
    return tuple(sorted(chosen))


def draw_peak(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """Largest movement in px, log-uniform: small ones are more common (median 1.2 px for micro)."""
    low, high = np.log(limits)
    return round(float(np.exp(rng.uniform(low, high))), 3)


def _deal_emotions(samples: int, seed: int, kind: str) -> list[str]:
    order = np.random.default_rng(derive_seed(seed, "plan", "emotions", kind)).permutation(samples)
    emotions = apportion_emotions(samples)
    return [emotions[place] for place in order]


def _plan_micro(
    subject: str, shown: Sequence[tuple[str, bool]], seed: int, frames: str
) -> Iterator[ClipPlan]:
    """Spread a subject's micro-expressions over clips of one to three.

    Args:
        subject: Its name.
        shown: Emotion of each expression, and whether the face stays still.
        seed: Of the corpus.
        frames: Which are written.
    """
    # Two streams: what moves depends on the emotion, when it moves and how far does not.
    rng = np.random.default_rng(derive_seed(seed, "plan", subject, "time"))
    units_rng = np.random.default_rng(derive_seed(seed, "plan", subject, "action units"))
    done = number = 0
    while done < len(shown):
        size = min(draw_clip_size(rng), len(shown) - done)
        expressions: list[Expression] = []
        for emotion, is_still in shown[done : done + size]:
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
    """A clip of 31 to 60 frames with one or two micro-expressions in its first 31."""
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
    """Letters of a clip: 0 is a, 25 is z, 26 is aa, as the columns of a spreadsheet."""
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters
