"""Examination of a corpus on disk: findings by row, each with a remedy."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from merec.corpora.doctor.classes import judge_classes
from merec.corpora.doctor.files import Folders, judge_files
from merec.corpora.doctor.pixels import judge_pixels
from merec.corpora.doctor.rows import judge_index, judge_rows
from merec.corpora.doctor.samples import ClipFrames, collect_clips
from merec.corpora.doctor.scan import Scan, scan_clips
from merec.types import Corpus, Finding

log = logging.getLogger(__name__)

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Examination:
    """Result of the examination of a corpus.

    Attributes:
        corpus: The corpus.
        findings: Errors first, then warnings, then notes; each by kind, row and sample.
        clips: Number of clips, including macro-expressions and unlabelled clips.
        wanted: Number of frames from onset to offset of all samples.
        color: Number of these frames that exist in colour.
        depth: Number of these frames that exist in depth.
        opened: Number of images that were opened.
        sparse: Data sets with key frames only, see `Corpus.key_frames`.
    """

    corpus: Corpus
    findings: tuple[Finding, ...]
    clips: int
    wanted: int
    color: int
    depth: int
    opened: int
    sparse: tuple[str, ...]

    def count(self, severity: str) -> int:
        """Return the number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


def examine(
    corpus: Corpus,
    root: Path | None,
    deep: bool = False,
    jobs: int = -1,
    faces: Sequence[Finding] = (),
) -> Examination:
    """Compare a corpus with its files.

    Folders are listed once. Onset and apex of each sample are opened, in colour and depth, because every
    method reads them.

    Args:
        corpus: Corpus that was read with `lenient=True`, so that `findings` contains the errors of the
            annotation.
        root: Root of the corpus, to which folder names in findings are relative.
        deep: Open every frame from onset to offset.
        jobs: Number of processes; -1 for one per core.
        faces: Findings about faces; those about samples with file errors are left out.
    """
    root = root.expanduser() if root else None
    clips = collect_clips(corpus)
    scans = _scan(clips, deep, jobs)
    folders = Folders()
    findings = list(corpus.findings)
    findings += judge_index(corpus)
    findings += judge_rows(clips, root, corpus.findings)
    for clip, scan in zip(clips, scans, strict=True):
        findings += judge_files(clip, scan, corpus.key_frames, folders, root)
    findings += folders.find_lookalikes([clip.color.folder for clip in clips], root)
    findings += judge_pixels(clips, scans, corpus.camera, root)
    findings += judge_classes(corpus)
    flawed = {finding.sample_id for finding in findings if finding.severity == "error"} - {""}
    findings += [finding for finding in faces if finding.sample_id not in flawed]
    wanted = color = depth = 0
    for clip, scan in zip(clips, scans, strict=True):
        numbers = clip.make_request().wanted
        needed = scan.color.numbers if numbers is None else numbers
        wanted += len(needed)
        color += len(needed & scan.color.numbers)
        depth += len(needed & scan.depth.numbers) if scan.depth else 0
    opened = sum(len(scan.color_pixels) + len(scan.depth_pixels) for scan in scans)
    return Examination(
        corpus,
        tuple(sorted(_merge(findings, clips), key=_order)),
        len(clips),
        wanted,
        color,
        depth,
        opened,
        tuple(sorted(corpus.index["corpus"].unique())) if corpus.key_frames else (),
    )


def _scan(clips: Sequence[ClipFrames], deep: bool, jobs: int) -> list[Scan]:
    console = Console(stderr=True)
    scans = scan_clips([clip.make_request() for clip in clips], deep, jobs)
    return list(
        track(
            scans,
            "clips",
            total=len(clips),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
    )


def _merge(findings: Sequence[Finding], clips: Sequence[ClipFrames]) -> list[Finding]:
    """Merge the findings into one if no clip of the protocol has a folder, since then the root is wrong."""
    total = len([clip for clip in clips if any(sample.scored for sample in clip.samples)])
    merged = list(findings)
    for kind in ("missing folder", "missing depth folder"):
        alike = [
            finding for finding in merged if finding.kind == kind and finding.severity == "error"
        ]
        if total > 1 and len(alike) == total:
            text = f"none of {total} folders is there, e.g. {alike[0].where}: {alike[0].found}"
            remedy = "set corpus.root=FOLDER to where the corpus lies, or copy what is missing"
            once = Finding("error", kind, "", None, "", text, remedy)
            merged = [finding for finding in merged if finding not in alike] + [once]
    return merged


def _order(finding: Finding) -> tuple:
    row = -1 if finding.row is None else finding.row
    return (
        SEVERITIES.index(finding.severity),
        finding.kind,
        row,
        finding.sample_id,
        finding.where,
        finding.found,
    )
