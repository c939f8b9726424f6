"""Parsing of coded action units in the notations of all corpora, e.g. "24+T18+16", "R4,5", "AU4(k)+L7".

| notation | corpora | read as |
|---|---|---|
| `26+25`, `4,18`, `4;5` | all | one action unit each |
| `AU4`, `AD31` | DFME, 4DME, SAMM | 4, 31: action descriptors count as action units, as CAS(ME)^3 codes 38 |
| `R12`, `L2`, `12R`, `AUR2` | all | one side of the face, the subject's own |
| `T18`, `B23`, `LT10` | CAS(ME)^3, SAMM | top or bottom lip |
| `A12` | SAMM | 12: both sides move, one of them more; which one is not coded, so the mark is dropped |
| `6E`, `10A/B`, `4(B/C)`, `12(B)` | SAMM, SAMM-LV | 6, 10, 4, 12: the intensity is dropped |
| `4?` | CASME II | 4 |
| `R12 or R15`, `A/L12` | SAMM | R12, 12: the first alternative; the other is left out |
| `ref(7B)` | SAMM, SAMM-LV | left out: seen in the neutral reference frame too, so it is no movement |
| `AU4(k)` | 4DME | left out: static, held over the whole clip, so it is no movement |
| `M57` | DFME | left out: a movement of the head |

The result lists parts that are left out and parts that cannot be read.
"""

import re
import unicodedata
from dataclasses import dataclass

from merec.types import ActionUnit

_UNIT = r"""
    (?:A[UD]\s*)?
    (?P<side>[LRA](?:/[LRA])?)?   # SAMM writes A/L12 where it doubts that the right side moves
    (?P<part>[TB])?
    (?:A[UD]\s*)?
    (?P<number>0?[1-9]|[1-9]\d)
    (?:[A-E](?:/[A-E])?|\s*\([A-E](?:/[A-E])?\))?   # intensity
    (?P<after>[LR])?
"""
_SEPARATOR = r"[+,、;&/\s()]"
_END = rf"\s*\??\.?(?={_SEPARATOR}|$)"
_TOKEN = re.compile(
    rf"""
    (?P<gap>{_SEPARATOR}+)
    | (?P<reference>ref\s*\([^()]*\)){_END}
    | (?P<static>{_UNIT.replace("?P<", "?P<static_")}\s*\(k\)){_END}
    | (?P<head>M\s*\d{{1,2}}){_END}
    | (?P<unit>{_UNIT}){_END}
    | (?P<alternative>or\b)
    | (?P<other>[^+,、;&/\s()]+)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_WHY = {
    "reference": "seen in the reference frame",
    "static": "static",
    "head": "a head movement",
}
_NONE = {"-", "/", "none"}


@dataclass(frozen=True)
class CodedUnits:
    """Action units of a cell.

    Attributes:
        read: Action units that could be read, in the order of the cell, without duplicates.
        unread: Parts that could not be read, verbatim.
        left_out: Parts that are not movements of this expression, each with the reason, e.g. `AU4(k)
            (static)`.
        blank: Whether the cell is empty, i.e. the sample was not coded.
    """

    read: tuple[ActionUnit, ...] = ()
    unread: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    blank: bool = False

    @property
    def units(self) -> tuple[ActionUnit, ...] | None:
        """Action units of the sample; `None` if they are not fully known."""
        return None if self.blank or self.unread else self.read


def read_action_units(text: object) -> CodedUnits:
    """Read the action units of a cell in the notation of any corpus (see the module's table).

    A side applies to one number only: "R4,5" is AU 4 on the right side and AU 5 on both sides, since FACS
    codes sides per action unit.

    Args:
        text: E.g. "24+T18+16". `None`, NaN and "" are a blank cell; "-", "/" and "none" say that there is no
            action unit.
    """
    if text is None or text != text:
        return CodedUnits(blank=True)
    # Full-width commas, brackets and digits become plain ones.
    plain = unicodedata.normalize("NFKC", str(text)).strip()
    if plain.casefold() in ("", "nan"):
        return CodedUnits(blank=True)
    if plain.casefold() in _NONE:
        return CodedUnits()
    read: dict[ActionUnit, None] = {}
    unread: list[str] = []
    left_out: list[str] = []
    second = False  # after an "or"
    for match in _TOKEN.finditer(plain):
        kind, word = str(match.lastgroup), match[0].strip()
        if kind == "gap":
            continue
        if kind == "alternative":
            second = True
            continue
        if second:
            left_out.append(f"{word} (a second choice)")
            second = False
        elif kind in _WHY:
            left_out.append(f"{word} ({_WHY[kind]})")
        elif kind == "unit" and not (match["side"] and match["after"]):
            side = (match["side"] or match["after"] or "").upper()
            if "/" in side:
                left_out.append(f"{side[2:]}{match['number']} (a second choice)")
            side = side[:1].replace("A", "")
            unit = ActionUnit(int(match["number"]), side, (match["part"] or "").upper())
            read[unit] = None
        else:
            unread.append(word)
    if second:
        unread.append("or")
    return CodedUnits(tuple(read), tuple(unread), tuple(left_out))
