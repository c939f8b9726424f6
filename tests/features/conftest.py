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
def takes(film, express, portrait, find_local, shared_folder: Path) -> dict[str, Take]:
    """`brow` (AU 1+2) and `smile` (AU 12) while the head moves, `head`: nothing else moves. 6 frames."""
    find_local("face_landmarker")
    file = shared_folder / "takes.npz"
    with FileLock(shared_folder / "takes.lock"):
        if not file.exists():
            np.savez(file, **shoot(film, express, portrait))
    with np.load(file) as stored:
        arrays = dict(stored)
    names = ("brow", "smile", "head")
    fields = [field for field in Take._fields if field != "camera"]
    return {
        name: Take(*(arrays[f"{name}.{field}"] for field in fields), portrait.camera)
        for name in names
    }


def shoot(film, express, portrait) -> dict[str, np.ndarray]:
    from merec.features.landmarks import FaceLandmarker
    from merec.synthetic.film import Nuisance
    from merec.synthetic.sensor import choose_sensor

    def nuisance(head: int) -> Nuisance:
        return Nuisance(
            noise=1, sensor=choose_sensor("d415", 0.7, 1, 640), head=head, gaze=0, blinks=0
        )

    moved = film(
        express(ActionUnit(1), ActionUnit(2)),
        express(ActionUnit(12), onset=50),
        nuisance=nuisance(1),
    )
    still = film(express(ActionUnit(1), peak=0.0), nuisance=nuisance(3))
    arrays = {}
    with FaceLandmarker() as landmarker:
        for clip, names in ((moved, ("brow", "smile")), (still, ("head",))):
            pictures = {picture.number: picture for picture in clip.shoot()}
            for name, each in zip(names, clip.plan.expressions, strict=True):
                pair = [pictures[number] for number in (each.onset, each.apex)]
                faces = [landmarker.find(picture.color) for picture in pair]
                before, after = clip.stand(each.onset), clip.stand(each.apex)
                stayed = portrait.to_camera(portrait.place(after.vertices, before.pose))
                arrays |= {
                    f"{name}.color": np.stack([picture.color for picture in pair]),
                    f"{name}.depth": np.stack([picture.depth for picture in pair]),
                    f"{name}.landmarks": np.stack([face.points for face in faces]),
                    f"{name}.onset": clip.position(each.onset),
                    f"{name}.apex": clip.position(each.apex),
                    f"{name}.expressed": stayed[: len(portrait.head.vertices)],
                }
    return arrays
