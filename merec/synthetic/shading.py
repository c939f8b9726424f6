"""How surfaces look under lamps: skin, cloth, and wet eyes.

Arrays are planar, (channels, hits): numpy is several times as fast on long rows as on rows of three.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from merec.synthetic.studio import Studio, rotate
from merec.synthetic.texture import to_linear

# Skin lets light in: red reaches furthest beyond the terminator.
_SOFTNESS = (0.28, 0.12, 0.08)
_DIFFUSE = tuple(1.6 / np.pi / (1 + soft) for soft in _SOFTNESS)
_SHINE, _GLINT = 0.055, 2.2  # of skin (times its gloss) and of eyes
_GLINT_POWER = 900  # skin has 26
_SCLERA = np.array([0.60, 0.55, 0.52])
_PUPIL, _IRIS = 8.0, 23.5  # radius, degrees seen from the centre of the eyeball


@dataclass(frozen=True)
class Surface:
    """What is hit, hit by hit.

    Attributes:
        albedo: Linear RGB.
        gloss: Strength of the highlight.
        normal: Outward, of any length, in the room's axes.
        wet: Whether it is an eye.
        light: Share of the sky that is seen, then of each lamp, 0 to 1.
    """

    albedo: Float[np.ndarray, "3 hits"]
    gloss: Float[np.ndarray, " hits"]
    normal: Float[np.ndarray, "3 hits"]
    wet: Bool[np.ndarray, " hits"]
    light: Float[np.ndarray, "lights hits"]


def illuminate(
    surface: Surface, view: Float[np.ndarray, "3 hits"], studio: Studio
) -> Float[np.ndarray, "3 hits"]:
    """Linear RGB that reaches the lens.

    Args:
        surface: What is hit.
        view: Unit vectors towards the lens, in the room's axes.
        studio: Its lamps.
    """
    normal = surface.normal / np.sqrt(np.einsum("ch,ch->h", surface.normal, surface.normal))
    up = 0.5 + 0.5 * normal[1]
    above, below = studio.ambient.astype(np.float32)
    received = np.stack([low + (high - low) * up for high, low in zip(above, below, strict=True)])
    received *= surface.light[0]
    reflected = np.zeros_like(received)
    for number, (lamp, colour) in enumerate(zip(studio.lamps, studio.colours, strict=True)):
        x, y, z = lamp.astype(np.float32)
        cosine = normal[0] * x + normal[1] * y + normal[2] * z
        half = (view[0] + x, view[1] + y, view[2] + z)
        shine = normal[0] * half[0] + normal[1] * half[1] + normal[2] * half[2]
        shine /= np.sqrt(half[0] ** 2 + half[1] ** 2 + half[2] ** 2)
        shine = shine.clip(0, 1)
        squared = shine * shine
        fourth = squared * squared
        eighth = fourth * fourth
        highlight = _SHINE * surface.gloss * (eighth * eighth * eighth * squared)
        highlight[surface.wet] = _GLINT * shine[surface.wet] ** _GLINT_POWER
        seen = surface.light[1 + number]
        highlight *= seen * (cosine > 0)
        for channel, strength in enumerate(colour.astype(np.float32)):
            diffuse = np.maximum(cosine + np.float32(_SOFTNESS[channel]), 0)
            diffuse *= np.float32(_DIFFUSE[channel]) * strength
            received[channel] += diffuse * seen
            reflected[channel] += strength * highlight
    return surface.albedo * received + reflected


def paint_eye(
    out: Float[np.ndarray, "hits 3"],
    gaze: Float[np.ndarray, " 2"],
    pose: Float[np.ndarray, " 6"],
    colour: tuple[float, ...],
) -> tuple[Float[np.ndarray, "hits 3"], Float[np.ndarray, "hits 3"]]:
    """Sclera, iris and pupil by the angle to the gaze, and the normal of the eyeball, which is a sphere.

    Args:
        out: From the centre of the eye to the hits, in the room's axes.
        gaze: Yaw and pitch of the eyes in degrees.
        pose: Of the head, see `Portrait.place`.
        colour: Of the iris, sRGB 0..255.

    Returns:
        Linear RGB and unit normals.
    """
    turn = rotate(*pose[:3])
    out = out / np.linalg.norm(out, axis=1, keepdims=True)
    axis = turn @ rotate(gaze[0], gaze[1], 0) @ np.array([0, 0.0, 1.0])
    off = np.rad2deg(np.arccos(np.clip(out @ axis, -1, 1)))
    around = np.arctan2(*(out @ turn)[:, [1, 0]].T)
    rays = 1 + 0.22 * np.sin(around * 23 + 2 * np.sin(around * 7)) + 0.15 * np.sin(around * 61)
    ring = np.clip((off - 19) / 5, 0, 1)  # an iris is darker at its edge
    iris = to_linear(colour)
    tint = iris * (rays * (1.35 - 0.9 * ring))[:, None] + 0.25 * iris * (off < 13)[:, None]
    white = _SCLERA * (1 - 0.20 * np.clip((off - 30) / 35, 0, 1))[:, None]
    edge = np.clip((off - _IRIS) / 2.2, 0, 1)[:, None]
    pupil = np.clip((off - _PUPIL) / 1.5, 0, 1)[:, None]
    return (tint * pupil + 0.004 * (1 - pupil)) * (1 - edge) + white * edge, out
