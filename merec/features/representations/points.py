"""Points of facial regions with position and motion (Zhang et al. 2025)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from merec.features.alignment import Alignment
from merec.features.augmentation import Augmentation
from merec.features.onset_apex_features import Pair, require_depth
from merec.features.regions import REGIONS
from merec.features.representations import Channels, Inputs, Parts, Representation
from merec.features.settings import PointSettings, Settings
from merec.features.structure import back_project, find_outliers, shape_from_landmarks
from merec.seeding import derive_seed
from merec.types import InputError

FEATURES = ("x", "y", "z", "u", "v", "dz")


class RegionPoints(NamedTuple):
    """Points of one sample.

    Attributes:
        points: x, y, z and u, v, dz, sorted by descending motion in each region.
        short: Number of points that each region lacked; they are repetitions of its other points.
    """

    points: Float[np.ndarray, "regions k 6"]
    short: Int[np.ndarray, " regions"]


def smooth_depth_change(
    change: Float[np.ndarray, "size size"], valid: Bool[np.ndarray, "size size"], sigma: float | int
) -> Float[np.ndarray, "size size"]:
    """Smooth a depth change over its known pixels (normalised convolution, Knutsson & Westin 1993).

    Holes and pixels outside the mask do not affect the result.

    Args:
        change: mm.
        valid: Pixels at which it was measured and is used.
        sigma: Standard deviation of the Gaussian, px; 0 changes nothing.

    Returns:
        mm, 0 where unknown.
    """
    import cv2

    if not sigma:
        return change
    weight = valid.astype(np.float32)
    total, share = (cv2.GaussianBlur(image, (0, 0), sigma) for image in (change * weight, weight))
    return np.where(valid, total / np.maximum(share, 1e-6), 0).astype(np.float32)


def scale_motion(
    motion: Float[np.ndarray, "size size 3"],
    where: Bool[np.ndarray, "size size"],
    scale: str,
    powers: tuple[float | int, ...],
) -> Float[np.ndarray, "size size 3"]:
    """Divide motion by its magnitude, then raise each component to a power and keep its sign.

    Args:
        motion: u, v (px), dz (mm).
        where: Mask of the pixels from which the scale is computed.
        scale: `max` divides each component by its largest absolute value (Zhang et al. 2025); `rms` divides
            all by the root mean square length of the flow, in px, or of dz, in mm, where there is no flow:
            the scale does not depend on a single strong pixel, and noise in depth is not amplified to the
            magnitude of the flow.
        powers: Powers of u, v, dz; 2, 2 and 3.33 in the paper, 1 for no sharpening.
    """
    sizes = np.abs(motion[where]).max(axis=0, initial=0)
    if scale == "rms":
        flow, depth = (
            motion[where][:, part].astype(np.float64) for part in (slice(2), slice(2, 3))
        )
        length = np.sqrt(
            [np.square(values).sum() / max(1, len(values)) for values in (flow, depth)]
        )
        sizes[:] = length[0] or length[1]
    scaled = np.zeros_like(motion)
    for axis, power in enumerate(powers):  # one by one, for NumPy has a short way to square all
        component = motion[..., axis]
        if sizes[axis] > 0:
            scaled[..., axis] = np.sign(component) * np.abs(component / sizes[axis]) ** power
    return scaled


def choose_points(
    structure: Float[np.ndarray, "size size 3"],
    motion: Float[np.ndarray, "size size 3"],
    regions: Bool[np.ndarray, "regions size size"],
    valid: Bool[np.ndarray, "size size"],
    k: int,
    select: str,
    seed: int,
) -> RegionPoints:
    """Choose k points of each region, sorted by descending motion.

    A region with fewer points is filled with repetitions of its points; an empty region contains zeros and
    lacks all k points.

    Args:
        structure: x, y, z of each pixel.
        motion: u, v, dz of each pixel, on comparable scales.
        regions: Masks; they may overlap.
        valid: Pixels whose structure is known and not an outlier.
        k: Points per region.
        select: `motion` takes the points with the largest motion (Zhang et al. 2025), `uniform` draws them
            uniformly from the region. The strongest pixels of a region are close to each other, and in a
            region without motion they are noise.
        seed: Seed of the random draws.
    """
    rng = np.random.default_rng(seed)
    length = np.sqrt(np.einsum("...m,...m->...", motion, motion)).ravel()
    chosen = np.zeros((len(regions), k, len(FEATURES)), dtype=np.float32)
    short = np.zeros(len(regions), dtype=np.int64)
    for number, mask in enumerate(regions):
        inside = np.flatnonzero(mask & valid)
        short[number] = max(0, k - len(inside))
        if not len(inside):
            continue
        moves = length[inside]
        if len(inside) > k:
            if select == "motion":
                top = np.argpartition(moves, -k)[-k:]
            else:
                top = rng.choice(len(inside), k, replace=False)
            inside, moves = inside[top], moves[top]
        elif short[number]:
            again = rng.integers(len(inside), size=short[number])
            inside = np.concatenate([inside, inside[again]])
            moves = np.concatenate([moves, moves[again]])
        # By falling motion; equal ones by place, so that no machine sorts them otherwise.
        order = np.lexsort((inside, -moves))
        at = np.unravel_index(inside[order], mask.shape)
        chosen[number] = np.concatenate([structure[at], motion[at]], axis=-1)
    return RegionPoints(chosen, short)


def normalise(
    points: Float[np.ndarray, "regions k 6"], scale: str
) -> Float[np.ndarray, "regions k 6"]:
    """Centre positions and divide them by the largest radius; with `max`, also scale motion to length 1.

    Motion is not centred here, since points are ranked by its true length. Zhang et al. 2025 centre it; here
    the network does so (`backbone.centre_motion`).

    Args:
        points: Points as `choose_points` gives them.
        scale: Scale as in `scale_motion`, which already divided motion by its magnitude if it is `rms`.
    """
    flat = points.reshape(-1, len(FEATURES)).astype(np.float64)
    flat[:, :3] -= flat[:, :3].mean(axis=0)
    for part in (flat[:, :3], *([flat[:, 3:]] if scale == "max" else [])):
        part /= np.linalg.norm(part, axis=1).max(initial=0) or 1
    return flat.reshape(points.shape).astype(np.float32)


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
    size = crops["onset"].shape[0]
    face, regions = motion["face"], motion["regions"]
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
                "corpus.intrinsics, or take datamodule=rgb"
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
    seed = derive_seed("points", pair.sample_id)
    chosen = choose_points(structure, scaled, regions, valid, settings.k, settings.select, seed)
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


class Points(Representation):
    """Points of the eight facial regions, with position and motion (Zhang et al. 2025)."""

    name = "points"
    arrays: ClassVar[Mapping[str, str]] = {"points": "points"}
    makers = (make_points,)
    heeds = ("features.points.*",)
    channel_axis = -1
    augmentations = ("geometry", "rotation")
    has_regions = True
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
