"""The samples of a corpus as the doctor sees them, and the clips they are in."""

from collections.abc import Iterable
from dataclasses import dataclass
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
    """A sample, or an unlabelled clip, which has no frame numbers.

    Attributes:
        sample_id: Sample id of the sample or the clip.
        row: Row of the annotation, if it has one.
        corpus: The data set it comes from.
        subject: Whose face.
        clip: Name of the clip within the data set.
        frames: Numbers by name, `onset`, `apex`, `offset`, as far as they are known.
        scored: Whether it belongs to the protocol, or would if its row were mended; macro-expressions and
            unlabelled clips do not.
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
        """True if onset ≤ apex ≤ offset, as far as they are known."""
        numbers = [self.frames[name] for name in ("onset", "apex", "offset") if name in self.frames]
        return numbers == sorted(numbers)

    @property
    def keys(self) -> frozenset[int]:
        """Numbers of onset, apex and offset."""
        return frozenset(self.frames.values())

    @property
    def numbers(self) -> frozenset[int]:
        """All frames from onset to offset; the key frames only if those are out of order."""
        if not self.keys or not self.is_ordered or max(self.keys) - min(self.keys) > _LONGEST:
            return self.keys
        return frozenset(range(min(self.keys), max(self.keys) + 1))

    def report(self, severity: str, kind: str, where: str, problem: str, remedy: str) -> Finding:
        """Return a finding about this sample; outside the protocol nothing is worse than a warning."""
        severity = "warning" if severity == "error" and not self.scored else severity
        return Finding(severity, kind, where, self.row, self.sample_id, problem, remedy)


@dataclass(frozen=True)
class ClipFrames:
    """A folder of frames with all samples in it, at least one."""

    color: Frames
    depth: Frames | None
    samples: tuple[Sample, ...]

    def make_request(self) -> Request:
        """Return what to look at on disk."""
        if not any(sample.frames for sample in self.samples):
            return Request(self.color, self.depth, None, frozenset())
        key_frames = [s.frames[k] for s in self.samples for k in ("onset", "apex") if k in s.frames]
        wanted = frozenset().union(*(sample.numbers for sample in self.samples))
        return Request(self.color, self.depth, wanted, frozenset(key_frames))


def collect_clips(corpus: Corpus) -> list[ClipFrames]:
    """Every clip of samples, macro-expressions and the unlabelled pool; none for a corpus of flow maps."""
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
    names = [name for name in ("onset", "apex", "offset") if not pd.isna(row.get(name))]
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
    """Write numbers as `12, 355–360`; of many ranges the first ones and how many more there are."""
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
    """Which of a sample's key frames are among numbers: ` (the onset, the apex)`, or ""."""
    hit = [f"the {name}" for name, number in sample.frames.items() if number in set(numbers)]
    return f" ({', '.join(hit)})" if hit else ""
