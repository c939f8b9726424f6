"""What Zhang et al. 2025 look at: of each region the points that move most, with place and motion."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

FEATURES = ("x", "y", "z", "u", "v", "dz")


class RegionPoints(NamedTuple):
    """Points of one sample.

    Attributes:
        points: x, y, z and u, v, dz, per region sorted by falling motion.
        short: How many points each region lacked and got by drawing its own again.
    """

    points: Float[np.ndarray, "regions k 6"]
    short: Int[np.ndarray, " regions"]


def sharpen(
    motion: Float[np.ndarray, "size size 3"],
    where: Bool[np.ndarray, "size size"],
    powers: tuple[float | int, ...],
) -> Float[np.ndarray, "size size 3"]:
    """Each component divided by its largest absolute value, then raised to a power with its sign kept.

    Args:
        motion: u, v (px), dz (mm).
        where: Pixels that count.
        powers: Of u, v, dz; 2, 2 and 3.33 in the paper, 1 for no sharpening.
    """
    sharp = np.zeros_like(motion)
    for axis, power in enumerate(powers):  # one by one, for NumPy has a short way to square all
        moves = motion[..., axis]
        most = np.abs(moves[where]).max(initial=0)
        if most > 0:
            sharp[..., axis] = np.sign(moves) * np.abs(moves / most) ** power
    return sharp


def choose_points(
    structure: Float[np.ndarray, "size size 3"],
    motion: Float[np.ndarray, "size size 3"],
    regions: Bool[np.ndarray, "regions size size"],
    known: Bool[np.ndarray, "size size"],
    k: int,
    seed: int,
) -> RegionPoints:
    """Of each region the k points of largest motion, sorted.

    A region with fewer is filled by drawing its own points again; an empty one holds zeros and is short of
    all k.

    Args:
        structure: x, y, z of each pixel.
        motion: u, v, dz of each pixel, on scales that may be compared.
        regions: Masks; they may overlap.
        known: Pixels whose structure is known and no outlier.
        k: Points per region.
        seed: Of the filling.
    """
    rng = np.random.default_rng(seed)
    length = np.sqrt(np.einsum("...m,...m->...", motion, motion)).ravel()
    chosen = np.zeros((len(regions), k, len(FEATURES)), dtype=np.float32)
    short = np.zeros(len(regions), dtype=np.int64)
    for number, mask in enumerate(regions):
        inside = np.flatnonzero(mask & known)
        short[number] = max(0, k - len(inside))
        if not len(inside):
            continue
        moves = length[inside]
        if len(inside) > k:
            top = np.argpartition(moves, -k)[-k:]
            inside, moves = inside[top], moves[top]
        elif short[number]:
            again = rng.integers(len(inside), size=short[number])
            inside = np.concatenate([inside, inside[again]])
            moves = np.concatenate([moves, moves[again]])
        # By falling motion; equal ones by place, so that no machine sorts them otherwise.
        order = np.lexsort((inside, -moves))
        at = np.unravel_index(inside[order], mask.shape)
        chosen[number] = np.concatenate([structure[at], motion[at]], axis=-1)
    return RegionPoints(chosen, short)


def normalise(points: Float[np.ndarray, "regions k 6"]) -> Float[np.ndarray, "regions k 6"]:
    """Place centred, and place and motion each divided by their largest radius.

    Motion keeps its zero, as whoever ranks points by it needs that; Zhang et al. 2025 centre it too, which
    the network does (`backbone.centre_motion`).

    Args:
        points: As `choose_points` gives them.
    """
    found = points.reshape(-1, len(FEATURES)).astype(np.float64)
    found[:, :3] -= found[:, :3].mean(axis=0)
    for part in (found[:, :3], found[:, 3:]):
        part /= np.linalg.norm(part, axis=1).max(initial=0) or 1
    return found.reshape(points.shape).astype(np.float32)
