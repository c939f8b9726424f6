"""Difference images of onset and apex, in colour and in depth: what the dual-view encoder looks at."""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from merec.types import InputError

MODES = ("signed", "abs", "wrap_uint8")


def subtract_colors(
    onset: UInt8[np.ndarray, "size size 3"], apex: UInt8[np.ndarray, "size size 3"], mode: str
) -> Float[np.ndarray, "3 size size"]:
    """Apex less onset, in units of the whole grey range.

    Args:
        onset: RGB crop.
        apex: RGB crop by the same box.
        mode: `signed` -1..1; `abs` 0..1; `wrap_uint8` 0..1, modulo 256, which is what the statistics
            published with DVSCL (Li et al. 2025) suggest.

    Raises:
        InputError: If there is no such mode.
    """
    if mode == "wrap_uint8":
        change = (apex - onset).astype(np.float32)
    elif mode in MODES:
        change = apex.astype(np.float32) - onset
    else:
        raise InputError(f"difference={mode} is unknown; choose {', '.join(MODES)}")
    if mode == "abs":
        change = np.abs(change)
    return (change / 255).transpose(2, 0, 1)


def subtract_depths(
    change: Float[np.ndarray, "size size"],
    known: Bool[np.ndarray, "size size"],
    mode: str,
    most: float | int,
) -> Float[np.ndarray, "1 size size"]:
    """Depth change in units of the largest that is believed; 0 where unknown.

    Args:
        change: mm.
        known: Where it was measured.
        mode: As for colours; `wrap_uint8` counts whole mm modulo 256, in units of 255.
        most: mm that become 1.
    """
    change = np.where(known, change, 0).astype(np.float32)
    if mode == "wrap_uint8":
        return (np.mod(np.rint(change), 256) / 255)[None]
    if mode not in MODES:
        raise InputError(f"difference={mode} is unknown; choose {', '.join(MODES)}")
    return (np.abs(change) if mode == "abs" else change)[None] / np.float32(most)
