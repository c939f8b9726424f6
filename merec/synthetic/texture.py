"""Skin, lips, brows, lashes, beard and hair, painted for one subject on the cylinder of its skin map."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.seeding import derive_seed
from merec.synthetic.identity import Identity
from merec.synthetic.skin_map import EYE_LEVEL, HEIGHT, TEXEL, WIDTH, SkinMap, to_texel

Field = Float[np.ndarray, "height width"]
Number = float | int
Pair = tuple[Number, Number]


@dataclass(frozen=True)
class Texture:
    """What a renderer looks up per texel.

    Attributes:
        painted: Albedo (linear RGB, 0 to 1) and gloss (strength of the highlight, 0 to 1.5).
        slope: Derivative of the relief to the subject's left and upwards, mm/mm.
        hair: Share of hair on the scalp, 0 to 1.
    """

    painted: Float[np.ndarray, "height width 4"]
    slope: Float[np.ndarray, "height width 2"]
    hair: Field


def to_linear(colour: np.ndarray | tuple[Number, ...]) -> np.ndarray:
    """Linear light, 0..1, of an sRGB colour, 0..255 (IEC 61966-2-1)."""
    value = np.asarray(colour, dtype=np.float32) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def paint(identity: Identity, skin_map: SkinMap, lashes: np.ndarray, seed: int) -> Texture:
    """Paint a subject.

    Args:
        identity: Whom.
        skin_map: Where the texels lie.
        lashes: Texels (column, row) in which the upper lashes grow.
        seed: Seed of the corpus.
    """
    import cv2

    rng = np.random.default_rng(derive_seed(seed, "texture", identity.name))
    x, y = skin_map.x, skin_map.y
    age = float(np.clip((identity.age - 25) / 50, 0, 1))

    # Skin: blood near the surface, blotches, pores, freckles and moles.
    tone = to_linear(identity.skin)
    blood = (
        0.30 * _blob(x, y, (-38, 690), (17, 15))
        + 0.30 * _blob(x, y, (38, 690), (17, 15))
        + 0.35 * _blob(x, y, (0, 688), (12, 12))
        + 0.15 * _blob(x, y, (0, 622), (18, 10))
        + 0.4 * skin_map.masks["ears"]
        + 0.12 * _noise(rng, 9)
    )
    blood *= 1 - 0.75 * identity.melanin
    light = 1 + 0.04 * _noise(rng, 14) + 0.035 * _noise(rng, 3.5) + 0.06 * _noise(rng, 1.1)
    light += 0.03 * age * _noise(rng, 6)
    tired = _eye_field(x, y, (32, EYE_LEVEL - 12), (17, 6)) * (0.12 + 0.12 * age)
    tired += _eye_field(x, y, (32, EYE_LEVEL + 9), (17, 6)) * 0.07
    light *= 1 - tired
    albedo = tone * light[..., None]
    albedo *= 1 + blood[..., None] * np.array([0.10, -0.24, -0.20], dtype=np.float32)
    spots = _dots(rng, int(rng.integers(4, 22)), (0.5, 1.2)) * 0.55
    if identity.melanin < 0.25 and rng.random() < 0.4:
        spots += _dots(rng, 700, (0.25, 0.7)) * 0.22 * (skin_map.masks["face"] > 0.3)
    spots += age**2 * _dots(rng, 60, (0.8, 2.3)) * 0.2
    albedo *= 1 - spots.clip(0, 0.7)[..., None] * np.array([0.7, 0.85, 0.9], dtype=np.float32)

    # Lips.
    lips = skin_map.masks["lips"].clip(0, 1)
    dark = min(1.0, 1.3 * identity.melanin)
    rose = to_linear((188, 100, 98)) * (1 - dark) + to_linear((98, 54, 52)) * dark
    rose = rose * (1 - 0.35 * identity.makeup) + to_linear((150, 26, 44)) * 0.35 * identity.makeup
    streaks = 1 + 0.10 * _noise(rng, 1.3, stretch=(0.35, 2.2))
    mouth_line = 1 - 0.5 * lips * np.exp(-(((y - 660.5) / 1.6) ** 2))
    albedo = _mix(albedo, rose * (streaks * mouth_line)[..., None], 0.72 * lips)

    # Brows, lashes, beard, hair.
    hair = to_linear(identity.hair)
    hair = hair * (1 - identity.grey) + to_linear((158, 154, 150)) * identity.grey
    brow_colour = (
        to_linear(identity.hair) * 0.75 * (1 - 0.6 * identity.grey) + 0.6 * identity.grey * hair
    )
    albedo = _mix(albedo, brow_colour, _draw_brows(rng, identity) * identity.brow)
    albedo = _mix(albedo, to_linear((22, 16, 14)), _draw_lashes(lashes, identity))
    beard = _beard(rng, identity, x, y, lips) * (1 - skin_map.masks["ears"].clip(0, 1))
    albedo = _mix(albedo, hair * 0.8, beard)
    cap = _hair_cap(rng, identity, skin_map)
    strands = (
        1 + 0.25 * _noise(rng, 0.9, stretch=(0.5, 16)) + 0.2 * _noise(rng, 4, stretch=(0.6, 9))
    )
    albedo = _mix(albedo, hair * strands.clip(0.3, 2)[..., None], cap)

    # Relief in mm: pores, wrinkles, strands.
    relief = (
        0.030 * _noise(rng, 0.9) + 0.035 * _noise(rng, 2.2) + 0.05 * (0.3 + age) * _noise(rng, 5)
    )
    relief = relief * (1 - 0.6 * lips) - age * _wrinkles(rng, x, y)
    relief += 0.05 * lips * _noise(rng, 1.2, stretch=(0.3, 2.5))
    relief = relief * (1 - cap) + cap * (0.5 * (strands - 1))
    relief += 0.12 * beard * _noise(rng, 0.8)
    slope = np.stack(
        [
            cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3) / (8 * TEXEL),
            -cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3) / (8 * TEXEL),
        ],
        axis=-1,
    )
    oil = 0.5 + 0.5 * _blob(x, y, (0, 700), (14, 30)) + 0.35 * _blob(x, y, (0, 775), (40, 18))
    gloss = (oil + 0.5 * lips * (1 + identity.makeup)) * (1 - 0.75 * cap) * (1 - 0.8 * beard)
    gloss = gloss * (1 + 0.25 * _noise(rng, 1.0))
    painted = np.dstack([albedo.clip(0.002, 0.95), gloss.clip(0, 1.5)])
    return Texture(painted.astype(np.float32), slope.clip(-1.2, 1.2).astype(np.float32), cap)


def _mix(under: np.ndarray, colour: np.ndarray, share: Field) -> np.ndarray:
    share = share.clip(0, 1)[..., None]
    return under * (1 - share) + colour * share


def _blob(x: Field, y: Field, at: Pair, size: Pair) -> Field:
    """A Gaussian of height 1 on the front of the head, sizes in mm."""
    return np.exp(-0.5 * (((x - at[0]) / size[0]) ** 2 + ((y - at[1]) / size[1]) ** 2))


def _eye_field(x: Field, y: Field, at: Pair, size: Pair) -> Field:
    """The same about both eyes."""
    return _blob(np.abs(x), y, at, size)


def _noise(rng: np.random.Generator, size: Number, stretch: Pair = (1, 1)) -> Field:
    """Smooth noise of unit variance with features of `size` mm, wrapped around the head."""
    import cv2

    step = np.array([size * stretch[0], size * stretch[1]]) / TEXEL
    cells = (max(2, round(HEIGHT / step[1])), max(2, round(WIDTH / step[0])))
    coarse = rng.standard_normal((min(cells[0], HEIGHT), min(cells[1], WIDTH)), dtype=np.float32)
    # One more column on each side lets the seam at the back of the head close.
    wide = np.concatenate([coarse[:, -2:], coarse, coarse[:, :2]], axis=1)
    scale = WIDTH / coarse.shape[1]
    margin = round(2 * scale)
    field = cv2.resize(wide, (WIDTH + 2 * margin, HEIGHT), interpolation=cv2.INTER_CUBIC)
    field = field[:, margin : margin + WIDTH]
    return field / field.std()


def _dots(rng: np.random.Generator, count: int, size: Pair) -> Field:
    """Round spots anywhere, radii in mm."""
    import cv2

    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for column, row, radius, depth in zip(
        rng.integers(WIDTH, size=count),
        rng.integers(HEIGHT, size=count),
        rng.uniform(*size, size=count) / TEXEL,
        rng.uniform(0.3, 1, size=count),
        strict=True,
    ):
        # Three more bits of radius than whole texels, see `shift`.
        centre = (int(column) * 8, int(row) * 8)
        cv2.circle(canvas, centre, round(radius * 8), float(depth), -1, cv2.LINE_AA, shift=3)
    return cv2.GaussianBlur(canvas, (0, 0), 0.35 / TEXEL)


def _draw_brows(rng: np.random.Generator, identity: Identity) -> Field:
    """Two arcs of short strokes."""
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
            layer_points = (int(a[0]), int(a[1])), (int(b[0]), int(b[1]))
            cv2.line(canvas, *layer_points, int(alpha), 1, cv2.LINE_AA, shift=3)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.75 / TEXEL).astype(np.float32) / 255
    sharp = cv2.GaussianBlur(canvas, (0, 0), 0.2 / TEXEL).astype(np.float32) / 255
    return np.clip(1.35 * soft + 0.6 * sharp, 0, 0.95)


def _draw_lashes(lashes: np.ndarray, identity: Identity) -> Field:
    """A dark line where the upper lashes grow."""
    import cv2

    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for side in (lashes[:, 0] < WIDTH / 2, lashes[:, 0] >= WIDTH / 2):
        points = lashes[side]
        points = points[points[:, 0].argsort()]
        cv2.polylines(
            canvas, [(points * 8).astype(np.int32)[:, None]], False, 1.0, 3, cv2.LINE_AA, shift=3
        )
    line = cv2.GaussianBlur(canvas, (0, 0), (0.42 + 0.22 * identity.makeup) / TEXEL)
    return np.clip(line * (0.75 + 0.5 * identity.makeup), 0, 0.95)


def _beard(rng: np.random.Generator, identity: Identity, x: Field, y: Field, lips: Field) -> Field:
    """Stubble to beard: jaw, chin and upper lip, in speckles."""
    if identity.female:
        return np.zeros_like(x)
    above_jawline = _step(y - (616 + 0.011 * x**2), -9, 1)
    jaw = _step(y, 674, 652) * _step(np.abs(x), 90, 70) * above_jawline
    sides = _step(y, 718, 690) * _step(np.abs(x), 58, 68) * above_jawline
    lip = _blob(np.abs(x), y, (11, 672.5), (12, 3.2))
    area = np.clip(np.maximum(np.maximum(jaw, sides), lip), 0, 1) * (1 - lips.clip(0, 1))
    speckle = 0.5 + 0.5 * np.clip(_noise(rng, 0.7), -1.2, 1.5) / 1.5
    shadow = 0.10 + 0.15 * identity.beard
    return area * np.clip(shadow + identity.beard * speckle, 0, 0.9)


def _wrinkles(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Depth of the folds of age: forehead, between the brows, crow's feet, nasolabial; about .5 mm."""
    bent = y - 0.0016 * x**2 + 0.8 * _noise(rng, 12)
    folds = np.zeros_like(x)
    for height in (768, 777, 787, 797):
        broken = np.clip(0.6 + 0.5 * _noise(rng, 14), 0, 1)
        folds += 0.35 * np.exp(-(((bent - height) / 0.9) ** 2)) * broken * _step(np.abs(x), 48, 30)
    side = np.abs(x)
    folds += 0.3 * np.exp(-(((side - 5) / 0.8) ** 2)) * _step(np.abs(y - 748), 10, 4)
    for tilt in (-0.45, 0.0, 0.45):
        line = (y - EYE_LEVEL) - tilt * (side - 50)
        folds += 0.25 * np.exp(-((line / 0.7) ** 2)) * _blob(side, y, (58, EYE_LEVEL), (6, 8))
    nasolabial = side - (17 + 0.42 * (690 - y))
    folds += 0.5 * np.exp(-((nasolabial / 1.4) ** 2)) * _step(y, 650, 662) * _step(y, 696, 684)
    return folds


def _step(value: Field, low: Number, high: Number) -> Field:
    """0 at `low`, 1 at `high`, smooth between; `low` may be the greater one."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _hair_cap(rng: np.random.Generator, identity: Identity, skin_map: SkinMap) -> Field:
    """Where the scalp bears hair: above a line that dips at the temples and runs behind the ears."""
    angle = np.abs(skin_map.angle)
    knots = np.deg2rad([0, 22, 40, 55, 66, 76, 84, 96, 112, 140, 180])
    front = identity.hairline
    peak = float(rng.uniform(-4, 3))
    heights = np.array(
        [814 + peak, 814, 808, 792, 764, 736, 722, 745, 690, 664, 655], dtype=np.float32
    )
    temple = 0.0 if identity.female else max(0.0, front)
    heights += np.array([front, front, front + temple, front, front / 2, 0, 0, 0, 0, 0, 0])
    line = np.interp(angle, knots, heights).astype(np.float32) + 2.2 * _noise(rng, 7)
    ragged = line + 1.3 * _noise(rng, 0.8, stretch=(0.7, 2))
    cap = _step(skin_map.y - ragged, -5, 4)
    return cap * (1 - skin_map.masks["ears"].clip(0, 1))
