"""Points of facial regions with place and motion (Zhang et al. 2025): chosen, scaled, normalised."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

FEATURES = ("x", "y", "z", "u", "v", "dz")
SELECTIONS = ("motion", "uniform")
SCALES = ("max", "rms")


class RegionPoints(NamedTuple):
    """Points of one sample.

    Attributes:
        points: x, y, z and u, v, dz, per region sorted by falling motion.
        short: How many points each region lacked and got by drawing its own again.
    """

    points: Float[np.ndarray, "regions k 6"]
    short: Int[np.ndarray, " regions"]


def smooth_depth_change(
    change: Float[np.ndarray, "size size"], known: Bool[np.ndarray, "size size"], sigma: float | int
) -> Float[np.ndarray, "size size"]:
    """Smooth a depth change over its known pixels (normalised convolution, Knutsson & Westin 1993).

    Neither holes nor what lies outside the mask bleed into the result.

    Args:
        change: mm.
        known: Where it was measured and counts.
        sigma: Of the Gaussian, px; 0 changes nothing.

    Returns:
        mm, 0 where unknown.
    """
    import cv2

    if not sigma:
        return change
    weight = known.astype(np.float32)
    total, share = (cv2.GaussianBlur(each, (0, 0), sigma) for each in (change * weight, weight))
    return np.where(known, total / np.maximum(share, 1e-6), 0).astype(np.float32)


def scale_motion(
    motion: Float[np.ndarray, "size size 3"],
    where: Bool[np.ndarray, "size size"],
    scale: str,
    powers: tuple[float | int, ...],
) -> Float[np.ndarray, "size size 3"]:
    """Divide motion by its size, then raise each component to a power with its sign kept.

    Args:
        motion: u, v (px), dz (mm).
        where: Pixels that count.
        scale: `max` divides each component by its largest absolute value (Zhang et al. 2025); `rms` divides
            all by the root mean square length of the flow, in px, or of dz, in mm, where there is no flow: no
            single strong pixel decides, and noise in depth is not blown up to the size of the flow.
        powers: Of u, v, dz; 2, 2 and 3.33 in the paper, 1 for no sharpening.
    """
    sizes = np.abs(motion[where]).max(axis=0, initial=0)
    if scale == "rms":
        flow, depth = (
            motion[where][:, part].astype(np.float64) for part in (slice(2), slice(2, 3))
        )
        length = np.sqrt([np.square(each).sum() / max(1, len(each)) for each in (flow, depth)])
        sizes[:] = length[0] or length[1]
    scaled = np.zeros_like(motion)
    for axis, power in enumerate(powers):  # one by one, for NumPy has a short way to square all
        component = motion[..., axis]
        if sizes[axis] > 0:
            scaled[..., axis] = np.sign(component) * np.abs(component / sizes[axis]) ** power
    return scaled


def choose_points(
    structure: Float[np.ndarray, "size size 3"],
    motion: Float[np.ndarray, "size size 3"],
    regions: Bool[np.ndarray, "regions size size"],
    known: Bool[np.ndarray, "size size"],
    k: int,
    select: str,
    seed: int,
) -> RegionPoints:
    """Choose k points of each region, sorted by falling motion.

    A region with fewer is filled by drawing its own points again; an empty one holds zeros and is short of
    all k.

    Args:
        structure: x, y, z of each pixel.
        motion: u, v, dz of each pixel, on scales that may be compared.
        regions: Masks; they may overlap.
        known: Pixels whose structure is known and no outlier.
        k: Points per region.
        select: `motion` takes those of largest motion (Zhang et al. 2025), `uniform` draws them evenly from
            the region: the strongest pixels of a region lie close together, and of a resting one they are
            its noise.
        seed: Of drawing and filling.
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
            if select == "motion":
                top = np.argpartition(moves, -k)[-k:]
            else:
                top = rng.choice(len(inside), k, replace=False)
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


def normalise(
    points: Float[np.ndarray, "regions k 6"], scale: str
) -> Float[np.ndarray, "regions k 6"]:
    """Centre places and divide them by their largest radius; with `max`, divide motion by its largest length.

    Motion keeps its zero, as whoever ranks points by it needs that; Zhang et al. 2025 centre it too, which
    the network does (`backbone.centre_motion`).

    Args:
        points: As `choose_points` gives them.
        scale: As in `scale_motion`, which has divided motion by its size already if it is `rms`.
    """
    flat = points.reshape(-1, len(FEATURES)).astype(np.float64)
    flat[:, :3] -= flat[:, :3].mean(axis=0)
    for part in (flat[:, :3], *([flat[:, 3:]] if scale == "max" else [])):
        part /= np.linalg.norm(part, axis=1).max(initial=0) or 1
    return flat.reshape(points.shape).astype(np.float32)
