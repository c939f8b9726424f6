"""SMIC-HS (Li et al., FG 2013): 100 frames/s, three classes by folder name, no annotated apex."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from merec.corpora.reading.assemble import assemble, resolve_exclusions
from merec.corpora.reading.folders import Disk, add_frames, name_frames, open_root, relate
from merec.corpora.reading.labels import choose_classes, label_samples
from merec.corpora.reading.source import Source, name_exclusion
from merec.corpora.reading.subjects import SMIC
from merec.types import Corpus, Finding, InputError

PLACES: tuple[tuple[str, ...], ...] = (
    ("HS",),
    ("SMIC", "HS"),
    ("SMIC_all_raw", "HS"),
    ("SMIC_all_cropped", "HS"),
    (),
)


def read_smic(
    root: str,
    name: str,
    classes: int,
    class_maps: Mapping[int, Mapping[str, Sequence[str]]],
    expected: Mapping[str, Any] | None,
    exclude: Sequence[str],
    fps: float | int,
    lenient: bool = False,
) -> Corpus:
    """List the clips of SMIC-HS: `HS/s03/micro/negative/s03_ne_01/*.bmp`.

    Onset and offset are the first and the last frame of a clip, the apex is the middle frame; none is
    annotated.

    Args:
        root: Folder with `HS/`, or with the folders of the subjects.
        name: Name of the data set; the protocol is called `{name}-{classes}`.
        classes: Number of classes, a key of `class_maps`.
        class_maps: By number of classes: class → folders, in label order.
        expected: By name of the protocol: counts to assert; `None` to use a subset on purpose.
        exclude: Sample ids, or `zero_motion` (onset and apex are the same frame).
        fps: Frames/s.
        lenient: Whether bad clips become findings instead of an exception.

    Raises:
        InputError: If no clips are found, or (unless `lenient`) a clip is bad or counts differ from the
            protocol.
    """
    folder = open_root(root, "SMIC-HS")
    chosen = choose_classes(class_maps, classes, name)
    emotions = [emotion for names in chosen.values() for emotion in names]
    disk = Disk()
    bases = [base for parts in PLACES if (base := disk.find(folder, *parts)) is not None]
    base = next((base for base in bases if any(_list_subjects(disk, base))), None)
    if base is None:
        looked = ", ".join("/".join(parts) or "." for parts in PLACES)
        raise InputError(
            f"{folder} holds no s01/micro/… in {looked}; expected SMIC-HS as HS/s01/micro/negative/…"
        )
    rows, findings = _list_clips(disk, base, folder, emotions, fps)
    rows = add_frames(rows.drop(columns="color"), [(color, None) for color in rows["color"]])
    index, _ = label_samples(rows.assign(sound=True), chosen, name)
    listed_ids = {*rows["sample_id"], *(f.sample_id for f in findings if f.sample_id)}
    return assemble(
        index,
        name=f"{name}-{classes}",
        classes=list(chosen),
        expected=expected,
        exclude=resolve_exclusions(index, sorted(listed_ids), exclude),
        source=Source(base, relate(base, folder), "smic"),
        findings=findings,
        lenient=lenient,
    )


def _list_subjects(disk: Disk, base: Path) -> list[Path]:
    return [
        path
        for name, path in disk.list(base).items()
        if re.fullmatch(r"s\d+", name) and disk.find(path, "micro") is not None
    ]


def _list_clips(
    disk: Disk, base: Path, root: Path, emotions: Sequence[str], fps: float | int
) -> tuple[pd.DataFrame, list[Finding]]:
    """Return one row per clip, and findings about folders."""
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for folder in _list_subjects(disk, base):
        micro = disk.find(folder, "micro")
        assert micro is not None
        for emotion, of_class in disk.list(micro).items():
            if not of_class.is_dir():
                continue
            if emotion not in emotions:
                remedy = f"expected the folders {', '.join(emotions)}; rename it"
                problem, where = f"folder {of_class.name}", relate(of_class, root)
                findings.append(Finding("error", "unknown class", where, None, "", problem, remedy))
                continue
            for clip in disk.list(of_class).values():
                if clip.is_dir():
                    row, wrong = _read_clip(clip, emotion, fps, relate(clip, root))
                    twice = (
                        any(row["sample_id"] == other["sample_id"] for other in rows)
                        if row
                        else False
                    )
                    if twice:
                        sample_id = str(row["sample_id"])
                        problem = f"a second folder {sample_id}"
                        remedy = f"keep one of the two, or leave both out with {name_exclusion(sample_id)}"
                        where = relate(clip, root)
                        wrong = [
                            Finding("error", "duplicate", where, None, sample_id, problem, remedy)
                        ]
                    findings += wrong
                    if row and not twice:
                        rows.append(row)
    columns = ["sample_id", "subject", "clip", "onset", "apex", "offset", "fps", "emotion"]
    rows.sort(key=lambda row: row["sample_id"])
    table = pd.DataFrame(rows, columns=[*columns, "action_units", "row", "color"])
    table["row"] = range(len(table))
    kinds = {"onset": "int64", "apex": "int64", "offset": "Int64", "fps": "float64", "row": "int64"}
    return table.astype(kinds), findings


def _read_clip(
    folder: Path, emotion: str, fps: float | int, where: str
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the row of a clip; `{}` with a finding if it has no frames or an invalid name."""
    match = re.fullmatch(r"s(\d+)_(\w+)", folder.name, re.IGNORECASE)
    if match is None or SMIC.spell(match[1]) != SMIC.spell(folder.parents[2].name):
        subject = folder.parents[2].name
        remedy = f"expected {subject}_ne_01 or the like; rename it, or move it to its own subject"
        return {}, [Finding("error", "clip name", where, None, "", f"clip {folder.name}", remedy)]
    subject = SMIC.spell(match[1])  # s3 on some disks, s03 in the lists of MEGC2019
    clip = f"{subject}_{match[2].lower()}"
    color = name_frames(folder, "image{:06d}.jpg")
    numbers = color.numbers()
    if not numbers:
        sample_id = f"{subject}_{clip}"
        remedy = (
            "expected its frames (.bmp, .jpg or .png, numbered); copy the clip again, or leave it out with "
            f"{name_exclusion(sample_id)}"
        )
        finding = Finding("error", "no frames", where, None, sample_id, "0 frames", remedy)
        return {}, [finding]
    middle = (numbers[0] + numbers[-1]) // 2
    row = {
        "sample_id": f"{subject}_{clip}",
        "subject": subject,
        "clip": clip,
        "onset": numbers[0],
        "apex": min(numbers, key=lambda frame: (abs(frame - middle), -frame)),
        "offset": numbers[-1],
        "fps": fps,
        "emotion": emotion,
        "action_units": None,  # none are coded
        "color": color,
    }
    return row, []
