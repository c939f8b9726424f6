"""Time courses of a face: action units, blinks, gaze and the small movements of a head held still.

Every function depends on seed, names and frame number only, so frames can be rendered in any order.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from merec.seeding import derive_seed
from merec.synthetic.plan import Expression

FPS = 30  # as CAS(ME)^3
POSE_STD = np.array([0.25, 0.25, 0.25, 1.0, 1.0, 1.0])  # yaw, pitch, roll (degrees), x, y, z (mm)
GAZE_STD = np.array([1.5, 1.0])  # yaw, pitch (degrees)
SWAY_HZ = (0.03, 0.6)
WAVES = 6  # sine waves per channel, enough for an irregular sway
BREATH_HZ = (0.2, 0.3)
# Amplitude of breathing, which raises and tilts the head: yaw, pitch, roll (degrees), x, y, z (mm).
BREATH = np.array([0.0, 0.05, 0.0, 0.0, 0.25, 0.15])
BLINK_SLOT = 60  # frames with at most one blink
BLINK_FRAMES = (6.0, 9.0)  # duration, 0.2 to 0.3 s
FIXATION_SLOT = 24  # frames with one saccade
SACCADE_FRAMES = 2
MAX_LAG = 0.25  # share of the rise and of the fall


def au_weights(expression: Expression, seed: int) -> tuple[float, ...]:
    """Draw the strength of each action unit at the apex: 1 for one action unit, 0.6 to 1 for the rest."""
    count = len(expression.action_units)
    weights = _generator(expression, seed, "weights").uniform(0.6, 1, count)
    weights[int(_generator(expression, seed, "strongest").integers(count))] = 1
    return tuple(float(weight) for weight in weights)


def au_intensities(expression: Expression, number: int, seed: int) -> tuple[float, ...]:
    """Compute the strength of each action unit in a frame, in the order of `expression.action_units`.

    All action units reach their maximum at the apex. The first one moves from onset to offset; the others
    start later and end earlier by up to a quarter of rise and fall, as on real faces.

    Args:
        expression: Expression of a clip.
        number: Frame number.
        seed: Seed of the corpus.
    """
    weights = au_weights(expression, seed)
    lags = _generator(expression, seed, "lags").uniform(0, MAX_LAG, (len(weights), 2))
    lags[0] = 0  # so that movement starts and ends at the annotated frames
    rise, fall = expression.apex - expression.onset, expression.offset - expression.apex
    return tuple(
        weight
        * _intensity(
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
    """Compute the head pose in a frame, relative to the mean pose: a slow sway and breathing.

    Args:
        seed: Seed of the corpus.
        subject: Name of the subject.
        clip: Name of the clip.
        number: Frame number.
        scale: Strength; 0 for none. With 1, the standard deviations are 0.25° and 1 mm, which moves a face
            crop of 224 px by about half a pixel between onset and apex of a micro-expression.

    Returns:
        Yaw, pitch, roll (degrees) and x, y, z (mm).
    """
    if scale == 0:
        return np.zeros(6)
    hertz, phase, breath_hertz, breath_phase = _draw_waves(seed, subject, clip)
    second = number / FPS
    sway = np.sin(2 * np.pi * hertz * second + phase).sum(axis=1) * math.sqrt(2 / WAVES)
    breath = math.sin(2 * math.pi * breath_hertz * second + breath_phase)
    return scale * (POSE_STD * sway + BREATH * breath)


def gaze(
    seed: int, subject: str, clip: str, number: int, scale: int | float
) -> Float[np.ndarray, " 2"]:
    """Compute yaw and pitch of both eyes in a frame, degrees: fixations and saccades between them.

    Args:
        seed: Seed of the corpus.
        subject: Name of the subject.
        clip: Name of the clip.
        number: Frame number.
        scale: Strength; 0 for none. With 1, the standard deviations are 1.5° (yaw) and 1° (pitch).
    """
    if scale == 0:
        return np.zeros(2)
    slot = number // FIXATION_SLOT
    before, _ = _draw_fixation(seed, subject, clip, slot - 1)
    after, saccade = _draw_fixation(seed, subject, clip, slot)
    done = _smooth((number - slot * FIXATION_SLOT - saccade) / SACCADE_FRAMES)
    return scale * (before + done * (after - before))


def blinks(seed: int, subject: str, clip: str, number: int, per_minute: int | float) -> float:
    """Compute the closure of the eyes by a blink in a frame, 0 to 1.

    A blink lasts 0.2 to 0.3 s; the eyes close faster than they open.

    Args:
        seed: Seed of the corpus.
        subject: Name of the subject, e.g. `spNO.1`.
        clip: Name of the clip.
        number: Frame number.
        per_minute: Mean number of blinks per minute, 0 to 30; about 15 is normal.
    """
    slot = number // BLINK_SLOT
    rng = np.random.default_rng(derive_seed(seed, "blink", subject, clip, slot))
    chance, position, duration = rng.random(), rng.random(), rng.uniform(*BLINK_FRAMES)
    if chance >= per_minute * BLINK_SLOT / FPS / 60:
        return 0.0
    # The blink lies within its slot, so neighbouring slots have no influence on this frame.
    phase = (number - slot * BLINK_SLOT - position * (BLINK_SLOT - duration)) / duration
    return _smooth(phase / 0.4) if phase < 0.4 else 1 - _smooth((phase - 0.4) / 0.6)


def _intensity(onset: int | float, apex: int, offset: int | float, number: int) -> float:
    """Compute the relative intensity of a movement in a frame: 0 until onset, 1 at apex, 0 from offset.

    The speed is 0 at onset, apex and offset, and the rise is steeper than a fall of equal length. A movement
    whose apex is its onset has intensity 0 in every frame.
    """
    if not onset < number < offset or apex <= onset:
        return 0.0
    if number <= apex:
        t = (number - onset) / (apex - onset)
        return t**3 * (10 - 15 * t + 6 * t**2)  # steeper in its middle than `_smooth`
    return 1 - _smooth((number - apex) / (offset - apex))


def _smooth(t: int | float) -> float:
    """Return a smooth step from 0 at t=0 to 1 at t=1 with slope 0 at both ends."""
    t = min(max(t, 0.0), 1.0)
    return t**2 * (3 - 2 * t)


def _generator(expression: Expression, seed: int, purpose: str) -> np.random.Generator:
    """Return a random generator for one expression and purpose.

    Its seed contains the peak, a random number, so two expressions practically never share a generator.
    """
    units = "+".join(map(str, expression.action_units))
    times = (expression.onset, expression.apex, expression.offset)
    return np.random.default_rng(derive_seed(seed, purpose, *times, units, repr(expression.peak)))


@lru_cache(maxsize=256)
def _draw_waves(seed: int, subject: str, clip: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Draw frequencies (Hz) and phases (rad) of sway and breathing in a clip."""
    rng = np.random.default_rng(derive_seed(seed, "pose", subject, clip))
    low, high = np.log(SWAY_HZ)
    hertz = np.exp(rng.uniform(low, high, (len(POSE_STD), WAVES)))
    phase = rng.uniform(0, 2 * np.pi, hertz.shape)
    return hertz, phase, float(rng.uniform(*BREATH_HZ)), float(rng.uniform(0, 2 * np.pi))


def _draw_fixation(seed: int, subject: str, clip: str, slot: int) -> tuple[np.ndarray, float]:
    """Draw the gaze after the saccade of a slot (degrees) and the frame of the slot at which it starts."""
    rng = np.random.default_rng(derive_seed(seed, "gaze", subject, clip, slot))
    return GAZE_STD * rng.standard_normal(2), rng.uniform(0, FIXATION_SLOT - SACCADE_FRAMES)
