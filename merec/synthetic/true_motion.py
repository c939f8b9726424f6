"""True motion of the skin of a rendered face, relative to the head."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

from merec.synthetic.ground_truth import project
from merec.types import Camera

SHARE = 0.25  # of the largest displacement of a sample: what moves as much counts as moving
LEAST = 0.01  # mm; less is rounding
_NEAR = 80.0  # mm behind the nearest vertex: vertices further off are hidden by the face
_ROUNDS = 5  # of the rigid fit


def find_moving(
    onset: Float[np.ndarray, "vertices 3"],
    apex: Float[np.ndarray, "vertices 3"],
    camera: Camera,
    pixels: Float[np.ndarray, "points 2"],
) -> Bool[np.ndarray, " points"]:
    """Find the places at which the skin moves at least a quarter as far as where it moves most.

    Args:
        onset: Vertices at the onset, mm in camera axes.
        apex: Vertices at the apex.
        camera: Camera of the frames.
        pixels: Column and row in px of the onset frame.
    """
    length = measure_expression(onset, apex)
    visible = onset[:, 2] < onset[:, 2].min() + _NEAR
    flat = project(onset[visible], camera)
    _, nearest = KDTree(flat).query(pixels)
    there = length[visible][nearest]
    return (there >= SHARE * there.max()) & (there > LEAST)


def measure_expression(
    onset: Float[np.ndarray, "vertices 3"], apex: Float[np.ndarray, "vertices 3"]
) -> Float[np.ndarray, " vertices"]:
    """Measure how far each vertex moves relative to the head, mm.

    The head's movement is the rigid one that most vertices follow: it is fitted to all of them (Kabsch 1976),
    then again to the half that deviates least.
    """
    chosen = np.ones(len(onset), bool)
    for _ in range(_ROUNDS):
        centre, target = onset[chosen].mean(axis=0), apex[chosen].mean(axis=0)
        left, _, right = np.linalg.svd((onset[chosen] - centre).T @ (apex[chosen] - target))
        mirror = np.diag([1, 1, np.sign(np.linalg.det(left @ right))])
        rigid = (onset - centre) @ (left @ mirror @ right) + target
        length = np.linalg.norm(apex - rigid, axis=1)
        chosen = length <= np.median(length)
    return length
