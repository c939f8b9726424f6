"""Random sample on which representations are checked without rendering a face."""

from pathlib import Path

import numpy as np

from merec.features.onset_apex_features import Pair
from merec.features.regions import REGIONS
from merec.features.representations import Parts
from merec.features.settings import Settings
from merec.types import Camera


def draw_parts(seed: int, settings: Settings, modality: str, views: tuple[str, ...] = ()) -> Parts:
    """Create random inputs (noise, no face) from which a representation of one sample can be computed.

    Args:
        seed: Seed of the sample.
        settings: Settings of all stages.
        modality: `rgb` draws no depth.
        views: Names of the two views, if the representation reads views.
    """
    size, rng = settings.crops.size, np.random.default_rng(seed)
    has_depth = modality != "rgb"
    names = [Path(f"{number}.png") for number in range(settings.clip.frames)]
    color = {name: rng.integers(50, 200, (size, size, 3), np.uint8) for name in names}
    depth = {
        name.with_suffix(".depth.png"): rng.integers(790, 810, (size, size)).astype(np.uint16)
        for name in names
    }
    contents = {file: _encode(image) for file, image in (color | depth).items()}
    clip = tuple(zip(color, depth, strict=True)) if has_depth else tuple((file,) for file in color)
    onset, apex = names[0], names[-1]
    maps = (clip[0][-1], clip[-1][-1]) if has_depth else None
    camera = Camera(size, size, size / 2, size / 2, size, size)
    crops = {
        "onset": color[onset],
        "apex": color[apex],
        "frame": np.array([size, size]),
        "matrix": np.eye(2, 3),
        "landmarks": rng.uniform(0, size, (2, 478, 3)).astype(np.float32),
    }
    motion = {
        "flow": rng.normal(size=(size, size, 2)).astype(np.float16),
        "head": rng.normal(size=(size, size, 2)).astype(np.float16),
        "face": np.ones((size, size), bool),
        "regions": np.ones((len(REGIONS), size, size), bool),
    }
    if has_depth:
        crops["depth"] = np.stack([depth[file] for file in maps or ()]).astype(np.float32)
        motion["dz"] = rng.normal(size=(size, size)).astype(np.float16)
        motion["known"] = rng.random((size, size)) < 0.9
    pair = Pair(f"drawn_{seed}", (onset, apex), maps, camera, clip)
    return Parts(pair, contents, crops, motion, settings, modality, views)


def _encode(image: np.ndarray) -> bytes:
    import cv2

    return cv2.imencode(".png", image)[1].tobytes()
