"""From the rows of an annotation to a corpus: numbers, emotions, labels, exclusions, counts, findings."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from merec.corpora.action_units import read_action_units
from merec.corpora.errata import MIDDLE, UNKNOWN
from merec.evaluation.protocol import assert_counts, describe_protocol
from merec.types import Camera, Corpus, Finding, Frames, InputError

ClassMap = Mapping[str, Sequence[str]]


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


def relate(file: Path, root: Path) -> str:
    """A path relative to the corpus's root, where it lies below it."""
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)


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
    table: pd.DataFrame, emotions: Sequence[str], fps: float | int, where: str
) -> tuple[pd.DataFrame, list[Finding]]:
    """Turn the text of an annotation into numbers and action units; bad rows leave with an error.

    Args:
        table: Text columns `sample_id`, `subject`, `clip`, `onset`, `apex` (a number, or `middle`),
            `offset` (a number, or `unknown`), `action_units`, `emotion` (spelling mended), indexed by row.
        emotions: Every emotion that may be annotated.
        fps: Frames/s of the videos.
        where: The annotation's file, for the findings.

    Returns:
        The good rows with the columns of `Corpus.index` but `corpus`, `label`, `color` and `depth`, and
        what was found.
    """
    findings: list[Finding] = []
    samples: list[dict[str, Any]] = []
    seen: dict[str, Any] = {}
    for row, cells in zip(table.index, table.to_dict("records"), strict=True):
        sample_id = str(cells["sample_id"])
        numbers, wrong = _read_numbers(cells)
        wrong += _judge_emotion(str(cells["emotion"]), emotions)
        if sample_id in seen:
            first = f"sample {sample_id} stands in row {seen[sample_id]} already"
            wrong.append(("duplicate", first, "keep one of the two rows"))
        if numbers and numbers[0] > numbers[1]:
            found = f"onset {numbers[0]} lies after apex {numbers[1]}"
            remedy = "expected onset ≤ apex ≤ offset; correct the row, or take the official file"
            wrong.append(("onset after apex", found, remedy))
        if wrong:
            findings += [
                Finding("error", kind, where, int(row), sample_id, found, remedy)
                for kind, found, remedy in wrong
            ]
            continue
        seen[sample_id] = row
        assert numbers is not None
        onset, apex, offset = numbers
        if offset is not None and offset < apex:
            found, remedy = (
                f"apex {apex} lies after offset {offset}",
                "the offset counts as unknown",
            )
            findings.append(
                Finding("warning", "apex after offset", where, int(row), sample_id, found, remedy)
            )
            offset = None
        units, unread = read_action_units(cells["action_units"])
        if unread:
            found = f"{unread!r} in {cells['action_units']!r}"
            kept = "+".join(map(str, units)) or "none"
            remedy = f"expected action units such as 4, R12 or T18; kept {kept}"
            findings.append(
                Finding("warning", "action unit", where, int(row), sample_id, found, remedy)
            )
        kept_cells = {key: cells[key] for key in ("sample_id", "subject", "clip", "emotion")}
        samples.append(
            {**kept_cells, "onset": onset, "apex": apex, "offset": offset, "fps": fps}
            | {"action_units": units, "row": int(row)}
        )
    columns = ["sample_id", "subject", "clip", "onset", "apex", "offset", "fps", "emotion"]
    index = pd.DataFrame(samples, columns=[*columns, "action_units", "row"])
    index["offset"] = pd.array([row["offset"] for row in samples], dtype="Int64")
    kinds = {"onset": "int64", "apex": "int64", "row": "int64", "fps": "float64"}
    return index.astype(kinds), findings


def _read_numbers(
    cells: Mapping[Any, Any],
) -> tuple[tuple[int, int, int | None] | None, list[tuple[str, str, str]]]:
    """Onset, apex and offset, and what is wrong with them."""
    wrong = []
    for key in ("onset", "apex", "offset"):
        text = str(cells[key])
        if text.isdecimal() or (key, text) in (("offset", UNKNOWN), ("apex", MIDDLE)):
            continue
        remedy = "expected a frame number; fill it in, or take the official file"
        if text:
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
    near = difflib.get_close_matches(emotion, emotions, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    remedy = f"{hint}Expected one of {', '.join(emotions)}; correct the spelling"
    return [("unknown class", f"emotion {emotion!r}", remedy)]


def label_samples(samples: pd.DataFrame, class_map: ClassMap, corpus: str) -> pd.DataFrame:
    """Give each sample the number of its class; those of no class are left out."""
    label = {emotion: n for n, names in enumerate(class_map.values()) for emotion in names}
    kept = samples[samples["emotion"].isin(list(label))].reset_index(drop=True)
    kept.insert(1, "corpus", corpus)
    kept.insert(4, "label", kept["emotion"].map(label).astype("int64"))
    return kept


def add_frames(index: pd.DataFrame, frames: Sequence[tuple[Frames, Frames | None]]) -> pd.DataFrame:
    """Columns `color` and `depth`, one pair per row, with `row` behind them."""
    color = pd.Series([pair[0] for pair in frames], index=index.index, dtype=object)
    depth = pd.Series([pair[1] for pair in frames], index=index.index, dtype=object)
    return index.drop(columns="row").assign(color=color, depth=depth, row=index["row"])


def assemble(
    index: pd.DataFrame,
    *,
    name: str,
    classes: Sequence[str],
    expected: Mapping[str, Any] | None,
    subset: bool,
    exclude: Mapping[str, str],
    source: Path | str,
    where: str,
    doctor: str,
    findings: Sequence[Finding],
    lenient: bool,
    camera: Camera | None = None,
    macro: pd.DataFrame | None = None,
    unlabelled: pd.DataFrame | None = None,
) -> Corpus:
    """Refuse or note what is wrong, count, exclude, and make the corpus.

    Args:
        index: As `Corpus.index`.
        name: Name of the protocol; `-subset` is added to one of which samples are missing on purpose.
        classes: Class names in label order.
        expected: What to assert (see `assert_counts`); `None` to assert nothing.
        subset: Whether the user said that samples may be missing.
        exclude: Sample id → why it is left out; unknown ids must have been refused before.
        source: The file or folder that was read, for messages.
        where: The same relative to the root, for findings.
        doctor: Name of the corpus in conf/corpus, for messages.
        findings: What was found so far.
        lenient: Whether errors become findings instead of an exception.
        camera: As in `Corpus`.
        macro: As in `Corpus`.
        unlabelled: As in `Corpus`.

    Raises:
        InputError: In strict reading, for the first error, or for counts unlike the protocol's.
    """
    found = list(findings)
    if not lenient:
        refuse_errors(found, source, doctor)
    if expected is not None:
        try:
            assert_counts(index, classes, expected, str(source) if not lenient else "it")
        except InputError as error:
            if not lenient:
                raise
            remedy = "copy it again from its source, or set corpus.expected=null to use a subset knowingly"
            wrong = str(error).partition(" (")[2].partition(");")[0]
            found.append(Finding("error", "counts", where, None, "", wrong, remedy))
    leaves = index["sample_id"].isin(list(exclude))
    for sample_id, row in index.loc[leaves, ["sample_id", "row"]].itertuples(index=False):
        found.append(
            Finding(
                "note", "excluded", where, row, sample_id, exclude[sample_id], "left out as asked"
            )
        )
    if subset or leaves.any():
        name = f"{name}-subset"  # numbers on it are not numbers on the protocol
    index = index[~leaves].reset_index(drop=True)
    if index.empty and not lenient:
        raise InputError(f"{source} holds no sample of the classes {', '.join(classes)}; check it")
    protocol = describe_protocol(name, index, classes)
    return Corpus(protocol, index, None, (), camera, macro, unlabelled, tuple(found))


def refuse_errors(findings: Sequence[Finding], source: Path | str, doctor: str) -> None:
    """Raise for the first finding of severity `error`.

    Raises:
        InputError: It names file, row and remedy, and how many more there are.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    first = errors[0]
    row = "" if first.row is None else f", row {first.row}"
    sample = f" ({first.sample_id})" if first.sample_id else ""
    more = f"; and {len(errors) - 1} more" if len(errors) > 1 else ""
    raise InputError(
        f"{source}{row}{sample}: {first.found}; {first.remedy}{more}. `merec doctor corpus={doctor}` "
        "lists all"
    )


def resolve_exclusions(
    index: pd.DataFrame, known: Sequence[str], exclude: Sequence[str]
) -> dict[str, str]:
    """Turn `corpus.exclude` (sample ids, `zero_motion`) into sample id → why.

    Args:
        index: Columns `sample_id`, `onset`, `apex`.
        known: Every annotated sample id, of whichever class.
        exclude: What the user asked for.

    Raises:
        InputError: If a sample is not annotated.
    """
    leaves: dict[str, str] = {}
    for what in exclude:
        if what == "zero_motion":
            still = index.loc[index["onset"] == index["apex"], "sample_id"]
            leaves |= dict.fromkeys(still, "onset and apex are one frame (exclude: zero_motion)")
        elif what in set(known):
            leaves[what] = "named in corpus.exclude"
        else:
            near = difflib.get_close_matches(what, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"corpus.exclude names {what}, which is not annotated{hint}")
    return leaves
