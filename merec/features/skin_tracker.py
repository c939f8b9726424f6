"""Displacement of the skin from a reference frame, which is replaced when the head moves away."""

from collections.abc import Callable
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
from merec.features.head_motion import estimate_head_motion
from merec.features.landmarks import FaceLandmarker, FaceLandmarks
from merec.features.optical_flow import measure_flow
from merec.features.regions import draw_regions
from merec.features.structure import shape_from_landmarks
from merec.types import InputError

SIZE = 168  # px of the crop, in which movements of .5 px of 224 still show; of 112 they do not
GRID = 28  # cells along each axis
_MARGIN, _RELIEF = 0.05, 42  # as of the features; px at which the face's shape is drawn
_LASTS = 2.0  # s after which the face is looked for anew, for heads wander
_ALIKE = 0.6  # correlation with the face it should be; less of a hand, a cut, a blank frame

Crop = UInt8[np.ndarray, "size size 3"]


class _Reference(NamedTuple):
    """Frame with which later frames are compared."""

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


class SkinTracker:
    """Tracker of the skin's displacement, frame by frame, relative to a reference frame.

    Args:
        landmarker: Finds the face in the references.
        pause: Time between two searches while no face is seen, s.
        name: Names the frame of a position in a message.
    """

    def __init__(self, landmarker: FaceLandmarker, pause: float, name: Callable[[int], str]):
        self.landmarker, self.pause, self.name = landmarker, pause, name
        self.reference: _Reference | None = None
        self.base = np.zeros((GRID, GRID, 2), np.float32)  # displacement of the reference
        self.last: np.ndarray | None = None
        self.looked_at, self.looks, self.size = -np.inf, 0, ""
        # Of all references: the smallest share of skin and face, the largest part outside the frame.
        self.share: np.ndarray | None = None
        self.extent, self.outside = np.inf, 0.0

    def follow(
        self, position: int, frame: np.ndarray, now: float
    ) -> tuple[np.ndarray | None, bool]:
        """Return the displacement in a frame, and whether the face is seen; `None` before it is found."""
        self.size = describe_size(frame)
        moved = None if self.reference is None else _measure(self.reference, frame)
        displacement = None if moved is None else self.base + moved
        lasts = self.reference is not None and now - self.reference.second < _LASTS
        if (displacement is None or not lasts) and now - self.looked_at >= self.pause:
            self.looked_at, self.looks = now, self.looks + 1
            renewed = self._look_for_reference(position, frame, now)
            if renewed is not None:
                if displacement is None:
                    displacement = self.base if self.last is None else self.last
                self._change_reference(renewed, displacement)
        if displacement is None:
            return self.last, False
        self.last = displacement
        return displacement, True

    def _look_for_reference(
        self, position: int, frame: np.ndarray, now: float
    ) -> _Reference | None:
        face = self.landmarker.find(frame)
        if face is None:
            first = self.reference is None and self.looks == 1
            if first and self.landmarker.is_upside_down(frame):
                raise InputError(f"the face in {self.name(position)} is upside down; {TURN}")
            return None
        if self.reference is None:
            assert_fit(face.points, self.name(position))
            assert_upright(self.landmarker, frame, face, self.name(position))
            return _make_reference(frame, now, face)
        renewed = _make_reference(frame, now, face)
        # Of another size it is another face, or none.
        return renewed if 0.5 < renewed.extent / self.reference.extent < 2 else None

    def _change_reference(self, reference: _Reference, displacement: np.ndarray) -> None:
        self.reference, self.base = reference, displacement
        self.extent = min(self.extent, reference.extent)
        self.outside = max(self.outside, reference.outside)
        share = reference.share
        self.share = share if self.share is None else np.minimum(self.share, share)

    def assert_followed(self) -> np.ndarray:
        """Return the share of skin in each cell.

        Raises:
            InputError: If no face was found, or it was too small.
        """
        if self.share is None:
            if not self.looks:
                raise InputError("no frame of the clip can be read; copy it again from its source")
            raise InputError(
                f"no face is found in any of the {self.looks} frames that were looked at ({self.size}); give "
                f"a clip in which a face is seen from the front, {LEAST_FACE} px wide at least, better "
                f"{SMALL_FACE}"
            )
        if self.extent < LEAST_FACE:
            raise InputError(
                f"the face is {self.extent:.0f} px wide, of which micro-expressions move hundredths; "
                f"expected {LEAST_FACE} px at least, better {SMALL_FACE}: record it closer, or at a higher "
                "resolution"
            )
        return self.share


def _make_reference(frame: np.ndarray, second: float, face: FaceLandmarks) -> _Reference:
    """Return a frame and its face as a reference."""
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
    """Measure the displacement of each cell since the reference; `None` if the frame does not match it."""
    crop = reference.alignment.crop_color(frame)
    flow = measure_flow(reference.crop, crop, "dis")
    if _compare(reference, crop, flow) < _ALIKE:
        return None
    head = estimate_head_motion(flow, reference.rigid, reference.relief)
    moved = (flow - head.flow) * reference.skin[..., None]
    return _average(moved) / (np.maximum(reference.share, 1e-6)[..., None] * reference.unit)


def _compare(reference: _Reference, crop: Crop, flow: np.ndarray) -> float:
    """Return the correlation of the reference's face with the frame that is warped back by the flow."""
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
    """Draw the depth of the face from its landmarks; pixels outside the face get the depth of its centre."""
    import cv2

    small = points * (_RELIEF / SIZE)
    shape, valid = shape_from_landmarks(small, _RELIEF)
    depth = np.where(valid, shape[..., 2], np.median(shape[..., 2][valid]))
    return cv2.resize(depth.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def _average(field: np.ndarray) -> np.ndarray:
    """Return the mean of each cell."""
    import cv2

    return cv2.resize(field.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
