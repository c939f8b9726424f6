"""How the skin is deformed in the cells of a flow map, whatever the head does."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from merec.features.flow_map import check_names, mirror
from merec.types import InputError

FIELDS = ("divergence", "stretch", "shear", "curl")


def describe_deformation(
    maps: UInt8[np.ndarray, "maps channels height width"],
    channels: Sequence[str],
    keep: Sequence[str],
    cells: int,
    spread: float,
) -> Float[np.ndarray, "maps features"]:
    """Divergence, both shears and curl of the flow in soft cells, of each map and of its mirror image.

    What is differentiated forgets a constant: neither a shift of the head nor the zero level that the stretch
    of a map to 0..255 has lost can show.

    Args:
        maps: Motion of each sample, 0..255.
        channels: Names of the maps' channels.
        keep: The two channels that are the flow's components: along the rows, along the columns.
        cells: Cells along each axis.
        spread: Standard deviation of a cell's Gaussian weight, in cells.

    Returns:
        Features by field (`FIELDS`), row and column, per px of ranges of the maps; those of the map, then
        those of its mirror image.

    Raises:
        InputError: If `keep` is not two of the channels.
    """
    check_names(maps, channels)
    if len(keep) != 2 or set(keep) - set(channels):
        raise InputError(
            f"deformation is that of two components, but keep={list(keep)} of the channels "
            f"{list(channels)}; take datamodule=rgb, or task.keep.rgb=[u,v]"
        )
    flow = [list(channels).index(name) for name in keep]
    both = [_measure(shown[:, flow], cells, spread) for shown in (maps, mirror(maps, channels))]
    return np.concatenate(both, axis=1)


def _measure(
    flow: UInt8[np.ndarray, "maps 2 height width"], cells: int, spread: float
) -> Float[np.ndarray, "maps features"]:
    across, down = np.moveaxis(flow / 255, 1, 0)
    (u_y, u_x), (v_y, v_x) = (np.gradient(part, axis=(1, 2)) for part in (across, down))
    fields = np.stack([u_x + v_y, u_x - v_y, u_y + v_x, v_x - u_y], axis=1)
    rows, columns = (_weigh(size, cells, spread) for size in flow.shape[2:])
    return (rows @ fields @ columns.T).reshape(len(flow), -1)


def _weigh(size: int, cells: int, spread: float) -> Float[np.ndarray, "cells size"]:
    """How much each pixel counts in each cell; a cell's weights add up to 1."""
    centre = (np.arange(cells) + 0.5) * size / cells - 0.5
    away = (np.arange(size) - centre[:, None]) * cells / size
    weight = np.exp(-((away / spread) ** 2) / 2)
    return weight / weight.sum(axis=1, keepdims=True)
