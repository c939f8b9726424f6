"""Clips: aligned crops of the face at evenly spaced times, in colour, depth or both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, UInt8

from merec.features.alignment import Alignment
from merec.features.frames import assert_unturned, decode_color, decode_depth, describe_size
from merec.features.onset_apex_features import RELIEF, WIDE, Pair
from merec.features.representations import COLORS, Channels, Parts, Representation
from merec.features.settings import ClipSettings, Settings
from merec.types import InputError

CHANNELS = {"rgb": COLORS, "depth": ("dz", "known"), "fused": (*COLORS, "dz", "known")}
MASKS = ("known",)  # channels that say where others are known
_MOST = 0.5  # of a pixel's depth may be unknown


def choose_frames(numbers: Sequence[int], first: int, last: int, count: int) -> list[int]:
    """Choose the frames on disk that are nearest to evenly spaced times, the earlier of two equally near.

    If few frames are on disk, a frame may be chosen several times.

    Args:
        numbers: Numbers of the frames on disk, in ascending order.
        first: First frame of the clip.
        last: Last frame of the clip.
        count: Frames to choose.
    """
    there = np.array(numbers)
    moments = np.linspace(first, last, count)
    return there[np.abs(there - moments[:, None]).argmin(axis=1)].tolist()


def make_clip(
    frames: Sequence[tuple[Path, ...]],
    contents: Mapping[Path, bytes],
    crops: Mapping[str, np.ndarray],
    settings: ClipSettings,
    most_depth: float | int,
    modality: str,
    add_noise: Callable[[np.ndarray, Path], np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the frames of a clip, cropped by the face of the onset.

    Args:
        frames: Colour of each frame, and depth if there is any.
        contents: Contents of their files.
        crops: Crops of onset and apex, see `make_crops`.
        settings: Settings of the clip; only the size is used.
        most_depth: Largest change of depth that is believed, mm.
        modality: `rgb`, `depth` or `fused`.
        add_noise: Takes a depth map in mm and its file, and returns the depth map with noise, see
            `Pair.add_noise`.

    Returns:
        `clip` (channels, frames, size, size) float16, channels as in `CHANNELS`: colours 0..255; `dz`, depth
        minus depth of the onset in mm, 0 where unknown; `valid`, 1 where both were measured on the face, else
        0.

    Raises:
        InputError: If a frame is damaged, black or of another size than the onset, if depth is not 16-bit or
            empty, or the modality needs depth that is not there.
    """
    alignment = Alignment(crops["matrix"], crops["onset"].shape[0])
    height, width = crops["frame"].tolist()
    color: dict[Path, np.ndarray] = {}
    depth: dict[Path, np.ndarray] = {}
    for file, *maps in dict.fromkeys(frames):
        frame = decode_color(contents[file], file)
        if frame.shape[:2] != (height, width):
            raise InputError(
                f"{file} is {describe_size(frame)}, but its onset {width}×{height} px; copy the clip again "
                "from its source"
            )
        color[file] = shrink_color(alignment.crop_color(frame), settings.size)
        for image in maps if modality != "rgb" else ():
            assert_unturned(contents[file], file)
            read = decode_depth(contents[image], image, (height, width))
            after, _ = alignment.crop_depth(add_noise(read, image))
            change, valid = measure_change(crops["depth"][0], after, most_depth)
            depth[file] = shrink_depth(change, valid, settings.size)
    if modality != "rgb" and not depth:
        raise InputError(
            f"{frames[0][0]} has no depth beside it, which modality {modality} needs; take datamodule=rgb, "
            "or features.depth=true where depth maps lie beside the frames"
        )
    parts = {"rgb": (color,), "depth": (depth,), "fused": (color, depth)}[modality]
    made = [np.concatenate([part[file] for part in parts]) for file, *_ in frames]
    return {"clip": np.stack(made, axis=1).astype(np.float16)}


def shrink_color(crop: UInt8[np.ndarray, "_ _ 3"], size: int) -> UInt8[np.ndarray, "3 size size"]:
    """Resize a crop by area averages, channels first."""
    import cv2

    return cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)


def measure_change(
    before: Float[np.ndarray, "side side"],
    after: Float[np.ndarray, "side side"],
    most: float | int,
) -> tuple[Float[np.ndarray, "side side"], Bool[np.ndarray, "side side"]]:
    """Return the change of depth on the face where both frames are valid and the change is plausible.

    The noise of a sensor grows with the distance, so noise of the background would be larger than the change
    of the face.

    Args:
        before: mm, 0 = invalid.
        after: mm, 0 = invalid.
        most: Largest plausible change, mm; larger changes are at edges of objects.

    Returns:
        The change in mm, 0 where unknown, and the mask of known pixels.
    """
    change = after - before
    valid = (before > 0) & (after > 0) & (np.abs(change) <= most)
    usual = np.median(before[before > 0]) if (before > 0).any() else 0.0
    valid &= np.abs(before - usual) < RELIEF
    return np.where(valid, change, 0), valid


def shrink_depth(
    change: Float[np.ndarray, "side side"], valid: Bool[np.ndarray, "side side"], size: int
) -> Float[np.ndarray, "2 size size"]:
    """Resize a change of depth by means over its known pixels; also return where enough of them are known."""
    import cv2

    whole, share = (
        cv2.resize(part.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        for part in (change, valid)
    )
    enough = share > 1 - _MOST
    mean = np.where(enough, whole / np.maximum(share, 1e-3), 0)
    return np.stack([mean, enough]).astype(np.float32)


class Clip(Representation):
    """A few frames of the face between onset and offset."""

    name = "clip"
    arrays: ClassVar[Mapping[str, str]] = {"clips": "clip"}
    makers = (make_clip,)
    from_clip = True

    def channels(self, modality: str, views: Sequence[str] | None = None) -> Channels:
        """Return the names of the channels of a frame."""
        return (CHANNELS[modality],)

    def example_shape(self, modality: str) -> tuple[int, ...]:
        """Return the shape of a short, small clip."""
        return (len(CHANNELS[modality]), 8, 32, 32)

    def list_files(self, pair: Pair, modality: str) -> list[Path]:
        """List the frames of the clip."""
        return [file for frame in _choose_files(pair, modality) for file in frame]

    def list_settings(self, settings: Settings, pair: Pair) -> dict[str, Any]:
        """Return number and size of frames, the largest change of depth that is believed, and the noise."""
        kept = asdict(settings.clip) | {"most_depth": WIDE * settings.motion.most_depth}
        if settings.depth_noise:
            kept |= {"noise": settings.depth_noise, "sample": pair.sample_id}
        return kept

    def make(self, parts: Parts) -> dict[str, np.ndarray]:
        """Compute the clip of one sample."""
        settings, modality = parts.settings, parts.modality
        return make_clip(
            _choose_files(parts.pair, modality),
            parts.contents,
            parts.crops,
            settings.clip,
            WIDE * settings.motion.most_depth,  # the head's movement is still in it
            modality,
            partial(parts.pair.add_noise, noise=settings.depth_noise),
        )


def _choose_files(pair: Pair, modality: str) -> tuple[tuple[Path, ...], ...]:
    """Return the files of each frame that a modality needs."""
    return tuple(frame[:1] for frame in pair.clip) if modality == "rgb" else pair.clip
