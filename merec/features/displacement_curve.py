"""Displacement of the skin frame by frame, less the motion of the head."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from merec.features.landmarks import FaceLandmarker
from merec.features.skin_tracker import SkinTracker
from merec.types import InputError

_LOOKS = 200  # times that a face is looked for in vain
_SHARE = 0.3  # of a cell that must be skin of a region


class Course(NamedTuple):
    """Displacement of the skin in each frame of a clip.

    Attributes:
        positions: Positions of the frames in the clip.
        seconds: Time of each frame, s.
        cells: Displacement of each cell to the right and down, in hundredths of the distance between the
            eyes; zero in the first frame, and the last value where no face is seen.
        weights: Weight of each cell: its amount of skin of the eight regions, without the surroundings of the
            eyes, which blinks move; the weights add up to 1.
        seen: Whether the face is seen.
        face: Smallest extent of the face in a frame, px.
        outside: Largest share of landmarks outside the frame.
    """

    positions: np.ndarray
    seconds: Float[np.ndarray, " frames"]
    cells: Float[np.ndarray, "frames cells 2"]
    weights: Float[np.ndarray, " cells"]
    seen: Bool[np.ndarray, " frames"]
    face: float
    outside: float = 0.0


def follow_face(
    frames: Iterable[tuple[int, np.ndarray]],
    second: Callable[[int], float],
    duration: float,
    landmarker: FaceLandmarker,
    name: Callable[[int], str] = "frame {}".format,
) -> Course:
    """Measure the displacement of the skin in each frame.

    Each frame is compared with a reference frame by optical flow. Head motion, an affine function of the
    position and of the depth of the landmarks, is subtracted (see `estimate_head_motion`). Every two seconds
    the current frame becomes the reference, and displacements are accumulated.

    Args:
        frames: RGB, with their positions.
        second: Returns the time of a position, s.
        duration: Duration of all frames, s.
        landmarker: Finds the face in the references.
        name: Names the frame of a position in a message.

    Raises:
        InputError: If no face is found, it is too small, lies on its side or is upside down.
    """
    tracker = SkinTracker(landmarker, duration / _LOOKS, name)
    positions, seconds, seen = [], [], []
    displacements: list[np.ndarray] = []
    for position, frame in frames:
        now = second(position)
        displacement, visible = tracker.follow(position, frame, now)
        if displacement is None:
            continue
        positions.append(position)
        seconds.append(now)
        displacements.append(displacement)
        seen.append(visible)
    share, extent = tracker.assert_followed(), tracker.extent
    chosen = share > _SHARE
    if not chosen.any():
        raise InputError("the face leaves the picture; give a clip that shows the whole of it")
    return Course(
        np.array(positions),
        np.array(seconds),
        np.stack([curve[chosen] for curve in displacements]),
        share[chosen] / share[chosen].sum(),
        np.array(seen),
        float(extent),
        tracker.outside,
    )
