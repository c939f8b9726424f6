"""Mesh of long hair: a sheet that hangs from the scalp, around the back from temple to temple."""

import numpy as np
from jaxtyping import Float, Int

from merec.open3d_import import load_open3d
from merec.seeding import derive_seed
from merec.synthetic.ray_casting import make_ray_caster
from merec.synthetic.skin_map import AXIS, to_texel

_COLUMNS, _ROWS = 72, 28
_TOP = 78.0  # mm above the eyes
_STRANDS = (840.0, 820.0)  # mm, heights of the skin map with hair all around


def build_long_hair(
    rest: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    eye_depth: float,
    volume: float,
    length: float,
    name: str,
) -> tuple[
    Float[np.ndarray, "added 3"], Int[np.ndarray, "sheet 3"], Float[np.ndarray, "sheet 3 2"]
]:
    """Build the vertices, triangles and texture coordinates of the sheet.

    Args:
        rest: Vertices of the face at rest, mm from the midpoint of the eyes.
        triangles: Triangles of the face.
        eye_depth: Depth (z) of the eyes of the reference head, mm.
        volume: Thickness of the hair, mm.
        length: Length of the hair below the eyes, mm.
        name: Name of the subject; seeds the waves of the hair.

    Returns:
        Vertices of the sheet (mm), triangles as indices into them, and texels (column, row) of the corners
        of the triangles.
    """
    rng = np.random.default_rng(derive_seed("hair", name))
    centre = AXIS - eye_depth
    front = np.deg2rad(rng.uniform(66, 80))  # where the sheet begins, left and right
    angle, height = np.meshgrid(
        np.linspace(front, 2 * np.pi - front, _COLUMNS), np.linspace(_TOP, -length, _ROWS)
    )
    outward = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=-1)
    scalp = _measure_scalp(rest, triangles, outward, height, centre)
    head = height > -55  # mm; below, the neck recedes and the hair falls straight
    radius = np.maximum.accumulate(np.where(head, scalp, 0), axis=0)
    radius = np.where(head, np.maximum(radius * 0.97, scalp), radius)
    below = np.clip((_TOP - height) / 60, 0, 1)
    # The sheet is flush with the scalp along its upper edge and at the temples, so no gap is visible.
    edge = np.clip((np.pi - np.abs(angle - np.pi) - front) / np.deg2rad(35), 0, 1)
    radius = radius + volume * (0.1 + 0.9 * below * (0.25 + 0.75 * edge)) - 4 * (1 - below)
    radius += 3.0 * below * np.sin(angle * rng.integers(9, 17) + 0.03 * height * rng.normal())
    shoulder = np.where(head, 0, scalp + 6)
    radius = np.maximum(radius, np.where(scalp < 170, shoulder, 0))
    points = radius[..., None] * outward
    points[..., 1] = height
    points[..., 2] += centre
    quad = (np.arange(_ROWS - 1)[:, None] * _COLUMNS + np.arange(_COLUMNS - 1)).ravel()
    a, b, c, d = quad, quad + 1, quad + _COLUMNS, quad + _COLUMNS + 1
    sheet = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    strands = np.interp(height, [-length, _TOP], _STRANDS[::-1])
    texels = to_texel(angle, strands).reshape(-1, 2)
    return points.reshape(-1, 3), sheet, texels[sheet].astype(np.float32)


def _measure_scalp(
    rest: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    outward: Float[np.ndarray, "rows columns 3"],
    height: Float[np.ndarray, "rows columns"],
    centre: float,
) -> Float[np.ndarray, "rows columns"]:
    """Measure the distance of the face from the axis, mm, by direction and height; 0 if a ray misses."""
    start = 350 * outward
    start[..., 1], start[..., 2] = height, start[..., 2] + centre
    rays = np.concatenate([start, -outward], axis=-1).astype(np.float32)
    hits = make_ray_caster(rest, triangles).cast_rays(load_open3d().core.Tensor(rays), nthreads=1)
    distance = hits["t_hit"].numpy()
    return np.where(np.isfinite(distance), 350 - distance, 0)
