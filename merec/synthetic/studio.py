"""The room: camera and lamps of one subject."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.seeding import derive_seed
from merec.types import Camera


@dataclass(frozen=True)
class Studio:
    """What stays still while a subject is filmed.

    Attributes:
        rotation: From the room's axes (those of the head at rest: x to the subject's left, y up, z to the
            viewer) to the camera's (x right, y down, z away).
        position: Midpoint of the eyes in the camera's axes, mm.
        lamps: Directions towards the lamps in the head's axes, unit length.
        colours: Linear RGB of each lamp.
        ambient: Linear RGB from above and from below.
        wall: Linear RGB of the wall behind.
        wall_distance: Distance of the wall along the optical axis, mm.
        exposure: Factor on all light.
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
    """Rotation by angles in degrees about y (to the subject's left), x (down) and z."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True).as_matrix()


def draw_studio(name: str, seed: int) -> Studio:
    """Camera place and lamps of a subject, by seed."""
    rng = np.random.default_rng(derive_seed(seed, "studio", name))
    facing = rotate(rng.normal(0, 3.5), rng.normal(3, 3.0), rng.normal(0, 1.5))
    axes = np.diag([1.0, -1.0, -1.0])
    side = rng.choice([-1, 1])
    key = _direction(side * rng.uniform(15, 50), rng.uniform(20, 45))
    fill = _direction(-side * rng.uniform(20, 65), rng.uniform(0, 30))
    warmth = rng.uniform(-0.08, 0.08)
    white = np.array([1 + warmth, 1.0, 1 - warmth])
    power = rng.uniform(1.6, 2.4)
    return Studio(
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
    """A unit vector by angles in degrees, azimuth 0 towards the viewer."""
    a, h = np.deg2rad([azimuth, height])
    return np.array([np.sin(a) * np.cos(h), np.sin(h), np.cos(a) * np.cos(h)])


def default_camera(width: int, height: int) -> Camera:
    """The camera of CAS(ME)^3 (f = 1324.65 px at 1280×720), scaled to another size by its width."""
    focal = 1324.65 * width / 1280
    return Camera(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
