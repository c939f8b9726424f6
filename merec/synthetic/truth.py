"""What truly moved in a rendered clip, kept beside the frames for tests and for judging features.

`write_truth` is for the renderer; all else is for the reader of the files that it writes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from merec.errors import InputError
from merec.files import atomic
from merec.synthetic.film import Clip
from merec.types import Camera


@dataclass(frozen=True)
class Truth:
    """The truth about a clip, as `read_truth` gives it; V vertices of the head, E expressions.

    Attributes:
        numbers: Frame numbers.
        pose: Yaw, pitch, roll (degrees) and x, y, z (mm) of the head in each frame.
        gaze: Yaw and pitch of the eyes in each frame, degrees.
        blink: How far a blink closes the eyes in each frame, 0 to 1.
        action_units: Names of the action units that move, e.g. `R12`.
        intensities: Strength of each in each frame; 1 is the full movement of its face units.
        onset: Frame number of each expression's onset.
        apex: Frame number of each expression's apex.
        at_onset: Positions of the vertices at the onset, mm in the camera's axes (x right, y down, z away).
        at_apex: The same at the apex.
        depth_noise: Standard deviation of the depth sensor's noise at the distance of the face, mm.
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
        """Movement of the vertices from onset to apex, mm in the camera's axes: for judging scene flow."""
        return self.at_apex[expression] - self.at_onset[expression]

    def flow(self, expression: int, camera: Camera) -> Float[np.ndarray, "vertices 2"]:
        """The same as seen by the camera, px: for judging optical flow."""
        return project(self.at_apex[expression], camera) - project(
            self.at_onset[expression], camera
        )


def project(points: Float[np.ndarray, "points 3"], camera: Camera) -> Float[np.ndarray, "points 2"]:
    """Points in the camera's axes (mm) as px (column, row); the centre of the first pixel is (0, 0)."""
    return points[:, :2] / points[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)


def is_seen(
    points: Float[np.ndarray, "points 3"],
    depth: np.ndarray,
    camera: Camera,
    tolerance: float,
) -> Bool[np.ndarray, " points"]:
    """Which points are the nearest thing at their pixel, by a depth map in mm, within `tolerance` mm.

    Only of these do the frames show anything: a feature is judged by them and not by hidden ones.
    """
    column, row = np.rint(project(points, camera)).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
    measured = depth[np.where(inside, row, 0), np.where(inside, column, 0)].astype(np.float64)
    return inside & (measured > 0) & (np.abs(measured - points[:, 2]) <= tolerance)


def write_truth(clip: Clip, file: Path) -> None:
    """Write the truth about a clip, wholly or not at all."""
    numbers = clip.plan.frames
    stances = [clip.stand(number) for number in numbers]
    units = list(stances[0].action_units) if stances else []
    onset = [expression.onset for expression in clip.plan.expressions]
    apex = [expression.apex for expression in clip.plan.expressions]
    with atomic(file) as part:
        np.savez_compressed(
            part,
            numbers=np.array(numbers),
            pose=np.array([stance.pose for stance in stances], dtype=np.float32),
            gaze=np.array([stance.gaze for stance in stances], dtype=np.float32),
            blink=np.array([stance.blink for stance in stances], dtype=np.float32),
            action_units=np.array(units, dtype=str),
            intensities=np.array(
                [[stance.action_units[unit] for unit in units] for stance in stances],
                dtype=np.float32,
            ),
            onset=np.array(onset),
            apex=np.array(apex),
            at_onset=np.array([clip.position(number) for number in onset], dtype=np.float32),
            at_apex=np.array([clip.position(number) for number in apex], dtype=np.float32),
            depth_noise=np.array(clip.nuisance.sensor.spread(clip.portrait.studio.position[2])),
        )


def locate_truth(root: Path, folder: str) -> Path:
    """The truth's file of a clip whose frames lie in `folder` below `root`."""
    return root / "truth" / f"{folder.replace('/', '_')}.npz"


def read_truth(root: Path, folder: str) -> Truth:
    """Read what `write_truth` wrote about a clip.

    Args:
        root: Of the rendered corpus.
        folder: Of the clip, relative to it, e.g. `spNO.1/a`.

    Raises:
        InputError: If it is missing or damaged.
    """
    file = locate_truth(root, folder)
    try:
        with np.load(file) as stored:
            arrays = dict(stored)
    except Exception as error:  # a damaged archive fails in a dozen ways
        raise InputError(
            f"{file} cannot be read ({error}); render the corpus again: merec synthesize root={root}"
        ) from error
    units = tuple(arrays.pop("action_units").tolist())
    return Truth(**arrays, action_units=units)
