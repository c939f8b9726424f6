"""Deformation of the skin in the cells of a flow map, apart from rigid head motion."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from merec.features.representations.flow_map import check_names, mirror
from merec.types import InputError

FIELDS = ("divergence", "stretch", "shear", "curl")
SCALES = ("common", "apart")  # see `describe_half_faces`
_MIRRORED = np.array([1, 1, -1, -1])[:, None, None]  # what a mirror does to each field's sign


def describe_deformation(
    maps: UInt8[np.ndarray, "maps channels height width"],
    channels: Sequence[str],
    keep: Sequence[str],
    cells: int,
    spread: float,
) -> Float[np.ndarray, "maps features"]:
    """Compute divergence, both shears and curl of the flow in soft cells, for each map and its mirror image.

    Derivatives do not depend on a constant: neither a shift of the head nor the zero level, which is lost
    when a map is stretched to 0..255, affects the features.

    Args:
        maps: Motion of each sample, 0..255.
        channels: Names of the maps' channels.
        keep: The two channels that are the flow's components: along the rows, along the columns.
        cells: Cells along each axis.
        spread: Standard deviation of a cell's Gaussian weight, in cells.

    Returns:
        Features by field (`FIELDS`), row and column, in ranges of the map per px; first for the map, then for
        its mirror image.

    Raises:
        InputError: If `keep` is not two of the channels.
    """
    both = [
        _pool(_combine(_differentiate(oriented, channels, keep)), cells, spread).reshape(
            len(maps), -1
        )
        for oriented in (maps, mirror(maps, channels))
    ]
    return np.concatenate(both, axis=1)


def describe_half_faces(
    maps: UInt8[np.ndarray, "maps channels height width"],
    channels: Sequence[str],
    keep: Sequence[str],
    grids: Sequence[Mapping[str, float | int]],
) -> Float[np.ndarray, "maps features"]:
    """Compute the normalised deformation of both halves of each face in cells of several sizes.

    The right half is mirrored, so that both look like left halves. In each grid the features of the whole
    face have norm 1, so that weak and strong movements have the same features, also if an outlier stretched
    the map.

    Args:
        maps: Motion of each sample, 0..255.
        channels: Names of the maps' channels.
        keep: The two channels that are the flow's components: along the rows, along the columns.
        grids: `cells` along each axis, an even number, and `spread` as in `describe_deformation`.

    Returns:
        Features by scale (`SCALES`: slopes of both components as they are in the map, or each divided by its
        root mean square, since each component was stretched to 0..255 separately), grid, half, field, row and
        column.

    Raises:
        InputError: If `keep` is not two of the channels, or a grid cannot be halved.
    """
    odd = [grid["cells"] for grid in grids if grid["cells"] % 2]
    if odd:
        raise InputError(
            f"a grid of {odd[0]} cells has no halves; take even numbers of cells in describe.grids"
        )
    slopes = _differentiate(maps, channels, keep)
    strength = np.sqrt((slopes**2).mean(axis=(2, 3, 4), keepdims=True))
    parts = []
    for scaled in (slopes, slopes / np.where(strength > 0, strength, 1)):
        fields = _combine(scaled)
        for grid in grids:
            face = _pool(fields, int(grid["cells"]), grid["spread"])
            norm = np.sqrt((face**2).sum(axis=(1, 2, 3), keepdims=True))
            face = face / np.where(norm > 0, norm, 1)
            half = face.shape[-1] // 2
            for side in (face, _MIRRORED * face[..., ::-1]):
                parts.append(side[..., :half].reshape(len(maps), -1))
    return np.concatenate(parts, axis=1)


def _differentiate(
    maps: UInt8[np.ndarray, "maps channels height width"],
    channels: Sequence[str],
    keep: Sequence[str],
) -> Float[np.ndarray, "maps component axis height width"]:
    """Return the slopes of both flow components along rows and columns, in ranges of the map per px."""
    check_names(maps, channels)
    if len(keep) != 2 or set(keep) - set(channels):
        raise InputError(
            f"deformation is that of two components, but keep={list(keep)} of the channels "
            f"{list(channels)}; take datamodule=rgb, or task.keep.rgb=[u,v]"
        )
    flow = maps[:, [list(channels).index(name) for name in keep]] / 255
    down, across = np.gradient(flow, axis=(2, 3))
    return np.stack([down, across], axis=2)


def _combine(
    slopes: Float[np.ndarray, "maps component axis height width"],
) -> Float[np.ndarray, "maps fields height width"]:
    """Compute the four `FIELDS` from the slopes of the flow."""
    (u_y, u_x), (v_y, v_x) = slopes.transpose(1, 2, 0, 3, 4)
    return np.stack([u_x + v_y, u_x - v_y, u_y + v_x, v_x - u_y], axis=1)


def _pool(
    fields: Float[np.ndarray, "maps fields height width"], cells: int, spread: float
) -> Float[np.ndarray, "maps fields rows columns"]:
    """Return the means of the fields in soft cells."""
    rows, columns = (_weigh(size, cells, spread) for size in fields.shape[2:])
    return rows @ fields @ columns.T


def _weigh(size: int, cells: int, spread: float) -> Float[np.ndarray, "cells size"]:
    """Weigh each pixel in each cell; the weights of a cell add up to 1."""
    centre = (np.arange(cells) + 0.5) * size / cells - 0.5
    away = (np.arange(size) - centre[:, None]) * cells / size
    weight = np.exp(-((away / spread) ** 2) / 2)
    return weight / weight.sum(axis=1, keepdims=True)
