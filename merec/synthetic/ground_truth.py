"""Ground truth of a rendered clip: pose, gaze, action units and 3-D positions, for judging features.

The renderer writes it with `write_ground_truth`; `read_ground_truth` reads it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from merec.errors import InputError
from merec.files import atomic
from merec.synthetic.clip_renderer import ClipRenderer
from merec.types import Camera


@dataclass(frozen=True)
class GroundTruth:
    """Ground truth of a clip.

    Attributes:
        numbers: Frame numbers.
        pose: Yaw, pitch, roll (degrees) and x, y, z (mm) of the head in each frame.
        gaze: Yaw and pitch of the eyes in each frame, degrees.
        blink: Closure of the eyes by a blink in each frame, 0 to 1.
        action_units: Names of the moving action units, e.g. `R12`.
        intensities: Strength of each action unit in each frame; 1 is the full movement of its face units.
        onset: Frame number of the onset of each expression.
        apex: Frame number of the apex of each expression.
        at_onset: Positions of the vertices at the onset, mm in camera axes (x right, y down, z away).
        at_apex: Positions of the vertices at the apex, mm in camera axes.
        depth_noise: Standard deviation of the depth noise at the distance of the face, mm.
    """

    numbers: Int[np.ndarray, " frames"]
    pose: Float[np.ndarray, "frames 6"]
    gaze: Float[np.ndarray, "frames 2"]
    blink: Float[np.ndarray, " frames"]
    action_units: tuple[str, ...]
    intensities: Float[np.ndarray, "frames units"]
    onset: Int[np.ndarray, " expressions"]
    apex: Int[np.ndarray, " expressions"]
    at_onset: Float[np.ndarray, "expressions vertices 3"]
    at_apex: Float[np.ndarray, "expressions vertices 3"]
    depth_noise: Float[np.ndarray, ""]

    def scene_flow(self, expression: int) -> Float[np.ndarray, "vertices 3"]:
        """Return the displacement of the vertices from onset to apex of an expression, mm in camera axes."""
        return self.at_apex[expression] - self.at_onset[expression]

    def flow(self, expression: int, camera: Camera) -> Float[np.ndarray, "vertices 2"]:
        """Return the optical flow of the vertices from onset to apex of an expression, px."""
        return project(self.at_apex[expression], camera) - project(
            self.at_onset[expression], camera
        )


def project(points: Float[np.ndarray, "points 3"], camera: Camera) -> Float[np.ndarray, "points 2"]:
    """Project points in camera axes (mm) to px (column, row); the centre of the first pixel is (0, 0)."""
    return points[:, :2] / points[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)


def is_visible(
    points: Float[np.ndarray, "points 3"],
    depth: np.ndarray,
    camera: Camera,
    tolerance: float,
) -> Bool[np.ndarray, " points"]:
    """Return which points are visible to the camera, that is, agree with the depth map at their pixel.

    Features are judged at visible points only.

    Args:
        points: Points in camera axes, mm.
        depth: Depth map, mm; 0 is invalid.
        camera: Intrinsics.
        tolerance: Largest difference of depth, mm.
    """
    column, row = np.rint(project(points, camera)).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
    measured = depth[np.where(inside, row, 0), np.where(inside, column, 0)].astype(np.float64)
    return inside & (measured > 0) & (np.abs(measured - points[:, 2]) <= tolerance)


def write_ground_truth(clip: ClipRenderer, file: Path) -> None:
    """Write the ground truth of a clip atomically."""
    numbers = clip.plan.frames
    states = [clip.compute_state(number) for number in numbers]
    units = list(states[0].action_units) if states else []
    onset = [expression.onset for expression in clip.plan.expressions]
    apex = [expression.apex for expression in clip.plan.expressions]
    with atomic(file) as part:
        np.savez_compressed(
            part,
            numbers=np.array(numbers),
            pose=np.array([state.pose for state in states], dtype=np.float32),
            gaze=np.array([state.gaze for state in states], dtype=np.float32),
            blink=np.array([state.blink for state in states], dtype=np.float32),
            action_units=np.array(units, dtype=str),
            intensities=np.array(
                [[state.action_units[unit] for unit in units] for state in states],
                dtype=np.float32,
            ),
            onset=np.array(onset),
            apex=np.array(apex),
            at_onset=np.array(
                [clip.compute_positions(number) for number in onset], dtype=np.float32
            ),
            at_apex=np.array([clip.compute_positions(number) for number in apex], dtype=np.float32),
            depth_noise=np.array(clip.nuisance.sensor.spread(clip.renderer.scene.position[2])),
        )


def locate_ground_truth(root: Path, folder: str) -> Path:
    """Return the ground-truth file of the clip in `folder`, which is relative to `root`."""
    return root / "truth" / f"{folder.replace('/', '_')}.npz"


def read_ground_truth(root: Path, folder: str) -> GroundTruth:
    """Read the ground truth of a clip.

    Args:
        root: Folder of the rendered corpus.
        folder: Folder of the clip relative to `root`, e.g. `spNO.1/a`.

    Raises:
        InputError: If the file is missing or damaged.
    """
    file = locate_ground_truth(root, folder)
    try:
        with np.load(file) as stored:
            arrays = dict(stored)
    except Exception as error:  # a damaged archive raises one of many exceptions
        raise InputError(
            f"{file} cannot be read ({error}); render the corpus again: merec synthesize root={root}"
        ) from error
    units = tuple(arrays.pop("action_units").tolist())
    return GroundTruth(**arrays, action_units=units)
