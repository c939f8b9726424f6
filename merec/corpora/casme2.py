"""CASME II (Yan et al., PLOS ONE 2014): 200 frames/s, five emotions, or the three classes of MEGC2019."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from merec.corpora.assemble import assemble, excuse, resolve_exclusions
from merec.corpora.errata import apply_errata
from merec.corpora.folders import Disk, find_file, name_frames, open_root, relate
from merec.corpora.rows import (
    Source,
    add_frames,
    choose_classes,
    label_samples,
    mend_emotions,
    read_rows,
)
from merec.corpora.sheets import read_table
from merec.types import Corpus, Finding, Frames, InputError

FILES = tuple(f"CASME2-coding-20140508.{end}" for end in ("xlsx", "xls", "csv"))
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
    """Read the official coding sheet of CASME II and name its frames.

    Args:
        root: Folder with `CASME2-coding-20140508.xlsx` and `CASME2-RAW/` or `Cropped/`.
        name: Name of the data set; the protocol is `{name}-{classes}`.
        classes: Number of classes, a key of `class_maps`.
        class_maps: By number of classes: class → its emotions, in label order.
        left_out: By number of classes: samples that the published protocol does not hold.
        emotions: Every emotion that may be annotated.
        spellings: Other official spellings → the one in `emotions`.
        expected: By name of the protocol: what to assert; `None` to use a subset knowingly.
        exclude: Sample ids, or `zero_motion` (onset and apex are one frame).
        frames: `raw` or `cropped`.
        fps: Frames/s.
        lenient: Whether bad rows become findings instead of an exception.

    Raises:
        InputError: If the sheet or a column is missing, or (unless `lenient`) a row is bad or counts are
            not the protocol's.
    """
    folder = open_root(root, "CASME II")
    if frames not in FRAMES:
        raise InputError(f"corpus.frames={frames}; expected {' or '.join(FRAMES)}")
    chosen = choose_classes(class_maps, classes, name)
    file = find_file(folder, FILES, PATTERNS)
    if file is None:
        raise InputError(
            f"{FILES[0]} is not in {folder} or one of its folders {', '.join(PATTERNS)}; put the official "
            "coding sheet there"
        )
    where = relate(file, folder)
    table = read_table(file, COLUMNS)
    source = Source(file, where, "casme2", table.attrs["first_row"])
    number = table["subject"].str.extract(r"(?i)^(?:sub)?(\d+)$", expand=False)
    table["subject"] = ("sub" + number.str.zfill(2)).fillna(table["subject"])
    table["sample_id"] = table["subject"] + "_" + table["clip"]
    table, notes = apply_errata(table, ERRATA, where)
    table["emotion"], spelled = mend_emotions(table["emotion"], spellings, where)
    scored = [emotion for names in chosen.values() for emotion in names]
    rows, wrong = read_rows(table, emotions, scored, fps, source)
    disk = Disk()
    rows = add_frames(
        rows, [(_find_frames(folder, disk, frames, row), None) for row in rows.to_dict("records")]
    )
    index, rejected = label_samples(rows, chosen, name)
    omitted = list(left_out.get(classes, ()))
    wrong, _ = excuse(wrong, omitted)
    absent = index["sample_id"].isin(omitted)
    notes += [
        Finding(
            "note", "left out", where, row, sample_id, "not in the published protocol", "left out"
        )
        for sample_id, row in index.loc[absent, ["sample_id", "row"]].itertuples(index=False)
    ]
    index = index[~absent].reset_index(drop=True)
    rejected = rejected[~rejected["sample_id"].isin(omitted)]
    protocol = f"{name}-{classes}"
    return assemble(
        index,
        name=protocol,
        classes=list(chosen),
        expected=(expected or {}).get(protocol),
        subset=expected is None,
        exclude=resolve_exclusions(index, table["sample_id"].tolist(), exclude),
        source=source,
        findings=[*notes, *spelled, *wrong],
        lenient=lenient,
        rejected=rejected,
    )


def _find_frames(root: Path, disk: Disk, frames: str, row: Mapping[Any, Any]) -> Frames:
    """The frames of a clip; archives at times hold a folder of their own name once more."""
    folders, guess = FRAMES[frames]
    clip = (row["subject"], row["clip"])
    places = [(root, *parts, *clip) for name in folders for parts in ((name,), (name, name))]
    folder = disk.first(places) or root.joinpath(folders[0], *clip)
    return name_frames(folder, guess)
