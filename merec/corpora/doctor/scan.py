"""Scan of clips: files by name and content of opened images, without checks."""

import io
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from merec.corpora.reading.depth_unit import read_unit
from merec.files import describe_stranger
from merec.types import Frames

_ENDS = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}
_ORIENTATION = 0x0112  # tag of EXIF
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


class Request(NamedTuple):
    """Request to scan a clip.

    Attributes:
        color: Colour frames of the clip.
        depth: Depth frames of the clip, if expected.
        wanted: Frame numbers that the samples need; `None` for all existing frames.
        opened: Frames that are always opened; with `wanted=None` the first and the last.
    """

    color: Frames
    depth: Frames | None
    wanted: frozenset[int] | None
    opened: frozenset[int]


@dataclass(frozen=True)
class Listing:
    """Files of a folder of frames.

    Attributes:
        problem: Reason why the folder cannot be listed; "" if it can.
        exists: Whether the folder exists.
        numbers: Numbers of the frames with expected names.
        misspelt: Names of frames with similar names by number, e.g. `00355.jpg`, `355.JPG`.
        strangers: Names of other images.
        empty: Wanted frames whose file is empty.
    """

    problem: str = ""
    exists: bool = True
    numbers: frozenset[int] = frozenset()
    misspelt: Mapping[int, str] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()
    empty: frozenset[int] = frozenset()


class Pixels(NamedTuple):
    """Content of an opened image.

    Attributes:
        problem: Reason why the image cannot be read; "" if it can.
        width: Width, px.
        height: Height, px.
        channels: 1 for grey and depth, 3 for colour.
        bits: Bits per channel, 8 or 16.
        grey: Whether all channels are equal.
        valid: Share of the pixels that are not 0.
        median: Median of the pixels that are not 0 (for depth in mm, by the unit in the file); 0 if there are
            none.
        digest: Checksum of the pixels.
        orientation: EXIF orientation, 1 to 8; width and height are given after rotation.
    """

    problem: str = ""
    width: int = 0
    height: int = 0
    channels: int = 0
    bits: int = 0
    grey: bool = False
    valid: float = 0.0
    median: float = 0.0
    digest: str = ""
    orientation: int = 1


@dataclass(frozen=True)
class Scan:
    """Result of the scan of a clip: its folders, and the opened images by frame number."""

    color: Listing
    depth: Listing | None
    color_pixels: Mapping[int, Pixels]
    depth_pixels: Mapping[int, Pixels]


def scan_clips(requests: Sequence[Request], deep: bool, jobs: int) -> Iterator[Scan]:
    """Scan clips in parallel and yield results in the order of the requests.

    Args:
        requests: Clips to scan.
        deep: Open every wanted frame, not only `Request.opened`.
        jobs: Number of processes; -1 for one per core.
    """
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=jobs, return_as="generator", batch_size="auto")
    yield from parallel(delayed(scan_clip)(request, deep) for request in requests)


def scan_clip(request: Request, deep: bool) -> Scan:
    """List the folders of a clip and open its frames."""
    color = list_frames(request.color, request.wanted)
    depth = list_frames(request.depth, request.wanted) if request.depth else None
    chosen = _choose_frames(request, color.numbers, deep)
    images = {number: _open_image(request.color, number) for number in chosen - color.empty}
    mapped: dict[int, Pixels] = {}
    if request.depth and depth:
        chosen = _choose_frames(request, depth.numbers, deep)
        mapped = {number: _open_image(request.depth, number) for number in chosen - depth.empty}
    return Scan(color, depth, images, mapped)


def list_frames(frames: Frames, wanted: frozenset[int] | None) -> Listing:
    """List a folder once; file sizes are read only for wanted frames."""
    before, after = re.split(r"\{[^}]*\}", frames.name)
    pattern = re.compile(re.escape(before) + r"0*(\d+)" + re.escape(after), re.IGNORECASE)
    numbers: set[int] = set()
    misspelt: dict[int, str] = {}
    strangers: list[str] = []
    empty: set[int] = set()
    try:
        with os.scandir(frames.folder) as entries:
            for entry in entries:
                match = pattern.fullmatch(entry.name)
                number = int(match[1]) if match else -1
                if match and entry.name == frames.name.format(number):
                    if wanted is None or number in wanted:
                        try:
                            size = entry.stat().st_size
                        except OSError:  # a link that leads nowhere: the frame is missing
                            continue
                        if size == 0:
                            empty.add(number)
                    numbers.add(number)
                elif match:
                    misspelt[number] = min(entry.name, misspelt.get(number, entry.name))
                elif entry.name.lower().endswith(IMAGES) and not entry.name.startswith("."):
                    strangers.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return Listing(exists=False)
    except OSError as error:
        return Listing(problem=error.strerror or type(error).__name__)
    return Listing(
        numbers=frozenset(numbers),
        misspelt={n: name for n, name in sorted(misspelt.items()) if n not in numbers},
        strangers=tuple(sorted(strangers)),
        empty=frozenset(empty),
    )


def _choose_frames(request: Request, numbers: frozenset[int], deep: bool) -> frozenset[int]:
    """Choose the frames on disk to open."""
    if request.wanted is not None:
        return numbers & (request.wanted if deep else request.opened)
    return numbers if deep or not numbers else frozenset({min(numbers), max(numbers)})


def _open_image(frames: Frames, number: int) -> Pixels:
    """Decode a whole frame.

    Pillow is used because OpenCV writes its reasons only to the standard error.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        content = frames.path(number).read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            # Pillow forgives a lost end if all pixels came before it; other decoders do not.
            if content.rfind(_ENDS.get(str(image.format), b"")) < 0:
                return Pixels("its end is missing")
            # A palette's numbers and bare bits are no intensities.
            plain = image.convert("RGB") if image.mode in ("P", "1") else image
            orientation = int(image.getexif().get(_ORIENTATION, 1))
            plain = ImageOps.exif_transpose(plain)
            mode, bands, pixels = plain.mode, plain.getbands(), np.asarray(plain)
    except UnidentifiedImageError:  # its message names an address in memory
        return Pixels(f"it {describe_stranger(content[:512]) or 'is no image'}")
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Pixels(" ".join(reason.split()))
    # Every 8th pixel is enough to tell grey and a median; only emptiness needs all.
    some = pixels[::8, ::8]
    there = some[some > 0]
    return Pixels(
        width=pixels.shape[1],
        height=pixels.shape[0],
        channels=len(bands),
        bits=16 if mode.startswith("I") else 8,
        grey=pixels.ndim == 2 or bool((some[..., :1] == some[..., :3]).all()),
        valid=float(np.count_nonzero(pixels) / pixels.size),
        median=float(np.median(there)) * read_unit(content) if there.size else 0.0,
        digest=f"{zlib.crc32(np.ascontiguousarray(pixels).data):08x}",
        orientation=orientation,
    )
