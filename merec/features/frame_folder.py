"""Clip stored as a folder of numbered images, with an optional folder of depth maps."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from merec.corpora.reading.folders import Disk
from merec.features.frames import decode_color, describe_size, read_bytes
from merec.features.input_clip import ASSUMED_FPS, Frame, InputClip
from merec.types import Frames, InputError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class ListedFrames(Frames):
    """Image files with arbitrary names.

    Attributes:
        files: Frame numbers and files, in ascending order.
    """

    files: tuple[tuple[int, Path], ...] = ()

    def path(self, number: int) -> Path:
        """See `Frames.path`."""
        return dict(self.files)[int(number)]

    def numbers(self) -> list[int]:
        """See `Frames.numbers`."""
        return [number for number, _ in self.files]


@dataclass(frozen=True)
class FrameFolder(InputClip):
    """Clip of numbered images.

    Attributes:
        color: Colour image by frame number.
        depth: Depth map by frame number, where one exists.
    """

    color: dict[int, Path] = field(default_factory=dict)
    depth: dict[int, Path] = field(default_factory=dict)

    @property
    def has_depth(self) -> bool:
        """See `InputClip.has_depth`."""
        return bool(self.depth)

    def name_frame(self, position: int) -> str:
        """See `InputClip.name_frame`."""
        return str(self.color[self.numbers[position]])

    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """See `InputClip.read`."""
        size: tuple[int, ...] | None = None
        failed: list[str] = []
        for position in positions:
            file = self.color[self.numbers[position]]
            try:
                frame = decode_color(read_bytes(file), file)
            except InputError as error:
                failed.append(str(error).partition(";")[0])
                continue
            size = size or frame.shape
            if frame.shape != size:
                raise InputError(
                    f"{file} is {describe_size(frame)}, but the frames before it {size[1]}×{size[0]} px; "
                    "give the frames of one clip"
                )
            yield position, frame
        if failed:
            self.note(f"{len(failed)} of {len(positions)} frames are left out: {failed[0]}")

    def export(self, positions: Sequence[int], folder: Path) -> tuple[Frames, Frames | None]:
        """See `InputClip.export`; returns the existing files without a copy."""
        numbers = [self.numbers[position] for position in positions]
        missing = [number for number in numbers if number not in self.depth]
        if self.depth and missing:
            self.note(f"frame {missing[0]} has no depth, so that none is used")
        color, depth = (
            ListedFrames(self.path, "{}", tuple(sorted(files.items())))
            for files in (self.color, self.depth)
        )
        return color, None if missing else depth


def open_folder(path: Path, fps: float | int | None) -> FrameFolder:
    """Open a folder of numbered images; see `open_clip`."""
    disk = Disk()
    place = disk.find(path, "color") or path
    color = _list_images(place)
    if not color:
        inside = sorted(entry.name for entry in place.iterdir() if entry.is_dir())
        hint = f"; it has folders {', '.join(inside[:3])}: give one of them" if inside else ""
        raise InputError(
            f"{place} holds no numbered images ({', '.join(_SUFFIXES[:3])}, e.g. 1.jpg){hint}"
        )
    beside = disk.find(path, "depth")
    if place.name.casefold() == "color":
        beside = disk.find(place.parent, "depth")
    elif place.parent.name.casefold() == "frame":  # of the clip layout
        beside = disk.find(place.parent.parent, "depth", place.name)
    depth = _list_images(beside) if beside else {}
    named = place.parent if place.name.casefold() == "color" else place
    name = f"{named.absolute().parent.name}-{named.absolute().name}".strip("-")
    notes = [] if fps else [f"{ASSUMED_FPS:g} frames/s are assumed; fps= says how many there are"]
    numbers = sorted(color)
    steps = np.diff(numbers)
    usual = int(np.median(steps)) if len(steps) else 1
    gaps = np.flatnonzero(steps > usual)
    if len(gaps):
        widest = gaps[steps[gaps].argmax()]
        notes.append(
            f"frame numbers have {len(gaps)} gap{'s' * (len(gaps) > 1)}, the widest from {numbers[widest]} "
            f"to {numbers[widest + 1]}; what happened there is not known"
        )
    return FrameFolder(path, name, fps or ASSUMED_FPS, numbers, notes, color, depth)


def _list_images(folder: Path) -> dict[int, Path]:
    """Return the images of a folder by the last number in their names.

    Raises:
        InputError: If two files have the same number.
    """
    images: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        number = re.search(r"(\d+)\D*$", file.stem)
        if file.suffix.casefold() not in _SUFFIXES or file.name[0] == "." or not number:
            continue
        if int(number[1]) in images:
            raise InputError(
                f"{images[int(number[1])]} and {file.name} have one number; give a folder with the frames of "
                "one clip"
            )
        images[int(number[1])] = file
    return images
