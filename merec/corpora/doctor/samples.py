"""Samples of a corpus for the doctor, grouped by clip."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd

from merec.corpora.doctor.scan import Request
from merec.types import Corpus, Finding, Frames

_LONGEST = (
    100_000  # frames, an hour of video: beyond it a number is mistyped, and only key frames count
)


@dataclass(frozen=True)
class Sample:
    """Sample, or unlabelled clip without frame numbers.

    Attributes:
        sample_id: Sample id of the sample or the clip.
        row: Row of the annotation, if it has one.
        corpus: Data set of the sample.
        subject: Subject of the sample.
        clip: Name of the clip within the data set.
        frames: Known frame numbers by name: `onset`, `apex`, `offset`.
        scored: Whether it belongs to the protocol, or would after a correction of its row. False for
            macro-expressions and unlabelled clips.
    """

    sample_id: str
    row: int | None
    corpus: str
    subject: str
    clip: str
    frames: dict[str, int]
    scored: bool

    @property
    def is_ordered(self) -> bool:
        """True if the known numbers satisfy onset ≤ apex ≤ offset."""
        numbers = [self.frames[name] for name in ("onset", "apex", "offset") if name in self.frames]
        return numbers == sorted(numbers)

    @property
    def keys(self) -> frozenset[int]:
        """Numbers of onset, apex and offset."""
        return frozenset(self.frames.values())

    @property
    def numbers(self) -> frozenset[int]:
        """Return all frames from onset to offset; only the key frames if these are out of order."""
        if not self.keys or not self.is_ordered or max(self.keys) - min(self.keys) > _LONGEST:
            return self.keys
        return frozenset(range(min(self.keys), max(self.keys) + 1))

    def report(self, severity: str, kind: str, where: str, problem: str, remedy: str) -> Finding:
        """Return a finding about this sample; its severity is at most a warning outside the protocol."""
        severity = "warning" if severity == "error" and not self.scored else severity
        return Finding(severity, kind, where, self.row, self.sample_id, problem, remedy)


@dataclass(frozen=True)
class ClipFrames:
    """Folder of frames with its samples, at least one."""

    color: Frames
    depth: Frames | None
    samples: tuple[Sample, ...]

    def make_request(self) -> Request:
        """Return the request for the scan of this clip."""
        if not any(sample.frames for sample in self.samples):
            return Request(self.color, self.depth, None, frozenset())
        key_frames = [s.frames[k] for s in self.samples for k in ("onset", "apex") if k in s.frames]
        wanted = frozenset().union(*(sample.numbers for sample in self.samples))
        return Request(self.color, self.depth, wanted, frozenset(key_frames))


def is_whole(value: object) -> bool:
    """Return whether a cell of an index holds a whole number; a text or a missing value does not."""
    return isinstance(value, Real) and float(value).is_integer()


def collect_clips(corpus: Corpus) -> list[ClipFrames]:
    """Return all clips: samples, macro-expressions and unlabelled clips; empty for flow maps."""
    clips: dict[tuple[Path, str], list[tuple[Frames, Frames | None, Sample]]] = {}
    tables = (
        (corpus.index, True),
        (corpus.rejected, True),  # a bad row is no reason to overlook its files
        (corpus.macro, False),
        (corpus.unlabelled, False),
    )
    for table, scored in tables:
        if table is None or "color" not in table:
            continue
        for row in table.to_dict("records"):
            color, depth = row["color"], row.get("depth")
            depth = depth if isinstance(depth, Frames) else None
            sample = _make_sample(row, scored)
            clips.setdefault((color.folder, color.name), []).append((color, depth, sample))
    return [
        ClipFrames(
            entries[0][0],
            next((depth for _, depth, _ in entries if depth), None),
            tuple(sample for _, _, sample in entries),
        )
        for entries in clips.values()
    ]


def _make_sample(row: dict[Any, Any], scored: bool) -> Sample:
    number = row.get("row")
    names = [name for name in ("onset", "apex", "offset") if is_whole(row.get(name))]
    return Sample(
        sample_id=str(row["sample_id"] if "sample_id" in row else row["clip_id"]),
        row=None if number is None or pd.isna(number) else int(number),
        corpus=str(row["corpus"]),
        subject=str(row["subject"]),
        clip=str(row["clip"]),
        frames={name: int(row[name]) for name in names},
        scored=scored,
    )


def format_ranges(numbers: Iterable[int], most: int = 8) -> str:
    """Format numbers as `12, 355–360`; if there are many ranges, the first ones and the number of others."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    text = [str(first) if first == last else f"{first}–{last}" for first, last in ranges]
    rest = sum(last - first + 1 for first, last in ranges[most:])
    return ", ".join(text[:most]) + (f" and {rest} more" if rest else "")


def name_keys(sample: Sample, numbers: Iterable[int]) -> str:
    """Name the key frames of a sample that are in a list of numbers: ` (the onset, the apex)`, or ""."""
    hit = [f"the {name}" for name, number in sample.frames.items() if number in set(numbers)]
    return f" ({', '.join(hit)})" if hit else ""
