"""Render clips in worker processes, each a few clips of one subject at a time."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from merec.assets import cache_folder
from merec.corpora.reading.depth_unit import write_unit
from merec.files import atomic
from merec.synthetic.film import Clip, Nuisance
from merec.synthetic.head_model import HeadModel, load_head_model
from merec.synthetic.identity import draw_identity
from merec.synthetic.plan import ClipPlan
from merec.synthetic.render import Portrait
from merec.synthetic.settings import Settings
from merec.synthetic.skin_map import SkinMap, wrap_head
from merec.synthetic.studio import default_camera, draw_studio
from merec.synthetic.truth import locate_truth, write_truth

_CHUNK = 48  # frames that one worker renders of a subject before another may


def render_all(
    root: Path,
    settings: Settings,
    wheel: Path,
    clips: Sequence[ClipPlan],
    order: Sequence[str],
    jobs: int,
) -> int:
    """Render clips in worker processes, with a bar; the number of frames."""
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
            delayed(film_clips)(root, settings, wheel, order.index(chunk[0].subject), chunk)
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


def film_clips(
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
                write_image(
                    folder / "color" / f"{picture.number}.jpg",
                    picture.color[..., ::-1],
                    [cv2.IMWRITE_JPEG_QUALITY, settings.quality],
                )
                # Level 1 is three times as fast as the default and a tenth larger.
                png = [cv2.IMWRITE_PNG_COMPRESSION, 1]
                file = folder / "depth" / f"{picture.number}.png"
                write_image(file, picture.depth, png, settings.depth_step)
            write_truth(clip, locate_truth(root, plan.folder))
    return sum(len(clip.frames) for clip in clips)


def write_image(file: Path, image: np.ndarray, options: list[int], unit: float | int = 1) -> None:
    """Write a picture at once or not at all; `unit` in mm of depth, see `write_unit`."""
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
