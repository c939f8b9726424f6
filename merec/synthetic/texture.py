"""Paint skin, lips, brows, lashes, beard and hair of one subject on the skin map."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.seeding import derive_seed
from merec.synthetic.hair_masks import HairMasks, draw_hair_masks, draw_lashes
from merec.synthetic.identity import Identity
from merec.synthetic.skin_fields import Field, Number, blob, dots, eye_field, noise, step
from merec.synthetic.skin_map import EYE_LEVEL, TEXEL, SkinMap


@dataclass(frozen=True)
class Texture:
    """Material of each texel of the skin map.

    Attributes:
        painted: Albedo (linear RGB, 0 to 1) and gloss (strength of the highlight, 0 to 1.5).
        slope: Derivative of the relief to the subject's left and upwards, mm/mm.
        hair: Share of hair on the scalp, 0 to 1.
    """

    painted: Float[np.ndarray, "height width 4"]
    slope: Float[np.ndarray, "height width 2"]
    hair: Field


def to_linear(colour: np.ndarray | tuple[Number, ...]) -> np.ndarray:
    """Convert an sRGB colour, 0 to 255, to linear light, 0 to 1 (IEC 61966-2-1)."""
    value = np.asarray(colour, dtype=np.float32) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def paint(identity: Identity, skin_map: SkinMap, lashes: np.ndarray, seed: int) -> Texture:
    """Paint the texture of a subject.

    Args:
        identity: Appearance of the subject.
        skin_map: Skin map of the head model.
        lashes: Texels (column, row) in which the upper lashes grow.
        seed: Seed of the corpus.
    """
    rng = np.random.default_rng(derive_seed(seed, "texture", identity.name))
    x, y = skin_map.x, skin_map.y
    age = float(np.clip((identity.age - 25) / 50, 0, 1))
    lips = skin_map.masks["lips"].clip(0, 1)
    albedo = _paint_skin(rng, identity, skin_map, age)
    albedo = _paint_lips(rng, identity, albedo, lips, y)
    hair = draw_hair_masks(rng, identity, skin_map, lips)
    albedo = _paint_hair(identity, albedo, hair, draw_lashes(lashes, identity))
    slope = _compute_slope(rng, skin_map, age, hair)
    oil = 0.5 + 0.5 * blob(x, y, (0, 700), (14, 30)) + 0.35 * blob(x, y, (0, 775), (40, 18))
    gloss = oil + 0.5 * lips * (1 + identity.skin.makeup)
    gloss = gloss * (1 - 0.75 * hair.scalp) * (1 - 0.8 * hair.beard)
    gloss = gloss * (1 + 0.25 * noise(rng, 1.0))
    painted = np.dstack([albedo.clip(0.002, 0.95), gloss.clip(0, 1.5)]).astype(np.float32)
    return Texture(painted, slope.clip(-1.2, 1.2).astype(np.float32), hair.scalp)


def _paint_hair(
    identity: Identity, skin: np.ndarray, hair: HairMasks, lashes: Field
) -> Float[np.ndarray, "height width 3"]:
    """Paint brows, lashes, beard and scalp hair over the skin, linear RGB."""
    grey = identity.hair.grey
    colour = to_linear(identity.hair.colour)
    brow_colour = colour * 0.75 * (1 - 0.6 * grey)
    colour = colour * (1 - grey) + to_linear((158, 154, 150)) * grey
    albedo = _mix(skin, brow_colour + 0.6 * grey * colour, hair.brows * identity.hair.brow)
    albedo = _mix(albedo, to_linear((22, 16, 14)), lashes)
    albedo = _mix(albedo, colour * 0.8, hair.beard)
    return _mix(albedo, colour * hair.strands.clip(0.3, 2)[..., None], hair.scalp)


def _paint_skin(
    rng: np.random.Generator, identity: Identity, skin_map: SkinMap, age: float
) -> Float[np.ndarray, "height width 3"]:
    """Paint the skin, linear RGB: redness, blotches, pores, freckles and moles."""
    x, y = skin_map.x, skin_map.y
    tone = to_linear(identity.skin.colour)
    blood = (
        0.30 * blob(x, y, (-38, 690), (17, 15))
        + 0.30 * blob(x, y, (38, 690), (17, 15))
        + 0.35 * blob(x, y, (0, 688), (12, 12))
        + 0.15 * blob(x, y, (0, 622), (18, 10))
        + 0.4 * skin_map.masks["ears"]
        + 0.12 * noise(rng, 9)
    )
    blood *= 1 - 0.75 * identity.skin.melanin
    light = 1 + 0.04 * noise(rng, 14) + 0.035 * noise(rng, 3.5) + 0.06 * noise(rng, 1.1)
    light += 0.03 * age * noise(rng, 6)
    tired = eye_field(x, y, (32, EYE_LEVEL - 12), (17, 6)) * (0.12 + 0.12 * age)
    tired += eye_field(x, y, (32, EYE_LEVEL + 9), (17, 6)) * 0.07
    light *= 1 - tired
    albedo = tone * light[..., None]
    albedo *= 1 + blood[..., None] * np.array([0.10, -0.24, -0.20], dtype=np.float32)
    spots = dots(rng, int(rng.integers(4, 22)), (0.5, 1.2)) * 0.55
    if identity.skin.melanin < 0.25 and rng.random() < 0.4:
        spots += dots(rng, 700, (0.25, 0.7)) * 0.22 * (skin_map.masks["face"] > 0.3)
    spots += age**2 * dots(rng, 60, (0.8, 2.3)) * 0.2
    albedo *= 1 - spots.clip(0, 0.7)[..., None] * np.array([0.7, 0.85, 0.9], dtype=np.float32)
    return albedo


def _paint_lips(
    rng: np.random.Generator, identity: Identity, skin: np.ndarray, lips: Field, y: Field
) -> Float[np.ndarray, "height width 3"]:
    """Paint the lips over the skin, linear RGB."""
    dark = min(1.0, 1.3 * identity.skin.melanin)
    rose = to_linear((188, 100, 98)) * (1 - dark) + to_linear((98, 54, 52)) * dark
    rose = (
        rose * (1 - 0.35 * identity.skin.makeup)
        + to_linear((150, 26, 44)) * 0.35 * identity.skin.makeup
    )
    streaks = 1 + 0.10 * noise(rng, 1.3, stretch=(0.35, 2.2))
    mouth_line = 1 - 0.5 * lips * np.exp(-(((y - 660.5) / 1.6) ** 2))
    return _mix(skin, rose * (streaks * mouth_line)[..., None], 0.72 * lips)


def _compute_slope(
    rng: np.random.Generator, skin_map: SkinMap, age: float, hair: HairMasks
) -> Float[np.ndarray, "height width 2"]:
    """Compute the slope of the relief of pores, wrinkles and strands of hair, mm/mm."""
    import cv2

    lips = skin_map.masks["lips"].clip(0, 1)
    relief = 0.030 * noise(rng, 0.9) + 0.035 * noise(rng, 2.2) + 0.05 * (0.3 + age) * noise(rng, 5)
    relief = relief * (1 - 0.6 * lips) - age * _wrinkles(rng, skin_map.x, skin_map.y)
    relief += 0.05 * lips * noise(rng, 1.2, stretch=(0.3, 2.5))
    relief = relief * (1 - hair.scalp) + hair.scalp * (0.5 * (hair.strands - 1))
    relief += 0.12 * hair.beard * noise(rng, 0.8)
    slope = [
        cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3) / (8 * TEXEL),
        -cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3) / (8 * TEXEL),
    ]
    return np.stack(slope, axis=-1)


def _mix(under: np.ndarray, colour: np.ndarray, share: Field) -> np.ndarray:
    share = share.clip(0, 1)[..., None]
    return under * (1 - share) + colour * share


def _wrinkles(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Draw the depth of wrinkles, mm: forehead, glabella, crow's feet and nasolabial folds."""
    bent = y - 0.0016 * x**2 + 0.8 * noise(rng, 12)
    folds = np.zeros_like(x)
    for height in (768, 777, 787, 797):
        broken = np.clip(0.6 + 0.5 * noise(rng, 14), 0, 1)
        folds += 0.35 * np.exp(-(((bent - height) / 0.9) ** 2)) * broken * step(np.abs(x), 48, 30)
    side = np.abs(x)
    folds += 0.3 * np.exp(-(((side - 5) / 0.8) ** 2)) * step(np.abs(y - 748), 10, 4)
    for tilt in (-0.45, 0.0, 0.45):
        line = (y - EYE_LEVEL) - tilt * (side - 50)
        folds += 0.25 * np.exp(-((line / 0.7) ** 2)) * blob(side, y, (58, EYE_LEVEL), (6, 8))
    nasolabial = side - (17 + 0.42 * (690 - y))
    folds += 0.5 * np.exp(-((nasolabial / 1.4) ** 2)) * step(y, 650, 662) * step(y, 696, 684)
    return folds
