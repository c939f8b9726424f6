"""The rows of an annotation: spelling, numbers, emotions, action units, labels."""

import difflib
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from merec.corpora.reading.action_units import read_action_units
from merec.corpora.reading.cells import is_frame_number
from merec.corpora.reading.errata import MIDDLE, UNKNOWN
from merec.corpora.reading.sheets import BadCell
from merec.corpora.reading.subjects import is_nobody
from merec.path_names import describe_bad_name
from merec.types import Finding, Frames, InputError

ClassMap = Mapping[str, Sequence[str]]
_UNKNOWN_UNITS = (
    "expected action units such as 4, R12 or T18; those of this sample count as unknown, so that "
    "task.target=action_units leaves it out; correct the cell to have it back"
)


@dataclass(frozen=True)
class Source:
    """What a corpus is read from, for messages.

    Attributes:
        file: The annotation, or the folder that was listed.
        where: The same relative to the corpus's root, for findings.
        choice: Name of the corpus in conf/corpus, for `merec doctor corpus=…`.
        first_row: Number that a spreadsheet shows beside row 0 of the annotation; `None` without a sheet.
        letters: Letter of each column in the sheet, by our name of it.
        bad_cells: Cells that hold neither text nor a number; `read_rows` reports them.
    """

    file: Path | str
    where: str
    choice: str
    first_row: int | None = None
    letters: Mapping[str, str] = field(default_factory=dict)
    bad_cells: tuple[BadCell, ...] = ()

    def name_cell(self, row: int, column: str) -> str:
        """A cell as a spreadsheet names it: ` (cell D12)`; "" without a sheet."""
        if self.first_row is None or column not in self.letters:
            return ""
        return f" (cell {self.letters[column]}{self.first_row + row})"

    def name_row(self, row: int) -> str:
        """A row as merec and as a spreadsheet number it: `row 10 from 0 (row 12 of the sheet)`."""
        sheet = "" if self.first_row is None else f" (row {self.first_row + row} of the sheet)"
        return f"row {row} from 0{sheet}"


def name_exclusion(sample_id: str) -> str:
    """The override that leaves a sample out, quoted where Hydra's grammar or a shell would split its id."""
    if re.fullmatch(r"[A-Za-z][\w.-]*", sample_id, re.ASCII):
        return f"corpus.exclude=[{sample_id}]"
    quoted = sample_id.replace('"', '\\"')
    return shlex.quote(f'corpus.exclude=["{quoted}"]')


def describe_source(table: pd.DataFrame, file: Path, where: str, choice: str) -> Source:
    """Say what a table was read from, and which of its cells cannot be used.

    Args:
        table: As `read_table` gives it, before anything is done with it.
        file: Its file.
        where: The same relative to the corpus's root.
        choice: Name of the corpus in conf/corpus.
    """
    notes = table.attrs
    return Source(file, where, choice, notes["first_row"], notes["letters"], notes["bad_cells"])


def choose_classes(class_maps: Mapping[int, ClassMap], classes: int, name: str) -> ClassMap:
    """The class map of `classes` classes.

    Raises:
        InputError: If there is none.
    """
    if classes not in class_maps:
        known = ", ".join(str(number) for number in sorted(class_maps))
        raise InputError(
            f"corpus.classes={classes}, but {name} has maps to {known} classes; take one"
        )
    return class_maps[classes]


def mend_spelling(
    texts: pd.Series, mended: pd.Series, what: str, where: str
) -> tuple[pd.Series, list[Finding]]:
    """Take the mended spelling; one note says how often each other spelling stood there."""
    changed = texts[texts != mended]
    if changed.empty:
        return mended, []
    counts = (changed + " → " + mended[changed.index]).value_counts()
    shown = "; ".join(f"{change} ({number}×)" for change, number in counts.head(4).items())
    more = f"; and {len(counts) - 4} more" if len(counts) > 4 else ""
    found = f"{len(changed)} of {len(texts)} rows: {shown}{more}"
    note = Finding("note", f"spelling of {what}", where, None, "", found, "mended; nothing to do")
    return mended, [note]


def mend_emotions(
    texts: pd.Series, spellings: Mapping[str, str], where: str
) -> tuple[pd.Series, list[Finding]]:
    """Lower case, and the official variants in `spellings`; noted where a table spells in two ways."""
    plain = texts.str.casefold()
    mended = plain.map(lambda text: spellings.get(text, text))
    usual = texts.groupby(mended).agg(lambda same: same.value_counts().index[0])
    return mended, mend_spelling(texts, mended.map(usual), "classes", where)[1]


def read_rows(
    table: pd.DataFrame,
    emotions: Sequence[str],
    scored: Collection[str],
    fps: float | int,
    source: Source,
) -> tuple[pd.DataFrame, list[Finding]]:
    """Turn the text of an annotation into numbers and action units, and say which rows are no samples.

    Args:
        table: Text columns `sample_id`, `subject`, `clip`, `onset`, `apex` (a number, or `middle`),
            `offset` (a number, or `unknown`), `action_units`, `emotion` (spelling mended), indexed by row.
        emotions: Every emotion that may be annotated.
        scored: Those of some class: a bad row of another emotion is left out anyway, so only a warning.
        fps: Frames/s of the videos.
        source: What `table` was read from.

    Returns:
        The rows with the columns of `Corpus.index` but `corpus`, `label`, `color` and `depth`, and with
        `sound`: False for a row that is no sample for an error, though its numbers can be read; other bad
        rows are left out. And what was found.
    """
    findings: list[Finding] = []
    samples: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    bad_cells: dict[int, list[BadCell]] = {}
    for bad in source.bad_cells:
        bad_cells.setdefault(bad.row, []).append(bad)
    any_coded = table["action_units"].ne("").any()
    for row, cells in zip(table.index, table.to_dict("records"), strict=True):
        sample_id, emotion = str(cells["sample_id"]), str(cells["emotion"])
        shown = sample_id if sample_id.isprintable() else ascii(sample_id)
        shown = shown if len(shown) <= 120 else f"{shown[:120]}…"

        def report(
            severity: str, kind: str, found: str, remedy: str, row: int = row, name: str = shown
        ) -> None:
            findings.append(Finding(severity, kind, source.where, int(row), name, found, remedy))

        # An erratum may have mended a number already.
        bad_of_row = [
            bad
            for bad in bad_cells.get(int(row), [])
            if bad.column not in _NUMBERS or cells[bad.column] == bad.text
        ]
        bad_columns = {bad.column for bad in bad_of_row}
        wrong = [("cell", bad.found, bad.remedy) for bad in bad_of_row]
        for key in ("subject", "clip"):
            if key not in bad_columns:
                wrong += _judge_name(key, str(cells[key]), source.name_cell(int(row), key))
        no_name = bool(wrong) or shown != sample_id
        numbers, wrong_numbers = _read_numbers(cells, bad_columns)
        wrong += wrong_numbers
        if "emotion" not in bad_columns:
            wrong += _judge_emotion(emotion, emotions)
        if sample_id in seen:
            first = f"sample {sample_id} stands in {source.name_row(seen[sample_id])} already"
            wrong.append(("duplicate", first, "keep one of the two rows"))
        if numbers and numbers[0] > numbers[1]:
            found = f"onset {numbers[0]} lies after apex {numbers[1]}"
            remedy = "expected onset ≤ apex ≤ offset; correct the row, or take the official file"
            wrong.append(("onset after apex", found, remedy))
        known = emotion in emotions
        for kind, found, remedy in wrong:
            if known and emotion not in scored:
                report("warning", kind, found, f"{remedy}; it is not scored, and left out anyway")
            else:
                leave = "" if no_name else f", or leave it out with {name_exclusion(sample_id)}"
                report("error", kind, found, f"{remedy}{leave}")
        if (
            numbers is None
            or no_name
            or (wrong and (sample_id in seen or (known and emotion not in scored)))
        ):
            continue
        if not wrong:
            seen[sample_id] = int(row)
        onset, apex, offset = numbers
        if offset is not None and offset < apex:
            if not wrong:
                found = f"apex {apex} lies after offset {offset}"
                report("warning", "apex after offset", found, "the offset counts as unknown")
            offset = None
        text = str(cells["action_units"])
        coded = read_action_units(text)
        text = text if len(text) <= 60 else f"{text[:60]}…"
        if coded.unread:
            unread = ", ".join(part[:20] for part in coded.unread[:4])
            report("warning", "action unit", f"{unread!r} in {text!r}", _UNKNOWN_UNITS)
        elif coded.blank and any_coded:
            report("warning", "action unit", "no action units are coded", _UNKNOWN_UNITS)
        if coded.left_out:
            found = f"{', '.join(coded.left_out[:4])} in {text!r}"
            report("note", "action unit left out", found, "not counted; nothing to do")
        kept_cells = {key: cells[key] for key in ("sample_id", "subject", "clip", "emotion")}
        samples.append(
            {**kept_cells, "onset": onset, "apex": apex, "offset": offset, "fps": fps}
            | {"action_units": coded.units, "row": int(row), "sound": not wrong}
        )
    columns = ["sample_id", "subject", "clip", "onset", "apex", "offset", "fps", "emotion"]
    index = pd.DataFrame(samples, columns=[*columns, "action_units", "row", "sound"])
    index["offset"] = pd.array([row["offset"] for row in samples], dtype="Int64")
    kinds = {"onset": "int64", "apex": "int64", "row": "int64", "fps": "float64", "sound": "bool"}
    return index.astype(kinds), findings


_NUMBERS = ("onset", "apex", "offset")


def _judge_name(key: str, text: str, cell: str) -> list[tuple[str, str, str]]:
    """What is wrong with a subject's or clip's name: folders are named by it."""
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
    text = text if len(text) <= 60 else f"{text[:60]}…"
    remedy = f"expected a {key} that names one folder; correct the cell"
    return [(f"{key} name", f"{key} {text!r}{cell} {reason}", remedy)]


def _read_numbers(
    cells: Mapping[Any, Any], bad_columns: Collection[str]
) -> tuple[tuple[int, int, int | None] | None, list[tuple[str, str, str]]]:
    """Onset, apex and offset, and what is wrong with them but for cells that are reported already."""
    wrong = []
    if any(key in bad_columns for key in _NUMBERS):
        return None, []
    for key in _NUMBERS:
        text = str(cells[key])
        if is_frame_number(text) or (key, text) in (("offset", UNKNOWN), ("apex", MIDDLE)):
            continue
        remedy = "expected a frame number; fill it in, or take the official file"
        if text:
            text = text if len(text) <= 60 else f"{text[:60]}…"
            wrong.append(("not a number", f"{key} {text!r}", remedy))
        else:
            wrong.append(("missing number", f"{key} is empty", remedy))
    if wrong:
        return None, wrong
    onset = int(cells["onset"])
    offset = None if cells["offset"] == UNKNOWN else int(cells["offset"])
    if cells["apex"] != MIDDLE:
        return (onset, int(cells["apex"]), offset), []
    if offset is None or offset < onset:
        found = f"no apex, and no middle between onset {onset} and offset {cells['offset']}"
        return None, [("missing number", found, "fill in the apex or the offset")]
    return (onset, (onset + offset) // 2, offset), []


def _judge_emotion(emotion: str, emotions: Sequence[str]) -> list[tuple[str, str, str]]:
    if emotion in emotions:
        return []
    near = difflib.get_close_matches(emotion[:60], emotions, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    emotion = emotion if len(emotion) <= 60 else f"{emotion[:60]}…"
    remedy = f"{hint}Expected one of {', '.join(emotions)}; correct the spelling"
    return [("unknown class", f"emotion {emotion!r}", remedy)]


def label_samples(
    rows: pd.DataFrame, class_map: ClassMap, corpus: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each sample the number of its class; those of no class are left out.

    Args:
        rows: As `read_rows` gives them, with their frames.
        class_map: Class → its emotions, in label order.
        corpus: Name of the data set.

    Returns:
        `Corpus.index` and `Corpus.rejected`.
    """
    label = {emotion: n for n, names in enumerate(class_map.values()) for emotion in names}
    sound = rows["sound"]
    rows = rows.drop(columns="sound")
    rows.insert(1, "corpus", corpus)
    kept = rows[sound & rows["emotion"].isin(list(label))].reset_index(drop=True)
    kept.insert(4, "label", kept["emotion"].map(label).astype("int64"))
    return kept, rows[~sound].reset_index(drop=True)


def add_frames(index: pd.DataFrame, frames: Sequence[tuple[Frames, Frames | None]]) -> pd.DataFrame:
    """Columns `color` and `depth`, one pair per row, with `row` behind them."""
    color = pd.Series([pair[0] for pair in frames], index=index.index, dtype=object)
    depth = pd.Series([pair[1] for pair in frames], index=index.index, dtype=object)
    return index.drop(columns="row").assign(color=color, depth=depth, row=index["row"])
