"""Face regions that are moved by each action unit."""

from merec.types import ActionUnit

_BROW, _CHEEK, _CORNER, _CHIN, _MOUTH = "eye and brow", "cheek", "mouth corner", "chin", "mouth"
_HALVES = (_BROW, _CHEEK, _CORNER)  # regions of which each side of the face has one

# By the appearance changes that Ekman, Friesen & Hager (FACS manual, 2002) list first, as far as a region
# of merec shows them. The mouth's outline holds its corners. Blinks and the like (41 to 46) are not here, as
# regions leave out what they move; nor are movements of neck, nose, tongue, head and eyeballs.
_MOVED = {
    1: (_BROW,),
    2: (_BROW,),
    4: (_BROW,),
    5: (_BROW,),
    6: (_BROW, _CHEEK),
    7: (_BROW,),
    9: (_BROW, _CHEEK),
    10: (_CHEEK, _MOUTH),
    11: (_CHEEK, _CORNER),
    12: (_CHEEK, _CORNER, _MOUTH),
    13: (_CHEEK, _CORNER, _MOUTH),
    14: (_CORNER, _MOUTH),
    15: (_CORNER, _MOUTH),
    16: (_MOUTH, _CHIN),
    17: (_MOUTH, _CHIN),
    18: (_MOUTH,),
    20: (_CORNER, _MOUTH),
    22: (_MOUTH,),
    23: (_MOUTH,),
    24: (_MOUTH,),
    25: (_MOUTH,),
    26: (_MOUTH, _CHIN),
    27: (_MOUTH, _CHIN),
    28: (_MOUTH,),
    29: (_CHIN,),
    30: (_CHIN,),
    32: (_MOUTH,),
    33: (_CHEEK,),
    34: (_CHEEK,),
    35: (_CHEEK,),
}


def find_moved_regions(unit: ActionUnit) -> set[str]:
    """Return the names of the regions that an action unit moves; empty if it moves none of them.

    Sides of units are sides of the subject, sides of regions are sides of the image: a right AU 12 moves left
    regions.
    """
    sides = {"L": ("right",), "R": ("left",), "": ("left", "right")}[unit.side]
    moved = _MOVED.get(unit.number, ())
    halves = {f"{side} {name}" for name in moved if name in _HALVES for side in sides}
    return halves | {name for name in moved if name not in _HALVES}
