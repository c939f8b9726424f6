"""Shading of skin, cloth and eyes under lamps.

Arrays have the shape (channels, hits), because numpy is several times faster on long rows than on rows of 3.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from merec.synthetic.scene import Scene, rotate
from merec.synthetic.texture import to_linear

# Subsurface scattering of skin: light, red most of all, reaches beyond the terminator.
_SOFTNESS = (0.28, 0.12, 0.08)
_DIFFUSE = tuple(1.6 / np.pi / (1 + soft) for soft in _SOFTNESS)
_SKIN_SPECULAR, _EYE_SPECULAR = 0.055, 2.2  # strength of the highlight; skin: times its gloss
_EYE_EXPONENT = 900  # of the Blinn-Phong highlight; that of skin is 26
_SCLERA = np.array([0.60, 0.55, 0.52])
_PUPIL, _IRIS = 8.0, 23.5  # angular radius from the centre of the eyeball, degrees


@dataclass(frozen=True)
class Surface:
    """Surface properties at the hits of camera rays.

    Attributes:
        albedo: Linear RGB.
        gloss: Strength of the highlight.
        normal: Outward normals of any length, in room axes.
        wet: True for hits of the eyes.
        visibility: Visible share of the sky (first row) and of each lamp, 0 to 1.
    """

    albedo: Float[np.ndarray, "3 hits"]
    gloss: Float[np.ndarray, " hits"]
    normal: Float[np.ndarray, "3 hits"]
    wet: Bool[np.ndarray, " hits"]
    visibility: Float[np.ndarray, "lights hits"]


def illuminate(
    surface: Surface, to_lens: Float[np.ndarray, "3 hits"], scene: Scene
) -> Float[np.ndarray, "3 hits"]:
    """Compute the light that is reflected to the lens, linear RGB.

    Args:
        surface: Surface properties at the hits.
        to_lens: Unit vectors from the hits to the lens, in room axes.
        scene: Scene with lamps and ambient light.
    """
    normal = surface.normal / np.sqrt(np.einsum("ch,ch->h", surface.normal, surface.normal))
    up = 0.5 + 0.5 * normal[1]
    above, below = scene.ambient.astype(np.float32)
    received = np.stack([low + (high - low) * up for high, low in zip(above, below, strict=True)])
    received *= surface.visibility[0]
    reflected = np.zeros_like(received)
    for number, (lamp, colour) in enumerate(zip(scene.lamps, scene.colours, strict=True)):
        x, y, z = lamp.astype(np.float32)
        cosine = normal[0] * x + normal[1] * y + normal[2] * z
        half = (to_lens[0] + x, to_lens[1] + y, to_lens[2] + z)
        shine = normal[0] * half[0] + normal[1] * half[1] + normal[2] * half[2]
        shine /= np.sqrt(half[0] ** 2 + half[1] ** 2 + half[2] ** 2)
        shine = shine.clip(0, 1)
        squared = shine * shine
        fourth = squared * squared
        eighth = fourth * fourth
        highlight = _SKIN_SPECULAR * surface.gloss * (eighth * eighth * eighth * squared)
        highlight[surface.wet] = _EYE_SPECULAR * shine[surface.wet] ** _EYE_EXPONENT
        visible = surface.visibility[1 + number]
        highlight *= visible * (cosine > 0)
        for channel, strength in enumerate(colour.astype(np.float32)):
            diffuse = np.maximum(cosine + np.float32(_SOFTNESS[channel]), 0)
            diffuse *= np.float32(_DIFFUSE[channel]) * strength
            received[channel] += diffuse * visible
            reflected[channel] += strength * highlight
    return surface.albedo * received + reflected


def paint_eye(
    from_centre: Float[np.ndarray, "hits 3"],
    gaze: Float[np.ndarray, " 2"],
    pose: Float[np.ndarray, " 6"],
    colour: tuple[float, ...],
) -> tuple[Float[np.ndarray, "hits 3"], Float[np.ndarray, "hits 3"]]:
    """Paint sclera, iris and pupil by the angle to the gaze axis; the eyeball is a sphere.

    Args:
        from_centre: Vectors from the centre of the eye to the hits, in room axes.
        gaze: Yaw and pitch of the eyes, degrees.
        pose: Pose of the head, see `FaceRenderer.apply_pose`.
        colour: Colour of the iris, sRGB 0 to 255.

    Returns:
        Linear RGB and unit normals.
    """
    head_rotation = rotate(*pose[:3])
    normal = from_centre / np.linalg.norm(from_centre, axis=1, keepdims=True)
    axis = head_rotation @ rotate(gaze[0], gaze[1], 0) @ np.array([0, 0.0, 1.0])
    angle = np.rad2deg(np.arccos(np.clip(normal @ axis, -1, 1)))
    around = np.arctan2(*(normal @ head_rotation)[:, [1, 0]].T)
    fibres = 1 + 0.22 * np.sin(around * 23 + 2 * np.sin(around * 7)) + 0.15 * np.sin(around * 61)
    ring = np.clip((angle - 19) / 5, 0, 1)  # an iris is darker at its edge
    iris = to_linear(colour)
    tint = iris * (fibres * (1.35 - 0.9 * ring))[:, None] + 0.25 * iris * (angle < 13)[:, None]
    white = _SCLERA * (1 - 0.20 * np.clip((angle - 30) / 35, 0, 1))[:, None]
    edge = np.clip((angle - _IRIS) / 2.2, 0, 1)[:, None]
    pupil = np.clip((angle - _PUPIL) / 1.5, 0, 1)[:, None]
    return (tint * pupil + 0.004 * (1 - pupil)) * (1 - edge) + white * edge, normal
