"""CAS(ME)^3 (Li et al., TPAMI 2022): colour and depth, parts A and C, in any of its annotation lists.

Lists of part A in use, which give other samples and so other numbers: v2 (860 samples), v1 (921) and the
list of DVSCL (943; no offset, no action units, 4 classes only). The full sheets of parts A and C hold macro-
expressions too, but no emotions, which are joined from v2 and from the list of part C. A sample is named
`{subject}_{clip}_{onset}` by the onset as annotated, so that most samples of different lists can be joined:
858 of the 860 of v2 are in the list of DVSCL under the same id; it gives two others another onset
(`spNO.216_d_3647` and `spNO.216_e_0`, mistakes of v2).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from merec.corpora.casme3_frames import FrameFinder, list_unlabelled, read_camera
from merec.corpora.casme3_full import join_emotions, join_part_c, split_types
from merec.corpora.reading.assemble import assemble, resolve_exclusions
from merec.corpora.reading.coding_sheet import read_samples
from merec.corpora.reading.errata import MIDDLE, UNKNOWN, apply_errata
from merec.corpora.reading.folders import Disk, add_frames, find_file, open_root, relate
from merec.corpora.reading.labels import ClassMap, choose_classes, label_samples
from merec.corpora.reading.remarks import note_remarks, resolve_without
from merec.corpora.reading.rows import read_rows
from merec.corpora.reading.sheets import read_table, refuse_bad_cells
from merec.corpora.reading.source import Source, describe_source
from merec.corpora.reading.spelling import mend_emotions, mend_spelling
from merec.corpora.reading.subjects import CASME3, name_subjects
from merec.path_names import is_file
from merec.types import Corpus, Finding, Frames, InputError

PATTERNS = ("annotation*", "part_a*", "part_c*", "exception*")  # in lower case
DAMAGED = "error_info_damaged_image_partA.txt"
ERRATA = "casme3 part A"  # key of errata.yaml
_STEM = "cas(me)3_part_A_ME_label_JpgIndex"
MICRO_FILE = f"{_STEM}_v2.xlsx"
MACRO_FILE = "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx"

_PART_A = {
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
_FULL = {
    key: _PART_A[key] for key in ("subject", "clip", "onset", "apex", "offset", "action_units")
}
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


_MACRO_FILES = (MACRO_FILE, MACRO_FILE.replace(".xlsx", ".xls"))


@dataclass(frozen=True)
class _List:
    """An annotation list: its official file names, sheet and columns."""

    files: tuple[str, ...]
    sheet: str | None
    columns: Mapping[str, Sequence[str]]
    fine: bool  # seven emotions, not four classes
    emotions: str | None = None  # the list that names the emotions of a full sheet


LISTS = {
    "v2": _List((MICRO_FILE, f"{_STEM}_v2.xls", f"{_STEM}_v2.csv"), "label", _PART_A, True),
    "v1": _List(
        (f"{_STEM}_v1.xls", f"{_STEM}_v1.xlsx", f"{_STEM}_v1.csv"), "Sheet1", _PART_A, True
    ),
    "dvscl": _List(("dvscl_943.csv",), None, _DVSCL, False),
    "part_c": _List(
        ("CAS(ME)3_part_C_ME.xlsx", "CAS(ME)3_part_C_ME.csv"), "mockCrimeME", _PART_C, False
    ),
    "full": _List(
        ("CAS(ME)3_part_A_v2.xls", "CAS(ME)3_part_A_v2.xlsx"), "AU+Emotion", _FULL, True, "v2"
    ),
    "part_c_full": _List(
        ("CAS(ME)3_part_C.xls", "CAS(ME)3_part_C.xlsx"), "organize", _FULL_PART_C, False, "part_c"
    ),
}


def read_casme3(
    root: str,
    name: str,
    annotation: str,
    classes: int,
    class_maps: Mapping[int, Mapping[str, Sequence[str]]],
    emotions: Sequence[str],
    spellings: Mapping[str, str],
    expected: Mapping[str, Any] | None,
    exclude: Sequence[str],
    without: str | Sequence[str],
    layout: str,
    part_c_frames: str,
    unlabelled: str | None,
    intrinsics: Mapping[str, float | int] | str | None,
    fps: float | int,
    lenient: bool = False,
    choice: str = "casme3",
) -> Corpus:
    """Read an annotation of CAS(ME)^3, or of a corpus laid out like it, and name its frames.

    Args:
        root: Folder with `spNO.X/` or `Part_A…/`, and the annotation in it or in `annotation*/`.
        name: Name of the data set; the protocol is `{name}-{classes}@{annotation}`. Part C, of other
            people, is the data set `{name}c`.
        annotation: `v2`, `v1`, `dvscl`, `part_c`, `full`, `part_c_full`, or the path of a table with the
            columns of one of them.
        classes: Number of classes, a key of `class_maps`.
        class_maps: By number of classes: class → its emotions, in label order.
        emotions: Every emotion that may be annotated.
        spellings: Other official spellings → the one in `emotions`.
        expected: By name of the protocol: what to assert; `None` to use a subset knowingly.
        exclude: Sample ids, `zero_motion` (onset and apex are one frame) or `damaged` (onset or apex is in
            the official list of damaged images).
        without: Kinds of samples that the authors name as bad, `occluded` or `wrongly_labelled`; what is left
            is the protocol `…-without-{kind}`.
        layout: `full`, `clip` or `auto` (full, where both lie there).
        part_c_frames: Colour folder of part C below `root`, with `{subject}` and `{clip}`.
        unlabelled: Glob below `root` of unlabelled clips; `None` for none.
        intrinsics: `fx, fy, cx, cy, width, height` in px, or a YAML file with them; `None` if unknown.
        fps: Frames/s.
        lenient: Whether bad rows become findings instead of an exception.
        choice: Name of the corpus in conf/corpus, for messages.

    Raises:
        InputError: If an annotation or column is missing, or (unless `lenient`) a row is bad or counts are
            not the protocol's.
    """
    folder = open_root(root, "CAS(ME)^3")
    disk = Disk(CASME3)
    file, kind, version = _find_list(folder, annotation)
    chosen = choose_classes(class_maps, classes, name)
    if not LISTS[kind].fine and not {"negative", "positive"} <= set(chosen):
        raise InputError(
            f"corpus.classes={classes}, but {file.name} annotates negative, positive, surprise and others "
            "only; set corpus.classes=3 or 4, or corpus.annotation=v2"
        )
    where = relate(file, folder)
    table = read_table(file, LISTS[kind].columns, LISTS[kind].sheet if version == kind else None)
    source = describe_source(table, file, where, choice)
    part_c = kind in ("part_c", "part_c_full")
    full_macro: pd.DataFrame | None = None
    findings: list[Finding] = []
    if LISTS[kind].emotions is not None:
        table, full_macro, findings = _read_full(table, source, kind, folder)
    else:
        table, findings = _name_samples(table, where)
    if part_c:
        table["apex"] = MIDDLE  # no apex is annotated
    table = table.reindex(columns=[*_PART_A, "sample_id"], fill_value="")
    if kind == "dvscl":
        table["offset"] = UNKNOWN
    finder = FrameFinder(folder, disk, layout)
    data_set, errata = (f"{name}c", None) if part_c else (name, ERRATA)

    def find_frames(row: Mapping[Any, Any]) -> tuple[Frames, Frames | None]:
        if part_c:
            return finder.part_c(part_c_frames, row)
        return finder.part_a(row, table.at[row["row"], "onset"])  # as annotated

    def find_macro_frames(row: Mapping[Any, Any]) -> tuple[Frames, Frames | None]:
        if part_c:
            return finder.part_c(part_c_frames, row)
        return finder.part_a(row, str(row["onset"]))

    index, rejected, of_rows = read_samples(
        table, source, data_set, chosen, emotions, spellings, errata, fps, find_frames
    )
    findings += of_rows
    if choice == "casme3" and errata is not None:  # a rendered twin has no hand before its face
        findings += note_remarks(index, errata, where)
    known = table["sample_id"].tolist()
    leaves = resolve_exclusions(index, known, [what for what in exclude if what != "damaged"])
    if "damaged" in exclude:
        damaged = _find_damaged(index, folder)
        leaves |= damaged
        if not damaged:
            found, remedy = f"no sample has its onset or apex in {DAMAGED}", "nothing was left out"
            findings.append(Finding("note", "excluded", where, None, "", found, remedy))
    macro: pd.DataFrame | None = None
    of_macro: list[Finding] = []
    listed = None if part_c else _read_list(folder, _MACRO, _MACRO_FILES, None)
    if full_macro is not None:
        full_macro["emotion"] = join_emotions(full_macro, *([listed[0]] if listed else []))
        listed = full_macro, source
    elif listed is not None:
        listed[0]["action_units"] = _join_units(listed[0], folder)
    if listed is not None:
        macro, of_macro = _read_macro(*listed, data_set, chosen, spellings, find_macro_frames, fps)
    camera = read_camera(intrinsics, folder)
    clips = list_unlabelled(folder, unlabelled, name, fps)
    corpus = assemble(
        index,
        name=f"{data_set}-{classes}@{version}",
        classes=list(chosen),
        expected=expected,
        exclude=leaves,
        source=source,
        findings=[*findings, *of_macro],
        lenient=lenient,
        rejected=rejected,
        without=resolve_without(without, known, errata),
    )
    return replace(corpus, camera=camera, macro=macro, unlabelled=clips)


def _find_list(root: Path, annotation: str) -> tuple[Path, str, str]:
    """File, kind and version (for the protocol's name) of an annotation."""
    if annotation in LISTS:
        file = find_file(root, LISTS[annotation].files, PATTERNS)
        if file is not None:
            return file, annotation, annotation
        raise InputError(
            f"corpus.annotation={annotation}, but {LISTS[annotation].files[0]} is not in {root}, in "
            f"{', '.join(PATTERNS)} there, or one below; put the official file there, or set "
            "corpus.annotation=FILE"
        )
    file = Path(annotation).expanduser()
    if not is_file(file) and is_file(root / file):
        file = root / file
    if not is_file(file):
        raise InputError(
            f"corpus.annotation={annotation} is no file; expected {', '.join(LISTS)} or the path of a table"
        )
    for version, official in LISTS.items():
        if file.name.casefold() in [name.casefold() for name in official.files]:
            return file, version, version
    reasons = []
    for kind in ("v2", "dvscl", "part_c", "full", "part_c_full"):
        try:
            read_table(file, LISTS[kind].columns)
        except InputError as error:
            reasons.append(error)
        else:
            return file, kind, file.stem
    raise reasons[0]


def _name_samples(table: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Name subjects `spNO.1`, spell clips in lower case; name the samples."""
    subject, of_subjects = name_subjects(table["subject"], CASME3, where)
    clip, of_clips = mend_spelling(table["clip"], table["clip"].str.lower(), "clips", where)
    table = table.assign(subject=subject, clip=clip)
    table["sample_id"] = table["subject"] + "_" + table["clip"] + "_" + table["onset"]
    return table, [*of_subjects, *of_clips]


def _find_damaged(index: pd.DataFrame, root: Path) -> dict[str, str]:
    """Samples whose onset or apex is in the official list of damaged images."""
    file = find_file(root, [DAMAGED], PATTERNS)
    if file is None:
        raise InputError(
            f"corpus.exclude has damaged, but {DAMAGED} is not in {root}; put the official file there, or "
            "leave the word out"
        )
    damaged = set()
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if len(words) > 2 and Path(words[2]).stem.isdecimal():
            damaged.add((CASME3.spell(words[0]), words[1].casefold(), int(Path(words[2]).stem)))
    leaves = {}
    for row in index.to_dict("records"):
        place = (row["subject"], row["clip"].casefold())
        bad = [key for key in ("onset", "apex") if (*place, row[key]) in damaged]
        if bad:
            leaves[row["sample_id"]] = f"its {' and '.join(bad)} is in {DAMAGED} (exclude: damaged)"
    return leaves


def _read_list(
    root: Path, columns: Mapping[str, Sequence[str]], files: Sequence[str], sheet: str | None
) -> tuple[pd.DataFrame, Source] | None:
    """Another table of part A, its samples named; `None` if it is not there."""
    file = find_file(root, files, PATTERNS)
    if file is None:
        return None
    table = read_table(file, columns, sheet, optional={"action_units"})
    source = describe_source(table, file, relate(file, root), "casme3")
    return _name_samples(table, source.where)[0], source


def _read_full(
    table: pd.DataFrame, source: Source, kind: str, root: Path
) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    """The micro-expressions of a full sheet with their emotions, its macro-expressions, and what was found.

    Raises:
        InputError: If the list that names the emotions is missing, or a row is neither.
    """
    names = LISTS[str(LISTS[kind].emotions)]
    found = None
    for folder in dict.fromkeys((root, Path(source.file).parent)):
        found = found or _read_list(folder, names.columns, names.files, names.sheet)
    if found is None:
        raise InputError(
            f"{source.file} names no emotions; put {names.files[0]} beside it, which does, or set "
            f"corpus.annotation={LISTS[kind].emotions}"
        )
    named, of_list = found
    refuse_bad_cells(named, Path(of_list.file))
    micro, macro = split_types(table, source)
    duplicates: list[Finding] = []
    if kind == "part_c_full":
        spelled, _ = name_subjects(table["subject"], CASME3, source.where)
        micro, macro = micro.assign(subject=spelled), macro.assign(subject=spelled)
        micro, duplicates = join_part_c(micro, named, Path(of_list.file), source)
        macro["clip"] = (macro.groupby("subject").cumcount() + 1).astype(str)
        macro["apex"] = MIDDLE
    micro, spelling = _name_samples(micro, source.where)
    macro, _ = _name_samples(macro, source.where)
    if kind == "full":
        mended, _ = apply_errata(named, ERRATA, of_list.where)
        mended["sample_id"] = mended["subject"] + "_" + mended["clip"] + "_" + mended["onset"]
        micro["emotion"] = join_emotions(micro, named, mended)
    return micro, macro, [*spelling, *duplicates]


def _join_units(listed: pd.DataFrame, root: Path) -> pd.Series:
    """The action units of the list of macro-expressions; if it names none, those of the full sheet."""
    sheet = LISTS["full"]
    if listed["action_units"].any():
        return listed["action_units"]
    found = _read_list(root, sheet.columns, sheet.files, sheet.sheet)
    if found is None:
        return listed["action_units"]
    units = dict(zip(found[0]["sample_id"], found[0]["action_units"], strict=True))
    return listed["sample_id"].map(lambda sample_id: units.get(sample_id, ""))


def _read_macro(
    table: pd.DataFrame,
    source: Source,
    data_set: str,
    class_map: ClassMap,
    spellings: Mapping[str, str],
    find_frames: Callable[[Mapping[Any, Any]], tuple[Frames, Frames | None]],
    fps: float | int,
) -> tuple[pd.DataFrame, list[Finding]]:
    """Read the rows of macro-expressions of the same subjects and classes.

    Returns:
        As `Corpus.macro`, of label -1 where no emotion is named; and what was found.
    """
    table = table.reindex(columns=[*_PART_A, "sample_id"], fill_value="")
    table["sample_id"] += "_macro"
    table["emotion"], _ = mend_emotions(table["emotion"], spellings, source.where)
    table["offset"] = table["offset"].mask(table["offset"] == "", UNKNOWN)
    # No protocol depends on them: whatever is wrong is a warning, and an emotion of no class is left out.
    rows, found = read_rows(table, sorted(set(table["emotion"])), (), fps, source)
    frames = [find_frames(row) for row in rows.to_dict("records")]
    macro, _ = label_samples(add_frames(rows, frames), {**class_map, "unknown": [""]}, data_set)
    macro["label"] = macro["label"].where(macro["emotion"] != "", -1)
    return macro, found
