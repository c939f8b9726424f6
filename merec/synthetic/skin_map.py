"""Cylindrical texture map of the head: the position of every texel on the reference head."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.open3d_import import load_open3d
from merec.synthetic.head_model import HeadModel
from merec.synthetic.ray_casting import make_ray_caster

WIDTH, HEIGHT = 1536, 768  # texels
TEXEL = 0.38  # mm, approximate size of a texel on the face
TOP, BOTTOM = 860.0, 530.0  # mm, heights on the reference head
AXIS = 35.0  # mm, depth (z) of the axis; angle 0 is the front, positive to the subject's left
EYE_LEVEL = 728.4  # mm, height of the eyes of the reference head


@dataclass(frozen=True)
class SkinMap:
    """Cylindrical texture map around the reference head.

    Attributes:
        x: Horizontal position of each texel on the reference head, mm; positive is the subject's left.
        y: Height of each texel, mm.
        z: Depth of each texel, mm.
        angle: Angle of each texel around the axis, rad.
        masks: Share of lips, eyelids, ears and face in each texel, 0 to 1.
        corners: Texel (column, row) of each corner of each triangle of the head; a triangle on the seam at
            the back of the head has columns beyond the right edge.
        inside: Share of mouth cavity at each corner of each triangle, 0 to 1.
    """

    x: Float[np.ndarray, "height width"]
    y: Float[np.ndarray, "height width"]
    z: Float[np.ndarray, "height width"]
    angle: Float[np.ndarray, "height width"]
    masks: dict[str, Float[np.ndarray, "height width"]]
    corners: Float[np.ndarray, "triangles 3 2"]
    inside: Float[np.ndarray, "triangles 3"]


def wrap_head(head: HeadModel) -> SkinMap:
    """Build the skin map by casting a ray from each texel to the axis of the reference head."""
    import cv2

    # Positions and masks are smooth, so half the resolution is enough.
    half = (WIDTH // 2, HEIGHT // 2)
    angle, y = np.meshgrid(
        ((np.arange(half[0]) + 0.5) / half[0] * 2 * np.pi - np.pi).astype(np.float32),
        (TOP - (np.arange(half[1]) + 0.5) / half[1] * (TOP - BOTTOM)).astype(np.float32),
    )
    outward = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=-1)
    start = 400 * outward
    start[..., 1] = y
    start[..., 2] += AXIS
    skin = head.part == 0
    ray_caster = make_ray_caster(head.vertices, head.triangles[skin])
    rays = np.concatenate([start, -outward], axis=-1)
    hits = ray_caster.cast_rays(load_open3d().core.Tensor(rays))
    distance = hits["t_hit"].numpy()
    hit = np.isfinite(distance)
    radius = np.where(hit, 400 - distance, 0).astype(np.float32)
    triangle = np.where(hit, hits["primitive_ids"].numpy(), 0)
    second, third = np.moveaxis(hits["primitive_uvs"].numpy(), -1, 0)
    weights = np.stack([1 - second - third, second, third], axis=-1)[..., None]
    atlas = (head.uv[skin][triangle] * weights).sum(axis=-2)
    masks = {
        name: np.where(hit, _look_up(head.masks[name], atlas), 0)
        for name in ("lips", "eyelids", "ears", "face")
    }

    def enlarge(values: np.ndarray) -> np.ndarray:
        return cv2.resize(
            values.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR
        )

    smooth_masks = {
        name: cv2.GaussianBlur(enlarge(mask), (0, 0), 0.6 / TEXEL) for name, mask in masks.items()
    }
    return SkinMap(
        x=enlarge(radius * outward[..., 0]),
        y=enlarge(y),
        z=enlarge(radius * outward[..., 2] + AXIS),
        angle=enlarge(angle),
        masks=smooth_masks,
        corners=_unroll(head),
        inside=_look_up(head.masks["inside-mouth"], head.uv) * (head.part == 0)[:, None],
    )


def to_texel(angle: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "*points 2"]:
    """Convert angle (rad) and height (mm) on the cylinder to a texel position (column, row)."""
    column = (angle / (2 * np.pi) + 0.5) * WIDTH
    row = (TOP - y) / (TOP - BOTTOM) * HEIGHT
    return np.stack([column, row], axis=-1)


def locate_texels(points: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 2"]:
    """Return the texel (column, row) of points on the reference head; (0, 0) is the centre of a texel."""
    return to_texel(np.arctan2(points[..., 0], points[..., 2] - AXIS), points[..., 1]) - 0.5


def _unroll(head: HeadModel) -> Float[np.ndarray, "triangles 3 2"]:
    """Return the texels (column, row) of the corners of the triangles."""
    column, row = np.moveaxis(locate_texels(head.vertices[head.triangles]), -1, 0)
    over_seam = np.ptp(column, axis=1, keepdims=True) > WIDTH / 2
    column = np.where(over_seam & (column < WIDTH / 2), column + WIDTH, column)
    return np.stack([column, row], axis=-1).astype(np.float32)


def _look_up(mask: np.ndarray, atlas: np.ndarray) -> np.ndarray:
    """Interpolate a mask of MakeHuman's atlas at texture coordinates of 0 to 1; values 0 to 1."""
    from scipy.ndimage import map_coordinates

    size = mask.shape[0]
    row, column = (1 - atlas[..., 1]) * size, atlas[..., 0] * size
    return map_coordinates(mask.astype(np.float32), [row, column], order=1, mode="nearest") / 255
