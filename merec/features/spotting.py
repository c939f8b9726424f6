"""Spotting of onset and apex of a clip by the peak of the optical flow, from coarse to fine.

A micro-expression lasts about half a second. At its apex the skin is displaced both from its position shortly
before and from its position shortly after; this is not so for a swaying head or a lasting smile (after the
feature difference of Moilanen et al. 2014 and MDMD, the main directional maximal difference of optical flow,
of Wang et al. 2017). All durations are in seconds, so that clips of 30 and 200 frames/s are treated equally.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from merec.features.displacement_curve import Course, follow_face
from merec.features.input_clip import InputClip
from merec.features.landmarks import FaceLandmarker
from merec.types import InputError

SMOOTH = 0.065  # s: standard deviation of the window that the course is smoothed in
REACH = 0.4  # s: how long before and after its apex an expression is compared with
_BACK = 1.0  # s before the apex in which the face was at rest
_NEAR = 0.27  # s around the largest difference in which the movement itself peaks
_ROUNDS = 3  # of peak and pattern; they settle within two
_QUIET = 0.1  # of the movement, which has not begun below it
_FEW = 5  # frames too few to tell what is usual
_PEAK = 90  # percentile of the cells whose movement is told: expressions move a part of the face
WHOLE = 3.0  # s: up to so long a clip is looked at frame by frame at once
_COARSE, _FINE = 0.1, 0.01  # s between the frames that are looked at
_MOST = 4000  # frames that are looked at first
_AROUND = 1.2  # s before and after what is found first, looked at frame by frame then

Stream = Iterable[tuple[int, np.ndarray]]  # of frames with their positions


class Curve(NamedTuple):
    """Displacement of the face over the course of a clip.

    Attributes:
        positions: Frames of the clip.
        seconds: Time after the first frame of the clip.
        movement: Displacement along the pattern of the apex, in hundredths of the distance between the eyes:
            that of the tenth of the face that moves most at the apex; 0 at the onset.
        transience: Displacement from both the position before and the position after, in the same unit (root
            mean square).
        seen: Whether the face is seen.
    """

    positions: np.ndarray
    seconds: Float[np.ndarray, " frames"]
    movement: Float[np.ndarray, " frames"]
    transience: Float[np.ndarray, " frames"]
    seen: Bool[np.ndarray, " frames"]


class Spotted(NamedTuple):
    """Result of spotting.

    Attributes:
        onset: Position of the last quiet frame before the rise.
        apex: Position of the frame of largest movement.
        offset: Position of the first quiet frame after the fall, or of the quietest within a second.
        movement: Displacement from onset to apex, hundredths of the distance between the eyes.
        noise: Standard deviation of the movement from frame to frame, in the same unit.
        contrast: Ratio of the largest transience to the usual transience further away; infinite if the curve
            is too short.
        curve: Curve around the apex, frame by frame.
        overview: Coarse curve of the whole clip, if it is long.
        face: Extent of the face, px of the frame.
        outside: Share of landmarks outside the frame.
    """

    onset: int
    apex: int
    offset: int
    movement: float
    noise: float
    contrast: float
    curve: Curve
    overview: Curve | None
    face: float
    outside: float = 0.0


def spot_apex(
    input_clip: InputClip, landmarker: FaceLandmarker, watch: Callable[[Stream, int], Stream]
) -> Spotted:
    """Find onset and apex of the clearest short movement of a clip.

    Clips longer than three seconds are first sampled at 10 frames/s (fewer for clips of hours), then around
    the movement found at up to 100 frames/s.

    Args:
        input_clip: The clip.
        landmarker: Finds the face.
        watch: Wraps the iterator of frames and gets their number, e.g. for a progress bar.

    Raises:
        InputError: If no face is found, it is too small, or is never seen for long enough.
    """

    def follow(positions: Sequence[int]) -> Course:
        frames = watch(input_clip.read(positions), len(positions))
        lasts = input_clip.second(positions[-1]) - input_clip.second(positions[0])
        return follow_face(frames, input_clip.second, lasts, landmarker, input_clip.name_frame)

    every = range(len(input_clip.numbers))
    if input_clip.duration <= WHOLE:
        return spot(follow(_choose(input_clip, every, _FINE)))
    step = max(_COARSE, input_clip.duration / _MOST)
    if step > _COARSE:
        input_clip.notes.append(
            f"the clip is long, so one frame in {step:.1f} s is looked at first"
        )
    course = follow(_choose(input_clip, every, step))
    first = spot(course)
    middle = input_clip.second(first.apex)
    around = [frame for frame in every if abs(input_clip.second(frame) - middle) <= _AROUND]
    near = spot(follow(_choose(input_clip, around, _FINE)), middle)
    return near._replace(
        overview=first.curve,
        face=min(first.face, near.face),
        outside=max(first.outside, near.outside),
    )


def _choose(input_clip: InputClip, positions: Sequence[int], step: float) -> list[int]:
    """Choose frames that are at least `step` seconds apart, starting with the first."""
    chosen, due = [], -np.inf
    for position in positions:
        now = input_clip.second(position)
        if now >= due - 1e-6:
            chosen.append(position)
            # Steps do not add up to more than they should, but what a gap swallowed is not made up for.
            due = max(due + step, now + step / 2)
    return chosen


def spot(course: Course, middle: float | None = None) -> Spotted:
    """Find onset and apex of the clearest short movement in a course.

    Args:
        course: Course of the skin.
        middle: Search only within half a second of this time.

    Raises:
        InputError: If the face is never seen before, at and after a frame.
    """
    seconds, seen, weights = course.seconds, course.seen, course.weights
    now, change, transience = _measure_transience(course)
    asked = transience
    if middle is not None:
        asked = np.where(np.abs(seconds - middle) <= REACH + _COARSE, transience, -1)
    candidate = int(asked.argmax())
    pattern = change[candidate]
    close = np.abs(seconds - seconds[candidate]) <= _NEAR + 1e-6
    apex = onset = candidate
    along = np.zeros(len(seconds))
    for _ in range(_ROUNDS):
        along = _project(now, pattern, weights)
        apex = int(np.where(close & seen, along, -np.inf).argmax())
        onset = _find_onset(seconds, along, apex)
        pattern = now[apex] - now[onset]
        if not pattern.any():
            break
    reach = float(np.percentile(np.linalg.norm(pattern, axis=-1), _PEAK))
    movement = (along - along[onset]) * reach
    raw = _project(course.cells, pattern, weights) * reach
    noise = float(np.std((raw - along * reach)[seen]))
    far = np.abs(seconds - seconds[candidate]) > REACH
    usual = float(np.median(transience[far])) if far.sum() > _FEW else 0.0
    curve = Curve(course.positions, seconds, movement, transience, seen)
    return Spotted(
        int(course.positions[onset]),
        int(course.positions[apex]),
        int(course.positions[_find_offset(seconds, along, apex)]),
        float(movement[apex]),
        noise,
        float(transience[candidate] / usual) if usual > 0 else np.inf,
        curve,
        None,
        course.face,
        course.outside,
    )


def _measure_transience(
    course: Course,
) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, " frames"]]:
    """Measure how far the skin is from where it is before and after.

    Returns:
        Smoothed displacements, their difference from the mean of before and after, and the transience.
    """
    seconds, seen, weights = course.seconds, course.seen, course.weights
    if seen.sum() < 2:
        raise InputError(
            "the face is seen in one frame only; give a clip in which it is seen from the front throughout"
        )
    width = max(SMOOTH, 0.7 * float(np.median(np.diff(seconds))))

    def at(times: np.ndarray) -> np.ndarray:
        return smooth(seconds[seen], course.cells[seen], times, width)

    first, last = seconds[0], seconds[-1]
    now = at(seconds)
    before, after = at(np.maximum(seconds - REACH, first)), at(np.minimum(seconds + REACH, last))
    rest = at(np.maximum(seconds - _BACK, first))
    change = now - (before + after) / 2
    transience = np.minimum(_measure(change, weights), _measure(now - rest, weights))
    transience[~_is_clear(seconds, seen, REACH / 2)] = 0
    return now, change, transience


def smooth(
    seconds: Float[np.ndarray, " frames"],
    values: Float[np.ndarray, "frames *shape"],
    at: Float[np.ndarray, " times"],
    width: float,
) -> Float[np.ndarray, "times *shape"]:
    """Interpolate values by local parabolas, which preserve position and height of a peak.

    Where no frame is near, interpolation is linear between the neighbours.

    Args:
        seconds: Times of the frames in ascending order, not necessarily evenly spaced.
        values: Values of the frames.
        at: Times at which to interpolate.
        width: Standard deviation of the window, s.
    """
    flat = values.reshape(len(values), -1)
    smoothed = np.empty((len(at), flat.shape[1]), flat.dtype)
    for row, time in enumerate(at):
        low, high = np.searchsorted(seconds, (time - 4 * width, time + 4 * width))
        x = (seconds[low:high] - time) / width
        if not len(x) or np.abs(x).min() > 2:
            right = int(np.searchsorted(seconds, time).clip(1, len(seconds) - 1))
            span = seconds[right] - seconds[right - 1]
            share = float(np.clip((time - seconds[right - 1]) / span, 0, 1))
            smoothed[row] = (1 - share) * flat[right - 1] + share * flat[right]
            continue
        terms = np.stack([np.ones_like(x), x, x**2])
        weighted = terms * np.exp(-(x**2) / 2)
        # A little of a ridge, for windows of one or two frames.
        normal = weighted @ terms.T + 1e-6 * np.diag([0, 1, 1]) * weighted[0].sum()
        smoothed[row] = np.linalg.solve(normal, weighted)[0] @ flat[low:high]
    return smoothed.reshape(len(at), *values.shape[1:])


def _find_onset(seconds: np.ndarray, along: np.ndarray, apex: int) -> int:
    """Return the last frame before the apex at which the movement had hardly begun."""
    first = int(np.searchsorted(seconds, seconds[apex] - _BACK))
    before = along[first : apex + 1]
    # Down to half of the rise, whatever happens on the way, then on as long as it falls.
    half = (before.min() + before[-1]) / 2
    rest = int(np.flatnonzero(before <= half)[-1])
    while rest > 0 and before[rest - 1] < before[rest]:
        rest -= 1
    low = before[rest]
    quiet = np.flatnonzero(before <= low + _QUIET * (before[-1] - low))
    return first + int(quiet[-1])


def _find_offset(seconds: np.ndarray, along: np.ndarray, apex: int) -> int:
    """Return the first frame after the apex at which the movement is nearly over: a reversed onset."""
    last = len(seconds) - 1
    return last - _find_onset(seconds[-1] - seconds[::-1], along[::-1], last - apex)


def _project(
    cells: Float[np.ndarray, "frames cells 2"],
    pattern: Float[np.ndarray, "cells 2"],
    weights: Float[np.ndarray, " cells"],
) -> Float[np.ndarray, " frames"]:
    """Return the share of a pattern in each frame, 1 for the pattern itself."""
    weighted = pattern * weights[:, None]
    return np.einsum("fcd,cd->f", cells, weighted) / max(float((pattern * weighted).sum()), 1e-12)


def _measure(
    moved: Float[np.ndarray, "frames cells 2"], weights: Float[np.ndarray, " cells"]
) -> Float[np.ndarray, " frames"]:
    """Return the root mean square over the skin."""
    return np.sqrt(np.einsum("fcd,fcd,c->f", moved, moved, weights))


def _is_clear(
    seconds: Float[np.ndarray, " frames"], seen: Bool[np.ndarray, " frames"], within: float
) -> Bool[np.ndarray, " frames"]:
    """Return whether the face is seen in all frames around each."""
    clear = seen.copy()
    for time in seconds[~seen]:
        clear &= np.abs(seconds - time) > within
    return clear
