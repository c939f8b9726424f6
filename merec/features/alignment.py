"""One similarity transform for all images of a sample: eyes level, face in a square crop, also for depth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Real, UInt8

# Corners of the eyes in MediaPipe's mesh: those on the image's left, then those on its right.
LEFT_EYE, RIGHT_EYE = (33, 133), (362, 263)
OUTER_CORNERS = (33, 263)
EDGE = 12.0  # mm between px two apart; more is no surface


def measure_roll(points: Float[np.ndarray, "landmarks _"]) -> float:
    """Return the angle of the line between the eyes in the image, degrees; 0 upright, positive clockwise."""
    left, right = (points[list(eye), :2].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE))
    across = right - left
    return float(np.degrees(np.arctan2(across[1], across[0])))


def measure_extent(points: Float[np.ndarray, "landmarks _"]) -> float:
    """Return the larger of a face's width and height, px."""
    return float(np.ptp(points[:, :2], axis=0).max())


def measure_outside(points: Float[np.ndarray, "landmarks _"], width: int, height: int) -> float:
    """Return the share of a face's landmarks that lie outside an image of the given size in px."""
    flat = points[:, :2]
    inside = (flat >= -0.5) & (flat <= (width - 0.5, height - 0.5))
    return float(1 - inside.all(axis=1).mean())


@dataclass(frozen=True)
class Alignment:
    """A similarity from a frame to a square crop; pixel centres have whole coordinates in both.

    Attributes:
        matrix: Rotation, scale and shift, frame px to crop px.
        size: Size of the crop, px.
    """

    matrix: Float[np.ndarray, "2 3"]
    size: int

    @property
    def scale(self) -> float:
        """Crop px per frame px."""
        return float(np.hypot(*self.matrix[:, 0]))

    def to_crop(self, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
        """Map points (column, row) from the frame to the crop."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def to_frame(self, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
        """Return the inverse of `to_crop`."""
        return (points - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T

    def crop_color(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "size size 3"]:
        """Return the colour crop of the face (bilinear); pixels outside the frame repeat its edge."""
        import cv2

        shape = (self.size, self.size)
        return cv2.warpAffine(
            image, self.matrix, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )

    def crop_depth(
        self, depth: np.ndarray
    ) -> tuple[Float[np.ndarray, "size size"], Bool[np.ndarray, "size size"]]:
        """Return the depth crop of the face in mm and the mask of valid pixels, see `look_up_depth`.

        Args:
            depth: mm, of shape (height, width), 0 = invalid.
        """
        row, column = np.indices((self.size, self.size)).reshape(2, -1)
        at = self.to_frame(np.stack([column, row], axis=-1).astype(np.float64))
        crop = look_up_depth(depth, at.reshape(self.size, self.size, 2))
        return crop, crop > 0


def look_up_depth(
    depth: Real[np.ndarray, "height width"], places: Float[np.ndarray, "*shape 2"]
) -> Float[np.ndarray, "*shape"]:
    """Interpolate depth at positions between pixels, mm; 0 where it is unknown.

    Bilinear on a continuous surface, since the nearest pixel would be wrong by up to half a pixel's slope,
    which is more than skin moves. Nearest pixel next to holes and edges, since a mean across an edge lies on
    neither surface.

    Args:
        depth: mm, 0 = invalid.
        places: Column and row, px.
    """
    import cv2

    depth = depth.astype(np.float32)
    column, row = np.moveaxis(places.astype(np.float32), -1, 0)
    near = cv2.remap(depth, column, row, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    between = cv2.remap(depth, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    around = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(depth, around), cv2.dilate(depth, around)
    smooth = ((low > 0) & (high - low < EDGE)).astype(np.uint8)
    on_surface = (
        cv2.remap(smooth, column, row, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT) > 0
    )
    return np.where(on_surface, between, near)


def align_face(points: Float[np.ndarray, "landmarks _"], size: int, margin: float) -> Alignment:
    """Level the eyes about their midpoint and fit a square around all landmarks.

    Follows Zhang et al. 2025: in-plane rotation about the midpoint of the eyes, and both frames are cropped
    with the box of the onset.

    Args:
        points: Landmarks of the onset, px of the frame.
        size: Size of the crop, px.
        margin: Room on each side, as a share of the landmarks' larger extent.
    """
    flat = points[:, :2]
    left, right = (flat[list(eye)].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE))
    across = right - left
    cosine, sine = across / np.linalg.norm(across)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    level = (flat - (left + right) / 2) @ turn.T
    low, high = level.min(axis=0), level.max(axis=0)
    scale = (size - 1) / float((high - low).max() * (1 + 2 * margin))
    shift = (size - 1) / 2 - scale * (low + high) / 2
    linear = scale * turn
    matrix = np.column_stack([linear, shift - linear @ ((left + right) / 2)])
    return Alignment(matrix, size)
