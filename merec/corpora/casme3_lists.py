"""Annotation lists of CAS(ME)^3: official names, sheets and columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from merec.corpora.reading.folders import find_file, relate
from merec.corpora.reading.sheets import read_table
from merec.corpora.reading.source import Source, describe_source
from merec.corpora.reading.spelling import mend_spelling
from merec.corpora.reading.subjects import CASME3, name_subjects
from merec.types import Finding

PATTERNS = ("annotation*", "part_a*", "part_c*", "exception*")  # in lower case
ERRATA = "casme3 part A"  # key of errata.yaml
_STEM = "cas(me)3_part_A_ME_label_JpgIndex"
MICRO_FILE = f"{_STEM}_v2.xlsx"
MACRO_FILE = "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx"

PART_A = {
    "subject": ("Subject", "sub"),
    "clip": ("Filename", "clip"),
    "onset": ("Onset",),
    "apex": ("Apex",),
    "offset": ("Offset",),
    "action_units": ("AU", "AUs", "Action Units"),
    "emotion": ("emotion",),
}
_DVSCL = {
    "subject": ("subject",),
    "clip": ("clip", "Filename"),
    "onset": ("onset",),
    "apex": ("apex",),
    "emotion": ("class_name",),  # the list's class numbers are in another order than ours
}
_PART_C = {
    "subject": ("sub", "Subject"),
    "clip": ("count",),
    "onset": ("onset",),
    "offset": ("offset",),
    "action_units": ("au", "AU"),
    "emotion": ("emotion",),
}
_FULL = {key: PART_A[key] for key in ("subject", "clip", "onset", "apex", "offset", "action_units")}
_FULL |= {"type": ("Expression type",)}
_FULL_PART_C = {
    "subject": ("Subject",),
    "onset": ("Onset",),
    "offset": ("Offset",),
    "type": ("Exp_type",),
}
_MACRO = {
    "subject": ("sub", "Subject"),
    "clip": ("seq", "Filename"),
    "onset": ("onset",),
    "apex": ("apex",),
    "offset": ("offset",),
    "action_units": ("AU", "AUs"),
    "emotion": ("emotion",),
}


@dataclass(frozen=True)
class AnnotationList:
    """Annotation list: official file names, sheet and columns."""

    files: tuple[str, ...]
    sheet: str | None
    columns: Mapping[str, Sequence[str]]
    fine: bool  # seven emotions, not four classes
    emotions: str | None = None  # the list that names the emotions of a full sheet


LISTS = {
    "v2": AnnotationList((MICRO_FILE, f"{_STEM}_v2.xls", f"{_STEM}_v2.csv"), "label", PART_A, True),
    "v1": AnnotationList(
        (f"{_STEM}_v1.xls", f"{_STEM}_v1.xlsx", f"{_STEM}_v1.csv"), "Sheet1", PART_A, True
    ),
    "dvscl": AnnotationList(("dvscl_943.csv",), None, _DVSCL, False),
    "part_c": AnnotationList(
        ("CAS(ME)3_part_C_ME.xlsx", "CAS(ME)3_part_C_ME.csv"), "mockCrimeME", _PART_C, False
    ),
    "full": AnnotationList(
        ("CAS(ME)3_part_A_v2.xls", "CAS(ME)3_part_A_v2.xlsx"), "AU+Emotion", _FULL, True, "v2"
    ),
    "part_c_full": AnnotationList(
        ("CAS(ME)3_part_C.xls", "CAS(ME)3_part_C.xlsx"), "organize", _FULL_PART_C, False, "part_c"
    ),
}
MACRO_LIST = AnnotationList(
    (MACRO_FILE, MACRO_FILE.replace(".xlsx", ".xls")), None, _MACRO, fine=True
)


def name_samples(table: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Name subjects `spNO.1` and clips in lower case, and add sample ids."""
    subject, of_subjects = name_subjects(table["subject"], CASME3, where)
    clip, of_clips = mend_spelling(table["clip"], table["clip"].str.lower(), "clips", where)
    table = table.assign(subject=subject, clip=clip)
    table["sample_id"] = table["subject"] + "_" + table["clip"] + "_" + table["onset"]
    return table, [*of_subjects, *of_clips]


def read_list(root: Path, named: AnnotationList) -> tuple[pd.DataFrame, Source] | None:
    """Read another list of part A and add sample ids; `None` if the file does not exist."""
    file = find_file(root, named.files, PATTERNS)
    if file is None:
        return None
    table = read_table(file, named.columns, named.sheet, optional={"action_units"})
    source = describe_source(table, file, relate(file, root), "casme3")
    return name_samples(table, source.where)[0], source
