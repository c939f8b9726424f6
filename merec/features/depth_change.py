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

    The depth of the apex is read where the flow moves the pixel to (see `look_up_depth`): a point that moves
    sideways along a slope changes its depth without a change of depth of the skin.

    Args:
        onset: Depth, mm.
        apex: Depth in the same crop, mm; 0 = invalid.
        has_depth: Pixels at which the onset's depth is valid.
        flow: Optical flow including head motion, px.
        most: Larger changes are measuring errors, mm (8 in Zhang et al. 2025).

    Returns:
        Change in mm, 0 where unknown, and the mask of known pixels.
    """
    size = onset.shape[0]
    here = np.stack(np.meshgrid(*(np.arange(size, dtype=np.float32),) * 2), axis=-1)
    there = look_up_depth(apex, here + flow)
    change = there - onset
    valid = has_depth & (there > 0) & (np.abs(change) <= most)
    return np.where(valid, change, 0).astype(np.float32), valid
