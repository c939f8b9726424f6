"""Frames are decoded as Pillow decodes them, whichever library does it; what is damaged is refused."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from merec.corpora.reading.depth_unit import write_unit
from merec.errors import InputError
from merec.features.frames import decode_color, decode_depth, read_orientation

FILE = Path("spNO.1/a/color/1.jpg")


def draw(*shape: int) -> np.ndarray:
    """Smooth noise, 0 to 255."""
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(0, 256, shape, dtype=np.uint8), (0, 0), 2)


def encode(image: np.ndarray, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind, **options)
    return stream.getvalue()


def open_by_pillow(content: bytes, mode: str | None = None) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        upright = ImageOps.exif_transpose(image)
        return np.asarray(upright.convert(mode) if mode else upright)


def turn(orientation: int = 6) -> Image.Exif:
    """Write a picture as a camera held upright does."""
    facts = Image.Exif()
    facts[0x0112] = orientation
    return facts


COLOR = {
    "jpeg": encode(draw(45, 67, 3), "jpeg", quality=95),
    "jpeg, colour at full size": encode(draw(45, 67, 3), "jpeg", quality=95, subsampling=0),
    "jpeg, progressive": encode(draw(45, 67, 3), "jpeg", progressive=True),
    "jpeg, grey": encode(draw(45, 67), "jpeg"),
    "jpeg, on its side": encode(draw(45, 67, 3), "jpeg", exif=turn()),
    "jpeg, more after its end": encode(draw(45, 67, 3), "jpeg") + b"more",
    "png": encode(draw(45, 67, 3), "png"),
    "bmp": encode(draw(45, 67, 3), "bmp"),
}
DEPTH = encode((draw(45, 67).astype(np.uint16) * 7 + 300), "png")


@pytest.mark.parametrize("name", COLOR)
def test_color_is_what_pillow_shows(name):
    actual = decode_color(COLOR[name], FILE)
    assert actual.shape == ((67, 45, 3) if "side" in name else (45, 67, 3))
    np.testing.assert_array_equal(actual, open_by_pillow(COLOR[name], "RGB"))


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_colour_is_turned_upright_by_its_exif_orientation(kind, orientation):
    content = encode(draw(45, 67, 3), kind, exif=turn(orientation))
    actual = decode_color(content, FILE)
    np.testing.assert_array_equal(actual, open_by_pillow(content, "RGB"))
    assert read_orientation(content) == orientation
    # Through Pillow, which takes what OpenCV does not.
    np.testing.assert_array_equal(decode_color(content + b"more", FILE), actual)


def test_depth_that_would_be_turned_is_refused():
    content = encode(draw(45, 67).astype(np.uint16) * 7 + 300, "png", exif=turn(3))
    with pytest.raises(InputError, match=r"has EXIF orientation 3, .*datamodule=rgb"):
        decode_depth(content, FILE, (45, 67))


@pytest.mark.parametrize("tail", [b"", b"more"])
def test_depth_is_what_pillow_shows(tail):
    actual = decode_depth(DEPTH + tail, FILE, (45, 67))
    np.testing.assert_array_equal(actual, open_by_pillow(DEPTH))
    tenths = decode_depth(write_unit(DEPTH, 0.1) + tail, FILE, (45, 67))
    np.testing.assert_allclose(tenths, actual / 10, rtol=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_what_is_cut_off_is_refused_in_one_line_and_nothing_else_is_written(share, capfd):
    refused = f"^{FILE} cannot be decoded .*[Tt]runcated.*; copy it again from its source"
    color = COLOR["jpeg"]
    with pytest.raises(InputError, match=refused):
        decode_color(color[: round(share * len(color))], FILE)
    with pytest.raises(InputError, match=refused):
        decode_depth(DEPTH[: round(share * len(DEPTH))], FILE, (45, 67))
    assert capfd.readouterr() == ("", "")


def test_depth_that_was_harmed_is_refused():
    harmed = bytearray(DEPTH)
    harmed[len(DEPTH) // 2] ^= 0xFF
    with pytest.raises(InputError, match=f"^{FILE} cannot be decoded"):
        decode_depth(bytes(harmed), FILE, (45, 67))


def test_a_file_that_claims_to_be_huge_is_refused():
    """Its header says 100 000 px each way, and fits its checksum."""
    header = b"IHDR" + struct.pack(">II", 100_000, 100_000) + DEPTH[24:29]
    bomb = DEPTH[:12] + header + struct.pack(">I", zlib.crc32(header)) + DEPTH[33:]
    with pytest.raises(InputError, match=f"^{FILE} cannot be decoded .*exceeds limit"):
        decode_depth(bomb, FILE, (45, 67))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encode(draw(45, 67), "png"), "holds uint8"),
        (encode(draw(45, 67, 3), "png"), "has 3 channels"),
        (encode(np.full((45, 66), 700, np.uint16), "png"), "is 66×45 px, but its colour 67×45 px"),
        (encode(np.zeros((45, 67), np.uint16), "png"), "is empty"),
        (encode(np.full((45, 67), 20, np.uint16), "png"), "has a median depth of 20"),
        (b"", "is no image"),
    ],
)
def test_what_is_no_depth_in_mm_is_refused(content, reason):
    with pytest.raises(InputError, match=f"^{FILE} {reason}"):
        decode_depth(content, FILE, (45, 67))


def test_a_black_frame_is_refused():
    with pytest.raises(InputError, match=f"^{FILE} is black"):
        decode_color(encode(np.full((45, 67, 3), 3, np.uint8), "png"), FILE)
