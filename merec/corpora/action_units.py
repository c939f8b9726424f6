"""Action units as coders write them: "26+25", "24+T18+16", "R4,5", "AU1+AU2", "6E+12"."""

import re

from merec.types import ActionUnit

_ONE = re.compile(r"(?:AU)?([LR]?)([TB]?)(?:AU)?(\d{1,2})[A-E]?([LR]?)", re.IGNORECASE)
_DOUBT = re.compile(r"\bor\b\s*((?:AU)?\s*[^+,，、;/&\s]*)", re.IGNORECASE)
_BETWEEN = re.compile(r"[+,，、;/&\s]+")
_EMPTY = {"", "-", "/", "nan", "none"}


def parse_action_units(text: object) -> tuple[ActionUnit, ...]:
    """Read the action units of a cell, as `read_action_units`, and leave out what cannot be read."""
    return read_action_units(text)[0]


def read_action_units(text: object) -> tuple[tuple[ActionUnit, ...], str]:
    """Read the action units of a cell, in its order, each once.

    `L` and `R` are the subject's own sides; `T` and `B` the top and bottom lip. A prefix belongs to its
    own number only: "R4,5" is the right AU 4 and AU 5 of both sides, since FACS codes unilaterality per
    action unit. An intensity letter (A–E, "6E") and a coder's doubt ("4?") are dropped. A side may
    stand last ("12R"). Of "R12 or R15" only the first is certain enough to keep; "4 or 5+7" keeps 4 and 7.

    Args:
        text: e.g. "24+T18+16"; `None`, NaN and "" are no action unit.

    Returns:
        The action units, and what could not be read ("" if all could).
    """
    if text is None or text != text or str(text).strip().casefold() in _EMPTY:
        return (), ""
    certain = _DOUBT.sub(" ", str(text))
    units: dict[ActionUnit, None] = {}
    unread = [f"or {word.strip()}".strip() for word in _DOUBT.findall(str(text))]
    for word in _BETWEEN.split(certain):
        word = word.strip("?？.()").strip()
        if not word or word.upper() == "AU":  # "AU 12"
            continue
        match = _ONE.fullmatch(word)
        if match is None or int(match[3]) == 0 or (match[1] and match[4]):
            unread.append(word)
            continue
        units[ActionUnit(int(match[3]), (match[1] or match[4]).upper(), match[2].upper())] = None
    return tuple(units), ", ".join(unread)
