"""Views: the two inputs of the dual-view encoder (colour difference, depth difference or optical flow)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, UInt8

from merec.features.onset_apex_features import Pair, require_depth
from merec.features.representations import (
    COLORS,
    MODALITIES,
    Channels,
    Inputs,
    Parts,
    Representation,
    spell_views,
)
from merec.features.representations.flow_map import compute_strain
from merec.features.settings import DIFFERENCES, Settings
from merec.types import InputError

ViewPair = tuple[str, str]
# Two depth views are `depth`, one beside another view is `fused`, none is `rgb`.
VIEW_CHANNELS = {"rgb": COLORS, "depth": ("dz",), "flow": ("u", "v", "strain")}
# The views of each modality unless others are asked for; those of `fused` as published (Li et al. 2025).
DEFAULT_VIEWS: Mapping[str, ViewPair] = {
    "rgb": ("rgb", "flow"),
    "depth": ("depth", "depth"),
    "fused": ("rgb", "depth"),
}


def subtract_colors(
    onset: UInt8[np.ndarray, "size size 3"], apex: UInt8[np.ndarray, "size size 3"], mode: str
) -> Float[np.ndarray, "3 size size"]:
    """Subtract the onset from the apex, in units of the whole grey range.

    Args:
        onset: RGB crop.
        apex: RGB crop by the same box.
        mode: `signed` -1..1; `abs` 0..1; `wrap_uint8` 0..1, modulo 256, as the statistics published with
            DVSCL (Li et al. 2025) suggest.

    Raises:
        InputError: If there is no such mode.
    """
    if mode == "wrap_uint8":
        change = (apex - onset).astype(np.float32)
    elif mode in DIFFERENCES:
        change = apex.astype(np.float32) - onset
    else:
        raise InputError(f"difference={mode} is unknown; choose {', '.join(DIFFERENCES)}")
    if mode == "abs":
        change = np.abs(change)
    return (change / 255).transpose(2, 0, 1)


def subtract_depths(
    change: Float[np.ndarray, "size size"],
    valid: Bool[np.ndarray, "size size"],
    mode: str,
    most: float | int,
) -> Float[np.ndarray, "1 size size"]:
    """Divide a depth change by the largest plausible change; 0 where unknown.

    Args:
        change: mm.
        valid: Pixels at which it was measured.
        mode: Mode as for colours; `wrap_uint8` counts whole mm modulo 256, in units of 255.
        most: Depth change that becomes 1, mm.
    """
    change = np.where(valid, change, 0).astype(np.float32)
    if mode == "wrap_uint8":
        return (np.mod(np.rint(change), 256) / 255)[None]
    if mode not in DIFFERENCES:
        raise InputError(f"difference={mode} is unknown; choose {', '.join(DIFFERENCES)}")
    return (np.abs(change) if mode == "abs" else change)[None] / np.float32(most)


def make_views(
    pair: Pair,
    crops: Mapping[str, np.ndarray],
    motion: Mapping[str, np.ndarray],
    difference: str,
    most_depth: float | int,
    region: str,
    views: ViewPair,
) -> dict[str, np.ndarray]:
    """Compute the two images that the dual-view encoder reads.

    Args:
        pair: Files of the sample.
        crops: Crops of the sample.
        motion: Motion of the sample.
        difference: `signed`, `abs` or `wrap_uint8`.
        most_depth: Depth change that becomes 1, mm.
        region: `crop` for the whole crop, `face` for facial skin only, with 0 elsewhere.
        views: Names of the two views; `rgb` is the colour difference, `depth` the depth difference, `flow` u,
            v (px) and strain.

    Returns:
        `first`, `second` (channels, size, size) float16.

    Raises:
        InputError: If a view needs depth that is not there, or there is no such difference.
    """
    images = {}
    if "rgb" in views:
        images["rgb"] = subtract_colors(crops["onset"], crops["apex"], difference)
    if "flow" in views:
        flow = motion["flow"].astype(np.float32)
        u, v = flow[..., 0], flow[..., 1]
        images["flow"] = np.stack([u, v, compute_strain(u, v)])
    if "depth" in views:
        require_depth(pair, crops, "view depth")
        change = motion["dz"].astype(np.float32)
        images["depth"] = subtract_depths(change, motion["known"], difference, most_depth)
    visible = motion["face"] if region == "face" else True
    first, second = (np.where(visible, images[view], 0).astype(np.float16) for view in views)
    return {"first": first, "second": second}


class Views(Representation):
    """Two images of the change from onset to apex, aligned with each other (Li et al. 2025)."""

    name = "views"
    arrays: ClassVar[Mapping[str, str]] = {"first": "first", "second": "second"}
    makers = (make_views,)
    heeds = ("features.difference", "features.view_region")
    augmentations = ("crop", "light")

    def channels(self, modality: str, views: Sequence[str] | None = None) -> Channels:
        """Return the names of the channels of both views."""
        return tuple(VIEW_CHANNELS[view] for view in views or DEFAULT_VIEWS[modality])

    def example_shape(self, modality: str) -> tuple[int, ...]:
        """Return the shape of a small first view."""
        return (len(self.channels(modality)[0]), 64, 64)

    def choose_views(self, modality: str, views: Sequence[str] | None) -> ViewPair | None:
        """Return the two views that the network reads."""
        if modality not in MODALITIES:  # which is refused with the modalities that there are
            return None
        if views is None:
            return DEFAULT_VIEWS[modality]
        asked = f"datamodule.views={spell_views(views)}"
        unknown = [view for view in views if view not in VIEW_CHANNELS]
        if isinstance(views, str) or len(views) != 2 or unknown:
            raise InputError(
                f"{asked} is no pair of views; give two of {', '.join(VIEW_CHANNELS)}, as [rgb,flow]"
            )
        first, second = views
        if first == second != "depth":
            raise InputError(
                f"{asked} shows one view twice; name two different ones, as [rgb,flow]"
            )
        fitting = "rgb" if "depth" not in views else "depth" if first == second else "fused"
        if fitting != modality:
            raise InputError(
                f"{asked} are views of datamodule={fitting}, but this is datamodule={modality}, of which "
                f"tables say what was shown; set datamodule={fitting}, or leave datamodule.views out"
            )
        return first, second

    def list_settings(self, settings: Settings, pair: Pair) -> dict[str, Any]:
        """Return the settings of the difference, the region of the crop, and the scale of depth."""
        how = {"difference": settings.difference, "region": settings.view_region}
        return how | {"most_depth": settings.motion.most_depth}

    def make(self, parts: Parts) -> dict[str, np.ndarray]:
        """Compute both views of one sample."""
        first, second = parts.views
        return make_views(
            parts.pair,
            parts.crops,
            parts.motion,
            parts.settings.difference,
            parts.settings.motion.most_depth,
            parts.settings.view_region,
            (first, second),
        )

    def show(self, arrays: Sequence[np.ndarray], channels: Channels, size: int | None) -> Inputs:
        """Return both views at another size."""
        from merec.features.image_transforms import resize_images

        views = super().show(arrays, channels, size)
        return resize_images(views, channels, size or int(views[0].shape[-1]))
