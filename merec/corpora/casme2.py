"""CASME II (Yan et al., PLOS ONE 2014): 200 frames/s, five emotions, or the three classes of MEGC2019."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from merec.corpora.reading.assemble import assemble, excuse, leave_out, resolve_exclusions
from merec.corpora.reading.coding_sheet import open_sheet, read_samples
from merec.corpora.reading.folders import Disk, name_frames, open_root
from merec.corpora.reading.labels import Labelling, choose_classes
from merec.corpora.reading.subjects import CASME2
from merec.types import Corpus, Frames, InputError

# The later edition labels three clips of sub24 otherwise and adds objective classes; published numbers and
# MEGC2019 follow the first.
EDITIONS = {
    edition: tuple(f"CASME2-coding-{date}.{end}" for end in ("xlsx", "xls", "csv"))
    for edition, date in (("2014", "20140508"), ("2019", "20190701"))
}
PATTERNS = ("casme*", "annotation*")
ERRATA = "casme2"  # key of errata.yaml
COLUMNS = {
    "subject": ("Subject",),
    "clip": ("Filename",),
    "onset": ("OnsetFrame", "Onset"),
    "apex": ("ApexFrame", "Apex"),
    "offset": ("OffsetFrame", "Offset"),
    "action_units": ("Action Units", "AU"),
    "emotion": ("Estimated Emotion", "Emotion"),
}
# Which frames → the folders they are found in, and how the files are named.
FRAMES = {
    "raw": (("CASME2-RAW", "CASME2_RAW", "CASME2_RAW_selected"), "img{}.jpg"),
    "cropped": (("Cropped", "CASME2-Cropped"), "reg_img{}.jpg"),
}


def read_casme2(
    root: str,
    name: str,
    annotation: str | int | None,
    classes: int,
    class_maps: Mapping[int, Mapping[str, Sequence[str]]],
    left_out: Mapping[int, Sequence[str]],
    emotions: Sequence[str],
    spellings: Mapping[str, str],
    expected: Mapping[str, Any] | None,
    exclude: Sequence[str],
    frames: str,
    fps: float | int,
    lenient: bool = False,
) -> Corpus:
    """Read the official coding sheet of CASME II and locate its frames.

    Args:
        root: Folder with `CASME2-coding-20140508.xlsx` and `CASME2-RAW/` or `Cropped/`.
        name: Name of the data set. The protocol is called `{name}-{classes}`, for later editions
            `{name}-{classes}@{edition}`.
        annotation: `2014`, `2019` or the path of a table; `None` for the first edition that exists.
        classes: Number of classes, a key of `class_maps`.
        class_maps: By number of classes: class → its emotions, in label order.
        left_out: By number of classes: samples that are not in the published protocol.
        emotions: Every emotion that may be annotated.
        spellings: Other official spellings → the one in `emotions`.
        expected: By name of the protocol: counts to assert; `None` to use a subset on purpose.
        exclude: Sample ids, or `zero_motion` (onset and apex are the same frame).
        frames: `raw` or `cropped`.
        fps: Frames/s.
        lenient: Whether bad rows become findings instead of an exception.

    Raises:
        InputError: If the sheet or a column is missing, or (unless `lenient`) rows or counts are wrong.
    """
    folder = open_root(root, "CASME II")
    find_frames = partial(_find_frames, folder, Disk(CASME2), *_choose_frames(frames))
    chosen = choose_classes(class_maps, classes, name)
    table, source, edition, notes = open_sheet(
        folder, EDITIONS, annotation, PATTERNS, COLUMNS, "casme2", CASME2, "coding sheet"
    )
    labelling = Labelling(name, chosen, emotions, spellings)
    index, rejected, findings = read_samples(table, source, labelling, ERRATA, fps, find_frames)
    omitted = dict.fromkeys(left_out.get(classes, ()), "not in the published protocol")
    findings, _ = excuse(findings, omitted)
    index, omissions = leave_out(index, omitted, source.where, "left out", "left out")
    rejected = rejected[~rejected["sample_id"].isin(list(omitted))]
    return assemble(
        index,
        name=f"{name}-{classes}{edition}",
        classes=list(chosen),
        expected=expected,
        exclude=resolve_exclusions(index, table["sample_id"].tolist(), exclude),
        source=source,
        findings=[*findings, *notes, *omissions],
        lenient=lenient,
        rejected=rejected,
    )


def _choose_frames(frames: str) -> tuple[tuple[str, ...], str]:
    if frames not in FRAMES:
        raise InputError(f"corpus.frames={frames}; expected {' or '.join(FRAMES)}")
    return FRAMES[frames]


def _find_frames(
    root: Path, disk: Disk, folders: Sequence[str], guess: str, row: Mapping[Any, Any]
) -> tuple[Frames, None]:
    """Return the colour frames of a clip; an archive may contain a folder with its own name."""
    clip = (row["subject"], row["clip"])
    places = [(root, *parts, *clip) for name in folders for parts in ((name,), (name, name))]
    folder = disk.first(places) or root.joinpath(folders[0], *clip)
    return name_frames(folder, guess), None
