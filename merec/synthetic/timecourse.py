"""How a face moves in time: expressions, blinks, gaze and the small movements of a head held still.

Everything is a function of names and a frame number, so that any frame is rendered without those before it.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from merec.seeding import derive_seed
from merec.synthetic.plan import Expression

FPS = 30  # as CAS(ME)^3
POSE_STD = np.array([0.25, 0.25, 0.25, 1.0, 1.0, 1.0])  # deg, deg, deg, mm, mm, mm
GAZE_STD = np.array([1.5, 1.0])  # deg
SWAY_HZ = (0.03, 0.6)
WAVES = 6  # per channel: enough to look irregular
BREATH_HZ = (0.2, 0.3)
# Breathing lifts the head and tips it a little: yaw, pitch, roll (deg), x, y, z (mm).
BREATH = np.array([0.0, 0.05, 0.0, 0.0, 0.25, 0.15])
BLINK_SLOT = 60  # frames: at most one blink in each
BLINK_FRAMES = (6.0, 9.0)  # .2 to .3 s
FIXATION_SLOT = 24  # frames: one saccade in each
SACCADE_FRAMES = 2
MAX_LAG = 0.25  # of the rise, and of the fall


def au_weights(expression: Expression, seed: int) -> tuple[float, ...]:
    """Strength of each action unit at the apex, .6 to 1, relative to the strongest of them, which is 1."""
    count = len(expression.action_units)
    weights = _generator(expression, seed, "weights").uniform(0.6, 1, count)
    weights[int(_generator(expression, seed, "strongest").integers(count))] = 1
    return tuple(float(weight) for weight in weights)


def au_intensities(expression: Expression, number: int, seed: int) -> tuple[float, ...]:
    """Strength of each action unit at a frame, in the order of `expression.action_units`.

    They start and end a little apart (up to a quarter of the rise and of the fall), as on real faces, but all
    reach their weight at the apex; the first of them moves from onset to offset.
    """
    weights = au_weights(expression, seed)
    lags = _generator(expression, seed, "lags").uniform(0, MAX_LAG, (len(weights), 2))
    lags[0] = 0  # one of them moves as long as the annotation says
    rise, fall = expression.apex - expression.onset, expression.offset - expression.apex
    return tuple(
        weight
        * _course(
            expression.onset + float(late) * rise,
            expression.apex,
            expression.offset - float(early) * fall,
            number,
        )
        for weight, (late, early) in zip(weights, lags, strict=True)
    )


def head_pose(
    seed: int, subject: str, clip: str, number: int, scale: int | float
) -> Float[np.ndarray, " 6"]:
    """Yaw, pitch, roll (degrees) and x, y, z (mm) of the head beside its mean pose.

    A slow sway and breathing. With `scale=1` the standard deviation is .25° and 1 mm, which moves a face
    crop of 224 px by about half a pixel between onset and apex of a micro-expression; 0 is no movement.
    """
    if scale == 0:
        return np.zeros(6)
    hertz, phase, breath_hertz, breath_phase = _waves(seed, subject, clip)
    second = number / FPS
    sway = np.sin(2 * np.pi * hertz * second + phase).sum(axis=1) * math.sqrt(2 / WAVES)
    breath = math.sin(2 * math.pi * breath_hertz * second + breath_phase)
    return scale * (POSE_STD * sway + BREATH * breath)


def gaze(
    seed: int, subject: str, clip: str, number: int, scale: int | float
) -> Float[np.ndarray, " 2"]:
    """Yaw and pitch of both eyes in degrees: fixations near the camera and quick saccades between them.

    With `scale=1` the standard deviation is 1.5° and 1°; 0 is no movement.
    """
    if scale == 0:
        return np.zeros(2)
    slot = number // FIXATION_SLOT
    before, _ = _fixation(seed, subject, clip, slot - 1)
    after, saccade = _fixation(seed, subject, clip, slot)
    done = _smooth((number - slot * FIXATION_SLOT - saccade) / SACCADE_FRAMES)
    return scale * (before + done * (after - before))


def blinks(seed: int, subject: str, clip: str, number: int, per_minute: int | float) -> float:
    """How far the eyes are closed by a blink, 0 to 1.

    A blink lasts .2 to .3 s and closes faster than it opens.

    Args:
        seed: Of the corpus.
        subject: e.g. `spNO.1`.
        clip: Its name.
        number: Of the frame.
        per_minute: Mean number of blinks, 30 at most; about 15 are usual, 0 is none.
    """
    slot = number // BLINK_SLOT
    rng = np.random.default_rng(derive_seed(seed, "blink", subject, clip, slot))
    chance, place, duration = rng.random(), rng.random(), rng.uniform(*BLINK_FRAMES)
    if chance >= per_minute * BLINK_SLOT / FPS / 60:
        return 0.0
    # Wholly within its slot, so that no other slot need be looked at.
    passed = (number - slot * BLINK_SLOT - place * (BLINK_SLOT - duration)) / duration
    return _smooth(passed / 0.4) if passed < 0.4 else 1 - _smooth((passed - 0.4) / 0.6)


def _course(onset: int | float, apex: int, offset: int | float, number: int) -> float:
    """How far a movement has gone at a frame: 0 up to onset, 1 at the apex, 0 from offset on.

    It starts and ends without a jump in speed, and rises more steeply than it falls would they last equally
    long. A movement whose apex is its onset is none at all.
    """
    if not onset < number < offset or apex <= onset:
        return 0.0
    if number <= apex:
        t = (number - onset) / (apex - onset)
        return t**3 * (10 - 15 * t + 6 * t**2)  # steeper in its middle than `_smooth`
    return 1 - _smooth((number - apex) / (offset - apex))


def _smooth(t: int | float) -> float:
    """From 0 to 1 over 0..1 without speed at either end."""
    t = min(max(t, 0.0), 1.0)
    return t**2 * (3 - 2 * t)


def _generator(expression: Expression, seed: int, what: str) -> np.random.Generator:
    """A stream of the expression's own: peaks are drawn, so no two expressions share all of this."""
    units = "+".join(map(str, expression.action_units))
    times = (expression.onset, expression.apex, expression.offset)
    return np.random.default_rng(derive_seed(seed, what, *times, units, repr(expression.peak)))


@lru_cache(maxsize=256)
def _waves(seed: int, subject: str, clip: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Frequencies and phases of a clip's sway and breathing."""
    rng = np.random.default_rng(derive_seed(seed, "pose", subject, clip))
    low, high = np.log(SWAY_HZ)
    hertz = np.exp(rng.uniform(low, high, (len(POSE_STD), WAVES)))
    phase = rng.uniform(0, 2 * np.pi, hertz.shape)
    return hertz, phase, float(rng.uniform(*BREATH_HZ)), float(rng.uniform(0, 2 * np.pi))


def _fixation(seed: int, subject: str, clip: str, slot: int) -> tuple[np.ndarray, float]:
    """Where the eyes look from a slot's saccade on (degrees), and at which frame of the slot it starts."""
    rng = np.random.default_rng(derive_seed(seed, "gaze", subject, clip, slot))
    return GAZE_STD * rng.standard_normal(2), rng.uniform(0, FIXATION_SLOT - SACCADE_FRAMES)
