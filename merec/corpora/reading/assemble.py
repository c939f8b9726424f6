"""Assembly of a corpus from samples and findings: exclusions, errors and counts."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from merec.corpora.reading.source import Source
from merec.corpora.reading.subjects import refuse_namesakes
from merec.evaluation.protocol import WRONG_COUNTS, assert_counts, describe_protocol
from merec.types import Corpus, Finding, InputError

_LEFT_OUT = "left out as asked"


def assemble(
    index: pd.DataFrame,
    *,
    name: str,
    classes: Sequence[str],
    expected: Mapping[str, Any] | None,
    exclude: Mapping[str, str],
    source: Source,
    findings: Sequence[Finding],
    lenient: bool,
    rejected: pd.DataFrame | None = None,
    without: Mapping[str, Mapping[str, str]] | None = None,
    subset: bool = False,
) -> Corpus:
    """Handle errors, assert counts, exclude samples, and return the corpus.

    Args:
        index: Index as `Corpus.index`.
        name: Name of the protocol; `-subset` is added if samples are missing on purpose.
        classes: Class names in label order.
        expected: By name of the protocol: counts to assert (see `assert_counts`), if the name is in it;
            `None` if the user allowed missing samples.
        exclude: Sample id → reason of its exclusion; ids must exist.
        source: Source of the samples, for messages.
        findings: Previous findings; those about excluded samples become notes.
        lenient: Whether errors become findings instead of an exception.
        rejected: Rejected samples, as in `Corpus`.
        without: Kind → sample id → reason of its exclusion; `-without-KIND` is added to the name of the
            protocol.
        subset: Whether samples may be missing in spite of `expected`.

    Raises:
        InputError: Unless `lenient`: for the first error, or if counts differ from the protocol.
    """
    dropped = {key: why for kind in (without or {}).values() for key, why in kind.items()}
    exclude = {key: why for key, why in exclude.items() if key not in dropped}
    reported, unread = excuse(findings, {**exclude, **dropped})
    if not lenient:
        refuse_errors(reported, source)
    refuse_namesakes(index, str(source.file))
    reported += _judge_counts(name, index, classes, expected, source, lenient, unread)
    if without:
        name = f"{name}-without-{'-'.join(without)}"
        index, notes = leave_out(index, dropped, source.where)
        reported += notes
        reported += _judge_counts(name, index, classes, expected, source, lenient, unread)
    index, notes = leave_out(index, exclude, source.where)
    reported += notes
    if subset or expected is None or unread or notes:
        name = f"{name}-subset"  # numbers on it are not numbers on the protocol
    if index.empty:
        if exclude and (notes or unread):
            raise InputError(f"corpus.exclude leaves no sample of {source.file}; name fewer")
        reported.append(_note_empty(classes, source, lenient))
    if rejected is not None:
        gone = rejected["sample_id"].isin([*exclude, *dropped])
        rejected = rejected[~gone].reset_index(drop=True) if lenient else None
    protocol = describe_protocol(name, index, classes)
    return Corpus(protocol, index, None, (), findings=tuple(reported), rejected=rejected)


def leave_out(
    index: pd.DataFrame,
    reasons: Mapping[str, str],
    where: str,
    kind: str = "excluded",
    remedy: str = _LEFT_OUT,
) -> tuple[pd.DataFrame, list[Finding]]:
    """Drop samples on purpose and return a note about each.

    Args:
        index: Columns `sample_id` and `row`.
        reasons: Sample id → why it is left out.
        where: Name of the annotation, for the notes.
        kind: Kind of the notes.
        remedy: Remedy of the notes.
    """
    leaves = index["sample_id"].isin(list(reasons))
    notes = [
        Finding("note", kind, where, row, sample_id, reasons[sample_id], remedy)
        for sample_id, row in index.loc[leaves, ["sample_id", "row"]].itertuples(index=False)
    ]
    return index[~leaves].reset_index(drop=True), notes


def _note_empty(classes: Sequence[str], source: Source, lenient: bool) -> Finding:
    """Return the error that there are no samples; unless `lenient`, raise it."""
    problem = f"no sample of the classes {', '.join(classes)}"
    if not lenient:
        raise InputError(f"{source.file} holds {problem}; check it")
    remedy = "expected some; take the official file, or other classes"
    return Finding("error", "no samples", source.where, None, "", problem, remedy)


def excuse(findings: Sequence[Finding], exclude: Collection[str]) -> tuple[list[Finding], set[str]]:
    """Turn findings about excluded samples into notes.

    Returns:
        All findings, and the ids of excluded samples with an error, which are in no index.
    """
    out = [finding.sample_id in exclude for finding in findings]
    pairs = list(zip(findings, out, strict=True))
    unread = {
        finding.sample_id for finding, leaves in pairs if leaves and finding.severity == "error"
    }
    reported = [
        finding._replace(severity="note", remedy=_LEFT_OUT)
        if leaves and finding.severity != "note"
        else finding
        for finding, leaves in pairs
    ]
    return reported, unread


def _judge_counts(
    name: str,
    index: pd.DataFrame,
    classes: Sequence[str],
    expected: Mapping[str, Any] | None,
    source: Source,
    lenient: bool,
    unread: Collection[str],
) -> list[Finding]:
    """Assert the counts of the protocol before exclusions, if all samples could be read."""
    counts = (expected or {}).get(name)
    if counts is None:
        return []
    excused = lenient or bool(unread)
    try:
        assert_counts(index, classes, counts, "it" if excused else str(source.file))
    except InputError as error:
        if not excused:
            raise
        wrong = str(error).partition(" (")[2].partition(");")[0]
        if unread:
            remedy = f"not asserted: {', '.join(sorted(unread))} left with an error, as asked"
            return [Finding("note", "counts", source.where, None, "", wrong, remedy)]
        remedy = WRONG_COUNTS
        return [Finding("error", "counts", source.where, None, "", wrong, remedy)]
    return []


def refuse_errors(findings: Sequence[Finding], source: Source) -> None:
    """Raise for the first finding of severity `error`.

    Raises:
        InputError: If there are errors; the message names file, row and remedy, and the number of further
            errors.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    first = errors[0]
    place = [str(source.file)]
    if first.where != source.where:  # one part, or one clip
        place.append(first.where)
    if first.row is not None:
        place.append(source.name_row(first.row))
    if first.sample_id:
        place.append(first.sample_id)
    more = f"; and {len(errors) - 1} more" if len(errors) > 1 else ""
    raise InputError(
        f"{', '.join(place)}: {first.found}; {first.remedy}{more}. `merec doctor "
        f"corpus={source.choice}` lists all"
    )


def resolve_exclusions(
    index: pd.DataFrame, allowed: Sequence[str], exclude: Sequence[str]
) -> dict[str, str]:
    """Turn `corpus.exclude` (sample ids, `zero_motion`) into sample id → reason.

    Args:
        index: Columns `sample_id`, `onset`, `apex`.
        allowed: All annotated sample ids, also of samples without class.
        exclude: Exclusions of the user.

    Raises:
        InputError: If a sample id is not annotated.
    """
    leaves: dict[str, str] = {}
    for what in exclude:
        if what == "zero_motion":
            still = index.loc[index["onset"] == index["apex"], "sample_id"]
            leaves |= dict.fromkeys(still, "onset and apex are one frame (exclude: zero_motion)")
        elif what in set(allowed):
            leaves[what] = "named in corpus.exclude"
        else:
            near = difflib.get_close_matches(what, allowed, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; correct it, or leave it out"
            raise InputError(f"corpus.exclude names {what}, which is not annotated{hint}")
    return leaves
