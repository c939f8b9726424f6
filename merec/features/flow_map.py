"""The mirror image of a flow map, and its short description for simple estimators."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from merec.types import InputError

HORIZONTAL = "u"  # the channel that changes sign in a mirror


def mirror(
    maps: UInt8[np.ndarray, "maps channels height width"], channels: Sequence[str]
) -> UInt8[np.ndarray, "maps channels height width"]:
    """Show the same motion on the mirrored face: all channels reversed in x, and u turned round.

    Every channel is min-max stretched to 0..255, so that the stretch of -u is 255 minus that of u.
    The vertical component, strain and depth keep their values. Mirroring twice changes nothing.

    Args:
        maps: Motion of each sample, 0..255.
        channels: Names of the maps' channels, e.g. `("u", "v", "strain")`.

    Raises:
        InputError: If there are not as many names as channels.
    """
    _check_names(maps, channels)
    mirrored = maps[..., ::-1].copy()
    for at, name in enumerate(channels):
        if name == HORIZONTAL:
            mirrored[:, at] = 255 - mirrored[:, at]
    return mirrored


def describe(
    maps: UInt8[np.ndarray, "maps channels height width"],
    channels: Sequence[str],
    keep: Sequence[str],
    cells: int,
) -> Float[np.ndarray, "maps features"]:
    """Mean motion in each cell of a grid, relative to the median motion of the face.

    The stretch to 0..255 moved the zero of a flow component to an unknown grey value. Most of a
    face rests in a micro-expression, so the median of a map estimates that value, and takes out
    what is left of a head shift. Each map and channel is centred by its own median: no other
    sample has a say.

    Args:
        maps: Motion of each sample, 0..255.
        channels: Names of the maps' channels.
        keep: Names of the channels to describe, in the order of the features.
        cells: Cells of the grid along each axis; 7 gives cells of 4x4 px on maps of 28x28.

    Returns:
        Features ordered by channel, row, column, in units of the map's own range: 1 is the distance
        between its least and greatest value, so features lie in -1..1.

    Raises:
        InputError: If a channel to keep is not there, or the grid does not divide the maps.
    """
    _check_names(maps, channels)
    missing = [name for name in keep if name not in channels]
    if missing or not keep:
        raise InputError(
            f"keep={list(keep)}, but the maps have channels {list(channels)}; keep some of those"
        )
    _, _, height, width = maps.shape
    if cells < 1 or height % cells or width % cells:
        raise InputError(
            f"cells={cells} does not divide maps of {height}x{width} px; take a common divisor"
        )
    kept = maps[:, [list(channels).index(name) for name in keep]]
    centred = kept - np.median(kept, axis=(2, 3), keepdims=True)
    tiles = centred.reshape(*kept.shape[:2], cells, height // cells, cells, width // cells)
    return tiles.mean(axis=(3, 5)).reshape(len(maps), len(keep) * cells**2) / 255


def _check_names(maps: np.ndarray, channels: Sequence[str]) -> None:
    if len(channels) != maps.shape[1]:
        raise InputError(
            f"maps of {maps.shape[1]} channels, but {len(channels)} names {list(channels)}; "
            "name each channel once"
        )
