"""Write the annotation sheets of a rendered corpus in the format of CAS(ME)^3 part A."""

import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from merec.corpora.casme3_lists import MACRO_FILE, MICRO_FILE
from merec.files import atomic
from merec.synthetic.plan import ClipPlan, Expression
from merec.types import ActionUnit

MICRO_COLUMNS = (
    "Subject",
    "Filename",
    "Onset",
    "Apex",
    "Offset",
    "AU",
    "Objective class",
    "emotion",
)
# The official macro sheet has no column "AU"; it is added because the authors' full sheet names the units.
MACRO_COLUMNS = ("sub", "seq", "onset", "apex", "offset", "AU", "emotion")
# Davison, Merghani, Yap: Objective Classes for Micro-Facial Expression Recognition, table 2. Sides (L, R) and
# lips (T, B) are ignored; every other set is class VII. All 860 rows of the official sheet follow the table.
OBJECTIVE_CLASSES = {
    "I": ("6", "12", "6+12", "6+7+12", "7+12"),
    "II": ("1+2", "5", "25", "1+2+25", "25+26", "5+24"),
    "III": ("4", "23", "4+5", "4+7", "4+5+7", "4+6+7", "4+38", "17+24"),
    "IV": (
        *("9", "10", "4+9", "4+40", "4+5+40", "4+7+9", "4+9+17"),
        *("4+7+10", "4+5+7+9", "7+10"),
    ),
    "V": ("1", "15", "1+4", "6+15", "15+17"),
    "VI": ("1+2+4", "20"),
}
_CLASS_OF = {
    frozenset(map(int, units.split("+"))): name
    for name, sets in OBJECTIVE_CLASSES.items()
    for units in sets
}
_FIXED_DATE = "2000-01-01T00:00:00Z"  # so that equal corpora are equal byte for byte


def write_annotation(clips: Sequence[ClipPlan], root: Path) -> list[Path]:
    """Write one sheet of micro-expressions and, if the corpus has any, one of macro-expressions.

    Rows follow the order of the clips. All cells are text, as in the official file. Unlabelled clips are in
    neither sheet.

    Returns:
        Paths of the files written, all in `root`.
    """
    micro = [
        (
            *_list_times(clip, expression),
            spell(expression.action_units),
            classify(expression.action_units),
            expression.emotion,
        )
        for clip, expression in _expressions(clips, "micro")
    ]
    macro = [
        (*_list_times(clip, expression), spell(expression.action_units), expression.emotion)
        for clip, expression in _expressions(clips, "macro")
    ]
    files = [root / MICRO_FILE]
    # The official workbook has two empty sheets after the annotated one.
    _write_workbook(files[0], {"label": [MICRO_COLUMNS, *micro], "Sheet1": [], "Sheet3": []})
    if macro:
        files.append(root / MACRO_FILE)
        _write_workbook(files[1], {"Sheet1": [MACRO_COLUMNS, *macro]})
    return files


def spell(action_units: Iterable[ActionUnit]) -> str:
    """Format action units as in the official sheet, e.g. `26+25`, `R12`, `24+T18+16`."""
    return "+".join(map(str, action_units))


def classify(action_units: Iterable[ActionUnit]) -> str:
    """Return the objective class, I to VII, of a set of action units."""
    return _CLASS_OF.get(frozenset(unit.number for unit in action_units), "VII")


def _expressions(clips: Sequence[ClipPlan], kind: str) -> list[tuple[ClipPlan, Expression]]:
    return [
        (clip, expression) for clip in clips if clip.kind == kind for expression in clip.expressions
    ]


def _list_times(clip: ClipPlan, expression: Expression) -> tuple[str, ...]:
    """Return the cells of subject, clip, onset, apex and offset."""
    times = (expression.onset, expression.apex, expression.offset)
    return (clip.subject, clip.clip, *map(str, times))


def _write_workbook(file: Path, sheets: dict[str, list[tuple[str, ...]]]) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    with atomic(file) as part:
        book.save(part)
        _fix_dates(part)


def _fix_dates(file: Path) -> None:
    """Replace the creation and modification times of a workbook by a fixed date."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    properties = entries["docProps/core.xml"].decode()
    entries["docProps/core.xml"] = re.sub(
        r"(<dcterms:(created|modified)[^>]*>)[^<]*", rf"\g<1>{_FIXED_DATE}", properties
    ).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            # ZipInfo without a date is dated 1980, which is fixed too.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
