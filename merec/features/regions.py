"""Eight facial regions, defined once on MediaPipe's mesh, in the order of Zhang et al. 2025.

Left is the image's left, which is the subject's right side.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

REGIONS = (
    *("left eye and brow", "right eye and brow", "left cheek", "right cheek"),
    *("left mouth corner", "right mouth corner", "chin", "mouth"),
)
MIRRORED = (1, 0, 3, 2, 5, 4, 6, 7)  # the region of the mirrored face that each region becomes

# The 68 points of the usual numbering (from 0) as vertices of MediaPipe's mesh; 0 to 16 is the jaw from the
# image's left to its right, 17 to 26 brows, 27 to 35 nose, 36 to 47 eyes, 48 to 67 mouth.
POINTS_68 = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
# Outlines in MediaPipe's mesh.
_FACE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_LEFT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
_RIGHT_EYE = (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382)
_LID = 0.16  # of the distance between the eyes: how far around an eye's opening a blink moves skin
_SIDE, _DROP, _NOSE = 0.15, 0.22, 0.08  # the recipe's 10, 15 and 5 px, as shares of that distance
_BROW = 0.6  # where the eye and brow regions end, from the brow's highest point to the lower lid


class Masks(NamedTuple):
    """Pixels of each region in a crop.

    Attributes:
        regions: One mask per region, in the order of `REGIONS`; masks may overlap.
        face: Face without the eyes and the band between eyes and nose, which blinks move.
        rigid: Skin that most expressions leave alone: upper forehead, temples, nose bridge, cheeks.
    """

    regions: Bool[np.ndarray, "regions size size"]
    face: Bool[np.ndarray, "size size"]
    rigid: Bool[np.ndarray, "size size"]


def draw_regions(points: Float[np.ndarray, "478 _"], size: int, blinks: bool) -> Masks:
    """Draw the regions of a face.

    The two eye and brow regions extend from the highest point of the brow to the upper lid, so they contain
    no forehead.

    Args:
        points: Landmarks in px of the crop.
        size: Size of the crop, px.
        blinks: Whether to leave out the eyes and the band below them.

    Source: released preprocessing of Zhang et al. 2025, where sizes are in pixels; here they are relative to
    the face.
    """
    flat = points[:, :2]
    p = flat[list(POINTS_68)]
    apart = float(np.linalg.norm(p[36:42].mean(axis=0) - p[42:48].mean(axis=0)))
    low_lid = float(p[[40, 41, 46, 47], 1].mean())
    nose = float(p[29, 1]) + _NOSE * apart
    middle = float(p[27:31, 0].mean())
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    face = _fill([flat[list(_FACE)]], size)
    left_brow, right_brow = (
        face & (row >= top) & (row < top + _BROW * (lid - top))
        for top, lid in ((p[17:22, 1].min(), p[41, 1]), (p[22:27, 1].min(), p[46, 1]))
    )
    left_cheek = _hull([*p[1:5], (p[31, 0] - _SIDE * apart, nose), p[31]], size)
    right_cheek = _hull([*p[12:16], (p[35, 0] + _SIDE * apart, nose), p[35]], size)
    # The lower lip's outline, widened downwards; all five points of it and neither corner, where the release
    # takes 54 to 58: a mirrored face must have the mirrored mouth.
    mouth = p[48:60].copy()
    mouth[7:, 1] += _DROP * apart
    regions = np.stack(
        [
            left_brow & (column < middle),
            right_brow & (column >= middle),
            left_cheek,
            right_cheek,
            _hull([*p[4:7], p[31], p[48]], size),
            _hull([*p[10:13], p[35], p[54]], size),
            _hull([*p[6:11], *p[55:60]], size),
            _hull([*mouth], size),
        ]
    )
    eyes = _fill([flat[list(_LEFT_EYE)], flat[list(_RIGHT_EYE)]], size)
    if blinks:
        band = (row >= low_lid) & (row < nose)
        face &= ~(band | _widen(eyes, _LID * apart))
    regions &= face
    # Cheeks take part in a smile; what fits the head's movement badly loses its vote (see head_motion.py).
    rigid = _outline_rigid(flat, size) & ~_widen(eyes, 2 * _LID * apart)
    rigid |= face & (row >= low_lid) & ~regions[[4, 5, 6, 7]].any(axis=0)
    return Masks(regions, face, rigid)


def _outline_rigid(flat: np.ndarray, size: int) -> np.ndarray:
    """Return the outlines of upper forehead, temples down to the ears, and bridge of the nose."""
    forehead = (54, 103, 67, 109, 10, 338, 297, 332, 284, 298, 333, 299, 337, 151, 108, 69, 104, 68)
    left_side = (54, 68, 139, 143, 35, 111, 116, 123, 147, 177, 132, 93, 234, 127, 162, 21)
    right_side = (284, 298, 368, 372, 265, 340, 345, 352, 376, 401, 361, 323, 454, 356, 389, 251)
    bridge = (193, 168, 417, 351, 419, 248, 281, 5, 51, 3, 196, 122)
    outlines = [flat[list(part)] for part in (forehead, left_side, right_side, bridge)]
    return _fill(outlines, size)


def _fill(polygons: list[np.ndarray], size: int) -> np.ndarray:
    """Return the mask of a union of polygons; a pixel is inside if its centre is."""
    import cv2

    mask = np.zeros((size, size), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.rint(polygon * 16).astype(np.int32)], 1, shift=4)
    return mask.astype(bool)


def _hull(points: list, size: int) -> np.ndarray:
    """Return the convex hull of some points."""
    import cv2

    return _fill([cv2.convexHull(np.array(points, dtype=np.float32))[:, 0]], size)


def _widen(mask: np.ndarray, by: float) -> np.ndarray:
    """Widen a mask by `by` px."""
    import cv2

    reach = 2 * round(by) + 1
    round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return cv2.dilate(mask.astype(np.uint8), round_).astype(bool)
