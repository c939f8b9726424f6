"""Clip stored as a video file."""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from merec.features.input_clip import ASSUMED_FPS, FASTEST, Frame, InputClip
from merec.files import atomic, refuse_stranger
from merec.types import Frames, InputError

log = logging.getLogger(__name__)

_LOST = 0.02  # of the frames that a header counts; some count by duration and rate


@dataclass(frozen=True)
class VideoFile(InputClip):
    """Video whose frames are numbered from 0.

    Attributes:
        times: When each frame was taken by the stream's own time stamps, s after the first; empty where
            frames follow each other at `fps`.
    """

    times: tuple[float, ...] = ()

    def second(self, position: int) -> float:
        """See `InputClip.second`."""
        return self.times[position] if self.times else super().second(position)

    def name_frame(self, position: int) -> str:
        """See `InputClip.name_frame`."""
        return f"frame {position} of {self.path} ({self.second(position):.2f} s)"

    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """See `InputClip.read`; skipped frames are not converted to RGB."""
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
        """See `InputClip.export`; files are lossless."""
        import cv2

        color = Frames(folder / "color", "{}.png")
        for position, frame in self.read(positions):
            content = cv2.imencode(".png", frame[..., ::-1])[1].tobytes()
            with atomic(color.path(position)) as part:
                part.write_bytes(content)
        return color, None


def open_video(path: Path, fps: float | int | None) -> VideoFile:
    """Open a video and count the frames that can be decoded; see `open_clip`."""
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
        if not (math.isfinite(rate) and 1 <= rate <= FASTEST):
            fps = len(steps) / seconds[-1] if stamped else ASSUMED_FPS
            if not stamped:
                notes.append(f"{ASSUMED_FPS:g} frames/s are assumed; fps= says how many there are")
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
