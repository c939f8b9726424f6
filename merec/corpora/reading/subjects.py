"""Names of subjects: one name per person for all spellings in sheets and folders.

Subjects are held out by name, so two names of a person would put this person into both parts of a split.
"""

import re
import unicodedata
from collections.abc import Hashable
from dataclasses import dataclass

import pandas as pd

from merec.types import Finding, InputError

# What stands before a person's number, in sheets and folders of all corpora: `sub01`, `Sub 01`, `spNo.1`.
_NUMBER = re.compile(
    r"(?:sub(?:ject|j)?|sp(?:[\s._-]*no)?|s|p|no|person|participant)?[\s._#-]*0*(\d+)(?:\.0*)?",
    re.ASCII,
)
_NOBODY = {"", "-", "--", "/", "?", "na", "n/a", "nan", "nil", "none", "null", "unknown"}


@dataclass(frozen=True)
class Naming:
    """Form of the names in a corpus that numbers its subjects.

    Attributes:
        prefix: Text before the number.
        digits: Minimum number of digits, padded with zeros.
    """

    prefix: str
    digits: int = 1

    def spell(self, text: str) -> str:
        """Return the corpus's spelling of a numbered name with any usual prefix; other names are unchanged.

        >>> [CASME2.spell(text) for text in ("1", "Sub 01", "sub001", "1.0", "Anna")]
        ['sub01', 'sub01', 'sub01', 'sub01', 'Anna']
        """
        number = _NUMBER.fullmatch(_simplify(text))
        return f"{self.prefix}{number[1].zfill(self.digits)}" if number else text


CASME2 = Naming("sub", 2)
SAMM = Naming("", 3)
SMIC = Naming("s", 2)
CASME3 = Naming("spNO.")
NAMINGS = {"casme2": CASME2, "samm": SAMM, "smic": SMIC, "casme3": CASME3}


def is_nobody(text: str) -> bool:
    """Return whether a cell means an unknown subject, such as `nan` or `-`."""
    return _simplify(text) in _NOBODY


def spell_subject(subject: str) -> str:
    """Return the normalised spelling by which names of a data set are compared.

    Case, leading zeros and full-width letters are ignored, and so are blanks, dots, `_` and `-`, except
    between two numbers.
    """
    plain = re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", _simplify(subject))
    plain = re.sub(r"(?<!\d)[\s._-]+|[\s._-]+(?!\d)", "", plain)
    return re.sub(r"[\s._-]+", "-", plain)


def name_subjects(texts: pd.Series, naming: Naming, where: str) -> tuple[pd.Series, list[Finding]]:
    """Give each person one name.

    Args:
        texts: Annotated subject of each row; "" stays "".
        naming: Form of the subjects' names.
        where: File of the annotation, for the findings.

    Returns:
        The names, and notes about changed spellings (not if all names are bare numbers) and about each person
        with several spellings.
    """
    spelled = texts.map(naming.spell)
    keys = spelled.map(spell_subject)
    # Somebody without a number keeps the spelling that comes first.
    names = spelled.groupby(keys).transform("first") if len(spelled) else spelled
    findings: list[Finding] = []
    spellings = texts.groupby(names).agg(lambda same: list(dict.fromkeys(same)))
    joined = {str(name): variants for name, variants in spellings.items() if len(variants) > 1}
    changed = texts[texts != names]
    bare = naming.prefix != "" and texts[texts != ""].str.isdecimal().all()
    if len(changed) and (joined or not bare):
        counts = (changed + " → " + names[changed.index]).value_counts()
        changes = "; ".join(f"{change} ({number}×)" for change, number in counts.head(4).items())
        more = f"; and {len(counts) - 4} more" if len(counts) > 4 else ""
        text = f"{len(changed)} of {len(texts)} rows: {changes}{more}"
        remedy = "mended; nothing to do"
        findings.append(Finding("note", "spelling of subjects", where, None, "", text, remedy))
    for name, variants in joined.items():
        text = f"{name} is spelled {', '.join(map(repr, variants))}"
        remedy = "taken for one person; if they are several, give each a number of their own"
        findings.append(Finding("note", "one subject", where, None, "", text, remedy))
    return names, findings


def refuse_namesakes(index: pd.DataFrame, where: str) -> None:
    """Check that no person of a data set has two names, and that no name occurs in two data sets.

    Args:
        index: Columns `corpus` and `subject`.
        where: Source of the table, for the message.

    Raises:
        InputError: If not; the message names both.
    """
    seen: dict[Hashable, str] = {}
    owner: dict[str, str] = {}
    for data_set, subject in dict.fromkeys(zip(index["corpus"], index["subject"], strict=True)):
        other = seen.setdefault((data_set, spell_subject(subject)), subject)
        if other != subject:
            raise InputError(
                f"{where}: subjects {other} and {subject} of {data_set} are one person in two spellings; "
                "expected one name per person: spell them alike"
            )
        if owner.setdefault(subject, data_set) != data_set:
            raise InputError(
                f"{where}: subject {subject} is in {owner[subject]} and in {data_set}; expected other names "
                "in each data set, as sub01, s01 and 006: rename one of them"
            )


def _simplify(text: str) -> str:
    """Return a text without case, full-width letters, zero-width characters and surrounding blanks."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(c for c in text if unicodedata.category(c) != "Cf").strip().casefold()
