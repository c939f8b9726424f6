"""Read frames from files: colour as RGB, depth in mm; errors say in one line what is wrong with the file."""

import contextlib
import io
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from merec.corpora.reading.depth_unit import read_unit
from merec.errors import quote_error
from merec.features.alignment import measure_extent, measure_outside, measure_roll
from merec.features.landmarks import FaceLandmarker, FaceLandmarks
from merec.types import InputError

_ENDS = (b"\xff\xd9", b"IEND\xaeB`\x82")  # of a JPEG and a PNG that are whole
DARK = 8  # grey level; a frame whose brightest hundredth is below it shows nothing
PLAUSIBLE = (100, 10_000)  # mm, the median of a depth map of a face before a wall
LEAST_FACE = 48  # px; of a smaller one landmarks shift by more than a micro-expression moves them
SMALL_FACE = 100  # px from which on nothing need be said
OUTSIDE = 0.05  # of the landmarks may lie outside the frame before it is told
_TILTED = 45  # degrees; no head is held so
TURN = "turn the frames upright (e.g. ffmpeg -vf transpose=1 or hflip,vflip), depth and camera with them"
_ORIENTATION = 0x0112  # tag of EXIF
_AGAIN = "copy it again from its source, or leave the sample out: corpus.exclude"
_EXPORT = "expected a 16-bit PNG with one channel, in mm, 0 = invalid; export the depth maps again"


class ReadError(InputError):
    """Error of a file that exists but cannot be read, perhaps only temporarily."""


def read_bytes(file: Path) -> bytes:
    """Return the content of a frame's file.

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


def read_orientation(content: bytes) -> int:
    """Return the EXIF orientation of an image, 1 to 8; 1 if it has none."""
    from PIL import Image

    # Pillow would decode a whole PNG to find that it has none.
    if not (b"Exif" in content[:65536] or b"eXIf" in content):
        return 1
    with contextlib.suppress(Exception), Image.open(io.BytesIO(content)) as image:
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def assert_unturned(content: bytes, file: Path) -> None:
    """Refuse a frame with an EXIF rotation, which would not match its depth map.

    Raises:
        InputError: If its EXIF orientation is not 1.
    """
    orientation = read_orientation(content)
    if orientation != 1:
        raise InputError(
            f"{file} has EXIF orientation {orientation}, which would turn colour and depth apart; write both "
            "upright, pixel on pixel and without the tag, or take datamodule=rgb"
        )


def decode_color(content: bytes, file: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Return a frame in RGB, turned upright by its EXIF orientation.

    Args:
        content: Content of the file.
        file: For messages.

    Raises:
        InputError: If the image is incomplete or black.
    """
    frame = _decode(content, file, "RGB")
    if np.percentile(frame[::8, ::8], 99) < DARK:
        raise InputError(f"{file} is black; {_AGAIN}")
    return frame


def decode_depth(
    content: bytes, file: Path, shape: tuple[int, int]
) -> Float[np.ndarray, "height width"]:
    """Return the depth of a frame in mm, 0 = invalid. The unit is read from the file; without one it is 1 mm.

    Args:
        content: Content of the file.
        file: For messages.
        shape: Height and width of its colour image.

    Raises:
        InputError: If the image is incomplete, is not 16-bit with one channel, has another size, is empty, is
            not in mm, or has an EXIF rotation.
    """
    assert_unturned(content, file)
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
    depth = depth.astype(np.float32) * np.float32(read_unit(content))
    some = depth[::4, ::4]
    there = some[some > 0]
    if not there.size:
        raise InputError(f"{file} is empty: every depth is 0; {_AGAIN}")
    if not PLAUSIBLE[0] <= np.median(there) <= PLAUSIBLE[1]:
        raise InputError(f"{file} has a median depth of {np.median(there):.0f}; {_EXPORT}")
    return depth


def find_face(
    landmarker: FaceLandmarker, frame: UInt8[np.ndarray, "height width 3"], file: Path
) -> FaceLandmarks:
    """Find the one face in a frame.

    Raises:
        InputError: If there is no face, or a second one of similar size; if the face is too small or lies on
            its side.
    """
    face = landmarker.find(frame)
    if face is None:
        if landmarker.is_upside_down(frame):
            raise InputError(f"the face in {file} is upside down; {TURN}")
        raise InputError(
            f"no face is found in {file} ({describe_size(frame)}); expected one from the front, {LEAST_FACE} "
            "px wide or more: look at it, and leave the sample out: corpus.exclude"
        )
    if face.other_faces:
        raise InputError(
            f"{1 + face.other_faces} faces are found in {file}, expected one; crop the clip to one of them, "
            "or leave the sample out: corpus.exclude"
        )
    assert_fit(face.points, str(file))
    return face


def assert_fit(points: Float[np.ndarray, "landmarks _"], file: str) -> None:
    """Refuse a face that is too small or lies on its side.

    Args:
        points: Landmarks, px of the frame.
        file: File of the frame, for the message.

    Raises:
        InputError: If it is less than `LEAST_FACE` px wide and high, or not within 45° of upright.
    """
    extent, roll = measure_extent(points), measure_roll(points)
    if extent < LEAST_FACE:
        raise InputError(
            f"the face in {file} is {extent:.0f} px wide, of which micro-expressions move hundredths; "
            f"expected {LEAST_FACE} px at least, better {SMALL_FACE}: record it closer, or at a higher "
            "resolution"
        )
    if abs(roll) > _TILTED:
        raise InputError(f"the face in {file} lies on its side ({roll:.0f}° from upright); {TURN}")


def assert_upright(
    landmarker: FaceLandmarker,
    frame: UInt8[np.ndarray, "height width 3"],
    face: FaceLandmarks,
    file: str,
) -> None:
    """Refuse a face that is upside down.

    Raises:
        InputError: If it is.
    """
    height, width = frame.shape[:2]
    # The landmarks of a face that the frame cuts off are told in any case, and say little here.
    whole = measure_outside(face.points, width, height) <= OUTSIDE
    if whole and landmarker.is_upside_down(frame, face):
        raise InputError(
            f"the face in {file} is upside down, its brows below its mouth, so that its landmarks are wrong; "
            f"{TURN}"
        )


def describe_face(points: Float[np.ndarray, "landmarks _"], width: int, height: int) -> str:
    """Return a reason to doubt the landmarks of a face; "" if there is none.

    If a face is shown at 112, 64, 28 and 20 px, its landmarks shift by .006, .013, .038 and .056 of the
    distance between the outer corners of the eyes.

    Args:
        points: Landmarks, px of the frame.
        width: Width of the frame, px.
        height: Height of the frame, px.
    """
    notes = []
    extent, outside = measure_extent(points), measure_outside(points, width, height)
    if extent < SMALL_FACE:
        notes.append(
            f"the face is {extent:.0f} px wide; below {SMALL_FACE} px its landmarks shift about as far as a "
            "micro-expression moves them"
        )
    if outside > OUTSIDE:
        notes.append(
            f"{outside:.0%} of the face's landmarks lie outside the frame, where they are guessed"
        )
    return "; ".join(notes)


def describe_size(image: np.ndarray) -> str:
    """Return width and height as text, e.g. `1280×720 px`."""
    return f"{image.shape[1]}×{image.shape[0]} px"


def _decode(content: bytes, file: Path, mode: str | None) -> np.ndarray:
    """Decode by OpenCV, which takes half the time, or by Pillow, which gives reasons for failures.

    Both return the same pixels. Truncated files are given to Pillow at once, since OpenCV's libraries print
    to the standard error for them.
    """
    import cv2
    from PIL import Image, ImageOps, UnidentifiedImageError

    if content.endswith(_ENDS):
        flags = cv2.IMREAD_COLOR_RGB if mode else cv2.IMREAD_UNCHANGED  # the former heeds EXIF
        with contextlib.suppress(cv2.error):  # of one that is too large
            decoded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
            if decoded is not None:
                return decoded
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert(mode) if mode else image)
    except UnidentifiedImageError as error:  # its message names an address in memory
        raise InputError(f"{file} is no image; {_AGAIN}") from error
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        reason = quote_error(error)
        raise InputError(f"{file} cannot be decoded ({reason}); {_AGAIN}") from error
