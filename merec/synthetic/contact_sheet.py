"""Contact sheet of a rendered corpus: onset, apex, their difference and depth of every subject."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from merec.corpora.reading.depth_unit import read_unit
from merec.errors import InputError
from merec.synthetic.identity import Identity
from merec.synthetic.plan import ClipPlan

_MAX_SUBJECTS, _COLUMNS = 24, 2
_TILE = 256  # px
_DIFFERENCE_GAIN = 8  # a micro-expression changes pixels by a few grey levels only
_DEPTH_RANGE = 150.0  # mm, from white to black


def draw_contact_sheet(
    root: Path, clips: Sequence[ClipPlan], identities: Sequence[Identity]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw an RGB contact sheet from the frames in `root`, at most 24 subjects.

    Raises:
        InputError: If a frame cannot be read.
    """
    import cv2

    strips = []
    for identity in identities[:_MAX_SUBJECTS]:
        candidates = [clip for clip in clips if clip.subject == identity.name and clip.expressions]
        if not candidates:
            continue
        clip = min(candidates, key=lambda clip: ("micro", "macro", "unlabelled").index(clip.kind))
        moving = [
            expression for expression in clip.expressions if expression.apex > expression.onset
        ]
        expression = max(moving or clip.expressions, key=lambda expression: expression.peak)
        strip = _draw_strip(root / clip.folder, expression.onset, expression.apex)
        units = "+".join(map(str, expression.action_units))
        labels = [
            f"{identity.name} {'F' if identity.female else 'M'} {identity.age:.0f}",
            f"{clip.clip} {expression.onset}",
            f"{expression.emotion} AU {units} {expression.peak:.1f} px",
            "",
        ]
        for tile, label in enumerate(labels):
            corner = (tile * _TILE + 5, _TILE - 7)
            for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
                cv2.putText(
                    strip, label, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA
                )
        strips.append(strip)
    while len(strips) % _COLUMNS:
        strips.append(np.zeros_like(strips[0]))
    rows = [
        np.hstack(strips[start : start + _COLUMNS]) for start in range(0, len(strips), _COLUMNS)
    ]
    return np.vstack(rows)


def _draw_strip(folder: Path, onset: int, apex: int) -> UInt8[np.ndarray, "height width 3"]:
    """Draw onset, apex, their difference and the depth of the onset, cropped to the head."""
    import cv2

    onset_color = _read(folder / "color" / f"{onset}.jpg", cv2.IMREAD_COLOR_RGB)
    apex_color = _read(folder / "color" / f"{apex}.jpg", cv2.IMREAD_COLOR_RGB)
    file = folder / "depth" / f"{onset}.png"
    depth = _read(file, cv2.IMREAD_UNCHANGED) * read_unit(file.read_bytes())
    nearest = float(np.quantile(depth[depth > 0], 0.02))
    change = cv2.absdiff(onset_color, apex_color).max(axis=2)
    change = change.clip(0, 255 // _DIFFERENCE_GAIN) * _DIFFERENCE_GAIN
    depth_image = np.where(depth > 0, 255 * (1 - (depth - nearest) / _DEPTH_RANGE), 0).clip(0, 255)
    head = (depth > 0) & (depth < nearest + 160)
    rows, columns = np.nonzero(head)
    middle = int(np.median(columns))
    top = int(np.quantile(rows, 0.002))
    height, width = onset_color.shape[:2]
    size = min(height - top, int(0.72 * height))
    left = max(0, min(middle - size // 2, width - size))
    tiles = []
    for image in (onset_color, apex_color, change, depth_image):
        crop = np.asarray(image)[top : top + size, left : left + size].astype(np.uint8)
        tile = cv2.resize(crop, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
        tiles.append(tile if tile.ndim == 3 else np.repeat(tile[..., None], 3, axis=2))
    return np.ascontiguousarray(np.hstack(tiles))


def _read(file: Path, kind: int) -> np.ndarray:
    import cv2

    image = cv2.imread(str(file), kind)
    if image is None:
        raise InputError(
            f"{file} cannot be read; delete the file of its clip in truth/ and repeat the command"
        )
    return image
