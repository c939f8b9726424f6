"""SAMM (Davison et al., IEEE TAC 2018): 200 frames/s grey video, five emotions, or the three of MEGC2019."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from merec.corpora.assemble import assemble, resolve_exclusions
from merec.corpora.errata import apply_errata
from merec.corpora.folders import Disk, find_file, name_frames, open_root, relate
from merec.corpora.rows import (
    Source,
    add_frames,
    choose_classes,
    label_samples,
    mend_emotions,
    mend_spelling,
    read_rows,
)
from merec.corpora.sheets import read_table
from merec.types import Corpus, Frames, InputError

FILES = tuple(f"SAMM_Micro_FACS_Codes_v2.{end}" for end in ("xlsx", "xls", "csv"))
PATTERNS = ("samm*", "annotation*")
ERRATA = "samm"  # key of errata.yaml
COLUMNS = {
    "subject": ("Subject",),
    "clip": ("Filename",),
    "onset": ("Onset Frame", "Onset"),
    "apex": ("Apex Frame", "Apex"),
    "offset": ("Offset Frame", "Offset"),
    "action_units": ("Action Units", "AU"),
    "emotion": ("Estimated Emotion", "Emotion"),
}


def read_samm(
    root: str,
    name: str,
    classes: int,
    class_maps: Mapping[int, Mapping[str, Sequence[str]]],
    emotions: Sequence[str],
    spellings: Mapping[str, str],
    expected: Mapping[str, Any] | None,
    exclude: Sequence[str],
    fps: float | int,
    lenient: bool = False,
) -> Corpus:
    """Read the official FACS sheet of SAMM, whose header stands on row 14, and name its frames.

    Args:
        root: Folder with `SAMM_Micro_FACS_Codes_v2.xlsx` and the subjects' folders (`006/006_1_2/`).
        name: Name of the data set; the protocol is `{name}-{classes}`.
        classes: Number of classes, a key of `class_maps`.
        class_maps: By number of classes: class → its emotions, in label order.
        emotions: Every emotion that may be annotated.
        spellings: Other official spellings → the one in `emotions`.
        expected: By name of the protocol: what to assert; `None` to use a subset knowingly.
        exclude: Sample ids, or `zero_motion` (onset and apex are one frame).
        fps: Frames/s.
        lenient: Whether bad rows become findings instead of an exception.

    Raises:
        InputError: If the sheet or a column is missing, or (unless `lenient`) a row is bad or counts are
            not the protocol's.
    """
    folder = open_root(root, "SAMM")
    chosen = choose_classes(class_maps, classes, name)
    file = find_file(folder, FILES, PATTERNS)
    if file is None:
        raise InputError(
            f"{FILES[0]} is not in {folder} or one of its folders {', '.join(PATTERNS)}; put the official "
            "FACS sheet there"
        )
    where = relate(file, folder)
    table = read_table(file, COLUMNS)
    source = Source(file, where, "samm", table.attrs["first_row"])
    padded = table["subject"].mask(table["subject"].str.isdecimal(), table["subject"].str.zfill(3))
    table["subject"], notes = mend_spelling(table["subject"], padded, "subjects", where)
    table["sample_id"] = table["subject"] + "_" + table["clip"]
    table, mended = apply_errata(table, ERRATA, where)
    table["emotion"], spelled = mend_emotions(table["emotion"], spellings, where)
    scored = [emotion for names in chosen.values() for emotion in names]
    rows, wrong = read_rows(table, emotions, scored, fps, source)
    disk = Disk()
    rows = add_frames(
        rows, [(_find_frames(folder, disk, row), None) for row in rows.to_dict("records")]
    )
    index, rejected = label_samples(rows, chosen, name)
    protocol = f"{name}-{classes}"
    return assemble(
        index,
        name=protocol,
        classes=list(chosen),
        expected=(expected or {}).get(protocol),
        subset=expected is None,
        exclude=resolve_exclusions(index, table["sample_id"].tolist(), exclude),
        source=source,
        findings=[*notes, *mended, *spelled, *wrong],
        lenient=lenient,
        rejected=rejected,
    )


def _find_frames(root: Path, disk: Disk, row: Mapping[Any, Any]) -> Frames:
    """The frames of a clip, `006/006_1_2/006_05562.jpg`; their number has 4 or 5 digits."""
    subject, clip = row["subject"], row["clip"]
    places = [(root, *parts, subject, clip) for parts in ((), ("SAMM",), ("SAMM", "SAMM"))]
    folder = disk.first(places) or root / subject / clip
    return name_frames(folder, f"{subject}_{{:05d}}.jpg")
