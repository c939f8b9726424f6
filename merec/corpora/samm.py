"""SAMM (Davison et al., IEEE TAC 2018): 200 frames/s, grey, five emotions or three classes of MEGC2019."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from merec.corpora.reading.assemble import assemble, resolve_exclusions
from merec.corpora.reading.coding_sheet import open_sheet, read_samples
from merec.corpora.reading.folders import Disk, name_frames, open_root
from merec.corpora.reading.labels import Labelling, choose_classes
from merec.corpora.reading.subjects import SAMM
from merec.types import Corpus, Frames

EDITIONS = {"v2": tuple(f"SAMM_Micro_FACS_Codes_v2.{end}" for end in ("xlsx", "xls", "csv"))}
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
    annotation: str | int | None,
    classes: int,
    class_maps: Mapping[int, Mapping[str, Sequence[str]]],
    emotions: Sequence[str],
    spellings: Mapping[str, str],
    expected: Mapping[str, Any] | None,
    exclude: Sequence[str],
    fps: float | int,
    lenient: bool = False,
) -> Corpus:
    """Read the official FACS sheet of SAMM, whose header is in row 14, and locate its frames.

    Args:
        root: Folder with `SAMM_Micro_FACS_Codes_v2.xlsx` and the subjects' folders (`006/006_1_2/`).
        name: Name of the data set. The protocol is called `{name}-{classes}`, or `{name}-{classes}@{file}`
            for another table.
        annotation: `v2`, or the path of a table with its columns; `None` for `v2`.
        classes: Number of classes, a key of `class_maps`.
        class_maps: By number of classes: class → its emotions, in label order.
        emotions: Every emotion that may be annotated.
        spellings: Other official spellings → the one in `emotions`.
        expected: By name of the protocol: counts to assert; `None` to use a subset on purpose.
        exclude: Sample ids, or `zero_motion` (onset and apex are the same frame).
        fps: Frames/s.
        lenient: Whether bad rows become findings instead of an exception.

    Raises:
        InputError: If the sheet or a column is missing, or (unless `lenient`) a row is bad or counts differ
            from the protocol.
    """
    folder = open_root(root, "SAMM")
    chosen = choose_classes(class_maps, classes, name)
    table, source, edition, notes = open_sheet(
        folder, EDITIONS, annotation, PATTERNS, COLUMNS, "samm", SAMM, "FACS sheet"
    )
    find_frames = partial(_find_frames, folder, Disk(SAMM))
    labelling = Labelling(name, chosen, emotions, spellings)
    index, rejected, findings = read_samples(table, source, labelling, ERRATA, fps, find_frames)
    return assemble(
        index,
        name=f"{name}-{classes}{edition}",
        classes=list(chosen),
        expected=expected,
        exclude=resolve_exclusions(index, table["sample_id"].tolist(), exclude),
        source=source,
        findings=[*notes, *findings],
        lenient=lenient,
        rejected=rejected,
    )


def _find_frames(root: Path, disk: Disk, row: Mapping[Any, Any]) -> tuple[Frames, None]:
    """Return the colour frames of a clip: `006/006_1_2/006_05562.jpg`, with 4 or 5 digits."""
    subject, clip = row["subject"], row["clip"]
    places = [(root, *parts, subject, clip) for parts in ((), ("SAMM",), ("SAMM", "SAMM"))]
    folder = disk.first(places) or root / subject / clip
    return name_frames(folder, f"{subject}_{{:05d}}.jpg"), None
