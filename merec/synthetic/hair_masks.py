"""Draw masks of hair on the skin map: brows, lashes, beard and scalp, each 0 to 1."""

from dataclasses import dataclass

import numpy as np

from merec.synthetic.identity import Identity
from merec.synthetic.skin_fields import Field, blob, noise, step
from merec.synthetic.skin_map import HEIGHT, TEXEL, WIDTH, SkinMap, to_texel


@dataclass(frozen=True)
class HairMasks:
    """Share of hair in each texel of the skin map, 0 to 1.

    Attributes:
        brows: Share of eyebrow.
        beard: Share of beard.
        scalp: Share of scalp hair.
        strands: Relative brightness of the scalp hair, about 1.
    """

    brows: Field
    beard: Field
    scalp: Field
    strands: Field


def draw_hair_masks(
    rng: np.random.Generator, identity: Identity, skin_map: SkinMap, lips: Field
) -> HairMasks:
    """Draw the hair masks of a subject except the lashes, see `draw_lashes`."""
    brows = _draw_brows(rng, identity)
    beard = _draw_beard(rng, identity, skin_map.x, skin_map.y, lips)
    scalp = _draw_scalp_hair(rng, identity, skin_map)
    return HairMasks(
        brows=brows,
        beard=beard * (1 - skin_map.masks["ears"].clip(0, 1)),
        scalp=scalp,
        strands=1
        + 0.25 * noise(rng, 0.9, stretch=(0.5, 16))
        + 0.2 * noise(rng, 4, stretch=(0.6, 9)),
    )


def _draw_brows(rng: np.random.Generator, identity: Identity) -> Field:
    """Draw the eyebrows as two arcs of short strokes."""
    import cv2

    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    thick = (4.2 if identity.female else 6.0) * float(rng.uniform(0.85, 1.2))  # mm
    arch = float(rng.uniform(1.5, 4.5) if identity.female else rng.uniform(0, 2.5))
    lift = float(rng.uniform(-1, 1.5))
    tilt = float(rng.uniform(-1.5, 1.5))
    for side in (-1, 1):
        count = 650
        along = rng.beta(1.0, 1.25, count)
        across = rng.uniform(-0.5, 0.5, count)
        width = thick * np.clip(1.15 - 0.85 * along, 0.25, 1) * np.clip(along * 6 + 0.35, 0, 1)
        x = 11 + 43 * along
        y = (
            745.5
            + lift
            + arch * np.sin(np.pi * np.clip(along * 1.15, 0, 1))
            + tilt * along
            - 3.5 * along**2.5
        )
        y = y + across * width
        lean = 1.25 - 1.05 * along + 0.5 * across + rng.normal(0, 0.15, count)  # rad from outwards
        length = rng.uniform(2.2, 4.6, count) * np.clip(1.2 - 0.5 * along, 0.5, 1)
        depth = 105 - 0.010 * x**2  # the brow ridge bends back
        ends = (x + length * np.cos(lean), y + length * np.sin(lean) * 0.8)
        start = to_texel(side * np.arctan2(x, depth), y)
        stop = to_texel(side * np.arctan2(ends[0], depth), ends[1])
        for a, b, alpha in zip(start * 8, stop * 8, rng.integers(90, 200, count), strict=True):
            points = (int(a[0]), int(a[1])), (int(b[0]), int(b[1]))
            cv2.line(canvas, *points, int(alpha), 1, cv2.LINE_AA, shift=3)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.75 / TEXEL).astype(np.float32) / 255
    sharp = cv2.GaussianBlur(canvas, (0, 0), 0.2 / TEXEL).astype(np.float32) / 255
    return np.clip(1.35 * soft + 0.6 * sharp, 0, 0.95)


def draw_lashes(lashes: np.ndarray, identity: Identity) -> Field:
    """Draw a dark line along the upper lashes.

    Args:
        lashes: Texels (column, row) in which the lashes grow.
        identity: Subject, whose make-up thickens the line.
    """
    import cv2

    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for side in (lashes[:, 0] < WIDTH / 2, lashes[:, 0] >= WIDTH / 2):
        points = lashes[side]
        points = points[points[:, 0].argsort()]
        cv2.polylines(
            canvas, [(points * 8).astype(np.int32)[:, None]], False, 1.0, 3, cv2.LINE_AA, shift=3
        )
    line = cv2.GaussianBlur(canvas, (0, 0), (0.42 + 0.22 * identity.skin.makeup) / TEXEL)
    return np.clip(line * (0.75 + 0.5 * identity.skin.makeup), 0, 0.95)


def _draw_beard(
    rng: np.random.Generator, identity: Identity, x: Field, y: Field, lips: Field
) -> Field:
    """Draw stubble or a beard on jaw, chin and upper lip, in speckles."""
    if identity.female:
        return np.zeros_like(x)
    above_jawline = step(y - (616 + 0.011 * x**2), -9, 1)
    jaw = step(y, 674, 652) * step(np.abs(x), 90, 70) * above_jawline
    sides = step(y, 718, 690) * step(np.abs(x), 58, 68) * above_jawline
    lip = blob(np.abs(x), y, (11, 672.5), (12, 3.2))
    area = np.clip(np.maximum(np.maximum(jaw, sides), lip), 0, 1) * (1 - lips.clip(0, 1))
    speckle = 0.5 + 0.5 * np.clip(noise(rng, 0.7), -1.2, 1.5) / 1.5
    shadow = 0.10 + 0.15 * identity.hair.beard
    return area * np.clip(shadow + identity.hair.beard * speckle, 0, 0.9)


def _draw_scalp_hair(rng: np.random.Generator, identity: Identity, skin_map: SkinMap) -> Field:
    """Draw the scalp hair above a hairline that dips at the temples and runs behind the ears."""
    angle = np.abs(skin_map.angle)
    knots = np.deg2rad([0, 22, 40, 55, 66, 76, 84, 96, 112, 140, 180])
    front = identity.hair.hairline
    peak = float(rng.uniform(-4, 3))
    heights = np.array(
        [814 + peak, 814, 808, 792, 764, 736, 722, 745, 690, 664, 655], dtype=np.float32
    )
    temple = 0.0 if identity.female else max(0.0, front)
    heights += np.array([front, front, front + temple, front, front / 2, 0, 0, 0, 0, 0, 0])
    line = np.interp(angle, knots, heights).astype(np.float32) + 2.2 * noise(rng, 7)
    ragged = line + 1.3 * noise(rng, 0.8, stretch=(0.7, 2))
    cap = step(skin_map.y - ragged, -5, 4)
    return cap * (1 - skin_map.masks["ears"].clip(0, 1))
