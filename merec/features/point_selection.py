"""Points of facial regions: motion is smoothed and scaled, points are chosen and normalised."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

FEATURES = ("x", "y", "z", "u", "v", "dz")


class RegionPoints(NamedTuple):
    """Points of one sample.

    Attributes:
        points: x, y, z and u, v, dz, sorted by descending motion in each region.
        short: Number of points that each region lacked; they are repetitions of its other points.
    """

    points: Float[np.ndarray, "regions k 6"]
    short: Int[np.ndarray, " regions"]


def smooth_depth_change(
    change: Float[np.ndarray, "size size"], valid: Bool[np.ndarray, "size size"], sigma: float | int
) -> Float[np.ndarray, "size size"]:
    """Smooth a depth change over its known pixels (normalised convolution, Knutsson & Westin 1993).

    Holes and pixels outside the mask do not affect the result.

    Args:
        change: mm.
        valid: Pixels at which it was measured and is used.
        sigma: Standard deviation of the Gaussian, px; 0 changes nothing.

    Returns:
        mm, 0 where unknown.
    """
    import cv2

    if not sigma:
        return change
    weight = valid.astype(np.float32)
    total, share = (cv2.GaussianBlur(image, (0, 0), sigma) for image in (change * weight, weight))
    return np.where(valid, total / np.maximum(share, 1e-6), 0).astype(np.float32)


def scale_motion(
    motion: Float[np.ndarray, "size size 3"],
    where: Bool[np.ndarray, "size size"],
    scale: str,
    powers: tuple[float | int, ...],
) -> Float[np.ndarray, "size size 3"]:
    """Divide motion by its magnitude, then raise each component to a power and keep its sign.

    Args:
        motion: u, v (px), dz (mm).
        where: Mask of the pixels from which the scale is computed.
        scale: `max` divides each component by its largest absolute value (Zhang et al. 2025); `rms` divides
            all by the root mean square length of the flow, in px, or of dz, in mm, where there is no flow:
            the scale does not depend on a single strong pixel, and noise in depth is not amplified to the
            magnitude of the flow.
        powers: Powers of u, v, dz; 2, 2 and 3.33 in the paper, 1 for no sharpening.
    """
    sizes = np.abs(motion[where]).max(axis=0, initial=0)
    if scale == "rms":
        flow, depth = (
            motion[where][:, part].astype(np.float64) for part in (slice(2), slice(2, 3))
        )
        length = np.sqrt(
            [np.square(values).sum() / max(1, len(values)) for values in (flow, depth)]
        )
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
    valid: Bool[np.ndarray, "size size"],
    k: int,
    select: str,
    seed: int,
) -> RegionPoints:
    """Choose k points of each region, sorted by descending motion.

    A region with fewer points is filled with repetitions of its points; an empty region contains zeros and
    lacks all k points.

    Args:
        structure: x, y, z of each pixel.
        motion: u, v, dz of each pixel, on comparable scales.
        regions: Masks; they may overlap.
        valid: Pixels whose structure is known and not an outlier.
        k: Points per region.
        select: `motion` takes the points with the largest motion (Zhang et al. 2025), `uniform` draws them
            uniformly from the region. The strongest pixels of a region are close to each other, and in a
            region without motion they are noise.
        seed: Seed of the random draws.
    """
    rng = np.random.default_rng(seed)
    length = np.sqrt(np.einsum("...m,...m->...", motion, motion)).ravel()
    chosen = np.zeros((len(regions), k, len(FEATURES)), dtype=np.float32)
    short = np.zeros(len(regions), dtype=np.int64)
    for number, mask in enumerate(regions):
        inside = np.flatnonzero(mask & valid)
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
    """Centre positions and divide them by the largest radius; with `max`, also scale motion to length 1.

    Motion is not centred here, since points are ranked by its true length. Zhang et al. 2025 centre it; here
    the network does so (`backbone.centre_motion`).

    Args:
        points: Points as `choose_points` gives them.
        scale: Scale as in `scale_motion`, which already divided motion by its magnitude if it is `rms`.
    """
    flat = points.reshape(-1, len(FEATURES)).astype(np.float64)
    flat[:, :3] -= flat[:, :3].mean(axis=0)
    for part in (flat[:, :3], *([flat[:, 3:]] if scale == "max" else [])):
        part /= np.linalg.norm(part, axis=1).max(initial=0) or 1
    return flat.reshape(points.shape).astype(np.float32)
