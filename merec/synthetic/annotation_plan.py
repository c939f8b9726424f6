"""Plan a synthetic corpus from a real annotation: the same subjects, clips, frames and action units."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from merec.corpora.casme3 import read_casme3
from merec.corpora.casme3_lists import MICRO_FILE
from merec.corpora.reading.remarks import is_remark
from merec.path_names import is_file
from merec.seeding import derive_seed
from merec.synthetic.frequencies import CLASSES
from merec.synthetic.plan import (
    MICRO_PEAK,
    ClipPlan,
    Expression,
    check_frames,
    choose_frames,
    draw_peak,
)
from merec.synthetic.timecourse import FPS
from merec.types import Finding, InputError

LONGEST = 30 * FPS  # frames; a longer row is an error of the annotation

EMOTIONS = tuple(emotion for members in CLASSES.values() for emotion in members)
COARSE = ("negative", "positive")  # labels of the DVSCL list, which has no emotions
SPELLINGS = {"sadness": "sad", "happiness": "happy", "other": "others"}


def plan_annotation(
    annotation: Path, frames: str, seed: int
) -> tuple[list[ClipPlan], tuple[Finding, ...]]:
    """Plan a corpus from an annotation table of CAS(ME)^3 after applying its errata.

    Args:
        annotation: Official table; its frames are not needed.
        frames: `key`, `all` or `pair`, see `choose_frames`.
        seed: Seed of everything that is not in the table.

    Returns:
        Clips and findings as of `plan_rows`; the applied errata come first among the findings.

    Raises:
        InputError: If the table cannot be read, or none of its rows can be rendered.
    """
    check_frames(frames)
    annotation = annotation.expanduser()
    if not is_file(annotation):
        raise InputError(
            f"annotation={annotation} is no file; expected an annotation of CAS(ME)^3, such as "
            f"{MICRO_FILE}; set annotation=FILE, or leave it out for a corpus of made subjects"
        )
    emotions = (*EMOTIONS, *COARSE)
    corpus = read_casme3(
        root=str(annotation.parent),
        name="casme3",
        annotation=str(annotation),
        classes=len(emotions),
        class_maps={len(emotions): {emotion: (emotion,) for emotion in emotions}},
        emotions=emotions,
        spellings=SPELLINGS,
        expected=None,
        exclude=(),
        without=(),
        layout="full",
        part_c_frames="{subject}/color",
        unlabelled=None,
        intrinsics=None,
        fps=FPS,
    )
    clips, notes = plan_rows(corpus.index, frames, seed, annotation.name)
    # Remarks describe real frames, e.g. a hand in front of the face, and do not apply to rendered ones.
    kept = tuple(finding for finding in corpus.findings if not is_remark(finding))
    return clips, kept + notes


def plan_rows(
    index: pd.DataFrame, frames: str, seed: int, where: str
) -> tuple[list[ClipPlan], tuple[Finding, ...]]:
    """Plan a clip for each clip of an annotation, with the expressions of its rows.

    Subjects, clips, frame numbers, action units and emotions are taken from the rows; the size of the
    movement is drawn. If onset and apex are equal, the face does not move. A missing offset, or one that is
    not after the apex, is replaced: the fall is made as long as the rise.

    Args:
        index: One row per expression, in the format of `Corpus.index`.
        frames: `key`, `all` or `pair`, see `choose_frames`.
        seed: Seed of the size of the movements.
        where: Name of the annotation file, for the findings.

    Returns:
        The clips in the order of their first row, and a note on every row that is left out or whose offset is
        replaced.

    Raises:
        InputError: If no row can be rendered, or `frames` is unknown.
    """
    check_frames(frames)
    expressions: dict[tuple[str, str], list[Expression]] = {}
    notes = []
    # The order of the table numbers the subjects, and the number decides sex and ancestry of the face.
    for row in index.sort_values("row", kind="stable").to_dict("records"):
        reason = _find_obstacle(row)
        if reason:
            notes.append(_note(row, "left out", where, reason, "it is not rendered"))
            continue
        onset, apex = int(row["onset"]), int(row["apex"])
        if pd.isna(row["offset"]) or row["offset"] <= apex:
            offset = apex + max(1, apex - onset)
            remedy = f"{offset} is taken, so that the fall is as long as the rise"
            stated = "no offset" if pd.isna(row["offset"]) else f"offset {row['offset']}"
            notes.append(_note(row, "offset chosen", where, f"{stated} after apex {apex}", remedy))
        else:
            offset = int(row["offset"])
        clip = (str(row["subject"]), str(row["clip"]))
        rng = np.random.default_rng(derive_seed(seed, "plan", *clip, str(row["sample_id"])))
        expressions.setdefault(clip, []).append(
            Expression(
                onset,
                apex,
                offset,
                tuple(row["action_units"]),
                str(row["emotion"]),
                draw_peak(MICRO_PEAK, rng),
            )
        )
    if not expressions:
        raise InputError(
            f"{where}: none of its {len(index)} rows can be rendered"
            f"{f' (the first: {notes[0].found})' if notes else ''}; take a list with frame numbers "
            "and action units, such as version 2 of CAS(ME)^3 part A"
        )
    clips = [_make_clip(*clip, members, frames) for clip, members in expressions.items()]
    return clips, tuple(notes)


def _find_obstacle(row: dict[Any, Any]) -> str:
    """Return the reason why a row cannot be rendered; "" if there is none."""
    onset, apex, offset = row["onset"], row["apex"], row["offset"]
    if pd.isna(onset) or pd.isna(apex):
        return "its onset or apex is not known"
    if not 0 < onset <= apex:
        return f"onset {onset}, apex {apex}; expected 1 or more, and the apex not before the onset"
    if pd.isna(offset) and onset == apex:
        return f"onset and apex are both {apex} and the offset is not known: it has no duration"
    if not pd.isna(offset) and offset - onset > LONGEST:
        return f"{onset} to {offset} is longer than any expression ({LONGEST} frames)"
    if row["action_units"] is None:
        return "its action units are not coded, or cannot be read"
    if not row["action_units"]:
        return "it names no action unit"
    return ""


def _note(row: dict[Any, Any], kind: str, where: str, reason: str, remedy: str) -> Finding:
    return Finding("note", kind, where, int(row["row"]), str(row["sample_id"]), reason, remedy)


def _make_clip(subject: str, clip: str, expressions: Iterable[Expression], frames: str) -> ClipPlan:
    in_order = tuple(sorted(expressions, key=lambda expression: expression.onset))
    numbers = choose_frames(in_order, frames)
    return ClipPlan(subject, clip, f"{subject}/{clip}", in_order, numbers, "micro")
