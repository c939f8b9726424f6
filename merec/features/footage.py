"""A clip as somebody has it, decoded as a stream: a video file, or a folder of frames with depth beside."""

import logging
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from merec.corpora.reading.folders import Disk
from merec.features.frames import decode_color, describe_size, read_bytes
from merec.files import atomic, refuse_stranger
from merec.types import Frames, InputError

log = logging.getLogger(__name__)

ASSUMED = 30.0  # frames/s, of folders that do not say
_FASTEST = 10_000.0  # frames/s; a header that says more is wrong
_LOST = 0.02  # of the frames that a header counts; some count by duration and rate
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

Frame = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Footage(ABC):
    """A clip; positions count its frames from 0, numbers are what its files are called by.

    Attributes:
        path: As it was named.
        name: For files that are written about it.
        fps: Frames/s; numbers count in it, also where frames are missing.
        numbers: Of its frames, rising.
        notes: What its user should know.
    """

    path: Path
    name: str
    fps: float | int
    numbers: Sequence[int]
    notes: list[str] = field(default_factory=list)

    def second(self, position: int) -> float:
        """When a frame was taken, s after the first."""
        return (self.numbers[position] - self.numbers[0]) / self.fps

    @property
    def duration(self) -> float:
        """From the first frame to the last, s."""
        return self.second(len(self.numbers) - 1)

    @property
    def has_depth(self) -> bool:
        """Whether depth lies beside the frames."""
        return False

    @abstractmethod
    def name_frame(self, position: int) -> str:
        """Name a frame in a message, so that its user finds it."""

    @abstractmethod
    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """Some frames in RGB, each with its position; one at a time is in memory.

        Args:
            positions: Rising. What cannot be decoded is left out.
        """

    @abstractmethod
    def export(self, positions: Sequence[int], folder: Path) -> tuple[Frames, Frames | None]:
        """Some frames as files, by number, and their depth if all have it; made below `folder` if need be."""


@dataclass(frozen=True)
class ListedFrames(Frames):
    """Images of any name.

    Attributes:
        files: With their numbers, rising.
    """

    files: tuple[tuple[int, Path], ...] = ()

    def path(self, number: int) -> Path:
        """See `Frames.path`."""
        return dict(self.files)[int(number)]

    def numbers(self) -> list[int]:
        """See `Frames.numbers`."""
        return [number for number, _ in self.files]


@dataclass(frozen=True)
class FrameFolder(Footage):
    """Numbered images.

    Attributes:
        color: By number.
        depth: By number, as far as there are any.
    """

    color: dict[int, Path] = field(default_factory=dict)
    depth: dict[int, Path] = field(default_factory=dict)

    @property
    def has_depth(self) -> bool:
        """See `Footage.has_depth`."""
        return bool(self.depth)

    def name_frame(self, position: int) -> str:
        """See `Footage.name_frame`."""
        return str(self.color[self.numbers[position]])

    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """See `Footage.read`."""
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
            _note(self, f"{len(failed)} of {len(positions)} frames are left out: {failed[0]}")

    def export(self, positions: Sequence[int], folder: Path) -> tuple[Frames, Frames | None]:
        """See `Footage.export`; the files themselves, wherever they lie."""
        numbers = [self.numbers[position] for position in positions]
        missing = [number for number in numbers if number not in self.depth]
        if self.depth and missing:
            _note(self, f"frame {missing[0]} has no depth, so that none is used")
        color, depth = (
            ListedFrames(self.path, "{}", tuple(sorted(files.items())))
            for files in (self.color, self.depth)
        )
        return color, None if missing else depth


@dataclass(frozen=True)
class VideoFile(Footage):
    """A video, whose frames are numbered from 0.

    Attributes:
        times: When each frame was taken by the stream's own time stamps, s after the first; empty where
            frames follow each other at `fps`.
    """

    times: tuple[float, ...] = ()

    def second(self, position: int) -> float:
        """See `Footage.second`."""
        return self.times[position] if self.times else super().second(position)

    def name_frame(self, position: int) -> str:
        """See `Footage.name_frame`."""
        return f"frame {position} of {self.path} ({self.second(position):.2f} s)"

    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """See `Footage.read`; frames between are passed over without their colours being worked out."""
        import cv2

        capture, at, last = _open_capture(self.path), -1, 0
        try:
            for position in positions:
                while at < position and capture.grab():
                    at += 1
                if at < position:
                    return
                whole, frame = capture.retrieve()
                if whole and frame is not None:
                    last = position
                    yield position, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()
            log.debug("%s: read up to frame %d", self.path, last)

    def export(self, positions: Sequence[int], folder: Path) -> tuple[Frames, Frames | None]:
        """See `Footage.export`; without loss."""
        import cv2

        color = Frames(folder / "color", "{}.png")
        for position, frame in self.read(positions):
            content = cv2.imencode(".png", frame[..., ::-1])[1].tobytes()
            with atomic(color.path(position)) as part:
                part.write_bytes(content)
        return color, None


def open_footage(path: Path, fps: float | int | None) -> Footage:
    """A clip by its path.

    Args:
        path: Of a video that OpenCV decodes, of a folder of numbered images (`1.jpg`, `img0001.png`), or of
            one with such a folder `color`. Depth lies in a folder `depth` beside `color`, or where the clip
            layout of CAS(ME)^3 has it.
        fps: Frames/s; `None` for what the video says, and for 30 where nothing does.

    Raises:
        InputError: If there is no such clip, it cannot be opened, or it has one frame only.
    """
    if fps is not None and not 0 < fps <= _FASTEST:
        raise InputError(f"fps={fps:g}; expected frames/s, above 0, e.g. fps=200")
    if re.match(r"[a-zA-Z]\w+:/", str(path)):  # pathlib makes one of two slashes
        url = str(path).replace(":/", "://", 1)
        raise InputError(
            f"{url} is a URL, and URLs are not fetched; give a video file or a folder of frames"
        )
    if not path.exists():
        raise InputError(f"{path} does not exist; give a video file or a folder of frames")
    footage = _open_folder(path, fps) if path.is_dir() else _open_video(path, fps)
    if len(footage.numbers) < 2:
        raise InputError(
            f"{path} has one frame only, in which nothing moves; give the frames from before the expression "
            "to after it"
        )
    return footage


def _open_folder(path: Path, fps: float | int | None) -> FrameFolder:
    disk = Disk()
    place = disk.find(path, "color") or path
    color = _list_images(place)
    if not color:
        inside = sorted(each.name for each in place.iterdir() if each.is_dir())
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
    notes = [] if fps else [f"{ASSUMED:g} frames/s are assumed; fps= says how many there are"]
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
    return FrameFolder(path, name, fps or ASSUMED, numbers, notes, color, depth)


def _list_images(folder: Path) -> dict[int, Path]:
    """The images of a folder by the last number in their names.

    Raises:
        InputError: If two have the same.
    """
    found: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        number = re.search(r"(\d+)\D*$", file.stem)
        if file.suffix.casefold() not in _SUFFIXES or file.name[0] == "." or not number:
            continue
        if int(number[1]) in found:
            raise InputError(
                f"{found[int(number[1])]} and {file.name} have one number; give a folder with the frames of "
                "one clip"
            )
        found[int(number[1])] = file
    return found


def _open_video(path: Path, fps: float | int | None) -> VideoFile:
    import cv2

    if not path.is_file():
        raise InputError(f"{path} is no file; give a video file or a folder of frames")
    capture = _open_capture(path)
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        # Headers are wrong about counts and rates: whatever can be decoded is looked at once.
        stamps = []
        while capture.grab():
            stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    finally:
        capture.release()
    if not stamps:
        raise InputError(
            f"no frame of {path} can be decoded; copy it again, or write its frames to a folder as images"
        )
    notes = []
    if len(stamps) < (1 - _LOST) * count - 1:
        notes.append(f"the video ends after {len(stamps)} frames, though its header says {count}")
    times: tuple[float, ...] = ()
    if fps is None:
        seconds = np.array(stamps) - stamps[0]
        steps = np.diff(seconds)
        stamped = len(steps) > 0 and bool(np.isfinite(steps).all() and (steps > 0).all())
        fps = rate
        if not (math.isfinite(rate) and 1 <= rate <= _FASTEST):
            fps = len(steps) / seconds[-1] if stamped else ASSUMED
            if not stamped:
                notes.append(f"{ASSUMED:g} frames/s are assumed; fps= says how many there are")
        if stamped and np.abs(seconds - np.arange(len(seconds)) / fps).max() > 0.5 / fps:
            times = tuple(seconds.tolist())
            fps = len(steps) / seconds[-1]
            notes.append(
                f"frames are {1000 * steps.min():.0f} to {1000 * steps.max():.0f} ms apart, though the "
                f"header says {rate:g} frames/s; times are those of the stream"
            )
    return VideoFile(path, path.stem, float(fps), range(len(stamps)), notes, times)


def _open_capture(path: Path) -> Any:
    """OpenCV's decoder.

    Raises:
        InputError: If the file is no video.
    """
    # FFmpeg writes to the standard error what is said here in one line.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    logs = cv2.utils.logging
    before = logs.setLogLevel(logs.LOG_LEVEL_ERROR)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    logs.setLogLevel(before)
    if not capture.isOpened():
        refuse_stranger(path)
        raise InputError(
            f"{path} cannot be opened as a video; copy it again, or give a folder with its frames as images"
        )
    return capture


def _note(footage: Footage, text: str) -> None:
    """Tell once, however often the frames are read."""
    if text not in footage.notes:
        footage.notes.append(text)
