"""3-D position of the skin, from depth and camera intrinsics or from the landmark mesh."""

import numpy as np
from jaxtyping import Bool, Float, Real

from merec.features.alignment import Alignment
from merec.types import Camera

# mm between the outer corners of the eyes. Adults' are 80 to 105 mm apart (means 88 of women, 91 of men:
# Farkas, Anthropometry of the Head and Face, 1994); the rest is for landmarks, turned heads and rough focal
# lengths.
OUTER_EYES = (60.0, 130.0)
USUAL_EYES = 90.0  # mm
_BETTER = (
    0.08  # by how much a mirror image must fit better; wrongly up to .046 in 720 rendered samples
)
_RELIEF = 150  # mm before and behind the face's median depth; further off is no face
OUTLIER = 1.5  # times the mean distance from the centroid (Zhang et al. 2025)


def read_depth_at(
    points: Float[np.ndarray, "points _"], depth: Real[np.ndarray, "height width"]
) -> Float[np.ndarray, " points"]:
    """Read the depth (mm) at points (column, row) as the median of 3×3 px; NaN where there is none."""
    height, width = depth.shape
    column, row = np.round(points[:, :2]).astype(int).T
    inside = (column >= 1) & (row >= 1) & (column < width - 1) & (row < height - 1)
    around = np.arange(-1, 2)
    at = row.clip(1, height - 2)[:, None, None], column.clip(1, width - 2)[:, None, None]
    window = depth[at[0] + around[:, None], at[1] + around].reshape(len(points), 9)
    window = np.where((window > 0) & inside[:, None], window, np.nan)
    there = np.isfinite(window).any(axis=1)
    depths = np.full(len(points), np.nan)
    depths[there] = np.nanmedian(window[there], axis=1)
    return depths


def is_mirrored(
    landmarks: Float[np.ndarray, "landmarks 3"], depth: Real[np.ndarray, "height width"]
) -> bool:
    """Return whether the mirror image of a depth map fits a face better than the map itself.

    The fit of a map is the correlation of its depth at the landmarks with their z (the nose is nearest),
    times the share of landmarks on the face. A plane is subtracted from both, since the tilt of the head in z
    is uncertain. For 720 rendered faces no correct map is classified as mirrored, and about three in four
    mirrored maps (left to right, or rotated by 180°) are detected; a face in the middle of the frame is
    nearly its own mirror image. Maps that are flipped top to bottom are not detected.

    Args:
        landmarks: px of the frame.
        depth: mm, 0 = invalid.
    """
    as_it_is, *turned = (
        _fit_depth(landmarks, flipped) for flipped in (depth, depth[:, ::-1], depth[::-1, ::-1])
    )
    return max(turned) > as_it_is + _BETTER


def _fit_depth(landmarks: np.ndarray, depth: np.ndarray) -> float:
    """Return the fit of a depth map to landmarks, see `is_mirrored`."""
    here = read_depth_at(landmarks, depth)
    valid = np.isfinite(here)
    if valid.any():
        valid[valid] = np.abs(here[valid] - np.median(here[valid])) < _RELIEF
    share = float(valid.mean())
    if share < 0.3 or np.ptp(here[valid]) == 0:
        return 0.0
    plane = np.column_stack([np.ones(valid.sum()), landmarks[valid, :2]])
    values = np.column_stack([here[valid], landmarks[valid, 2]])
    relief = values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    if (relief.std(axis=0) < 1e-9 * np.abs(values).max()).any():  # a wall
        return 0.0
    return share * float(np.corrcoef(relief, rowvar=False)[0, 1])


def measure_outer_eyes(eyes: Float[np.ndarray, "2 3"], camera: Camera) -> float:
    """Measure the distance between the outer corners of the eyes, mm.

    Args:
        eyes: Column and row (px of the frame) of both corners, and the depth of the face, mm.
        camera: Camera of the frames.
    """
    across = (eyes[1, :2] - eyes[0, :2]) / (camera.fx, camera.fy) * eyes[:, 2].mean()
    return float(np.hypot(*across))


def back_project(
    depth: Float[np.ndarray, "size size"], alignment: Alignment, camera: Camera
) -> Float[np.ndarray, "size size 3"]:
    """Map each pixel of a depth crop to camera coordinates: x right, y down, z away from the camera, mm.

    A pixel of the crop is first mapped to the *frame*, since the principal point of the camera refers to the
    frame, not to the crop.

    Args:
        depth: Distance along the optical axis, mm.
        alignment: Alignment from frame to crop.
        camera: Camera of the frames.
    """
    size = alignment.size
    column, row = np.meshgrid(*(np.arange(size, dtype=np.float64),) * 2)
    at = alignment.to_frame(np.stack([column, row], axis=-1).reshape(-1, 2)).reshape(size, size, 2)
    x = (at[..., 0] - camera.cx) / camera.fx * depth
    y = (at[..., 1] - camera.cy) / camera.fy * depth
    return np.stack([x, y, depth], axis=-1).astype(np.float32)


def shape_from_landmarks(
    points: Float[np.ndarray, "landmarks 3"], size: int
) -> tuple[Float[np.ndarray, "size size 3"], Bool[np.ndarray, "size size"]]:
    """Return the shape of the face from its landmark mesh, for samples without depth.

    Positions are interpolated linearly between landmarks. x and y are in px of the crop, z is on MediaPipe's
    scale, which is similar, and smaller towards the camera.

    Args:
        points: Landmarks in px of the crop.
        size: Size of the crop, px.

    Returns:
        The points, and the mask of pixels that the mesh covers.
    """
    from scipy.interpolate import LinearNDInterpolator

    column, row = np.meshgrid(*(np.arange(size, dtype=np.float64),) * 2)
    z = LinearNDInterpolator(points[:, :2], points[:, 2])(column, row)
    valid = np.isfinite(z)
    return np.stack([column, row, np.where(valid, z, 0)], axis=-1).astype(np.float32), valid


def find_outliers(
    points: Float[np.ndarray, "size size 3"], valid: Bool[np.ndarray, "size size"]
) -> Bool[np.ndarray, "size size"]:
    """Find points beyond 1.5 times the mean distance from the centroid, e.g. the wall next to a cheek."""
    if not valid.any():
        return np.zeros_like(valid)
    here = points[valid].T.copy()  # axis by axis, a third of the time
    # The median, as the wall would pull a mean towards itself.
    off = np.linalg.norm(here - np.median(here, axis=1, keepdims=True), axis=0)
    outliers = np.zeros_like(valid)
    outliers[valid] = off > OUTLIER * off.mean()
    return outliers
