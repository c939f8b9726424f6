"""CAS(ME)^3 (Li et al., TPAMI 2022): colour and depth, parts A and C, in any of its annotation lists.

Three lists of part A are in use. They differ in samples, so their scores cannot be compared: v2 (860
samples), v1 (921) and the list of DVSCL (943; no offset, no action units, 4 classes only). The full sheets of
parts A and C also contain macro-expressions, but no emotions, which are joined from v2 and from the list of
part C. A sample is named `{subject}_{clip}_{onset}` by the annotated onset, so that most samples of different
lists can be joined: 858 of the 860 samples of v2 are in the list of DVSCL under the same id; the other two
have another onset there (`spNO.216_d_3647` and `spNO.216_e_0`, mistakes of v2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from merec.corpora.casme3_annotation import Annotation, open_annotation
from merec.corpora.casme3_frames import FrameFinder, Pair, list_unlabelled, read_camera
from merec.corpora.casme3_lists import PATTERNS
from merec.corpora.casme3_macro import read_macro
from merec.corpora.reading.assemble import assemble, resolve_exclusions
from merec.corpora.reading.coding_sheet import Samples, read_samples
from merec.corpora.reading.folders import find_file
from merec.corpora.reading.labels import Labelling
from merec.corpora.reading.remarks import note_remarks, resolve_without
from merec.corpora.reading.subjects import CASME3
from merec.types import Corpus, Finding, InputError

DAMAGED = "error_info_damaged_image_partA.txt"  # the official list of damaged images


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
    """Read an annotation of CAS(ME)^3, or of a corpus in the same layout, and locate its frames.

    Args:
        root: Folder with `spNO.X/` or `Part_A…/`, and the annotation in it or in `annotation*/`.
        name: Name of the data set (`{name}c` for part C); the protocol is called
            `{name}-{classes}@{annotation}`.
        annotation: `v2`, `v1`, `dvscl`, `part_c`, `full`, `part_c_full`, or the path of a table in the same
            format.
        classes: Number of classes, a key of `class_maps`.
        class_maps: By number of classes: class → its emotions, in label order.
        emotions: Every emotion that may be annotated.
        spellings: Other official spellings → the one in `emotions`.
        expected: By name of the protocol: counts to assert; `None` to use a subset on purpose.
        exclude: Sample ids, `zero_motion` (onset and apex are the same frame) or `damaged` (see `DAMAGED`).
        without: `occluded` or `wrongly_labelled` samples to leave out; the protocol is then called
            `…-without-{kind}`.
        layout: `full`, `clip` or `auto` (full if both exist).
        part_c_frames: Colour folder of part C below `root`, with `{subject}` and `{clip}`.
        unlabelled: Glob below `root` of unlabelled clips; `None` for none.
        intrinsics: `fx, fy, cx, cy, width, height` in px, or a YAML file with them; `None` if unknown.
        fps: Frames/s.
        lenient: Whether bad rows become findings instead of an exception.
        choice: Name of the corpus in conf/corpus, for messages.

    Raises:
        InputError: If an annotation or column is missing, or (unless `lenient`) rows or counts are wrong.
    """
    annotated = open_annotation(root, annotation, class_maps, classes, name, choice)
    labelling = Labelling(annotated.data_set, annotated.class_map, emotions, spellings)
    finder = FrameFinder(annotated.root, layout, part_c_frames if annotated.part_c else None)
    micro = _read_micro(annotated, labelling, fps, finder)
    macro, of_macro = read_macro(annotated, labelling, fps, finder)
    camera = read_camera(intrinsics, annotated.root)
    clips = list_unlabelled(annotated.root, unlabelled, name, fps)
    corpus = _select(annotated, micro, of_macro, exclude, without, expected, lenient)
    return replace(corpus, camera=camera, macro=macro, unlabelled=clips)


def _read_micro(
    annotated: Annotation, labelling: Labelling, fps: float | int, finder: FrameFinder
) -> Samples:
    """Read the samples and find their frames; clip folders are named by the annotated onset."""
    table, source, errata = annotated.table, annotated.source, annotated.errata

    def find_frames(row: Mapping[Any, Any]) -> Pair:
        return finder.find(row, table.at[row["row"], "onset"])

    samples = read_samples(table, source, labelling, errata, fps, find_frames)
    # Remarks describe real frames, e.g. a hand in front of the face; rendered frames have none.
    if source.choice == "casme3" and errata is not None:
        samples.findings.extend(note_remarks(samples.index, errata, source.where))
    return samples


def _select(
    annotated: Annotation,
    micro: Samples,
    of_macro: Sequence[Finding],
    exclude: Sequence[str],
    without: str | Sequence[str],
    expected: Mapping[str, Any] | None,
    lenient: bool,
) -> Corpus:
    """Leave samples out and return the corpus of the remaining samples."""
    sample_ids = annotated.table["sample_id"].tolist()
    leaves = resolve_exclusions(
        micro.index, sample_ids, [what for what in exclude if what != "damaged"]
    )
    findings = [*annotated.findings, *micro.findings]
    if "damaged" in exclude:
        damaged = _find_damaged(micro.index, annotated.root)
        leaves |= damaged
        if not damaged:
            problem, remedy = (
                f"no sample has its onset or apex in {DAMAGED}",
                "nothing was left out",
            )
            where = annotated.source.where
            findings.append(Finding("note", "excluded", where, None, "", problem, remedy))
    return assemble(
        micro.index,
        name=annotated.protocol,
        classes=list(annotated.class_map),
        expected=expected,
        exclude=leaves,
        source=annotated.source,
        findings=[*findings, *of_macro],
        lenient=lenient,
        rejected=micro.rejected,
        without=resolve_without(without, sample_ids, annotated.errata),
    )


def _find_damaged(index: pd.DataFrame, root: Path) -> dict[str, str]:
    """Return the samples whose onset or apex is in the official list of damaged images."""
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
