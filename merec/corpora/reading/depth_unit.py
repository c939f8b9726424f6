"""Unit of a depth map, stored in its PNG file; the default is millimetres."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NAME, _UNIT = b"depth", b"mm"
_MOST = 2**16 - 1


def write_unit(png: bytes, step: float | int) -> bytes:
    """Return a 16-bit PNG file with its unit as metadata.

    The chunk is `pCAL`, "calibration of pixel values" (Extensions to the PNG specification 1.2.0), which
    other readers ignore. Whole millimetres need no chunk.

    Args:
        png: Content of the PNG file.
        step: Unit of the pixel values, mm.
    """
    if step == 1:
        return png
    scale = repr(float(step) * _MOST).encode()  # what the largest number stands for
    data = _NAME + b"\0" + struct.pack(">iiBB", 0, _MOST, 0, 2) + _UNIT + b"\0" + b"0\0" + scale
    body = b"pCAL" + data
    chunk = struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    header = len(SIGNATURE) + 25  # IHDR comes first and is of one length
    return png[:header] + chunk + png[header:]


def read_unit(content: bytes) -> float:
    """Return the unit of the pixel values of a depth map, mm; 1 unless the PNG file specifies it.

    Args:
        content: Content of the file; it may be damaged.
    """
    at = len(SIGNATURE)
    while content.startswith(SIGNATURE) and at + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        if kind == b"IDAT":
            break
        if kind == b"pCAL":
            try:
                return _read_scale(content[at + 8 : at + 8 + length])
            except (ValueError, struct.error):
                break
        at += 12 + length
    return 1.0


def _read_scale(data: bytes) -> float:
    """Return the unit in mm from the data of a `pCAL` chunk; 1 if the chunk describes another quantity."""
    name, _, rest = data.partition(b"\0")
    low, high, equation, _ = struct.unpack(">iiBB", rest[:10])
    unit, *parameters = rest[10:].split(b"\0")
    if (name, unit, low, high, equation) != (_NAME, _UNIT, 0, _MOST, 0):
        return 1.0
    offset, scale = map(float, parameters)
    return scale / _MOST if offset == 0 and scale > 0 else 1.0
