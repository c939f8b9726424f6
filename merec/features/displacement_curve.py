"""How far the skin of a face is from where it was, frame by frame, less the movement of the head."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from merec.features.alignment import (
    LEFT_EYE,
    RIGHT_EYE,
    Alignment,
    align_face,
    measure_extent,
    measure_outside,
)
from merec.features.frames import (
    LEAST_FACE,
    SMALL_FACE,
    TURN,
    assert_fit,
    assert_upright,
    describe_size,
)
from merec.features.landmarks import FaceLandmarker, FaceLandmarks
from merec.features.motion import estimate_head_motion, measure_flow
from merec.features.regions import draw_regions
from merec.features.structure import shape_from_landmarks
from merec.types import InputError

SIZE = 168  # px of the crop, in which movements of .5 px of 224 still show; of 112 they do not
GRID = 28  # cells along each axis
_MARGIN, _RELIEF = 0.05, 42  # as of the features; px at which the face's shape is drawn
_LASTS = 2.0  # s after which the face is looked for anew, for heads wander
_LOOKS = 200  # times that a face is looked for in vain
_ALIKE = 0.6  # correlation with the face it should be; less of a hand, a cut, a blank frame
_SHARE = 0.3  # of a cell that must be skin of a region

Crop = UInt8[np.ndarray, "size size 3"]


class Course(NamedTuple):
    """The skin's way through a clip.

    Attributes:
        positions: Which frames of the clip.
        seconds: When each was taken.
        cells: Right and down, in hundredths of the distance between the eyes; zero in the first frame, and
            carried on where the face is not seen.
        weights: How much of each cell is skin of the eight regions (without the eyes' surroundings, which
            blinks move); they add up to 1.
        seen: Whether the face is seen.
        face: Extent of the face in the frame, px; the smallest.
        outside: Share of its landmarks that lie outside the frame; the largest.
    """

    positions: np.ndarray
    seconds: Float[np.ndarray, " frames"]
    cells: Float[np.ndarray, "frames cells 2"]
    weights: Float[np.ndarray, " cells"]
    seen: Bool[np.ndarray, " frames"]
    face: float
    outside: float = 0.0


class _Reference(NamedTuple):
    """A frame that others are compared with."""

    second: float
    alignment: Alignment
    crop: Crop
    rigid: Bool[np.ndarray, "size size"]
    face: Bool[np.ndarray, "size size"]
    relief: Float[np.ndarray, "size size"]
    skin: Float[np.ndarray, "size size"]
    share: Float[np.ndarray, "grid grid"]
    unit: float  # hundredths of the distance between the eyes, px of the crop
    extent: float  # of the face, px of the frame
    outside: float  # share of its landmarks


def follow_face(
    frames: Iterable[tuple[int, np.ndarray]],
    second: Callable[[int], float],
    duration: float,
    landmarker: FaceLandmarker,
    name: Callable[[int], str] = "frame {}".format,
) -> Course:
    """Measure the course of the skin.

    Each frame is compared with a reference frame by optical flow; a movement of the head, which is an affine
    function of place and of the face's depth by its landmarks, is taken off (see `estimate_head_motion`).
    Every two seconds the frame at hand becomes the reference, and displacements go on from there.

    Args:
        frames: RGB, with their positions.
        second: Of a position.
        duration: Of all frames, s.
        landmarker: Finds the face in the references.
        name: Names the frame of a position in a message.

    Raises:
        InputError: If no face is found, it is too small, lies on its side or is upside down.
    """
    positions, seconds, seen = [], [], []
    found: list[np.ndarray] = []
    reference: _Reference | None = None
    base = np.zeros((GRID, GRID, 2), np.float32)
    share, extent, outside, tried, looked, size = None, np.inf, 0.0, -np.inf, 0, ""
    for position, frame in frames:
        now = second(position)
        size = describe_size(frame)
        visible = False
        if reference is not None:
            moved = _measure(reference, frame)
            visible = moved is not None
            if moved is not None:
                here = base + moved
        stale = reference is None or not visible or now - reference.second >= _LASTS
        if stale and now - tried >= duration / _LOOKS:
            tried, looked = now, looked + 1
            face = landmarker.find(frame)
            if reference is None:
                if face is not None:
                    assert_fit(face.points, name(position))
                    assert_upright(landmarker, frame, face, name(position))
                elif looked == 1 and landmarker.is_upside_down(frame):
                    raise InputError(f"the face in {name(position)} is upside down; {TURN}")
            again = None if face is None else _make_reference(frame, now, face)
            if reference is not None and again is not None:
                # Of another size it is another face, or none.
                again = again if 0.5 < again.extent / reference.extent < 2 else None
            if again is not None:
                base = here if visible else (found[-1] if found else base)
                reference, extent = again, min(extent, again.extent)
                outside = max(outside, again.outside)
                share = again.share if share is None else np.minimum(share, again.share)
                here, visible = base, True
        if reference is None:
            continue
        positions.append(position)
        seconds.append(now)
        found.append(here if visible else found[-1])
        seen.append(visible)
    if share is None:
        if not looked:
            raise InputError("no frame of the clip can be read; copy it again from its source")
        raise InputError(
            f"no face is found in any of the {looked} frames that were looked at ({size}); give a clip in "
            f"which a face is seen from the front, {LEAST_FACE} px wide at least, better {SMALL_FACE}"
        )
    if extent < LEAST_FACE:
        raise InputError(
            f"the face is {extent:.0f} px wide, of which micro-expressions move hundredths; expected "
            f"{LEAST_FACE} px at least, better {SMALL_FACE}: record it closer, or at a higher resolution"
        )
    chosen = share > _SHARE
    if not chosen.any():
        raise InputError("the face leaves the picture; give a clip that shows the whole of it")
    return Course(
        np.array(positions),
        np.array(seconds),
        np.stack([each[chosen] for each in found]),
        share[chosen] / share[chosen].sum(),
        np.array(seen),
        float(extent),
        outside,
    )


def _make_reference(frame: np.ndarray, second: float, face: FaceLandmarks) -> _Reference:
    """A frame and its face as a reference."""
    alignment = align_face(face.points, SIZE, _MARGIN)
    points = np.column_stack(
        [alignment.to_crop(face.points[:, :2]), alignment.scale * face.points[:, 2]]
    )
    masks = draw_regions(points, SIZE, blinks=True)
    skin = np.asarray(masks.regions.any(axis=0), np.float32)
    left, right = (points[list(eye), :2].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE))
    return _Reference(
        second,
        alignment,
        alignment.crop_color(frame),
        masks.rigid,
        masks.face,
        _draw_relief(points),
        skin,
        _average(skin),
        float(np.linalg.norm(left - right)) / 100,
        measure_extent(face.points),
        measure_outside(face.points, frame.shape[1], frame.shape[0]),
    )


def _measure(reference: _Reference, frame: np.ndarray) -> Float[np.ndarray, "grid grid 2"] | None:
    """How far each cell has moved since the reference; `None` if the frame shows another thing."""
    crop = reference.alignment.crop_color(frame)
    flow = measure_flow(reference.crop, crop, "dis")
    if _compare(reference, crop, flow) < _ALIKE:
        return None
    head = estimate_head_motion(flow, reference.rigid, reference.relief)
    moved = (flow - head.flow) * reference.skin[..., None]
    return _average(moved) / (np.maximum(reference.share, 1e-6)[..., None] * reference.unit)


def _compare(reference: _Reference, crop: Crop, flow: np.ndarray) -> float:
    """Correlation of the reference's face with what the flow says has become of it."""
    import cv2

    column, row = np.meshgrid(*(np.arange(SIZE, dtype=np.float32),) * 2)
    back = cv2.remap(
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY),
        column + flow[..., 0],
        row + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    face = reference.face
    one = cv2.cvtColor(reference.crop, cv2.COLOR_RGB2GRAY)[face].astype(np.float32)
    other = back[face].astype(np.float32)
    one, other = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread > 0 else 0.0


def _draw_relief(points: np.ndarray) -> Float[np.ndarray, "size size"]:
    """Depth of the face by its landmarks; beyond it that of its middle."""
    import cv2

    small = points * (_RELIEF / SIZE)
    shape, known = shape_from_landmarks(small, _RELIEF)
    depth = np.where(known, shape[..., 2], np.median(shape[..., 2][known]))
    return cv2.resize(depth.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def _average(field: np.ndarray) -> np.ndarray:
    """The mean of each cell."""
    import cv2

    return cv2.resize(field.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
