"""One picture of a rendered corpus: of each subject an onset, an apex, their difference and the depth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from merec.corpora.reading.depth_unit import read_unit
from merec.errors import InputError
from merec.synthetic.identity import Identity
from merec.synthetic.plan import ClipPlan

_MOST, _ABREAST = 24, 2
_TILE = 256  # px
_GAIN = 8  # of the difference: a micro-expression is a change of a few grey levels
_SPAN = 150.0  # mm of depth from white to black


def draw_contact_sheet(
    root: Path, clips: Sequence[ClipPlan], people: Sequence[Identity]
) -> UInt8[np.ndarray, "height width 3"]:
    """Read frames back from `root` and lay them out; 24 subjects at most, RGB."""
    import cv2

    strips = []
    for person in people[:_MOST]:
        own = [clip for clip in clips if clip.subject == person.name and clip.expressions]
        if not own:
            continue
        clip = min(own, key=lambda clip: ("micro", "macro", "unlabelled").index(clip.kind))
        moving = [each for each in clip.expressions if each.apex > each.onset]
        expression = max(moving or clip.expressions, key=lambda expression: expression.peak)
        strip = _draw_strip(root / clip.folder, expression.onset, expression.apex)
        units = "+".join(map(str, expression.action_units))
        words = [
            f"{person.name} {'F' if person.female else 'M'} {person.age:.0f}",
            f"{clip.clip} {expression.onset}",
            f"{expression.emotion} AU {units} {expression.peak:.1f} px",
            "",
        ]
        for number, text in enumerate(words):
            place = (number * _TILE + 5, _TILE - 7)
            for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
                cv2.putText(
                    strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA
                )
        strips.append(strip)
    while len(strips) % _ABREAST:
        strips.append(np.zeros_like(strips[0]))
    rows = [np.hstack(strips[at : at + _ABREAST]) for at in range(0, len(strips), _ABREAST)]
    return np.vstack(rows)


def _draw_strip(folder: Path, onset: int, apex: int) -> UInt8[np.ndarray, "height width 3"]:
    """Onset, apex, their difference, and the onset's depth, cut to the head."""
    import cv2

    first = _read(folder / "color" / f"{onset}.jpg", cv2.IMREAD_COLOR_RGB)
    last = _read(folder / "color" / f"{apex}.jpg", cv2.IMREAD_COLOR_RGB)
    file = folder / "depth" / f"{onset}.png"
    depth = _read(file, cv2.IMREAD_UNCHANGED) * read_unit(file.read_bytes())
    near = float(np.quantile(depth[depth > 0], 0.02))
    change = cv2.absdiff(first, last).max(axis=2)
    shown = np.where(depth > 0, 255 * (1 - (depth - near) / _SPAN), 0).clip(0, 255)
    head = (depth > 0) & (depth < near + 160)
    rows, columns = np.nonzero(head)
    middle = int(np.median(columns))
    top = int(np.quantile(rows, 0.002))
    size = min(first.shape[0] - top, int(0.72 * first.shape[0]))
    left = max(0, min(middle - size // 2, first.shape[1] - size))
    tiles = []
    for image in (first, last, change.clip(0, 255 // _GAIN) * _GAIN, shown):
        cut = np.asarray(image)[top : top + size, left : left + size].astype(np.uint8)
        tile = cv2.resize(cut, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
        tiles.append(tile if tile.ndim == 3 else np.repeat(tile[..., None], 3, axis=2))
    return np.ascontiguousarray(np.hstack(tiles))


def _read(file: Path, kind: int) -> np.ndarray:
    import cv2

    image = cv2.imread(str(file), kind)
    if image is None:
        raise InputError(
            f"{file} cannot be read; delete its clip's file in truth/ and give the same command again"
        )
    return image
