"""From light to files: lens blur, tone curve and noise of the colours; noise and holes of the depth."""

import numpy as np
from jaxtyping import Float, UInt8, UInt16

# Standard deviations at strength 1, like those of a webcam and of a short-range depth camera.
_BLUR = 0.55  # px
_SHOT, _READ = 0.006, 0.0022  # of linear light: noise² = shot² · light + read²
_DEPTH_NOISE, _DEPTH_GRAIN = 0.7, 2.0  # mm, px
_DEPTH_REFERENCE = 550.0  # mm: stereo noise grows with the square of the distance
_STEP = 12.0  # mm between neighbours: there the two eyes of a depth camera disagree
_SPECKLES = 40  # holes per megapixel


def develop(
    light: Float[np.ndarray, "height width 3"], noise: float | int, seed: int
) -> UInt8[np.ndarray, "height width 3"]:
    """An sRGB picture of linear light.

    Args:
        light: Linear RGB; 1 is a well-lit white.
        noise: Strength of the sensor's noise; 0 for none.
        seed: Seeds the noise.
    """
    import cv2

    light = cv2.GaussianBlur(light, (0, 0), _BLUR)
    exposed = 1 - cv2.exp(np.float32(-1.15) * light)  # highlights saturate softly, as film does
    if noise:
        rng = np.random.default_rng(seed)
        spread = np.sqrt(_SHOT**2 * exposed + _READ**2, dtype=np.float32)
        exposed += noise * spread * rng.standard_normal(exposed.shape, dtype=np.float32)
    return _SRGB[(exposed.clip(0, 1) * (len(_SRGB) - 1) + 0.5).astype(np.uint16)]


def _encode_srgb(steps: int) -> UInt8[np.ndarray, " steps"]:
    """A table of sRGB values (IEC 61966-2-1): a power per pixel would cost more than the whole render."""
    light = np.linspace(0, 1, steps)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * curve + 0.5).astype(np.uint8)


_SRGB = _encode_srgb(16384)


def measure_depth(
    depth: Float[np.ndarray, "height width"], noise: float | int, seed: int
) -> UInt16[np.ndarray, "height width"]:
    """Depth in whole mm as a depth camera gives it; 0 where it gives none.

    Args:
        depth: True distance along the optical axis, mm; 0 where there is nothing.
        noise: Strength of noise and holes; 0 rounds to mm and does nothing else.
        seed: Seeds the noise.
    """
    import cv2

    if not noise:
        return np.rint(depth).astype(np.uint16)
    rng = np.random.default_rng(seed)
    grain = rng.standard_normal(depth.shape, dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), _DEPTH_GRAIN) * np.float32(
        2 * np.sqrt(np.pi) * _DEPTH_GRAIN
    )
    spread = noise * _DEPTH_NOISE * (depth / _DEPTH_REFERENCE) ** 2
    measured = depth + spread * grain
    # Around an edge one of the two views is hidden: a band without depth, ragged.
    near = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(depth, near) - cv2.erode(depth, near) > _STEP
    hidden = cv2.dilate(edge.astype(np.uint8), np.ones((1, 5), np.uint8)) > 0
    holes = hidden & (grain > -0.9)
    for row, column, size in zip(
        rng.integers(depth.shape[0], size=_count(depth, noise)),
        rng.integers(depth.shape[1], size=_count(depth, noise)),
        rng.integers(1, 4, size=_count(depth, noise)),
        strict=True,
    ):
        holes[row : row + size, column : column + size] = True
    return np.where(holes | (depth <= 0), 0, np.rint(measured)).astype(np.uint16)


def _count(depth: np.ndarray, noise: float | int) -> int:
    return round(_SPECKLES * noise * depth.size / 1e6)
