"""One clip, frame by frame: what moves, what the camera sees, and the truth about both."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from merec.seeding import derive_seed
from merec.synthetic.movement import measure_peak, move
from merec.synthetic.plan import ClipPlan, Expression
from merec.synthetic.render import Portrait
from merec.synthetic.sensor import DepthSensor, develop, measure_depth
from merec.synthetic.timecourse import au_intensities, au_weights, blinks, gaze, head_pose

CROP = 180.0  # mm of face that a crop of 224 px shows
STRONGEST = 1.3  # times the full face unit: small muscles cannot move 3 px


@dataclass(frozen=True)
class Nuisance:
    """What makes a recording unlike the textbook.

    Attributes:
        noise: Strength of the colour sensor's noise, 1 by default, as of the next two; 0 for none.
        sensor: Noise and holes of the depth.
        head: Movement of the head.
        gaze: Movement of the eyes.
        blinks: Per minute.
    """

    noise: float | int
    sensor: DepthSensor
    head: float | int
    gaze: float | int
    blinks: float | int


class Picture(NamedTuple):
    """A frame as the sensors give it; depth in the sensor's steps, 0 where there is none."""

    number: int
    color: UInt8[np.ndarray, "height width 3"]
    depth: UInt16[np.ndarray, "height width"]


class Stance(NamedTuple):
    """All that moves in a frame."""

    vertices: Float[
        np.ndarray, "vertices 3"
    ]  # mm from the midpoint of the eyes, before the head's pose
    pose: Float[np.ndarray, " 6"]  # yaw, pitch, roll (degrees), x, y, z (mm)
    gaze: Float[np.ndarray, " 2"]  # yaw, pitch (degrees)
    blink: float
    action_units: dict[str, float]  # strength by name; 1 is the full face unit


class Clip:
    """A clip of a subject.

    Args:
        plan: What happens.
        portrait: To whom.
        nuisance: What else moves.
        seed: Seed of the corpus.
    """

    def __init__(self, plan: ClipPlan, portrait: Portrait, nuisance: Nuisance, seed: int):
        self.plan, self.portrait, self.nuisance, self.seed = plan, portrait, nuisance, seed
        head = portrait.head
        self.bases = []
        for expression in plan.expressions:
            units = expression.action_units
            fields = [move({unit: 1.0}, portrait.identity, head) for unit in units]
            stacked = np.stack(fields) if fields else np.zeros((0, *head.vertices.shape))
            self.bases.append((stacked, self._scale(expression, stacked)))
        sides = ("Left", "Right")
        self.closing = head.deform({f"unit/eyeBlink{side}": 1.0 for side in sides})

    def _scale(self, expression: Expression, fields: np.ndarray) -> float:
        """The factor that brings the largest movement to the planned peak."""
        weights = np.array(au_weights(expression, self.seed))
        if not fields.any():
            return 0.0
        full = measure_peak(np.einsum("u,uvc->vc", weights, fields), CROP)
        return min(expression.peak / full, STRONGEST) if full else 0.0

    def stand(self, number: int) -> Stance:
        """The face at a frame."""
        plan, nuisance, seed = self.plan, self.nuisance, self.seed
        who = (seed, plan.subject, plan.clip, number)
        moved = np.zeros(self.portrait.head.vertices.shape)
        strengths: dict[str, float] = {}
        for expression, (fields, scale) in zip(plan.expressions, self.bases, strict=True):
            now = scale * np.array(au_intensities(expression, number, seed))
            moved += np.einsum("u,uvc->vc", now, fields)
            for unit, strength in zip(expression.action_units, now, strict=True):
                strengths[str(unit)] = max(strengths.get(str(unit), 0.0), float(strength))
        blink = blinks(*who, nuisance.blinks)
        moved += blink * self.closing
        vertices = self.portrait.rest.astype(np.float64)
        vertices[: len(moved)] += moved
        return Stance(
            vertices, head_pose(*who, nuisance.head), gaze(*who, nuisance.gaze), blink, strengths
        )

    def shoot(self) -> Iterator[Picture]:
        """All frames of the plan, in order."""
        plan = self.plan
        for number in plan.frames:
            stance = self.stand(number)
            shot = self.portrait.shoot(stance.vertices, stance.pose, stance.gaze)
            seed = derive_seed(self.seed, "sensor", plan.subject, plan.clip, number)
            yield Picture(
                number,
                develop(shot.color, self.nuisance.noise, seed),
                measure_depth(shot.depth, self.nuisance.sensor, seed + 1),
            )

    def position(self, number: int) -> Float[np.ndarray, "vertices 3"]:
        """Where the head's vertices truly are at a frame, mm in the camera's axes."""
        stance = self.stand(number)
        placed = self.portrait.place(stance.vertices, stance.pose)
        return self.portrait.to_camera(placed)[: len(self.portrait.head.vertices)]
