"""Open a clip by its path: a video file, or a folder of frames with depth beside."""

import re
from pathlib import Path

from merec.features.frame_folder import open_folder
from merec.features.input_clip import FASTEST, InputClip
from merec.features.video_file import open_video
from merec.types import InputError


def open_clip(path: Path, fps: float | int | None) -> InputClip:
    """Open a clip by its path.

    Args:
        path: A video that OpenCV decodes, a folder of numbered images (`1.jpg`, `img0001.png`), or a folder
            with such a folder `color`. Depth is read from a folder `depth` next to `color`, or as in the clip
            layout of CAS(ME)^3.
        fps: Frames/s; `None` uses the rate stored in the video, else 30.

    Raises:
        InputError: If there is no such clip, it cannot be opened, or it has one frame only.
    """
    if fps is not None and not 0 < fps <= FASTEST:
        raise InputError(f"fps={fps:g}; expected frames/s, above 0, e.g. fps=200")
    if re.match(r"[a-zA-Z]\w+:/", str(path)):  # pathlib makes one of two slashes
        url = str(path).replace(":/", "://", 1)
        raise InputError(
            f"{url} is a URL, and URLs are not fetched; give a video file or a folder of frames"
        )
    if not path.exists():
        raise InputError(f"{path} does not exist; give a video file or a folder of frames")
    opened = open_folder(path, fps) if path.is_dir() else open_video(path, fps)
    if len(opened.numbers) < 2:
        raise InputError(
            f"{path} has one frame only, in which nothing moves; give the frames from before the expression "
            "to after it"
        )
    return opened
