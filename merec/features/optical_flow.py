"""Optical flow between onset and apex."""

import numpy as np
from jaxtyping import Float, UInt8

from merec.features.settings import METHODS
from merec.types import InputError


def measure_flow(
    onset: UInt8[np.ndarray, "size size 3"], apex: UInt8[np.ndarray, "size size 3"], method: str
) -> Float[np.ndarray, "size size 2"]:
    """Measure the displacement of each pixel from onset to apex: u to the right, v down, px.

    Args:
        onset: RGB crop.
        apex: RGB crop with the same box.
        method: `dis` (Kroeger et al. 2016, finest scale 0), `tvl1` (Zach et al. 2007) or `farneback` (2003).

    Raises:
        InputError: If there is no such method.
    """
    import cv2

    before, after = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (onset, apex))
    if method == "dis":
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(0)  # full resolution: the preset's 1 is half of it
        return search.calc(before, after, np.zeros((*before.shape, 2), np.float32))
    if method == "tvl1":
        # Three warps and four scales: a third of the time, .97 of the cosine (see dependencies.md).
        solver = cv2.optflow.DualTVL1OpticalFlow.create(warps=3, epsilon=0.02, nscales=4)
        return solver.calc(before, after, np.zeros((*before.shape, 2), np.float32))
    if method == "farneback":
        start = np.zeros((*before.shape, 2), np.float32)
        return cv2.calcOpticalFlowFarneback(before, after, start, 0.5, 4, 15, 5, 7, 1.5, 0)
    raise InputError(f"flow={method} is unknown; choose {', '.join(METHODS)}")
