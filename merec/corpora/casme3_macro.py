"""Macro-expressions of CAS(ME)^3, from the authors' list or from a full sheet."""

from pathlib import Path

import pandas as pd

from merec.corpora.casme3_annotation import Annotation
from merec.corpora.casme3_frames import FrameFinder
from merec.corpora.casme3_full_sheets import join_emotions
from merec.corpora.casme3_lists import LISTS, MACRO_LIST, PART_A, read_list
from merec.corpora.reading.errata import UNKNOWN
from merec.corpora.reading.folders import add_frames
from merec.corpora.reading.labels import Labelling, label_samples
from merec.corpora.reading.rows import read_rows
from merec.corpora.reading.source import Source
from merec.corpora.reading.spelling import mend_emotions
from merec.types import Finding


def read_macro(
    annotated: Annotation, labelling: Labelling, fps: float | int, finder: FrameFinder
) -> tuple[pd.DataFrame | None, list[Finding]]:
    """Read the macro-expressions of the same subjects and classes.

    Args:
        annotated: Annotation of the micro-expressions.
        labelling: Rule of the labels.
        fps: Frames/s.
        finder: Finds the frames.

    Returns:
        Table as `Corpus.macro`, with label -1 for rows without emotion, and the findings.
    """
    listed = _list_macro(annotated)
    if listed is None:
        return None, []
    table, source = listed
    table = table.reindex(columns=[*PART_A, "sample_id"], fill_value="")
    table["sample_id"] += "_macro"
    table["emotion"], _ = mend_emotions(table["emotion"], labelling.spellings, source.where)
    table["offset"] = table["offset"].mask(table["offset"] == "", UNKNOWN)
    # No protocol depends on them: whatever is wrong is a warning, and an emotion of no class is left out.
    rows, findings = read_rows(table, sorted(set(table["emotion"])), (), fps, source)
    frames = [finder.find(row, str(row["onset"])) for row in rows.to_dict("records")]
    class_map = {**labelling.class_map, "unknown": [""]}
    macro, _ = label_samples(add_frames(rows, frames), class_map, labelling.corpus)
    macro["label"] = macro["label"].where(macro["emotion"] != "", -1)
    return macro, findings


def _list_macro(annotated: Annotation) -> tuple[pd.DataFrame, Source] | None:
    """Return the macro-expressions of a full sheet or of their list, with emotions and action units."""
    listed = None if annotated.part_c else read_list(annotated.root, MACRO_LIST)
    if annotated.macro is not None:
        named = [] if listed is None else [listed[0]]
        emotion = join_emotions(annotated.macro, *named)
        return annotated.macro.assign(emotion=emotion), annotated.source
    if listed is None:
        return None
    table, source = listed
    return table.assign(action_units=_join_units(table, annotated.root)), source


def _join_units(listed: pd.DataFrame, root: Path) -> pd.Series:
    """Return the action units of the list of macro-expressions, or those of the full sheet if it has none."""
    if listed["action_units"].any():
        return listed["action_units"]
    full_list = read_list(root, LISTS["full"])
    if full_list is None:
        return listed["action_units"]
    units = dict(zip(full_list[0]["sample_id"], full_list[0]["action_units"], strict=True))
    return listed["sample_id"].map(lambda sample_id: units.get(sample_id, ""))
