"""Checks that the folders and frames of the samples exist under the expected names."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from merec.corpora.doctor.samples import ClipFrames, Sample, format_ranges, name_keys
from merec.corpora.doctor.scan import Listing, Scan
from merec.corpora.reading.folders import relate
from merec.types import Finding, Frames

_AGAIN = "copy the clip again from its source, or leave the sample out (corpus.exclude)"
_NUMBERING = "expected the annotation's numbers, without zeros before them; number the frames so"


class Folders:
    """Finder of folders whose names differ in case; each parent folder is listed once."""

    def __init__(self) -> None:
        self._names: dict[Path, list[str]] = {}

    def list_names(self, parent: Path) -> list[str]:
        """List the names in a folder; empty if it cannot be listed."""
        if parent not in self._names:
            try:
                self._names[parent] = sorted(path.name for path in parent.iterdir())
            except OSError:
                self._names[parent] = []
        return self._names[parent]

    def find_near(self, path: Path) -> Path | None:
        """Return the part of a missing `path` that exists with a name that differs only in case."""
        missing = path
        while not missing.parent.exists():
            missing = missing.parent
        for name in self.list_names(missing.parent):
            if name.casefold() == missing.name.casefold() and name != missing.name:
                return missing.with_name(name)
        return None

    def find_lookalikes(self, paths: Collection[Path], root: Path | None) -> list[Finding]:
        """Return folders whose names differ only in case from a folder of the samples."""
        named = {
            folder
            for path in paths
            for folder in (path, *path.parents)
            if root is None or root in folder.parents
        }
        findings = []
        for folder in sorted(named):
            names = self.list_names(folder.parent) if root else []
            if folder.name not in names:  # a missing folder is reported with its clip
                continue
            spellings = [n for n in names if n.casefold() == folder.name.casefold()]
            for spelling in spellings:
                other = folder.with_name(spelling)
                if other not in named and other.is_dir():
                    text = f"{spelling} lies beside {folder.name}; no sample is read from it"
                    remedy = "expected one folder; merge the two under the annotation's spelling"
                    where = relate(other, root)
                    findings.append(
                        Finding("warning", "spelling of folder", where, None, "", text, remedy)
                    )
        return findings


def judge_files(
    clip: ClipFrames, scan: Scan, key_frames: Sequence[str], folders: Folders, root: Path | None
) -> Iterator[Finding]:
    """Compare the folders of a clip with the frames of its samples: every frame, or `key_frames`."""
    trouble = _judge_folder(clip.samples, clip.color, scan.color, "", folders, root)
    if trouble:
        yield from trouble
        return
    lacks_depth = False
    if clip.depth and scan.depth:
        depth_trouble = _judge_folder(clip.samples, clip.depth, scan.depth, "depth ", folders, root)
        lacks_depth = bool(depth_trouble)
        yield from depth_trouble
    depth = frozenset() if scan.depth is None or lacks_depth else _all_numbers(scan.depth)
    color = _all_numbers(scan.color)
    for sample in clip.samples:
        whole = sample.numbers if sample.frames else color | depth
        yield from _judge_numbering(sample, clip.color, scan.color, whole, root)
        if not whole & color:
            continue  # said by then
        required = whole
        if key_frames and sample.frames:
            required = frozenset(
                sample.frames[name] for name in key_frames if name in sample.frames
            )
        gone = (required | (depth & whole)) - color
        yield from _report(sample, "missing frame", clip.color, gone, whole, root)
        yield from _report_empty(sample, clip.color, scan.color, whole, root)
        if clip.depth and scan.depth and not lacks_depth:
            yield from _judge_numbering(sample, clip.depth, scan.depth, whole, root)
            gone = (color & whole) - depth if whole & depth else frozenset()
            yield from _report(sample, "missing depth frame", clip.depth, gone, whole, root)
            yield from _report_empty(sample, clip.depth, scan.depth, whole, root)


def _all_numbers(listing: Listing) -> frozenset[int]:
    """Return the numbers of all frames that exist, also of misspelt ones."""
    return listing.numbers.union(listing.misspelt)


def _judge_folder(
    samples: Sequence[Sample],
    frames: Frames,
    listing: Listing,
    what: str,
    folders: Folders,
    root: Path | None,
) -> list[Finding]:
    """Find problems of a whole folder; there is one finding per clip."""
    where = relate(frames.folder, root)
    if listing.exists and not listing.problem and _all_numbers(listing):
        return []
    remedy = f"{_AGAIN}; corpus.root=FOLDER says where the corpus lies"
    if listing.problem:
        kind, problem = "unreadable folder", listing.problem
        remedy = "expected a folder that you may list; change its permissions"
    elif not listing.exists:
        kind, problem = f"missing {what}folder", "there is no such folder"
        near = folders.find_near(frames.folder)
        if frames.folder.is_file():
            problem = f"{frames.folder.name} is a file, a folder of frames is expected"
        elif near:
            expected = frames.folder.parts[len(near.parts) - 1]
            problem = f"{near.name} lies there, {expected} is expected"
            remedy = f"rename {relate(near, root)} to {expected}"
    elif listing.strangers:
        kind = "frames numbered differently"
        first, last = listing.strangers[0], listing.strangers[-1]
        span = first if first == last else f"{first} … {last}"
        expected = frames.name.format(next(iter(samples[0].frames.values()), 1))
        problem, remedy = f"{span} lie there, names such as {expected} are expected", _NUMBERING
    else:
        kind, problem, remedy = f"dead {what}clip", "the folder holds no frame", _AGAIN
    first_sample, *more_samples = samples
    if more_samples:
        problem += f" ({len(samples)} samples: {', '.join(s.sample_id for s in samples[:8])}"
        problem += ", …)" if len(samples) > 8 else ")"
    scored = next((sample for sample in samples if sample.scored), first_sample)
    return [scored.report("error", kind, where, problem, remedy)]


def _judge_numbering(
    sample: Sample, frames: Frames, listing: Listing, whole: frozenset[int], root: Path | None
) -> Iterable[Finding]:
    where = relate(frames.folder, root)
    kind = "frames numbered differently"
    wrong = sorted(whole & listing.misspelt.keys())
    if wrong:
        name = frames.name.format(wrong[0])
        problem = (
            f"{listing.misspelt[wrong[0]]} where {name} is expected ({len(wrong)} such frames)"
        )
        yield sample.report("error", kind, where, problem, _NUMBERING)
    elif not whole & listing.numbers:
        there = format_ranges(listing.numbers, most=4)
        problem = f"frames {there} lie there, none of {format_ranges(whole, most=4)}"
        remedy = f"{_NUMBERING}, or {_AGAIN}"
        yield sample.report("error", kind, where, problem, remedy)


def _report(
    sample: Sample,
    kind: str,
    frames: Frames,
    gone: frozenset[int],
    whole: frozenset[int],
    root: Path | None,
) -> Iterable[Finding]:
    if gone:
        severity = "error" if gone & sample.keys else "warning"
        where = frames.path(min(gone)) if len(gone) == 1 else frames.folder
        problem = (
            f"{format_ranges(gone)} of {format_ranges(whole, most=4)}{name_keys(sample, gone)}"
        )
        yield sample.report(severity, kind, relate(where, root), problem, _AGAIN)


def _report_empty(
    sample: Sample, frames: Frames, listing: Listing, whole: frozenset[int], root: Path | None
) -> Iterable[Finding]:
    empty = listing.empty & whole
    if empty:
        severity = "error" if empty & sample.keys else "warning"
        where = frames.path(min(empty)) if len(empty) == 1 else frames.folder
        problem = f"no bytes in {format_ranges(empty)}{name_keys(sample, empty)}"
        yield sample.report(severity, "empty file", relate(where, root), problem, _AGAIN)
