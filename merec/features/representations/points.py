"""Points of facial regions with position and motion (Zhang et al. 2025)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from merec.features.alignment import Alignment
from merec.features.augmentation import Augmentation
from merec.features.onset_apex_features import Pair, require_depth
from merec.features.point_selection import (
    FEATURES,
    RegionPoints,
    choose_points,
    normalise,
    scale_motion,
    smooth_depth_change,
)
from merec.features.regions import REGIONS
from merec.features.representations import Channels, Inputs, Parts, Representation
from merec.features.settings import PointSettings, Settings
from merec.features.structure import back_project, find_outliers, shape_from_landmarks
from merec.seeding import derive_seed
from merec.types import InputError


class Pixels(NamedTuple):
    """Pixels of a crop from which points are chosen.

    Attributes:
        structure: x, y, z of each pixel.
        motion: u, v, dz of each pixel, scaled.
        valid: Pixels whose structure is known and no outlier.
    """

    structure: Float[np.ndarray, "size size 3"]
    motion: Float[np.ndarray, "size size 3"]
    valid: Bool[np.ndarray, "size size"]


def describe_pixels(
    pair: Pair,
    crops: Mapping[str, np.ndarray],
    motion: Mapping[str, np.ndarray],
    settings: PointSettings,
    modality: str,
) -> Pixels:
    """Return structure and scaled motion of each pixel in one modality.

    Raises:
        InputError: If the modality needs depth or a camera that is missing, or a camera of other frames.
    """
    size = crops["onset"].shape[0]
    face = motion["face"]
    moves = np.zeros((size, size, 3), dtype=np.float32)
    if modality in ("rgb", "fused"):
        moves[..., :2] = motion["flow"]
    if modality == "rgb":
        structure, valid = shape_from_landmarks(crops["landmarks"][1].astype(np.float64), size)
    else:
        require_depth(pair, crops, f"modality {modality}")
        if pair.camera is None:
            raise InputError(
                f"the camera of sample {pair.sample_id} is unknown, which {modality} points need; set "
                "corpus.intrinsics, or use datamodule=rgb"
            )
        height, width = crops["frame"].tolist()
        if (width, height) != (pair.camera.width, pair.camera.height):
            raise InputError(
                f"the frames of sample {pair.sample_id} are {width}×{height} px, but corpus.intrinsics is of "
                f"{pair.camera.width}×{pair.camera.height} px; give those of these frames"
            )
        change = motion["dz"].astype(np.float32)
        moves[..., 2] = smooth_depth_change(change, motion["known"] & face, settings.smooth_dz)
        depth = crops["depth"][1].astype(np.float32)
        structure = back_project(depth, Alignment(crops["matrix"], size), pair.camera)
        valid = depth > 0
        valid &= ~find_outliers(structure, valid & face)
    scaled = scale_motion(moves, face, settings.scale, tuple(settings.powers))
    return Pixels(structure, scaled, valid)


def make_points(
    pair: Pair,
    crops: Mapping[str, np.ndarray],
    motion: Mapping[str, np.ndarray],
    settings: PointSettings,
    modality: str,
) -> dict[str, np.ndarray]:
    """Compute the points of the eight regions in one modality.

    Returns:
        `points` (8, k, 6), normalised; `short` (8,).

    Raises:
        InputError: If the modality needs depth or a camera that is missing or belongs to other frames, if a
            region is empty, or if a point is not finite.
    """
    pixels = describe_pixels(pair, crops, motion, settings, modality)
    chosen = _choose(pair, pixels, pixels.structure, motion, settings)
    empty = [name for name, lacks in zip(REGIONS, chosen.short, strict=True) if lacks == settings.k]
    if empty:
        raise InputError(
            f"nothing is known of the {', '.join(empty)} of sample {pair.sample_id}: the face leaves the "
            f"frame, or depth is missing there; look at it (merec inspect {pair.sample_id} corpus=…), and "
            "leave it out: corpus.exclude"
        )
    points = normalise(chosen.points, settings.scale)
    if not np.isfinite(points).all():
        raise InputError(
            f"sample {pair.sample_id} has points that are no finite numbers; check corpus.intrinsics"
        )
    return {"points": points, "short": chosen.short}


def locate_points(
    pair: Pair,
    crops: Mapping[str, np.ndarray],
    motion: Mapping[str, np.ndarray],
    settings: PointSettings,
    modality: str,
) -> Float[np.ndarray, "regions k 2"]:
    """Return the column and row, in px of the crop, of each point that `make_points` chooses."""
    pixels = describe_pixels(pair, crops, motion, settings, modality)
    row, column = np.indices(pixels.valid.shape, dtype=np.float32)
    place = np.stack([column, row, np.zeros_like(row)], axis=-1)
    return _choose(pair, pixels, place, motion, settings).points[..., :2]


def _choose(
    pair: Pair,
    pixels: Pixels,
    place: Float[np.ndarray, "size size 3"],
    motion: Mapping[str, np.ndarray],
    settings: PointSettings,
) -> RegionPoints:
    seed = derive_seed("points", pair.sample_id)
    chosen_from = motion["regions"], pixels.valid, settings.k, settings.select, seed
    return choose_points(place, pixels.motion, *chosen_from)


class Points(Representation):
    """Points of the eight facial regions, with position and motion (Zhang et al. 2025)."""

    name = "points"
    arrays: ClassVar[Mapping[str, str]] = {"points": "points"}
    makers = (make_points,)
    heeds = ("features.points.*",)
    channel_axis = -1
    augmentations = ("geometry", "rotation")
    has_regions = True
    motion: ClassVar[tuple[str, ...]] = FEATURES[3:]
    shortage = "short"

    def channels(self, modality: str, views: Sequence[str] | None = None) -> Channels:
        """Return the names of the features of a point."""
        return (FEATURES,)

    def example_shape(self, modality: str) -> tuple[int, ...]:
        """Return the shape of a few points per region."""
        return (len(REGIONS), 64, len(FEATURES))

    def needs_camera(self, modality: str) -> bool:
        """Return whether positions are computed from depth and not from landmarks."""
        return modality != "rgb"

    def list_settings(self, settings: Settings, pair: Pair) -> dict[str, Any]:
        """Return the settings of the selection, the seed of the draw, and the camera."""
        return asdict(settings.points) | {"seed": pair.sample_id, "camera": pair.camera}

    def make(self, parts: Parts) -> dict[str, np.ndarray]:
        """Compute the points of one sample."""
        settings = parts.settings.points
        return make_points(parts.pair, parts.crops, parts.motion, settings, parts.modality)

    def locate(self, parts: Parts) -> np.ndarray:
        """Return column and row of each point."""
        settings = parts.settings.points
        return locate_points(parts.pair, parts.crops, parts.motion, settings, parts.modality)

    def augment(
        self, inputs: Inputs, channels: Channels, settings: Augmentation, generators: Sequence[Any]
    ) -> Inputs:
        """Mirror, scale and shift faces."""
        from merec.features.point_transforms import augment_points

        (points,) = inputs
        return (augment_points(points, settings, generators),)

    def drop(self, inputs: Inputs, settings: Augmentation, generators: Sequence[Any]) -> Inputs:
        """Mark the points that are dropped."""
        from merec.features.point_transforms import mark_dropped

        if not settings.dropout:
            return inputs
        (points,) = inputs
        return (mark_dropped(points, settings.dropout, generators),)
