"""Compute the displacement of the head model by action units, as weighted sums of face units."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from merec.synthetic.head_model import HeadModel
from merec.synthetic.identity import ANCESTRIES, Identity
from merec.types import ActionUnit

# Weights of the face units of each action unit; `*` stands for Left and Right. Names that begin with
# `expression/` are MakeHuman targets, one per ancestry; the others are ARKit face units. The muscles follow
# Ekman, Friesen & Hager, FACS manual (2002); the weights are chosen here.
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
    30: {"jawLeft": 1.0},  # sideways jaw: one direction only, always left
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
# Factors for an action unit of the top lip (T) or the bottom lip (B) alone.
_TOP = {"mouthRollLower": 0.0, "mouthShrugLower": 0.0, "mouthLowerDown*": 0.0}
_BOTTOM = {"mouthRollUpper": 0.0, "mouthShrugUpper": 0.0, "mouthUpperUp*": 0.0}
_BLEND = 9.0  # mm, half width of the band at the midline where a one-sided movement fades
_LIPS = 661.0  # mm, height of the line between the lips of the reference head


def compute_displacement(
    weights: Mapping[ActionUnit, float], identity: Identity, head: HeadModel
) -> Float[np.ndarray, "vertices 3"]:
    """Compute the displacement of the head's vertices by some action units, mm.

    Action units without a face unit (positions of head and eyes except 61 to 64) move nothing.

    Args:
        weights: Strength of each action unit; 1 is the full movement of its face units.
        identity: Identity of the subject, whose ancestry weights the MakeHuman targets.
        head: Head model.
    """
    total = np.zeros_like(head.vertices)
    for unit, strength in weights.items():
        total += np.float32(strength) * _compute_unit_displacement(unit, identity, head)
    return total


def _compute_unit_displacement(unit: ActionUnit, identity: Identity, head: HeadModel) -> np.ndarray:
    """Compute the displacement by one action unit at full strength, mm."""
    shares: dict[str, float] = {}
    for name, share in FACE_UNITS.get(unit.number, {}).items():
        lip = {"T": _TOP, "B": _BOTTOM}.get(unit.part, {}).get(name, 1.0)
        sides = ("Left", "Right") if "*" in name else ("",)
        for side in sides:
            for target, ancestral in _name_targets(name, side, identity):
                shares[target] = share * lip * ancestral
    displacement = head.deform({name: share for name, share in shares.items() if share})
    if unit.side:
        # x is positive on the left.
        lateral = head.vertices[:, :1] * (1 if unit.side == "L" else -1)
        displacement = displacement * _smooth_step(lateral / _BLEND)
    if unit.part:
        vertical = (head.vertices[:, 1:2] - _LIPS) * (1 if unit.part == "T" else -1)
        displacement = displacement * _smooth_step(vertical / 2.0)
    return displacement


def _name_targets(name: str, side: str, identity: Identity) -> list[tuple[str, float]]:
    """Return names and weights of the head model's targets of one side of a face unit."""
    kind, _, face_unit = name.rpartition("/")
    if kind:
        face_unit = face_unit.replace("*", side.lower())
        return [
            (f"expression/{ancestry}/{face_unit}", share)
            for ancestry, share in zip(ANCESTRIES, identity.ancestry, strict=True)
        ]
    return [(f"unit/{face_unit.replace('*', side)}", 1.0)]


def _smooth_step(position: np.ndarray) -> np.ndarray:
    """Return 0 below -1, 1 above 1 and a smooth transition between."""
    t = np.clip((position + 1) / 2, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def measure_peak(displacement: Float[np.ndarray, "vertices 3"], face_width: float) -> float:
    """Measure the largest displacement seen from the front, in px of a crop of 224 px.

    The 99.5th percentile over the vertices that move is used, so that single vertices have no influence.

    Args:
        displacement: Displacement of the vertices, mm.
        face_width: Width of the face region that a crop of 224 px shows, mm.
    """
    length = np.linalg.norm(displacement[:, :2], axis=1)
    moving = length[length > 0.02 * length.max(initial=0)]
    return float(np.quantile(moving, 0.995)) * 224 / face_width if len(moving) else 0.0
