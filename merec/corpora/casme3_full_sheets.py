"""Full sheets of CAS(ME)^3: micro- and macro-expressions in one table, without emotions.

Emotions are joined from the lists of micro- and macro-expressions, and action units from the sheets to the
lists.
"""

from pathlib import Path

import pandas as pd

from merec.corpora.casme3_lists import ERRATA, LISTS, name_samples, read_list
from merec.corpora.reading.errata import MIDDLE, apply_errata
from merec.corpora.reading.sheets import refuse_bad_cells
from merec.corpora.reading.source import Source, name_exclusion
from merec.corpora.reading.subjects import CASME3, name_subjects
from merec.types import Finding, InputError

_MICRO = ("micro-expression", "1")  # in the sheet of part A, in that of part C
_MACRO = ("macro-expression", "0")


def read_full_sheet(
    table: pd.DataFrame, source: Source, kind: str, root: Path
) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    """Split a full sheet, join the emotions of its micro-expressions and name all samples.

    Args:
        table: The sheet.
        source: Place that it was read from.
        kind: `full` or `part_c_full`.
        root: Folder of the corpus, in which the list of emotions is searched first.

    Returns:
        The micro-expressions with their emotions, the macro-expressions, and the findings.

    Raises:
        InputError: If the list of emotions is missing, or a row is neither micro- nor macro-expression.
    """
    names = LISTS[str(LISTS[kind].emotions)]
    annotated = None
    for folder in dict.fromkeys((root, Path(source.file).parent)):
        annotated = annotated or read_list(folder, names)
    if annotated is None:
        raise InputError(
            f"{source.file} names no emotions; put {names.files[0]} beside it, which does, or set "
            f"corpus.annotation={LISTS[kind].emotions}"
        )
    named, of_list = annotated
    refuse_bad_cells(named, Path(of_list.file))
    micro, macro = _split_types(table, source)
    duplicates: list[Finding] = []
    if kind == "part_c_full":
        spelled, _ = name_subjects(table["subject"], CASME3, source.where)
        micro, macro = micro.assign(subject=spelled), macro.assign(subject=spelled)
        micro, duplicates = _join_part_c(micro, named, Path(of_list.file), source)
        macro["clip"] = (macro.groupby("subject").cumcount() + 1).astype(str)
        macro["apex"] = MIDDLE
    micro, spelling = name_samples(micro, source.where)
    macro, _ = name_samples(macro, source.where)
    if kind == "full":
        mended, _ = apply_errata(named, ERRATA, of_list.where)
        mended["sample_id"] = mended["subject"] + "_" + mended["clip"] + "_" + mended["onset"]
        micro["emotion"] = join_emotions(micro, named, mended)
    return micro, macro, [*spelling, *duplicates]


def _split_types(table: pd.DataFrame, source: Source) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a full sheet into its micro- and its macro-expressions.

    Args:
        table: Table with the annotated column `type`.
        source: Place that it was read from.

    Raises:
        InputError: If a row has another type.
    """
    kind = table["type"].str.casefold()
    other = table.index[~kind.isin([*_MICRO, *_MACRO])]
    if len(other):
        raise InputError(
            f"{source.file}, {source.name_row(int(other[0]))}: type "
            f"{str(table.at[other[0], 'type'])[:60]!r}; expected {' or '.join(_MICRO)}, "
            f"{' or '.join(_MACRO)}; correct the cell"
        )
    return table[kind.isin(_MICRO)].copy(), table[kind.isin(_MACRO)].copy()


def join_emotions(table: pd.DataFrame, *lists: pd.DataFrame) -> pd.Series:
    """Look up the emotion of each row by sample id; "" if it is in no list.

    Args:
        table: Column `sample_id`.
        lists: Tables with columns `sample_id` and `emotion`, in order of priority.
    """
    emotion_of: dict[str, str] = {}
    for named in lists:
        for sample_id, emotion in zip(named["sample_id"], named["emotion"], strict=True):
            emotion_of.setdefault(str(sample_id), str(emotion))
    return table["sample_id"].map(lambda sample_id: emotion_of.get(sample_id, ""))


def _join_part_c(
    table: pd.DataFrame, named: pd.DataFrame, list_file: Path, source: Source
) -> tuple[pd.DataFrame, list[Finding]]:
    """Add clip numbers and emotions from the list of emotions to the micro-expressions of part C.

    If two rows of a subject have the same onset (there is one such pair), the row whose offset differs from
    the list gets the number with the suffix `b`, and a warning.

    Args:
        table: Columns `subject`, `onset`, `offset`.
        named: The list of emotions: `subject`, `clip` (a number), `onset`, `offset`, `emotion`.
        list_file: Path of the list, for messages.
        source: Place that `table` was read from, for messages.

    Returns:
        The table with `clip` and `emotion` ("" if it is not in the list), and the warnings.
    """
    rows = {
        (row["subject"], row["onset"]): row for row in named.to_dict("records")
    }  # one of each in the official list
    twice = table.duplicated(["subject", "onset"], keep=False)
    clips, emotions, findings = [], [], []
    for number, (row, cells) in enumerate(table.to_dict("index").items()):
        match = rows.get((cells["subject"], cells["onset"]))
        clip = f"x{number}" if match is None else str(match["clip"])
        if match is not None and twice[row] and cells["offset"] != match["offset"]:
            clip += "b"
            sample_id = f"{cells['subject']}_{clip}_{cells['onset']}"
            matches = (
                f"onset {cells['onset']} in two rows; offset {cells['offset']} here, {match['offset']} in "
                f"{list_file.name}"
            )
            remedy = f"probably one expression; {name_exclusion(sample_id)} leaves this row out"
            findings.append(
                Finding("warning", "duplicate", source.where, int(row), sample_id, matches, remedy)
            )
        clips.append(clip)
        emotions.append("" if match is None else str(match["emotion"]))
    return table.assign(clip=clips, emotion=emotions), findings
