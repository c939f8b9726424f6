"""The twin of a real annotation: made faces that do at the same frames what the real ones did."""

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

LONGEST = 30 * FPS  # frames: what the annotation says lasts longer is no expression

# Every spelling that official lists use; classes do not matter here, only emotions do.
EMOTIONS = tuple(emotion for members in CLASSES.values() for emotion in members)
COARSE = ("negative", "positive")  # all that the list of DVSCL says
SPELLINGS = {"sadness": "sad", "happiness": "happy", "other": "others"}


def plan_twin(
    annotation: Path, frames: str, seed: int
) -> tuple[list[ClipPlan], tuple[Finding, ...]]:
    """Plan the twin of an annotation table of CAS(ME)^3, its errata applied.

    Args:
        annotation: The official table; no frames are needed beside it.
        frames: `key`, `all` or `pair`, see `choose_frames`.
        seed: Of what the table does not say.

    Returns:
        See `plan_rows`; the notes begin with the errata that were applied.

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
    known = (*EMOTIONS, *COARSE)
    corpus = read_casme3(
        root=str(annotation.parent),
        name="casme3",
        annotation=str(annotation),
        classes=len(known),
        class_maps={len(known): {emotion: (emotion,) for emotion in known}},
        emotions=known,
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
    # A rendered face has no hand before it.
    kept = tuple(finding for finding in corpus.findings if not is_remark(finding))
    return clips, kept + notes


def plan_rows(
    index: pd.DataFrame, frames: str, seed: int, where: str
) -> tuple[list[ClipPlan], tuple[Finding, ...]]:
    """Plan a clip for each clip of an annotation, with the expressions of its rows.

    Subjects, clips, frame numbers, action units and emotions are those of the rows; how far the face moves
    is drawn. A row whose onset is its apex keeps both: its face does not move. An offset that is not known,
    or does not lie after the apex, is taken as far from the apex as the onset is.

    Args:
        index: One row per expression, as `Corpus.index` of frames has them.
        frames: `key`, `all` or `pair`, see `choose_frames`.
        seed: Of the peaks.
        where: The annotation's file, for the findings.

    Returns:
        The clips in order of their first row, and a note on every row that is left out or whose offset is
        chosen.

    Raises:
        InputError: If no row is left, or `frames` is no choice.
    """
    check_frames(frames)
    expressions: dict[tuple[str, str], list[Expression]] = {}
    notes = []
    # In the order of the table, which numbers the people, and so says who has which face.
    for row in index.sort_values("row", kind="stable").to_dict("records"):
        reason = _find_obstacle(row)
        if reason:
            notes.append(_note(row, "left out", where, reason, "it is not rendered"))
            continue
        onset, apex = int(row["onset"]), int(row["apex"])
        if pd.isna(row["offset"]) or row["offset"] <= apex:
            offset = apex + max(1, apex - onset)
            remedy = f"{offset} is taken: it falls as long as it rises"
            unknown = "no offset" if pd.isna(row["offset"]) else f"offset {row['offset']}"
            found = f"{unknown} after apex {apex}"
            notes.append(_note(row, "offset chosen", where, found, remedy))
        else:
            offset = int(row["offset"])
        place = (str(row["subject"]), str(row["clip"]))
        rng = np.random.default_rng(derive_seed(seed, "plan", *place, str(row["sample_id"])))
        expressions.setdefault(place, []).append(
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
            f"{where}: of its {len(index)} rows none can be rendered"
            f"{f' (the first: {notes[0].found})' if notes else ''}; take a list with frame numbers "
            "and action units, such as version 2 of CAS(ME)^3 part A"
        )
    return [_make_clip(*place, found, frames) for place, found in expressions.items()], tuple(notes)


def _find_obstacle(row: dict[Any, Any]) -> str:
    """Why a row cannot be rendered; "" if it can."""
    onset, apex, offset = row["onset"], row["apex"], row["offset"]
    if pd.isna(onset) or pd.isna(apex):
        return "its onset or apex is not known"
    if not 0 < onset <= apex:
        return f"onset {onset} and apex {apex} are not in this order, from 1 on"
    if pd.isna(offset) and onset == apex:
        return f"onset and apex are {apex} and the offset is not known: it spans no time"
    if not pd.isna(offset) and offset - onset > LONGEST:
        return f"{onset} to {offset} is longer than any expression ({LONGEST} frames)"
    if row["action_units"] is None:
        return "its action units are not coded, or cannot be read"
    if not row["action_units"]:
        return "it names no action unit"
    return ""


def _note(row: dict[Any, Any], kind: str, where: str, found: str, remedy: str) -> Finding:
    return Finding("note", kind, where, int(row["row"]), str(row["sample_id"]), found, remedy)


def _make_clip(subject: str, clip: str, found: Iterable[Expression], frames: str) -> ClipPlan:
    expressions = tuple(sorted(found, key=lambda expression: expression.onset))
    numbers = choose_frames(expressions, frames)
    return ClipPlan(subject, clip, f"{subject}/{clip}", expressions, numbers, "micro")
