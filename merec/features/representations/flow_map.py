"""Flow maps: small maps of the motion from onset to apex, their mirror images and short descriptions."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float, UInt8

from merec.corpora.megc2019_packed import CHANNELS, SIZE
from merec.features.onset_apex_features import Pair, require_depth
from merec.features.representations import Channels, Inputs, Parts, Representation
from merec.types import InputError

HORIZONTAL = ("u", "dz_x")  # what points along the rows: a mirror turns it round


def compute_strain(
    u: Float[np.ndarray, "height width"], v: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width"]:
    """Compute the optical strain: the norm of the symmetric part of the flow's gradient.

    It is 0 for a shift and for a small rotation (optical strain, Shreve et al. 2009).
    """
    (u_y, u_x), (v_y, v_x) = np.gradient(u), np.gradient(v)
    return np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2)


def shrink(field: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "28 28"]:
    """Resize a field to the size of the maps by area averages."""
    import cv2

    return cv2.resize(field, SIZE, interpolation=cv2.INTER_AREA)


def stretch(field: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Scale a field linearly from its minimum and maximum to 0 and 255; a constant field becomes 128."""
    low, high = field.min(), field.max()
    if low == high:
        return np.full(field.shape, 128, np.uint8)
    return np.round(255 * (field - low) / (high - low)).astype(np.uint8)


def mirror(
    maps: UInt8[np.ndarray, "maps channels height width"], channels: Sequence[str]
) -> UInt8[np.ndarray, "maps channels height width"]:
    """Mirror the face: reverse all channels in x and change the sign of u.

    Every channel is min-max scaled to 0..255, so -u becomes 255 minus the value of u.
    The vertical component, strain and depth keep their values. Mirroring twice changes nothing.

    Args:
        maps: Motion of each sample, 0..255.
        channels: Names of the maps' channels, e.g. `("u", "v", "strain")`.

    Raises:
        InputError: If the numbers of names and channels differ.
    """
    check_names(maps, channels)
    mirrored = maps[..., ::-1].copy()
    for at, name in enumerate(channels):
        if name in HORIZONTAL:
            mirrored[:, at] = 255 - mirrored[:, at]
    return mirrored


def describe(
    maps: UInt8[np.ndarray, "maps channels height width"],
    channels: Sequence[str],
    keep: Sequence[str],
    cells: int,
) -> Float[np.ndarray, "maps features"]:
    """Compute the mean motion in each cell of a grid, relative to the median motion of the face.

    The scaling to 0..255 moved the zero of a flow component to an unknown grey value. Most of a face does not
    move in a micro-expression, so the median of a map estimates this value. Subtracting it also removes the
    rest of a head shift. Each map and channel is centred by its own median, independently of other samples.

    Args:
        maps: Motion of each sample, 0..255.
        channels: Names of the maps' channels.
        keep: Names of the channels to describe, in the order of the features.
        cells: Cells of the grid along each axis; 7 gives cells of 4x4 px on maps of 28x28.

    Returns:
        Features ordered by channel, row, column, in units of the range of the map: 1 is the difference of its
        maximum and minimum, so features lie in -1..1.

    Raises:
        InputError: If a channel to keep is not there, or the grid does not divide the maps.
    """
    check_names(maps, channels)
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


def check_names(maps: np.ndarray, channels: Sequence[str]) -> None:
    """Check that there is one name per channel.

    Raises:
        InputError: If not; the message contains both numbers.
    """
    if len(channels) != maps.shape[1]:
        raise InputError(
            f"maps of {maps.shape[1]} channels, but {len(channels)} names {list(channels)}; "
            "name each channel once"
        )


def make_flow_map(
    pair: Pair, crops: Mapping[str, np.ndarray], motion: Mapping[str, np.ndarray], modality: str
) -> dict[str, np.ndarray]:
    """Return a small map of the motion in the format of the distributed MEGC2019 maps.

    Returns:
        `map` (3, 28, 28) uint8, each channel stretched to 0..255: u, v, strain for rgb; dz and its slopes to
        the right and down for depth; u, v, dz for fused.

    Raises:
        InputError: If the modality needs depth that is not there.
    """
    flow = motion["flow"].astype(np.float32)
    u, v = flow[..., 0], flow[..., 1]
    if modality == "rgb":
        fields = [shrink(u), shrink(v), shrink(compute_strain(u, v))]
    else:
        require_depth(pair, crops, f"modality {modality}")
        valid = motion["known"].astype(np.float32)
        # The mean of what is known; slopes of the small map, as at full size they would be noise.
        share = shrink(valid)
        dz = shrink(motion["dz"].astype(np.float32)) / np.maximum(share, 1e-3)
        down, right = np.gradient(dz)
        fields = [dz, right, down] if modality == "depth" else [shrink(u), shrink(v), dz]
    return {"map": np.stack([stretch(field) for field in fields])}


class FlowMap(Representation):
    """A flow map of 28x28 px, each channel stretched to 0..255."""

    name = "flow_map"
    arrays: ClassVar[Mapping[str, str]] = {"maps": "map"}
    makers = (make_flow_map,)
    stretched = True

    def channels(self, modality: str, views: Sequence[str] | None = None) -> Channels:
        """Return the names of the channels of a map."""
        names = {"rgb": CHANNELS, "depth": ("dz", "dz_x", "dz_y"), "fused": ("u", "v", "dz")}
        return (names[modality],)

    def example_shape(self, modality: str) -> tuple[int, ...]:
        """Return the shape of a map."""
        return (3, *SIZE)

    def make(self, parts: Parts) -> dict[str, np.ndarray]:
        """Compute the map of one sample."""
        return make_flow_map(parts.pair, parts.crops, parts.motion, parts.modality)

    def show(self, arrays: Sequence[np.ndarray], channels: Channels, size: int | None) -> Inputs:
        """Return the maps in the memory layout in which CPU convolutions of few channels are fastest."""
        import torch

        (maps,) = super().show(arrays, channels, size)
        return (maps.float().contiguous(memory_format=torch.channels_last),)
