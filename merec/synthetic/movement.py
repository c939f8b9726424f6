"""Action units as movements of the head model: which face units make them up, on which side, how far."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from merec.synthetic.head_model import HeadModel
from merec.synthetic.identity import ANCESTRIES, Identity
from merec.types import ActionUnit

# Face units of each action unit and their share; `*` stands for Left and Right. Units of MakeHuman's own set
# come per ancestry and begin with `expression/`. What each muscle does is after Ekman, Friesen & Hager, FACS
# manual (2002); the shares are ours.
FACE_UNITS: dict[int, dict[str, float]] = {
    1: {"browInnerUp": 1.0},
    2: {"browOuterUp*": 1.0},
    4: {"browDown*": 1.0},
    5: {"eyeWide*": 1.0},
    6: {"cheekSquint*": 1.0, "eyeSquint*": 0.25},
    7: {"eyeSquint*": 1.0},
    8: {"mouthClose": 0.3, "mouthPucker": 0.4},
    9: {"noseSneer*": 1.0, "browDown*": 0.25},
    10: {"mouthUpperUp*": 1.0},
    11: {"mouthUpperUp*": 0.45, "cheekSquint*": 0.35},
    12: {"mouthSmile*": 1.0},
    13: {"mouthSmile*": 0.55, "cheekSquint*": 0.4},
    14: {"mouthDimple*": 1.0},
    15: {"mouthFrown*": 1.0},
    16: {"mouthLowerDown*": 1.0},
    17: {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.35},
    18: {"mouthPucker": 1.0},
    19: {"tongueOut": 0.6, "jawOpen": 0.2},
    20: {"mouthStretch*": 1.0},
    21: {"expression/neck-platysma": 1.0},
    22: {"mouthFunnel": 1.0},
    23: {"mouthPress*": 0.6, "mouthRollUpper": 0.35, "mouthRollLower": 0.35},
    24: {"mouthPress*": 1.0},
    25: {"mouthLowerDown*": 0.45, "mouthUpperUp*": 0.25, "jawOpen": 0.12},
    26: {"jawOpen": 1.0},
    27: {"jawOpen": 1.0, "mouthStretch*": 0.2},
    28: {"mouthRollUpper": 1.0, "mouthRollLower": 1.0},
    29: {"jawForward": 1.0},
    30: {"jawLeft": 1.0},  # it goes to one side at a time
    31: {"mouthPress*": 0.35, "jawForward": 0.15},
    32: {"mouthRollLower": 0.9, "jawOpen": 0.1},
    33: {"cheekPuff": 0.6, "mouthPucker": 0.4},
    34: {"cheekPuff": 1.0},
    35: {"cheekPuff": -0.8},
    36: {"mouthShrugLower": 0.5, "mouthRollLower": -0.4},
    37: {"mouthRollUpper": 0.5, "mouthRollLower": 0.5},
    38: {"expression/nose-*-dilatation": 1.0},
    39: {"expression/nose-compression": 1.0},
    41: {"eyeBlink*": 0.35},
    42: {"eyeBlink*": 0.6, "eyeSquint*": 0.3},
    43: {"eyeBlink*": 1.0},
    44: {"eyeSquint*": 1.0, "eyeBlink*": 0.25},
    45: {"eyeBlink*": 1.0},
    46: {"eyeBlink*": 1.0},
    61: {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    62: {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    63: {"eyeLookUp*": 1.0},
    64: {"eyeLookDown*": 1.0},
}
# One lip only (prefix T or B) of what otherwise moves both.
_TOP = {"mouthRollLower": 0.0, "mouthShrugLower": 0.0, "mouthLowerDown*": 0.0}
_BOTTOM = {"mouthRollUpper": 0.0, "mouthShrugUpper": 0.0, "mouthUpperUp*": 0.0}
_BLEND = 9.0  # mm on either side of the midline in which a one-sided movement fades
_LIPS = 661.0  # mm, height of the line between the lips of the reference head


def move(
    weights: Mapping[ActionUnit, float], identity: Identity, head: HeadModel
) -> Float[np.ndarray, "vertices 3"]:
    """The displacement of a face that shows some action units, mm.

    Args:
        weights: Strength of each action unit; 1 is the full movement of its face units.
        identity: Whose face (some units come per ancestry).
        head: The head model.

    Units that have no face unit (head and eye position other than 61–64) move nothing.
    """
    total = np.zeros_like(head.vertices)
    for unit, strength in weights.items():
        displacement = _displace(unit, identity, head)
        total += np.float32(strength) * displacement
    return total


def _displace(unit: ActionUnit, identity: Identity, head: HeadModel) -> np.ndarray:
    """One action unit at full strength."""
    shares: dict[str, float] = {}
    for name, share in FACE_UNITS.get(unit.number, {}).items():
        lip = {"T": _TOP, "B": _BOTTOM}.get(unit.part, {}).get(name, 1.0)
        sides = ("Left", "Right") if "*" in name else ("",)
        for side in sides:
            for target, ancestral in _name_targets(name, side, identity):
                shares[target] = share * lip * ancestral
    moved = head.deform({name: share for name, share in shares.items() if share})
    if unit.side:
        across = head.vertices[:, :1] * (1 if unit.side == "L" else -1)  # x is positive on the left
        moved = moved * _fade(across / _BLEND)
    if unit.part:
        up = (head.vertices[:, 1:2] - _LIPS) * (1 if unit.part == "T" else -1)
        moved = moved * _fade(up / 2.0)
    return moved


def _name_targets(name: str, side: str, identity: Identity) -> list[tuple[str, float]]:
    """Targets of a face unit with the share of each ancestry."""
    kind, _, own = name.rpartition("/")
    if kind:
        own = own.replace("*", side.lower())
        return [
            (f"expression/{ancestry}/{own}", share)
            for ancestry, share in zip(ANCESTRIES, identity.ancestry, strict=True)
        ]
    return [(f"unit/{own.replace('*', side)}", 1.0)]


def _fade(across: np.ndarray) -> np.ndarray:
    """0 below -1, 1 above 1, smooth between."""
    t = np.clip((across + 1) / 2, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def measure_peak(displacement: Float[np.ndarray, "vertices 3"], face_width: float) -> float:
    """How far a displacement moves a face at most, seen from the front, in px of a 224-px crop.

    The 99.5th percentile of the moved vertices stands for the most, so that one stray vertex does not.

    Args:
        displacement: mm.
        face_width: Width in mm that a crop of 224 px shows.
    """
    length = np.linalg.norm(displacement[:, :2], axis=1)
    moved = length[length > 0.02 * length.max(initial=0)]
    return float(np.quantile(moved, 0.995)) * 224 / face_width if len(moved) else 0.0
