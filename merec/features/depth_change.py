"""Depth change of the skin between onset and apex."""

import numpy as np
from jaxtyping import Bool, Float

from merec.features.alignment import look_up_depth


def measure_depth_change(
    onset: Float[np.ndarray, "size size"],
    apex: Float[np.ndarray, "size size"],
    has_depth: Bool[np.ndarray, "size size"],
    flow: Float[np.ndarray, "size size 2"],
    most: float | int,
) -> tuple[Float[np.ndarray, "size size"], Bool[np.ndarray, "size size"]]:
    """Measure how much further from the camera the skin at each pixel of the onset is at the apex, mm.

    The apex is looked up where the flow takes the pixel (see `look_up_depth`), as a point that moves sideways
    over a slope has another depth without having moved in it.

    Args:
        onset: Depth, mm.
        apex: Depth by the same box, mm; 0 = invalid.
        has_depth: Pixels at which the onset's depth is valid.
        flow: px, with the head's.
        most: mm; a larger change is a measuring error (8 in Zhang et al. 2025).

    Returns:
        Change in mm, 0 where unknown; and where it is known.
    """
    size = onset.shape[0]
    here = np.stack(np.meshgrid(*(np.arange(size, dtype=np.float32),) * 2), axis=-1)
    there = look_up_depth(apex, here + flow)
    change = there - onset
    valid = has_depth & (there > 0) & (np.abs(change) <= most)
    return np.where(valid, change, 0).astype(np.float32), valid
