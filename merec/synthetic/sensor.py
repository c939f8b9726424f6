"""Simulate a colour sensor (blur, tone curve, noise) and a depth sensor (noise, holes, quantisation)."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8, UInt16

# Standard deviations at strength 1, similar to those of a webcam and of a short-range depth camera.
_BLUR = 0.55  # px
_SHOT, _READ = 0.006, 0.0022  # of linear light: variance = shot² · light + read²
_CORRELATION = 2.0  # px, standard deviation of the blur that correlates the depth noise
REFERENCE = 550.0  # mm, typical distance of a face, at which noise is specified
_DEPTH_EDGE = 12.0  # mm between neighbours, above which depth has an edge; holes occur along edges
CAMERAS = ("d415", "l515", "ideal")


@dataclass(frozen=True)
class DepthSensor:
    """Noise, holes and quantisation of a depth camera.

    The standard deviation of the noise at a distance Z is `constant + linear·r + quadratic·r²` with
    r = Z / 550 mm.

    Attributes:
        constant: Constant term, mm.
        linear: Linear term, mm at 550 mm.
        quadratic: Quadratic term, mm at 550 mm; the only term of a stereo camera.
        shadow: Width of the holes along depth edges, px; 0 for none.
        speckles: Number of other holes per megapixel.
        step: Unit of stored depth, mm.
    """

    constant: float
    linear: float
    quadratic: float
    shadow: int
    speckles: int
    step: float

    def spread(self, distance: float | int | np.ndarray) -> float | np.ndarray:
        """Return the standard deviation of the noise (mm) at a distance (mm)."""
        ratio = distance / REFERENCE
        return self.quadratic * ratio**2 + self.linear * ratio + self.constant


def choose_sensor(
    camera: str, noise: float | int | None, step: float | int, width: int
) -> DepthSensor:
    """Return the depth sensor of a named camera.

    - `d415` (stereo, Intel RealSense D415): σ = Z²·δ/(f·B) with the baseline B = 55 mm (D400 series
      datasheet, 337029), f of a field of view of 65° (datasheet; white paper "Subpixel linearity improvement
      for Intel RealSense depth cameras", Grunnet-Jepsen et al.) and δ = 0.08 px ("best to use about 0.08",
      the same author, librealsense issue 3904). Narrower frames have more noise: 1.17 mm at 550 mm and
      480 px, 0.44 mm at the camera's full width of 1280 px. Depth edges have holes, because one of the two
      imagers is occluded there.
    - `l515` (time of flight, Intel RealSense L515): 2.5 mm at 1 m and 15.5 mm at 9 m, at 95 % reflectivity
      (Intel's figures, quoted in librealsense issue 5808), linear in the distance: 1.77 mm at 550 mm. Holes
      only at the edges themselves.
    - `ideal`: no noise, no holes.

    Args:
        camera: One of `CAMERAS`; decides the holes.
        noise: Standard deviation at 550 mm (mm), proportional to Z², which replaces the noise of the camera;
            0 for none, None uses the noise of the camera.
        step: Unit of stored depth, mm.
        width: Width of the frames, px.
    """
    focal = width / 2 / math.tan(math.radians(65 / 2))
    far = (15.5 - 2.5) / 8  # mm per m
    constant, linear, quadratic = {
        "d415": (0.0, 0.0, REFERENCE**2 * 0.08 / (focal * 55)),
        "l515": (2.5 - far, far * REFERENCE / 1000, 0.0),
        "ideal": (0.0, 0.0, 0.0),
    }[camera]
    if noise is not None:
        constant, linear, quadratic = 0.0, 0.0, float(noise)
    shadow, speckles = {"d415": (5, 40), "l515": (1, 0), "ideal": (0, 0)}[camera]
    return DepthSensor(constant, linear, quadratic, shadow, speckles, float(step))


def measure_color(
    light: Float[np.ndarray, "height width 3"], noise: float | int, seed: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Convert linear light to an sRGB image with blur, tone curve and noise.

    Args:
        light: Linear RGB; 1 is a well-lit white.
        noise: Strength of the sensor noise; 0 for none.
        seed: Seed of the noise.
    """
    import cv2

    light = cv2.GaussianBlur(light, (0, 0), _BLUR)
    exposed = 1 - cv2.exp(np.float32(-1.15) * light)  # highlights saturate smoothly
    if noise:
        rng = np.random.default_rng(seed)
        spread = np.sqrt(_SHOT**2 * exposed + _READ**2, dtype=np.float32)
        exposed += noise * spread * rng.standard_normal(exposed.shape, dtype=np.float32)
    return _SRGB[(exposed.clip(0, 1) * (len(_SRGB) - 1) + 0.5).astype(np.uint16)]


def _encode_srgb(steps: int) -> UInt8[np.ndarray, " steps"]:
    """Return a lookup table of sRGB values (IEC 61966-2-1); computing them per pixel is too slow."""
    light = np.linspace(0, 1, steps)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * curve + 0.5).astype(np.uint8)


_SRGB = _encode_srgb(16384)


def add_depth_noise(
    depth: Float[np.ndarray, "height width"], noise: float | int, seed: int
) -> Float[np.ndarray, "height width"]:
    """Add the noise of a stereo camera to measured depth, for the study of the required precision.

    Args:
        depth: Depth, mm; 0 is invalid and stays 0.
        noise: Standard deviation at 550 mm, mm; proportional to the square of the distance.
        seed: Seed of the noise.
    """
    grain = _draw_grain(depth.shape, np.random.default_rng(seed))
    return np.where(depth > 0, depth + noise * (depth / REFERENCE) ** 2 * grain, 0).astype(
        np.float32
    )


def _draw_grain(
    shape: tuple[int, ...], rng: np.random.Generator
) -> Float[np.ndarray, "height width"]:
    """Draw spatially correlated noise of unit standard deviation, as produced by stereo matching windows."""
    import cv2

    grain = rng.standard_normal(shape, dtype=np.float32)
    return cv2.GaussianBlur(grain, (0, 0), _CORRELATION) * np.float32(
        2 * np.sqrt(np.pi) * _CORRELATION
    )


def measure_depth(
    depth: Float[np.ndarray, "height width"], sensor: DepthSensor, seed: int
) -> UInt16[np.ndarray, "height width"]:
    """Simulate the depth image of a depth camera.

    Args:
        depth: True distance along the optical axis, mm; 0 where no surface is hit.
        sensor: Depth sensor with its noise, holes and unit.
        seed: Seed of noise and holes.

    Returns:
        Depth in units of `sensor.step`; 0 is invalid.
    """
    import cv2

    rng = np.random.default_rng(seed)
    grain = _draw_grain(depth.shape, rng)
    measured = depth + sensor.spread(depth) * grain
    holes = depth <= 0
    if sensor.shadow:
        neighbours = np.ones((3, 3), np.uint8)
        edge = cv2.dilate(depth, neighbours) - cv2.erode(depth, neighbours) > _DEPTH_EDGE
        shadow = np.ones((1, sensor.shadow), np.uint8)
        hidden = cv2.dilate(edge.astype(np.uint8), shadow) > 0
        holes |= hidden & (grain > -0.9)  # the noise makes the outline of the holes irregular
    count = round(sensor.speckles * depth.size / 1e6)
    for row, column, size in zip(
        rng.integers(depth.shape[0], size=count),
        rng.integers(depth.shape[1], size=count),
        rng.integers(1, 4, size=count),
        strict=True,
    ):
        holes[row : row + size, column : column + size] = True
    return np.where(holes, 0, np.rint(measured / np.float32(sensor.step))).astype(np.uint16)
