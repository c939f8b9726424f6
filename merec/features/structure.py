"""Where the skin is in space: from depth through the camera's true intrinsics, or from the landmark mesh."""

import numpy as np
from jaxtyping import Bool, Float

from merec.features.alignment import Alignment
from merec.types import Camera

OUTLIER = 1.5  # times the mean distance from the centroid (Zhang et al. 2025)


def back_project(
    depth: Float[np.ndarray, "size size"], alignment: Alignment, camera: Camera
) -> Float[np.ndarray, "size size 3"]:
    """Each pixel of a depth crop as a point in the camera's axes: x right, y down, z away, mm.

    A pixel of the crop is looked at through its place in the *frame*, whose principal point is the camera's;
    the crop's own centre is none.

    Args:
        depth: Distance along the optical axis, mm.
        alignment: From frame to crop.
        camera: Of the frames.
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
    """The face's shape from its landmark mesh, where there is no depth.

    Linear between neighbouring landmarks; x and y in px of the crop, z on MediaPipe's scale, which is about
    the same, smaller towards the camera.

    Args:
        points: Landmarks in px of the crop.
        size: Of the crop, px.

    Returns:
        The points, and where the mesh covers the crop.
    """
    from scipy.interpolate import LinearNDInterpolator

    column, row = np.meshgrid(*(np.arange(size, dtype=np.float64),) * 2)
    z = LinearNDInterpolator(points[:, :2], points[:, 2])(column, row)
    known = np.isfinite(z)
    return np.stack([column, row, np.where(known, z, 0)], axis=-1).astype(np.float32), known


def find_outliers(
    points: Float[np.ndarray, "size size 3"], known: Bool[np.ndarray, "size size"]
) -> Bool[np.ndarray, "size size"]:
    """Points further than 1.5 times the mean distance from the centroid, e.g. the wall beside a cheek."""
    if not known.any():
        return np.zeros_like(known)
    here = points[known].T.copy()  # axis by axis, a third of the time
    # The median, as the wall would pull a mean towards itself.
    off = np.linalg.norm(here - np.median(here, axis=1, keepdims=True), axis=0)
    found = np.zeros_like(known)
    found[known] = off > OUTLIER * off.mean()
    return found
