"""Rows of an annotation: frame numbers, emotions, action units, and detection of invalid rows."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from merec.corpora.reading.action_units import read_action_units
from merec.corpora.reading.cells import is_frame_number
from merec.corpora.reading.errata import MIDDLE, UNKNOWN
from merec.corpora.reading.sheets import BadCell
from merec.corpora.reading.source import Source, name_exclusion
from merec.corpora.reading.subjects import is_nobody
from merec.path_names import describe_bad_name
from merec.types import Finding

_NUMBERS = ("onset", "apex", "offset")
_UNKNOWN_UNITS = (
    "expected action units such as 4, R12 or T18; those of this sample count as unknown, so that "
    "task.target=action_units leaves it out; correct the cell to have it back"
)
_Numbers = tuple[int, int, int | None]  # onset, apex, offset
_Problem = tuple[str, str, str]  # kind, what was found, remedy
_Report = tuple[str, str, str, str]  # severity, and as `_Problem`


def read_rows(
    table: pd.DataFrame,
    emotions: Sequence[str],
    scored: Collection[str],
    fps: float | int,
    source: Source,
) -> tuple[pd.DataFrame, list[Finding]]:
    """Parse the text of an annotation into numbers and action units, and find invalid rows.

    Args:
        table: Text columns `sample_id`, `subject`, `clip`, `onset`, `apex` (a number, or `middle`),
            `offset` (a number, or `unknown`), `action_units`, `emotion` (spelling corrected), indexed by row.
        emotions: Every emotion that may be annotated.
        scored: Emotions that belong to a class. An invalid row with another emotion is only a warning, since
            it is left out anyway.
        fps: Frames/s of the videos.
        source: Source of `table`, for messages.

    Returns:
        The rows with the columns of `Corpus.index` except `corpus`, `label`, `color` and `depth`, and with
        `sound`: False for an invalid row whose numbers can be read. Other invalid rows are left out. Also the
        findings.
    """
    findings: list[Finding] = []
    samples: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    bad_cells: dict[int, list[BadCell]] = {}
    for bad in source.bad_cells:
        bad_cells.setdefault(bad.row, []).append(bad)
    any_coded = bool(table["action_units"].ne("").any())
    for row, cells in zip(map(int, table.index), table.to_dict("records"), strict=True):
        sample_id, emotion = str(cells["sample_id"]), str(cells["emotion"])
        display_id = _shorten(sample_id if sample_id.isprintable() else ascii(sample_id), 120)
        bad_of_row = [bad for bad in bad_cells.get(row, []) if not _is_mended(bad, cells)]
        bad_columns = {bad.column for bad in bad_of_row}
        problems = [("cell", bad.found, bad.remedy) for bad in bad_of_row]
        problems += _judge_names(row, cells, bad_columns, source)
        named = not problems and display_id == sample_id
        numbers, wrong_numbers = _read_numbers(cells, bad_columns)
        problems += wrong_numbers
        if "emotion" not in bad_columns:
            problems += _judge_emotion(emotion, emotions)
        problems += _judge_duplicate(sample_id, seen, source) + _judge_order(numbers)
        unscored = emotion in emotions and emotion not in scored
        reports = _grade(problems, unscored, sample_id if named else None)
        refused = bool(problems) and (sample_id in seen or unscored)
        if numbers is not None and named and not refused:
            if not problems:
                seen[sample_id] = row
            sample, reports_of_sample = _read_sample(cells, numbers, not problems, any_coded)
            samples.append(sample | {"fps": fps, "row": row})
            reports += reports_of_sample
        findings += [
            Finding(severity, kind, source.where, row, display_id, problem, remedy)
            for severity, kind, problem, remedy in reports
        ]
    return _tabulate(samples), findings


def _shorten(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _is_mended(bad: BadCell, cells: Mapping[Any, Any]) -> bool:
    """Return whether an erratum replaced the number of an invalid cell."""
    return bad.column in _NUMBERS and cells[bad.column] != bad.text


def _judge_names(
    row: int, cells: Mapping[Any, Any], bad_columns: Collection[str], source: Source
) -> list[_Problem]:
    """List problems of the names of subject and clip, without cells that are already reported."""
    return [
        problem
        for key in ("subject", "clip")
        if key not in bad_columns
        for problem in _judge_name(key, str(cells[key]), source.name_cell(row, key))
    ]


def _judge_name(key: str, text: str, cell: str) -> list[_Problem]:
    """Describe the problem of a subject or clip name, which is also a folder name."""
    if not text:
        remedy = (
            f"expected the {key} in each row; a blank does not repeat the cell above, so type it in"
        )
        return [(f"missing {key}", f"no {key}{cell}", remedy)]
    if key == "subject" and is_nobody(text):
        remedy = "expected a name or number in each row; type it in"
        return [("missing subject", f"subject {text!r}{cell} is nobody", remedy)]
    reason = describe_bad_name(text)
    if not reason:
        return []
    remedy = f"expected a {key} that names one folder; correct the cell"
    return [(f"{key} name", f"{key} {_shorten(text)!r}{cell} {reason}", remedy)]


def _read_numbers(
    cells: Mapping[Any, Any], bad_columns: Collection[str]
) -> tuple[_Numbers | None, list[_Problem]]:
    """Return onset, apex and offset, and their problems without cells that are already reported."""
    wrong = []
    if any(key in bad_columns for key in _NUMBERS):
        return None, []
    for key in _NUMBERS:
        text = str(cells[key])
        if is_frame_number(text) or (key, text) in (("offset", UNKNOWN), ("apex", MIDDLE)):
            continue
        remedy = "expected a frame number; fill it in, or take the official file"
        if text:
            wrong.append(("not a number", f"{key} {_shorten(text)!r}", remedy))
        else:
            wrong.append(("missing number", f"{key} is empty", remedy))
    if wrong:
        return None, wrong
    onset = int(cells["onset"])
    offset = None if cells["offset"] == UNKNOWN else int(cells["offset"])
    if cells["apex"] != MIDDLE:
        return (onset, int(cells["apex"]), offset), []
    if offset is None or offset < onset:
        problem = f"no apex, and no middle between onset {onset} and offset {cells['offset']}"
        return None, [("missing number", problem, "fill in the apex or the offset")]
    return (onset, (onset + offset) // 2, offset), []


def _judge_emotion(emotion: str, emotions: Sequence[str]) -> list[_Problem]:
    if emotion in emotions:
        return []
    near = difflib.get_close_matches(emotion[:60], emotions, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    remedy = f"{hint}Expected one of {', '.join(emotions)}; correct the spelling"
    return [("unknown class", f"emotion {_shorten(emotion)!r}", remedy)]


def _judge_duplicate(sample_id: str, seen: Mapping[str, int], source: Source) -> list[_Problem]:
    """Report a duplicate of an earlier row."""
    if sample_id not in seen:
        return []
    problem = f"sample {sample_id} stands in {source.name_row(seen[sample_id])} already"
    return [("duplicate", problem, "keep one of the two rows")]


def _judge_order(numbers: _Numbers | None) -> list[_Problem]:
    """Report an onset after the apex."""
    if numbers is None or numbers[0] <= numbers[1]:
        return []
    remedy = "expected onset ≤ apex ≤ offset; correct the row, or take the official file"
    return [("onset after apex", f"onset {numbers[0]} lies after apex {numbers[1]}", remedy)]


def _grade(problems: Sequence[_Problem], unscored: bool, sample_id: str | None) -> list[_Report]:
    """Turn each problem into an error, or into a warning if the emotion belongs to no class.

    Args:
        problems: Problems of a row.
        unscored: Whether its emotion belongs to no class.
        sample_id: Sample id for the override that excludes it; `None` if it has no valid id.
    """
    if unscored:
        leave = "; it is not scored, and left out anyway"
    else:
        leave = f", or leave it out with {name_exclusion(sample_id)}" if sample_id else ""
    severity = "warning" if unscored else "error"
    return [(severity, kind, problem, f"{remedy}{leave}") for kind, problem, remedy in problems]


def _read_sample(
    cells: Mapping[Any, Any], numbers: _Numbers, sound: bool, any_coded: bool
) -> tuple[dict[str, Any], list[_Report]]:
    """Return the columns of a sample except `fps` and `row`, and notes about unknown or ignored values.

    Args:
        cells: Cells of the row.
        numbers: Frame numbers of the row.
        sound: Whether the row is valid.
        any_coded: Whether any row of the table has action units.
    """
    reports: list[_Report] = []
    onset, apex, offset = numbers
    if offset is not None and offset < apex:
        if sound:
            problem = f"apex {apex} lies after offset {offset}"
            reports.append(
                ("warning", "apex after offset", problem, "the offset counts as unknown")
            )
        offset = None
    text = str(cells["action_units"])
    coded = read_action_units(text)
    text = _shorten(text)
    if coded.unread:
        unread = ", ".join(part[:20] for part in coded.unread[:4])
        reports.append(("warning", "action unit", f"{unread!r} in {text!r}", _UNKNOWN_UNITS))
    elif coded.blank and any_coded:
        reports.append(("warning", "action unit", "no action units are coded", _UNKNOWN_UNITS))
    if coded.left_out:
        problem = f"{', '.join(coded.left_out[:4])} in {text!r}"
        reports.append(("note", "action unit left out", problem, "not counted; nothing to do"))
    sample = {key: cells[key] for key in ("sample_id", "subject", "clip", "emotion")}
    sample |= {"onset": onset, "apex": apex, "offset": offset}
    return sample | {"action_units": coded.units, "sound": sound}, reports


def _tabulate(samples: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    columns = ["sample_id", "subject", "clip", "onset", "apex", "offset", "fps", "emotion"]
    index = pd.DataFrame(samples, columns=[*columns, "action_units", "row", "sound"])
    index["offset"] = pd.array([row["offset"] for row in samples], dtype="Int64")
    kinds = {"onset": "int64", "apex": "int64", "row": "int64", "fps": "float64", "sound": "bool"}
    return index.astype(kinds)
