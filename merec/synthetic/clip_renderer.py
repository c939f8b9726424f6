"""Render the frames of one clip: facial movement, head pose, gaze, blinks and sensor noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from merec.seeding import derive_seed
from merec.synthetic.face_renderer import FaceRenderer
from merec.synthetic.movement import compute_displacement, measure_peak
from merec.synthetic.plan import ClipPlan, Expression
from merec.synthetic.sensor import DepthSensor, measure_color, measure_depth
from merec.synthetic.timecourse import au_intensities, au_weights, blinks, gaze, head_pose

CROP_WIDTH = 180.0  # mm across the face in a crop of 224 px
MAX_STRENGTH = 1.3  # times the full face unit; a small muscle may then stay below the planned peak


@dataclass(frozen=True)
class Nuisance:
    """Nuisance variation of a recording; strengths are 1 by default and 0 for none.

    Attributes:
        noise: Strength of the colour sensor's noise.
        sensor: Depth sensor with its noise and holes.
        head: Strength of head movement.
        gaze: Strength of eye movement.
        blinks: Blinks per minute.
    """

    noise: float | int
    sensor: DepthSensor
    head: float | int
    gaze: float | int
    blinks: float | int


class SensorFrame(NamedTuple):
    """Colour (sRGB) and depth of one frame after the sensors; depth in sensor steps, 0 is invalid."""

    number: int
    color: UInt8[np.ndarray, "height width 3"]
    depth: UInt16[np.ndarray, "height width"]


class FaceState(NamedTuple):
    """Shape, pose, gaze and action units of a face in one frame.

    Attributes:
        vertices: Shape before the head pose, mm from the midpoint of the eyes.
        pose: Yaw, pitch, roll (degrees), x, y, z (mm) of the head.
        gaze: Yaw and pitch of the eyes, degrees.
        blink: Closure of the eyes by a blink, 0 to 1.
        action_units: Strength of each action unit by name; 1 is the full face unit.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    pose: Float[np.ndarray, " 6"]
    gaze: Float[np.ndarray, " 2"]
    blink: float
    action_units: dict[str, float]


class ClipRenderer:
    """Renderer of one planned clip of one subject.

    Args:
        plan: Expressions and frame numbers of the clip.
        renderer: Renderer of the subject's face.
        nuisance: Sensor noise, head movement, gaze and blinks.
        seed: Seed of the corpus.
    """

    def __init__(self, plan: ClipPlan, renderer: FaceRenderer, nuisance: Nuisance, seed: int):
        self.plan, self.renderer, self.nuisance, self.seed = plan, renderer, nuisance, seed
        head = renderer.head
        self.movements = []  # per expression: displacements of its action units, and their scale
        for expression in plan.expressions:
            shape = (len(expression.action_units), *head.vertices.shape)
            displacements = np.zeros(shape, dtype=head.vertices.dtype)
            for row, unit in enumerate(expression.action_units):
                displacements[row] = compute_displacement({unit: 1.0}, renderer.identity, head)
            self.movements.append((displacements, self._compute_scale(expression, displacements)))
        sides = ("Left", "Right")
        self.lid_closure = head.deform({f"unit/eyeBlink{side}": 1.0 for side in sides})

    def _compute_scale(self, expression: Expression, displacements: np.ndarray) -> float:
        """Compute the factor that brings the largest movement to the planned peak."""
        weights = np.array(au_weights(expression, self.seed))
        if not displacements.any():
            return 0.0
        full = measure_peak(np.einsum("u,uvc->vc", weights, displacements), CROP_WIDTH)
        return min(expression.peak / full, MAX_STRENGTH) if full else 0.0

    def compute_state(self, number: int) -> FaceState:
        """Compute shape, pose, gaze and action units of the face in a frame."""
        plan, nuisance, seed = self.plan, self.nuisance, self.seed
        frame = (seed, plan.subject, plan.clip, number)
        displacement = np.zeros(self.renderer.head.vertices.shape)
        strengths: dict[str, float] = {}
        for expression, (unit_displacements, scale) in zip(
            plan.expressions, self.movements, strict=True
        ):
            unit_strengths = scale * np.array(au_intensities(expression, number, seed))
            displacement += np.einsum("u,uvc->vc", unit_strengths, unit_displacements)
            for unit, strength in zip(expression.action_units, unit_strengths, strict=True):
                strengths[str(unit)] = max(strengths.get(str(unit), 0.0), float(strength))
        blink = blinks(*frame, nuisance.blinks)
        displacement += blink * self.lid_closure
        vertices = self.renderer.rest.astype(np.float64)
        vertices[: len(displacement)] += displacement
        pose, eye_angles = head_pose(*frame, nuisance.head), gaze(*frame, nuisance.gaze)
        return FaceState(vertices, pose, eye_angles, blink, strengths)

    def render_frames(self) -> Iterator[SensorFrame]:
        """Render the planned frames in order."""
        plan = self.plan
        for number in plan.frames:
            state = self.compute_state(number)
            clean = self.renderer.render(state.vertices, state.pose, state.gaze)
            seed = derive_seed(self.seed, "sensor", plan.subject, plan.clip, number)
            yield SensorFrame(
                number,
                measure_color(clean.color, self.nuisance.noise, seed),
                measure_depth(clean.depth, self.nuisance.sensor, seed + 1),
            )

    def compute_positions(self, number: int) -> Float[np.ndarray, "vertices 3"]:
        """Compute the true positions of the head's vertices in a frame, mm in camera axes."""
        state = self.compute_state(number)
        posed = self.renderer.apply_pose(state.vertices, state.pose)
        return self.renderer.to_camera(posed)[: len(self.renderer.head.vertices)]
