"""Checks of an annotation without access to the frames: order, motion, duplicates."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from merec.corpora.doctor.samples import ClipFrames, Sample, is_whole
from merec.corpora.reading.folders import relate
from merec.corpora.reading.subjects import spell_subject
from merec.types import Corpus, Finding


def judge_index(corpus: Corpus) -> Iterator[Finding]:
    """Find key frames that are no whole numbers, and subjects whose names differ in spelling only."""
    index = corpus.index
    rows = [int(row) if is_whole(row) else None for row in index.get("row", [None] * len(index))]
    for name in ("onset", "apex"):
        for row, sample_id, value in zip(
            rows, index["sample_id"], index.get(name, ()), strict=False
        ):
            if not is_whole(value):
                problem = f"{name} {value!r} is no whole number"
                remedy = "expected a frame number; correct the row, or leave it out in the reader"
                yield Finding("error", "not a number", "", row, sample_id, problem, remedy)
    first: dict[tuple[str, str], str] = {}
    pairs = zip(index["corpus"], index["subject"], strict=True)
    for row, sample_id, (data_set, subject) in zip(rows, index["sample_id"], pairs, strict=True):
        other = first.setdefault((data_set, spell_subject(subject)), subject)
        if other != subject:
            problem = f"subject {subject!r} is {other!r} in another spelling"
            remedy = "expected one name per person, or a person is in training and test; spell them alike"
            yield Finding("error", "one subject", "", row, sample_id, problem, remedy)


def judge_rows(
    clips: Sequence[ClipFrames], root: Path | None, earlier: Collection[Finding]
) -> list[Finding]:
    """Check the frame numbers of each sample, and find duplicate samples.

    Args:
        clips: All clips.
        root: Root of the corpus, to which folder names in findings are relative.
        earlier: Findings of the loader, which are not repeated.
    """
    reported = {(finding.kind, finding.sample_id) for finding in earlier}
    findings = [
        finding
        for clip in clips
        for sample in clip.samples
        for finding in _judge_order(sample, relate(clip.color.folder, root))
    ]
    findings += _find_duplicates(clips, root)
    return [finding for finding in findings if (finding.kind, finding.sample_id) not in reported]


def _judge_order(sample: Sample, where: str) -> Iterable[Finding]:
    onset, apex = sample.frames.get("onset"), sample.frames.get("apex")
    offset = sample.frames.get("offset")
    numbers = ", ".join(f"{name} {number}" for name, number in sample.frames.items())
    remedy = (
        "expected onset ≤ apex ≤ offset; correct the row, or leave the sample out (corpus.exclude)"
    )
    if onset is not None and apex is not None and onset > apex:
        yield sample.report("error", "onset after apex", where, numbers, remedy)
    elif apex is not None and offset is not None and apex > offset:
        yield sample.report("error", "apex after offset", where, numbers, remedy)
    elif onset is not None and onset == apex:
        remedy = (
            "its motion from onset to apex is zero, so it is predicted, but not trained on "
            "(datamodule.drop_zero_motion); corpus.exclude=[zero_motion] leaves such samples out"
        )
        yield sample.report("note", "onset is apex", where, numbers, remedy)


def _find_duplicates(clips: Sequence[ClipFrames], root: Path | None) -> Iterable[Finding]:
    first: dict[tuple[Hashable, ...], Sample] = {}
    for clip in clips:
        for sample in clip.samples:
            onset, apex = sample.frames.get("onset"), sample.frames.get("apex")
            keys: list[tuple[Hashable, ...]] = [("id", sample.sample_id)]
            if onset is not None:
                name = (sample.corpus, sample.subject, sample.clip)
                keys += [("row", sample.scored, *name, onset)]
                keys += [("frames", sample.scored, clip.color, onset, apex)]
            earlier = [first.setdefault(key, sample) for key in keys]
            other = next((candidate for candidate in earlier if candidate is not sample), None)
            if other is None:
                continue
            row = "" if other.row is None else f" (row {other.row} from 0)"
            same = "one sample id" if other is earlier[0] else "one onset in one clip"
            yield sample.report(
                "error" if other is earlier[0] else "warning",
                "duplicate",
                relate(clip.color.folder, root),
                f"{same} with {other.sample_id}{row}",
                "expected each sample once; leave one of them out (corpus.exclude)",
            )
