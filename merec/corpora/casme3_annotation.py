"""Reading of annotations of CAS(ME)^3, official or in the same format."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from merec.corpora.casme3_full_sheets import read_full_sheet
from merec.corpora.casme3_lists import ERRATA, LISTS, PART_A, PATTERNS, name_samples
from merec.corpora.reading.errata import MIDDLE, UNKNOWN
from merec.corpora.reading.folders import find_file, find_table, open_root, relate
from merec.corpora.reading.labels import ClassMap, choose_classes
from merec.corpora.reading.sheets import read_table
from merec.corpora.reading.source import Source, describe_source
from merec.types import Finding, InputError

_PART_C = ("part_c", "part_c_full")


@dataclass(frozen=True)
class Annotation:
    """Annotation of CAS(ME)^3.

    Attributes:
        root: Folder of the corpus.
        kind: Key of `LISTS`.
        protocol: Name of the protocol.
        data_set: Name of the data set; part C is a separate data set.
        class_map: Class → its emotions, in label order.
        table: Micro-expressions, columns `PART_A` and `sample_id`.
        macro: Macro-expressions of a full sheet, else `None`.
        source: Source of both tables.
        findings: Findings about corrected rows.
    """

    root: Path
    kind: str
    protocol: str
    data_set: str
    class_map: ClassMap
    table: pd.DataFrame
    macro: pd.DataFrame | None
    source: Source
    findings: list[Finding]

    @property
    def part_c(self) -> bool:
        """True if it annotates part C."""
        return self.kind in _PART_C

    @property
    def errata(self) -> str | None:
        """Key of the annotation in `errata.yaml` and `remarks.yaml`; `None` if it has no entry."""
        return None if self.part_c else ERRATA


def open_annotation(
    root: str,
    annotation: str,
    class_maps: Mapping[int, ClassMap],
    classes: int,
    name: str,
    choice: str,
) -> Annotation:
    """Find an annotation, read it and name its samples; the arguments are those of `read_casme3`.

    Raises:
        InputError: If the annotation or a column is missing, or it lacks the emotions of the classes.
    """
    folder = open_root(root, "CAS(ME)^3")
    file, kind, version = _find_list(folder, annotation)
    chosen = choose_classes(class_maps, classes, name)
    official = LISTS[kind]
    if not official.fine and not {"negative", "positive"} <= set(chosen):
        raise InputError(
            f"corpus.classes={classes}, but {file.name} annotates negative, positive, surprise and others "
            "only; set corpus.classes=3 or 4, or corpus.annotation=v2"
        )
    table = read_table(file, official.columns, official.sheet if version == kind else None)
    source = describe_source(table, file, relate(file, folder), choice)
    macro: pd.DataFrame | None = None
    if official.emotions is not None:
        table, macro, findings = read_full_sheet(table, source, kind, folder)
    else:
        table, findings = name_samples(table, source.where)
    if kind in _PART_C:
        table["apex"] = MIDDLE  # no apex is annotated
    table = table.reindex(columns=[*PART_A, "sample_id"], fill_value="")
    if kind == "dvscl":
        table["offset"] = UNKNOWN
    data_set = f"{name}c" if kind in _PART_C else name
    protocol = f"{data_set}-{classes}@{version}"
    return Annotation(folder, kind, protocol, data_set, chosen, table, macro, source, findings)


def _find_list(root: Path, annotation: str) -> tuple[Path, str, str]:
    """Return file, kind and version (for the name of the protocol) of an annotation."""
    if annotation in LISTS:
        file = find_file(root, LISTS[annotation].files, PATTERNS)
        if file is not None:
            return file, annotation, annotation
        raise InputError(
            f"corpus.annotation={annotation}, but {LISTS[annotation].files[0]} is not in {root}, in "
            f"{', '.join(PATTERNS)} there, or one below; put the official file there, or set "
            "corpus.annotation=FILE"
        )
    editions = {kind: listed.files for kind, listed in LISTS.items()}
    file, official = find_table(root, annotation, editions, "table")
    if official is not None:
        return file, official, official
    reasons = []
    for kind in ("v2", "dvscl", "part_c", "full", "part_c_full"):
        try:
            read_table(file, LISTS[kind].columns)
        except InputError as error:
            reasons.append(error)
        else:
            return file, kind, file.stem
    raise reasons[0]
