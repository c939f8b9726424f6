"""Reading of an official coding sheet to labelled samples with frames."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from merec.corpora.reading.errata import apply_errata
from merec.corpora.reading.folders import add_frames, find_file, find_table, relate
from merec.corpora.reading.labels import Labelling, label_samples
from merec.corpora.reading.rows import read_rows
from merec.corpora.reading.sheets import read_table
from merec.corpora.reading.source import Source, describe_source
from merec.corpora.reading.spelling import mend_emotions
from merec.corpora.reading.subjects import Naming, name_subjects
from merec.types import Finding, Frames, InputError


class Samples(NamedTuple):
    """Samples of an annotation.

    Attributes:
        index: Index as `Corpus.index`.
        rejected: Rejected samples, as `Corpus.rejected`.
        findings: Findings about corrected and invalid rows.
    """

    index: pd.DataFrame
    rejected: pd.DataFrame
    findings: list[Finding]


def open_sheet(
    root: Path,
    editions: Mapping[str, Sequence[str]],
    annotation: str | int | None,
    patterns: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    choice: str,
    naming: Naming,
    what: str,
) -> tuple[pd.DataFrame, Source, str, list[Finding]]:
    """Find the coding sheet of a corpus, read its columns and name its samples `{subject}_{clip}`.

    Args:
        root: Folder of the corpus.
        editions: Edition → possible file names, the official name first. Published numbers refer to the first
            edition.
        annotation: An edition, or the path of a table, relative to `root` or to the working directory; `None`
            for the first edition that exists.
        patterns: Folders in which to search, as in `find_file`.
        columns: Columns as in `read_table`.
        choice: Name of the corpus in conf/corpus, for messages.
        naming: Form of the subjects' names.
        what: Name of the sheet, for messages.

    Returns:
        The table, its source, the suffix of the protocol's name ("" for the first edition, else e.g.
        `@2019`), and notes about corrected names of subjects.

    Raises:
        InputError: If the sheet or a column is missing.
    """
    file, edition = _find_sheet(root, editions, annotation, patterns, what)
    table = read_table(file, columns)
    suffix = "" if edition == next(iter(editions)) else f"@{edition}"
    source = describe_source(table, file, relate(file, root), choice)
    table["subject"], notes = name_subjects(table["subject"], naming, source.where)
    table["sample_id"] = table["subject"] + "_" + table["clip"]
    return table, source, suffix, notes


def _find_sheet(
    root: Path,
    editions: Mapping[str, Sequence[str]],
    annotation: str | int | None,
    patterns: Sequence[str],
    what: str,
) -> tuple[Path, str]:
    """Return file and edition of a coding sheet; a table with another name is a separate edition."""
    if annotation is None or str(annotation) in editions:
        wanted = [*editions] if annotation is None else [str(annotation)]
        for edition in wanted:
            file = find_file(root, editions[edition], patterns)
            if file is not None:
                return file, edition
        given = "" if annotation is None else f"corpus.annotation={annotation}, but "
        sought = " or ".join(editions[edition][0] for edition in wanted)
        raise InputError(
            f"{given}{sought} is not in {root} or one of its folders {', '.join(patterns)}; put the official "
            f"{what} there, or set corpus.annotation=FILE"
        )
    file, official = find_table(root, str(annotation), editions, what)
    return file, official or file.stem


def read_samples(
    table: pd.DataFrame,
    source: Source,
    labelling: Labelling,
    errata: str | None,
    fps: float | int,
    find_frames: Callable[[Mapping[Any, Any]], tuple[Frames, Frames | None]],
) -> Samples:
    """Apply errata, read the rows, find their frames and label them.

    Args:
        table: Table as in `read_rows`, with emotions and numbers as annotated.
        source: Source of `table`, for messages.
        labelling: Rule of the labels.
        errata: Key of `errata.yaml`; `None` if there are no errata.
        fps: Frames/s.
        find_frames: Returns colour and depth frames of a row of `read_rows`.
    """
    mended: list[Finding] = []
    if errata is not None:
        table, mended = apply_errata(table, errata, source.where)
    emotion, spelled = mend_emotions(table["emotion"], labelling.spellings, source.where)
    scored = [name for names in labelling.class_map.values() for name in names]
    table = table.assign(emotion=emotion)
    rows, wrong = read_rows(table, labelling.emotions, scored, fps, source)
    rows = add_frames(rows, [find_frames(row) for row in rows.to_dict("records")])
    index, rejected = label_samples(rows, labelling.class_map, labelling.corpus)
    return Samples(index, rejected, [*mended, *spelled, *wrong])
