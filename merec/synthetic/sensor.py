"""From light to files: lens blur, tone curve and noise of the colours; noise and holes of the depth."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8, UInt16

# Standard deviations at strength 1, like those of a webcam and of a short-range depth camera.
_BLUR = 0.55  # px
_SHOT, _READ = 0.006, 0.0022  # of linear light: noise² = shot² · light + read²
_GRAIN = 2.0  # px over which the noise of depth is alike
REFERENCE = 550.0  # mm, the usual distance of a face, at which noise is given
_JUMP = 12.0  # mm between neighbours: an edge, of which one view or the light sees one side only
CAMERAS = ("d415", "l515", "ideal")


@dataclass(frozen=True)
class DepthSensor:
    """The noise, the holes and the storage of a depth camera.

    The standard deviation of the noise at a distance Z is `constant + linear·r + quadratic·r²` with
    r = Z / 550 mm.

    Attributes:
        constant: mm.
        linear: mm at 550 mm.
        quadratic: mm at 550 mm; stereo has this one alone.
        shadow: Width of the holes along an edge, px; 0 for none.
        speckles: Holes elsewhere, per megapixel.
        step: Unit in which depth is stored, mm.
    """

    constant: float
    linear: float
    quadratic: float
    shadow: int
    speckles: int
    step: float

    def spread(self, distance: float | int | np.ndarray) -> float | np.ndarray:
        """Standard deviation of the noise at a distance, both in mm."""
        ratio = distance / REFERENCE
        return self.quadratic * ratio**2 + self.linear * ratio + self.constant


def choose_sensor(
    camera: str, noise: float | int | None, step: float | int, width: int
) -> DepthSensor:
    """Return the depth sensor of a named camera.

    - `d415` (stereo, Intel RealSense D415): σ = Z²·δ/(f·B) with B = 55 mm (D400 series datasheet, 337029), f
      of 65° across the width of the frames (the same; white paper "Subpixel linearity improvement for Intel
      RealSense depth cameras", Grunnet-Jepsen et al.) and δ = .08 px ("best to use about 0.08", the same
      author, librealsense issue 3904). Fewer px across mean more noise: 1.17 mm at 550 mm and 480 px, .44 mm
      at the camera's own 1280 px. One of its two views is hidden along edges.
    - `l515` (time of flight, Intel RealSense L515): 2.5 mm at 1 m and 15.5 mm at 9 m, at 95 % reflectivity
      (Intel's figures, quoted in librealsense issue 5808), linear between and to the face, as the noise of
      light that returns with 1/Z² is: 1.77 mm at 550 mm. What is lit is seen but for the edge itself.
    - `ideal`: no noise, no holes.

    Args:
        camera: One of `CAMERAS`; it decides about the holes.
        noise: Standard deviation at 550 mm in mm, growing with Z², in place of the camera's own; 0 for none;
            `None` for the camera's own.
        step: Unit in which depth is stored, mm.
        width: Of the frames, px.
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


def add_depth_noise(
    depth: Float[np.ndarray, "height width"], noise: float | int, seed: int
) -> Float[np.ndarray, "height width"]:
    """Add a stereo camera's noise to measured depth, to see how good a camera must be.

    Args:
        depth: mm, 0 = invalid, which it stays.
        noise: Standard deviation at 550 mm, mm; it grows with the square of the distance.
        seed: Seeds the noise.
    """
    grain = _draw_grain(depth.shape, np.random.default_rng(seed))
    return np.where(depth > 0, depth + noise * (depth / REFERENCE) ** 2 * grain, 0).astype(
        np.float32
    )


def _draw_grain(
    shape: tuple[int, ...], rng: np.random.Generator
) -> Float[np.ndarray, "height width"]:
    """Draw noise of unit standard deviation whose neighbours are alike, as a matched window makes them."""
    import cv2

    grain = rng.standard_normal(shape, dtype=np.float32)
    return cv2.GaussianBlur(grain, (0, 0), _GRAIN) * np.float32(2 * np.sqrt(np.pi) * _GRAIN)


def measure_depth(
    depth: Float[np.ndarray, "height width"], sensor: DepthSensor, seed: int
) -> UInt16[np.ndarray, "height width"]:
    """Measure depth as a depth camera does; 0 where it gives none.

    Args:
        depth: True distance along the optical axis, mm; 0 where there is nothing.
        sensor: Its noise, its holes, and the unit of what is returned.
        seed: Seeds noise and holes.
    """
    import cv2

    rng = np.random.default_rng(seed)
    grain = _draw_grain(depth.shape, rng)
    measured = depth + sensor.spread(depth) * grain
    holes = depth <= 0
    if sensor.shadow:
        near = np.ones((3, 3), np.uint8)
        edge = cv2.dilate(depth, near) - cv2.erode(depth, near) > _JUMP
        wide = np.ones((1, sensor.shadow), np.uint8)
        hidden = cv2.dilate(edge.astype(np.uint8), wide) > 0
        holes |= hidden & (grain > -0.9)  # ragged
    count = round(sensor.speckles * depth.size / 1e6)
    for row, column, size in zip(
        rng.integers(depth.shape[0], size=count),
        rng.integers(depth.shape[1], size=count),
        rng.integers(1, 4, size=count),
        strict=True,
    ):
        holes[row : row + size, column : column + size] = True
    return np.where(holes, 0, np.rint(measured / np.float32(sensor.step))).astype(np.uint16)
