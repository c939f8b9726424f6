"""Checks of the opened images: readable, equal size, colour, depth in mm."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from merec.corpora.doctor.samples import ClipFrames, format_ranges, name_keys
from merec.corpora.doctor.scan import Pixels, Scan
from merec.corpora.reading.folders import relate
from merec.types import Camera, Finding, Frames

NEARLY_EMPTY = 0.05  # share of valid pixels
PLAUSIBLE = (100.0, 10_000.0)  # mm, the median of a depth map of a face before a wall
_AGAIN = "copy the frame again from its source, or leave the sample out (corpus.exclude)"
_DEPTH = "expected 16-bit PNG with one channel, in mm, 0 = invalid; export the depth maps again"

_TURNED = "datamodule=rgb turns it upright; depth and its colour must lie upright, without the tag"

Size = tuple[int, int]  # width × height in px
Problem = tuple[str, str, str]  # kind, found, remedy


def judge_pixels(
    clips: Sequence[ClipFrames], scans: Sequence[Scan], camera: Camera | None, root: Path | None
) -> Iterator[Finding]:
    """Check every opened image; a problem of the whole corpus is reported once."""
    sizes = Counter(size for scan in scans for size in _sizes(scan.color_pixels))
    usual: Size | None = None
    if camera and sizes:
        usual = _most_common(sizes)
        if usual != (camera.width, camera.height):
            yield Finding(
                "error",
                "wrong size",
                "",
                None,
                "",
                f"most frames are {_write(usual)}, corpus.intrinsics is for {camera.width}×{camera.height}",
                "expected the camera of these frames; set corpus.intrinsics to it, or corpus.root",
            )
    grey = _find_grey(clips, scans)
    for name in sorted(grey):
        problem = f"the frames of {name} are grey"
        remedy = "right if they were recorded so (SAMM was); else copy the colour frames"
        yield Finding("note", "grey colour", "", None, "", problem, remedy)
    for clip, scan in zip(clips, scans, strict=True):
        frame_sizes = Counter(_sizes(scan.color_pixels))
        size = usual or (_most_common(frame_sizes) if frame_sizes else None)

        def judge_color(number: int, pixels: Pixels, size: Size | None = size) -> Iterator[Problem]:
            return _judge_color(pixels, size)

        def judge_depth(
            number: int, pixels: Pixels, size: Size | None = size, scan: Scan = scan
        ) -> Iterator[Problem]:
            beside = scan.color_pixels.get(number)
            # A colour frame of a wrong size is told of itself, and says nothing about its depth.
            same = beside is not None and _size(beside) == _size(pixels)
            return _judge_depth(pixels, None if same else size)

        skipped = {"grey colour"} if {s.corpus for s in clip.samples} <= grey else set()
        yield from _gather(clip, clip.color, scan.color_pixels, judge_color, skipped, root)
        if clip.depth:
            yield from _gather(clip, clip.depth, scan.depth_pixels, judge_depth, set(), root)
        yield from _find_frozen(clip, scan, root)


def _judge_color(pixels: Pixels, size: Size | None) -> Iterator[Problem]:
    if pixels.problem:
        yield "unreadable image", pixels.problem, _AGAIN
        return
    yield from _judge_size(pixels, size, "wrong size", f"as the others; {_AGAIN}")
    if pixels.orientation != 1:
        yield "turned frame", f"EXIF orientation {pixels.orientation}", _TURNED
    if pixels.grey:
        yield "grey colour", "no colour", f"expected colour as in the others; {_AGAIN}"


def _judge_depth(pixels: Pixels, size: Size | None) -> Iterator[Problem]:
    if pixels.problem:
        yield "unreadable depth", pixels.problem, _AGAIN
        return
    remedy = "as its colour, pixel on pixel; export the depth again"
    yield from _judge_size(pixels, size, "depth of another size", remedy)
    if pixels.orientation != 1:
        yield "turned depth", f"EXIF orientation {pixels.orientation}", _TURNED
    elif pixels.channels != 1:
        yield "depth with channels", f"{pixels.channels} channels of {pixels.bits} bits", _DEPTH
    elif pixels.bits != 16:
        yield "8-bit depth", f"{pixels.bits} bits", _DEPTH
    elif not pixels.valid:
        yield "empty depth", "every pixel is 0", _AGAIN
    elif not PLAUSIBLE[0] <= pixels.median <= PLAUSIBLE[1]:
        yield "implausible depth", f"median {pixels.median:.0f} mm", _DEPTH
    if 0 < pixels.valid < NEARLY_EMPTY:
        yield "nearly empty depth", f"{1 - pixels.valid:.0%} of the pixels are 0", _AGAIN


def _judge_size(pixels: Pixels, size: Size | None, kind: str, remedy: str) -> Iterator[Problem]:
    if size and _size(pixels) != size:
        yield kind, _write(_size(pixels)), f"expected {_write(size)} {remedy}"


def _gather(
    clip: ClipFrames,
    frames: Frames,
    opened: Mapping[int, Pixels],
    judge: Callable[[int, Pixels], Iterator[Problem]],
    skipped: set[str],
    root: Path | None,
) -> Iterator[Finding]:
    """Return one finding per sample and kind, with the affected frames."""
    problems = {number: list(judge(number, pixels)) for number, pixels in sorted(opened.items())}
    for sample in clip.samples:
        hits: dict[str, dict[int, Problem]] = {}
        for number, several in problems.items():
            if not sample.frames or number in sample.numbers:
                for problem in several:
                    hits.setdefault(problem[0], {})[number] = problem
        for kind, by_number in hits.items():
            if kind in skipped:
                continue
            _, message, remedy = by_number[min(by_number)]
            where = frames.path(min(by_number)) if len(by_number) == 1 else frames.folder
            numbers = f"{format_ranges(by_number)}{name_keys(sample, by_number)}"
            severity = "error" if sample.keys & by_number.keys() else "warning"
            if kind in ("grey colour", "turned frame"):
                severity = "warning"
            yield sample.report(
                severity, kind, relate(where, root), f"{numbers}: {message}", remedy
            )


def _find_frozen(clip: ClipFrames, scan: Scan, root: Path | None) -> Iterator[Finding]:
    for sample in clip.samples:
        onset, apex = sample.frames.get("onset"), sample.frames.get("apex")
        if onset is None or apex is None or onset == apex:
            continue
        one, other = scan.color_pixels.get(onset), scan.color_pixels.get(apex)
        if one and other and one.digest and one.digest == other.digest:
            problem = f"onset {onset} and apex {apex} are one image"
            where = relate(clip.color.folder, root)
            yield sample.report("warning", "frozen clip", where, problem, _AGAIN)


def _find_grey(clips: Sequence[ClipFrames], scans: Sequence[Scan]) -> set[str]:
    """Return the data sets in which more than half of the opened frames are grey."""
    counts: dict[str, list[bool]] = {}
    for clip, scan in zip(clips, scans, strict=True):
        grey = [pixels.grey for pixels in scan.color_pixels.values() if not pixels.problem]
        for corpus in {sample.corpus for sample in clip.samples}:
            counts.setdefault(corpus, []).extend(grey)
    return {name for name, grey in counts.items() if sum(grey) > len(grey) / 2}


def _sizes(opened: Mapping[int, Pixels]) -> list[Size]:
    return [_size(pixels) for _, pixels in sorted(opened.items()) if not pixels.problem]


def _size(pixels: Pixels) -> Size:
    return pixels.width, pixels.height


def _most_common(sizes: Counter[Size]) -> Size:
    return max(sorted(sizes), key=lambda size: sizes[size])


def _write(size: Size) -> str:
    return f"{size[0]}×{size[1]} px"
