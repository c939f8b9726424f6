"""Settings of the stages of a feature; each stage is cached under its own settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from merec.features.intensity import ESTIMATORS
from merec.types import InputError

METHODS = ("dis", "tvl1", "farneback")  # of optical flow
SELECTIONS = ("motion", "uniform")  # of points
SCALES = ("max", "rms")  # of their motion
DIFFERENCES = ("signed", "abs", "wrap_uint8")  # of the frames of a view
REGIONS = ("crop", "face")  # of views
_Settings = TypeVar("_Settings")


@dataclass(frozen=True)
class CropSettings:
    """Settings of the face crop.

    Attributes:
        size: Size of the crop, px.
        margin: Room on each side, as a share of the landmarks' larger extent.
    """

    size: int
    margin: float | int

    def __post_init__(self) -> None:
        _require(28 <= self.size <= 1024, "crops.size", self.size, "28 to 1024 px")
        _require(0 <= self.margin <= 2, "crops.margin", self.margin, "0 to 2 times the face")


@dataclass(frozen=True)
class MotionSettings:
    """Settings of optical flow and depth change.

    Attributes:
        flow: `dis`, `tvl1` or `farneback`.
        head: Whether the head's movement is removed.
        blinks: Whether the eyes and the band below them are left out.
        most_depth: Largest plausible depth change, mm.
    """

    flow: str
    head: bool
    blinks: bool
    most_depth: float | int

    def __post_init__(self) -> None:
        _require(self.flow in METHODS, "motion.flow", self.flow, ", ".join(METHODS))
        _require(self.most_depth > 0, "motion.most_depth", self.most_depth, "more than 0 mm")


@dataclass(frozen=True)
class PointSettings:
    """Settings of the points.

    Attributes:
        k: Points per region.
        select: `motion`: points with the largest motion; `uniform`: drawn uniformly.
        scale: Divisor of motion, see `scale_motion`.
        powers: Exponents that sharpen u, v and dz; 1 for none.
        smooth_dz: Width of the Gaussian over the depth change, px of the crop; 0 for none.
    """

    k: int
    select: str
    scale: str
    powers: Sequence[float | int]
    smooth_dz: float | int

    def __post_init__(self) -> None:
        _require(self.k >= 1, "points.k", self.k, "1 or more points per region")
        _require(self.select in SELECTIONS, "points.select", self.select, ", ".join(SELECTIONS))
        _require(self.scale in SCALES, "points.scale", self.scale, ", ".join(SCALES))
        _require(self.smooth_dz >= 0, "points.smooth_dz", self.smooth_dz, "0 (off) or more px")
        good = len(self.powers) == 3 and all(power > 0 for power in self.powers)
        _require(good, "points.powers", list(self.powers), "three above 0, of u, v and dz")


@dataclass(frozen=True)
class ClipSettings:
    """Settings of clips.

    Attributes:
        frames: Number of frames, evenly spaced from onset to offset.
        size: Size of each frame, px.
    """

    frames: int
    size: int

    def __post_init__(self) -> None:
        _require(self.frames >= 2, "clip.frames", self.frames, "2 or more frames")
        _require(self.size >= 16, "clip.size", self.size, "16 px or more")


@dataclass(frozen=True)
class Settings:
    """Settings of all stages.

    Attributes:
        crops: Settings of the face crops.
        motion: Settings of optical flow and depth change.
        points: Settings of the points of regions.
        difference: Difference of the views: `signed`, `abs` or `wrap_uint8`.
        view_region: Region that views show: the whole `crop`, or only the skin of the `face`.
        clip: Settings of clips.
        depth_noise: Standard deviation (mm) of the noise added to depth at a distance of 550 mm; 0: none.
    """

    crops: CropSettings
    motion: MotionSettings
    points: PointSettings
    difference: str
    view_region: str
    clip: ClipSettings
    depth_noise: float | int

    def __post_init__(self) -> None:
        _require(self.depth_noise >= 0, "depth_noise", self.depth_noise, "0 (none) or more mm")
        most = f"up to the {self.crops.size} px of features.crops.size"
        _require(self.clip.size <= self.crops.size, "clip.size", self.clip.size, most)
        choices = ", ".join(DIFFERENCES)
        _require(self.difference in DIFFERENCES, "difference", self.difference, choices)
        _require(self.view_region in REGIONS, "view_region", self.view_region, ", ".join(REGIONS))


@dataclass(frozen=True)
class PoolSettings:
    """Settings of the pairs that are taken from clips without labels.

    Attributes:
        windows: Largest number of windows per clip, evenly spaced.
        seconds: Length of a window, s.
        step: Number of frames on disk from one candidate apex to the next.
        intensity: Estimator of a pair's intensity: `motion` or `blendshapes`.
    """

    windows: int
    seconds: float | int
    step: int
    intensity: str

    def __post_init__(self) -> None:
        _require(self.windows >= 1, "pool.windows", self.windows, "1 or more windows of a clip")
        _require(self.seconds > 0, "pool.seconds", self.seconds, "more than 0 s")
        _require(self.step >= 1, "pool.step", self.step, "1 or more frames")
        choices = ", ".join(ESTIMATORS)
        _require(self.intensity in ESTIMATORS, "pool.intensity", self.intensity, choices)


def read_settings(kind: type[_Settings], given: Mapping[str, Any], name: str) -> _Settings:
    """Read settings from a config's mapping.

    Args:
        kind: Settings class of the stage.
        given: The mapping.
        name: Config key of the mapping.

    Raises:
        InputError: If a key is missing or unknown, or a value out of range.
    """
    keys = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if set(given) != set(keys):
        raise InputError(
            f"features.{name} has {', '.join(map(str, given)) or 'nothing'}; expected all of "
            f"{', '.join(keys)}"
        )
    try:
        return kind(**given)
    except TypeError as error:  # a text where a number should be
        raise InputError(f"features.{name}={dict(given)} is not understood ({error})") from error


def _require(good: bool, key: str, value: object, expected: str) -> None:
    if not good:
        raise InputError(f"features.{key}={value}; expected {expected}")
