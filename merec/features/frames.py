"""Frames from files: colour as RGB, depth in whole mm, or one line that says what is wrong with the file."""

import contextlib
import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16

from merec.features.landmarks import FaceLandmarker, FaceLandmarks
from merec.types import InputError

_ENDS = (b"\xff\xd9", b"IEND\xaeB`\x82")  # of a JPEG and a PNG that are whole
DARK = 8  # grey level; a frame whose brightest hundredth is below it shows nothing
PLAUSIBLE = (100, 10_000)  # mm, the median of a depth map of a face before a wall
_AGAIN = "copy it again from its source, or leave the sample out: corpus.exclude"
_EXPORT = "expected a 16-bit PNG with one channel, in mm, 0 = invalid; export the depth maps again"


class ReadError(InputError):
    """A file that is there and cannot be read, perhaps for now only."""


def read_bytes(file: Path) -> bytes:
    """The content of a frame's file.

    Raises:
        InputError: If there is no such file; `ReadError` if it cannot be read.
    """
    if file.exists() and not file.is_file():  # a pipe would be waited for, for ever
        raise ReadError(f"{file} is no file; copy the clip again from its source")
    try:
        return file.read_bytes()
    except OSError as error:
        kind = InputError if isinstance(error, FileNotFoundError) else ReadError
        raise kind(
            f"{file} cannot be read ({error.strerror or error}); copy the clip again, or find all that is "
            "missing with merec doctor"
        ) from error


def decode_color(content: bytes, file: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A frame in RGB.

    Args:
        content: Of the file.
        file: For messages.

    Raises:
        InputError: If it is no whole image, or black.
    """
    frame = _decode(content, file, "RGB")
    if np.percentile(frame[::8, ::8], 99) < DARK:
        raise InputError(f"{file} is black; {_AGAIN}")
    return frame


def decode_depth(
    content: bytes, file: Path, shape: tuple[int, int]
) -> UInt16[np.ndarray, "height width"]:
    """A frame's depth in mm, 0 = invalid.

    Args:
        content: Of the file.
        file: For messages.
        shape: Height and width of its colour.

    Raises:
        InputError: If it is no whole image, has not 16 bits and one channel, is of another size, empty, or
            not in mm.
    """
    depth = _decode(content, file, None)
    if depth.ndim != 2:
        raise InputError(f"{file} has {depth.shape[2]} channels; {_EXPORT}")
    if depth.dtype == np.int32 and depth.min() >= 0 and depth.max() < 2**16:
        depth = depth.astype(np.uint16)  # older Pillows open 16 bits as 32
    if depth.dtype != np.uint16:
        raise InputError(f"{file} holds {depth.dtype}; {_EXPORT}")
    if depth.shape != shape:
        raise InputError(
            f"{file} is {describe_size(depth)}, but its colour {shape[1]}×{shape[0]} px; they must match px "
            "by px: export the depth maps again"
        )
    some = depth[::4, ::4]
    there = some[some > 0]
    if not there.size:
        raise InputError(f"{file} is empty: every depth is 0; {_AGAIN}")
    if not PLAUSIBLE[0] <= np.median(there) <= PLAUSIBLE[1]:
        raise InputError(f"{file} has a median depth of {np.median(there):.0f}; {_EXPORT}")
    return depth.astype(np.uint16, copy=False)  # in this machine's order of bytes


def find_face(
    landmarker: FaceLandmarker, frame: UInt8[np.ndarray, "height width 3"], file: Path
) -> FaceLandmarks:
    """The one face in a frame.

    Raises:
        InputError: If there is none, or a second one of similar size.
    """
    face = landmarker.find(frame)
    if face is None:
        raise InputError(
            f"no face is found in {file}; look at it, and leave the sample out: corpus.exclude"
        )
    if face.others:
        raise InputError(
            f"{1 + face.others} faces are found in {file}, expected one; crop the clip to one of them, or "
            "leave the sample out: corpus.exclude"
        )
    return face


def describe_size(image: np.ndarray) -> str:
    """Width and height in words, e.g. `1280×720 px`."""
    return f"{image.shape[1]}×{image.shape[0]} px"


def _decode(content: bytes, file: Path, mode: str | None) -> np.ndarray:
    """Pixels by OpenCV, which takes half the time, or by Pillow, which says what is wrong.

    Both give the same pixels. What is cut off goes to Pillow at once, for OpenCV's libraries write about it
    to the standard error themselves.
    """
    import cv2
    from PIL import Image, UnidentifiedImageError

    if content.endswith(_ENDS):
        # A frame that says it lies on its side stays there, as its depth does.
        flags = cv2.IMREAD_COLOR_RGB if mode else cv2.IMREAD_UNCHANGED
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
        with contextlib.suppress(cv2.error):  # of one that is too large
            found = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
            if found is not None:
                return found
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert(mode) if mode else image)
    except UnidentifiedImageError as error:  # its message names an address in memory
        raise InputError(f"{file} is no image; {_AGAIN}") from error
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{file} cannot be decoded ({reason}); {_AGAIN}") from error
