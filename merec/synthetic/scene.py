"""Camera pose, lamps and wall of one subject's recording."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.seeding import derive_seed
from merec.types import Camera


@dataclass(frozen=True)
class Scene:
    """Static scene of one subject's recording.

    Room axes are the axes of the head at rest: x to the subject's left, y up, z towards the viewer. Camera
    axes are x right, y down, z away from the camera.

    Attributes:
        rotation: Rotation matrix from room axes to camera axes.
        position: Midpoint of the eyes in camera axes, mm.
        lamps: Unit vectors towards the lamps in room axes.
        colours: Linear RGB of each lamp.
        ambient: Linear RGB of the ambient light from above and from below.
        wall: Linear RGB of the wall behind the subject.
        wall_distance: Distance of the wall along the optical axis, mm.
        exposure: Factor applied to all light.
    """

    rotation: Float[np.ndarray, "3 3"]
    position: Float[np.ndarray, "3"]
    lamps: Float[np.ndarray, "lamps 3"]
    colours: Float[np.ndarray, "lamps 3"]
    ambient: Float[np.ndarray, "2 3"]
    wall: Float[np.ndarray, "3"]
    wall_distance: float
    exposure: float


def rotate(yaw: float | int, pitch: float | int, roll: float | int) -> Float[np.ndarray, "3 3"]:
    """Return the rotation matrix of yaw about y, pitch about x and roll about z, in degrees.

    Positive yaw turns to the subject's left, positive pitch down.
    """
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True).as_matrix()


def draw_scene(name: str, seed: int) -> Scene:
    """Draw camera pose, lamps and wall of a subject, determined by seed and name."""
    # The label "studio" decides the random numbers; another label would change every rendered corpus.
    rng = np.random.default_rng(derive_seed(seed, "studio", name))
    facing = rotate(rng.normal(0, 3.5), rng.normal(3, 3.0), rng.normal(0, 1.5))
    axes = np.diag([1.0, -1.0, -1.0])
    side = rng.choice([-1, 1])
    key = _direction(side * rng.uniform(15, 50), rng.uniform(20, 45))
    fill = _direction(-side * rng.uniform(20, 65), rng.uniform(0, 30))
    warmth = rng.uniform(-0.08, 0.08)
    white = np.array([1 + warmth, 1.0, 1 - warmth])
    power = rng.uniform(1.6, 2.4)
    return Scene(
        rotation=axes @ facing,
        position=np.array([rng.normal(0, 14), rng.normal(-8, 8), rng.uniform(470, 590)]),
        lamps=np.stack([key, fill]),
        colours=np.stack([power * white, power * rng.uniform(0.2, 0.5) * white[::-1]]),
        ambient=np.stack([white * rng.uniform(0.5, 0.75), white * rng.uniform(0.2, 0.35)]),
        wall=rng.uniform(0.12, 0.5) * (1 + rng.uniform(-0.12, 0.12, 3)),
        wall_distance=float(rng.uniform(1100, 1600)),
        exposure=float(rng.uniform(0.85, 1.1)),
    )


def _direction(azimuth: float | int, height: float | int) -> np.ndarray:
    """Return the unit vector of an azimuth (0 towards the viewer) and a height, in degrees."""
    a, h = np.deg2rad([azimuth, height])
    return np.array([np.sin(a) * np.cos(h), np.sin(h), np.cos(a) * np.cos(h)])


def default_camera(width: int, height: int) -> Camera:
    """Return the intrinsics of CAS(ME)^3 (f = 1324.65 px at 1280×720), scaled to another width."""
    focal = 1324.65 * width / 1280
    return Camera(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
