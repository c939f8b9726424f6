"""Two pairs of frames of one rendered face, with the truth about them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from filelock import FileLock

from merec.types import ActionUnit, Camera


class Take(NamedTuple):
    """Onset and apex (first axis 2), and where the head's vertices truly are."""

    color: np.ndarray  # (2, height, width, 3) uint8
    depth: np.ndarray  # (2, height, width) uint16 mm
    landmarks: np.ndarray  # (2, 478, 3) px
    onset: np.ndarray  # (V, 3) mm, camera's axes
    apex: np.ndarray
    expressed: np.ndarray  # the apex's face, had the head stayed where it was
    camera: Camera


@pytest.fixture(scope="session")
def takes(
    make_clip, make_expression, face_renderer, find_local, shared_folder: Path
) -> dict[str, Take]:
    """`brow` (AU 1+2) and `smile` (AU 12) while the head moves, `head`: nothing else moves. 6 frames."""
    find_local("face_landmarker")
    file = shared_folder / "takes.npz"
    with FileLock(shared_folder / "takes.lock"):
        if not file.exists():
            np.savez(file, **render_takes(make_clip, make_expression, face_renderer))
    with np.load(file) as stored:
        arrays = dict(stored)
    names = ("brow", "smile", "head")
    fields = [field for field in Take._fields if field != "camera"]
    return {
        name: Take(*(arrays[f"{name}.{field}"] for field in fields), face_renderer.camera)
        for name in names
    }


def render_takes(make_clip, make_expression, face_renderer) -> dict[str, np.ndarray]:
    from merec.features.landmarks import FaceLandmarker
    from merec.synthetic.clip_renderer import Nuisance
    from merec.synthetic.sensor import choose_sensor

    def nuisance(head: int) -> Nuisance:
        return Nuisance(
            noise=1, sensor=choose_sensor("d415", 0.7, 1, 640), head=head, gaze=0, blinks=0
        )

    moved = make_clip(
        make_expression(ActionUnit(1), ActionUnit(2)),
        make_expression(ActionUnit(12), onset=50),
        nuisance=nuisance(1),
    )
    still = make_clip(make_expression(ActionUnit(1), peak=0.0), nuisance=nuisance(3))
    arrays = {}
    with FaceLandmarker() as landmarker:
        for clip, names in ((moved, ("brow", "smile")), (still, ("head",))):
            frames = {frame.number: frame for frame in clip.render_frames()}
            for name, expression in zip(names, clip.plan.expressions, strict=True):
                onset, apex = expression.onset, expression.apex
                pair = [frames[onset], frames[apex]]
                faces = [landmarker.find(frame.color) for frame in pair]
                before, after = clip.compute_state(onset), clip.compute_state(apex)
                stayed = face_renderer.to_camera(
                    face_renderer.apply_pose(after.vertices, before.pose)
                )
                arrays |= {
                    f"{name}.color": np.stack([frame.color for frame in pair]),
                    f"{name}.depth": np.stack([frame.depth for frame in pair]),
                    f"{name}.landmarks": np.stack([face.points for face in faces]),
                    f"{name}.onset": clip.compute_positions(onset),
                    f"{name}.apex": clip.compute_positions(apex),
                    f"{name}.expressed": stayed[: len(face_renderer.head.vertices)],
                }
    return arrays
