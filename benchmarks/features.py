"""Speed of features, and where the time goes."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import pandas as pd
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

from benchmarks.rendering import default_settings
from merec.config import build, compose_node
from merec.features import FeatureStore, faces, onset_apex_features, sample
from merec.features.alignment import Alignment
from merec.features.representations import flow_map, open_representation, points, views
from merec.features.store import Store
from merec.synthetic.synthesize import synthesize
from merec.types import Corpus

SIZES = ((640, 480), (1280, 720))
SUBJECTS = 3  # of 8 samples each
REPRESENTATIONS = [
    (open_representation(name), modality)
    for name, modality in (
        ("points", "fused"),
        ("points", "rgb"),
        ("flow_map", "rgb"),
        ("views", "fused"),
    )
]
# The functions of each step, and where they are called from; none of them calls another.
STEPS: dict[str, list[tuple[Any, str]]] = {
    "read and hash": [(sample, "read_bytes"), (sample, "hash_content"), (faces, "hash_content")],
    "decode colour, twice": [(onset_apex_features, "decode_color")],
    "decode depth, twice": [(onset_apex_features, "decode_depth")],
    "landmarks, twice": [(faces, "find_face")],
    "crop": [
        (onset_apex_features, "align_face"),
        (Alignment, "crop_color"),
        (Alignment, "crop_depth"),
    ],
    "flow": [(onset_apex_features, "measure_flow")],
    "regions": [(onset_apex_features, "draw_regions")],
    "head motion": [
        (onset_apex_features, "estimate_head_motion"),
        (onset_apex_features, "remove_head_depth"),
    ],
    "depth change": [(onset_apex_features, "measure_depth_change")],
    "structure from depth": [(points, "back_project"), (points, "find_outliers")],
    "structure from landmarks": [(points, "shape_from_landmarks")],
    "points": [(points, "scale_motion"), (points, "choose_points"), (points, "normalise")],
    "flow map": [(flow_map, "make_flow_map")],
    "views": [(views, "make_views")],
    "write": [(Store, "save")],
}


def render(root: Path, size: tuple[int, int]) -> Corpus:
    """Return the default synthetic corpus of three subjects, with depth.

    Args:
        root: A folder of its own.
        size: Width and height of the frames in px.
    """
    settings = replace(
        default_settings(),
        subjects=SUBJECTS,
        samples=8,
        frames="key",
        width=size[0],
        height=size[1],
    )
    synthesize(root, settings, -1)
    return build(compose_node("corpus", ["corpus=synthetic"]), root=str(root))


def open_store(root: Path) -> FeatureStore:
    """Return a store with the settings of `features`."""
    return build(compose_node("features", []), root=str(root))


def measure_steps(corpus: Corpus, root: Path) -> dict[str, float]:
    """Milliseconds of processor time (of all threads) per sample of each step, in this process.

    Args:
        corpus: Of frames with depth.
        root: A store of its own.
    """
    spent = dict.fromkeys(STEPS, 0.0)

    def time_it(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*given: Any) -> Any:
            started = time.process_time()
            try:
                return function(*given)
            finally:
                spent[step] += time.process_time() - started

        return timed

    first = replace(corpus, index=corpus.index[:1])
    open_store(root / "first").prepare(
        first, 1, REPRESENTATIONS
    )  # libraries are limited once loaded
    with threadpool_limits(1), ExitStack() as stack:
        for step, places in STEPS.items():
            for owner, name in places:
                stack.enter_context(patch.object(owner, name, time_it(step, getattr(owner, name))))
        features = open_store(root / "all")
        started = time.process_time()
        table = features.prepare(corpus, 1, REPRESENTATIONS)
        whole = time.process_time() - started
    assert table["status"].eq("ready").all()
    spent["keys, masks, the rest"] = whole - sum(spent.values())
    return {step: 1e3 * seconds / len(table) for step, seconds in spent.items()}


def pair_key_frames(corpus: Corpus) -> Corpus:
    """Return the corpus with all key frames of its clips in pairs, so that no two samples share a file.

    What is made of a sample does not depend on which frames of a clip they are.
    """
    clips = corpus.index.drop_duplicates(["subject", "clip"])
    rows = [
        row | {"sample_id": f"{row['subject']}/{row['clip']}/{onset}", "onset": onset, "apex": apex}
        for row in clips.to_dict("records")
        for numbers in [row["color"].numbers()]
        for onset, apex in zip(numbers[::2], numbers[1::2], strict=False)
    ]
    return replace(corpus, index=pd.DataFrame(rows))


def measure_rates(corpus: Corpus, root: Path) -> dict[str, float]:
    """Measure how fast `FeatureStore.prepare` makes fused points; medians of three.

    Args:
        corpus: Of frames with depth.
        root: For the stores.

    Returns:
        Samples/s: `two`: by two processes, their start included; `again`: the same when all is there;
        `one`: within this process. `core ms`: per sample of `two`, on whatever core, start included.
    """
    actual: dict[str, list[float]] = {"two": [], "again": [], "one": [], "core ms": []}
    for turn in range(3):
        for name, jobs, store in (("two", 2, "two"), ("again", 2, "two"), ("one", 1, "one")):
            features = open_store(root / f"{store}-{turn}")
            before, started = os.times(), time.perf_counter()
            table = features.prepare(corpus, jobs, [(open_representation("points"), "fused")])
            actual[name].append(len(table) / (time.perf_counter() - started))
            assert table["status"].eq("ready").all()
            get_reusable_executor().shutdown()  # or the processes would be there in the next round
            if name == "two":  # those that have ended are counted
                seconds = sum(
                    after - b for after, b in zip(os.times()[:4], before[:4], strict=True)
                )
                actual["core ms"].append(1e3 * seconds / len(table))
    return {name: median(values) for name, values in actual.items()}


def describe_features(folder: Path) -> list[str]:
    """Lines for the README of the measurements."""
    lines, steps = [], []
    for width, height in SIZES:
        corpus = render(folder / f"{height}", (width, height))
        steps.append(measure_steps(corpus, folder / f"steps-{height}"))
        pairs = pair_key_frames(corpus)
        rates = measure_rates(pairs, folder / f"rates-{height}")
        lines.append(
            f"| {width}×{height} | {len(pairs.index)} | {rates['two']:.1f} | {rates['one']:.1f} | "
            f"{rates['again']:.0f} | {rates['core ms']:.0f} |"
        )
    small, large = steps
    return [
        "",
        "## Features",
        "",
        "Samples/s of `FeatureStore.prepare` into an empty store, with depth, flow by DIS and fused points; "
        "the start of the processes is included. The samples are pairs of key frames of rendered clips, and "
        "no two share a file.",
        "",
        "| frames | samples | two processes | one, without start | two, all there | core-ms a sample, two |",
        "|---|---|---|---|---|---|",
        *lines,
        "",
        "| step (one core, onset and apex) | ms per sample, 640×480 | ms per sample, 1280×720 |",
        "|---|---|---|",
        *(f"| {name} | {ms:.1f} | {large[name]:.1f} |" for name, ms in small.items()),
        f"| all | {sum(small.values()):.1f} | {sum(large.values()):.1f} |",
        "",
        "Milliseconds are of processor time, with fused and rgb points, an rgb flow map and fused views; one "
        "representation needs only its own.",
    ]
