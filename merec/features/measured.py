"""Flow maps of a corpus of frames: measured once, in parallel, and kept in the user's cache."""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from joblib import cpu_count
from rich.console import Console
from rich.progress import Progress

from merec.assets import ASSETS, cache_folder
from merec.features.flow_map import CHANNELS, measure_flow_map
from merec.features.landmarks import FaceLandmarker, draw_face_box
from merec.files import atomic
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)

SCHEMA = 1  # to be raised whenever the same frames would give other maps
MAX_THREADS = 8  # each holds a landmarker, which has threads of its own


class Pair(NamedTuple):
    """The two frames that a sample's flow is measured between."""

    sample_id: str
    onset: Path
    apex: Path


def add_flow_maps(corpus: Corpus) -> Corpus:
    """The same corpus of frames, with the onset-to-apex flow map of each sample.

    Maps are kept in the cache under a key of the samples, their files' paths, sizes and times, and whatever
    else decides about the outcome, so that a sweep measures them once.

    Raises:
        InputError: If a frame is missing or unreadable or shows no face, naming sample and file; or if the
            landmarker's model cannot be had.
    """
    columns = corpus.index[["sample_id", "color", "onset", "apex"]]
    pairs = [
        Pair(sample_id, color.path(int(onset)), color.path(int(apex)))
        for sample_id, color, onset, apex in columns.itertuples(index=False)
    ]
    kept = cache_folder() / "flow_maps" / f"{_make_key(pairs, corpus.protocol.name)}.npz"
    maps = _read(kept, pairs)
    if maps is None:
        log.info("measuring the flow maps of %d samples into %s", len(pairs), kept)
        maps = _measure(pairs, corpus.protocol.name)
        _write(kept, pairs, maps)
    return replace(corpus, flow_maps=maps, channels=CHANNELS)


def _make_key(pairs: Sequence[Pair], name: str) -> str:
    """20 hex digits that change when the maps might.

    Raises:
        InputError: If a frame is missing.
    """
    import cv2

    model = ASSETS["face_landmarker"].sha256
    facts: list[object] = [SCHEMA, model, version("mediapipe"), cv2.__version__]
    missing = []
    for pair in pairs:
        try:
            for file in (pair.onset, pair.apex):
                found = file.stat()
                facts.append(
                    (pair.sample_id, os.fspath(file.resolve()), found.st_size, found.st_mtime_ns)
                )
        except OSError as error:
            missing.append(f"sample {pair.sample_id}: {file} cannot be read ({error.strerror})")
    _refuse(missing, name)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _measure(pairs: Sequence[Pair], name: str) -> UInt8[np.ndarray, "samples 3 28 28"]:
    """The maps in the order of `pairs`, whichever thread measured which."""
    workers = max(1, min(cpu_count(), MAX_THREADS, len(pairs)))
    idle: SimpleQueue[FaceLandmarker] = SimpleQueue()

    def measure(pair: Pair) -> np.ndarray | str:
        landmarker = idle.get()
        try:
            return _measure_pair(pair, landmarker)
        finally:
            idle.put(landmarker)

    with ExitStack() as stack:
        for _ in range(workers):
            idle.put(stack.enter_context(FaceLandmarker()))
        threads = ThreadPoolExecutor(workers)
        stack.callback(
            threads.shutdown, cancel_futures=True
        )  # so that Ctrl-C does not wait for all
        console = Console(stderr=True)
        bars = stack.enter_context(Progress(console=console, disable=not console.is_terminal))
        measured = threads.map(measure, pairs)
        results = [*bars.track(measured, total=len(pairs), description="flow maps")]
    _refuse([result for result in results if isinstance(result, str)], name)
    return np.stack(results)


def _measure_pair(pair: Pair, landmarker: FaceLandmarker) -> np.ndarray | str:
    """The map of one sample, or what is in its way."""
    try:
        onset, apex = _open(pair.onset), _open(pair.apex)
    except InputError as error:
        return f"sample {pair.sample_id}: {error}"
    if onset.shape != apex.shape:
        sizes = [f"{frame.shape[1]}×{frame.shape[0]} px" for frame in (onset, apex)]
        return f"sample {pair.sample_id}: {pair.apex} is {sizes[1]}, but its onset {sizes[0]}"
    face = landmarker.find(onset)
    if face is None:
        return f"sample {pair.sample_id}: no face is found in {pair.onset}"
    return measure_flow_map(onset, apex, draw_face_box(face.points))


def _open(file: Path) -> UInt8[np.ndarray, "height width 3"]:
    """An image as RGB; Pillow, for OpenCV takes a JPEG that is cut off as if it were whole."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:  # Pillow calls a broken chunk a SyntaxError
        raise InputError(f"{file} cannot be read ({error})") from error


def _refuse(problems: Sequence[str], name: str) -> None:
    """Raise one InputError that names the first problem and counts the others, if there are any."""
    if problems:
        more = f" (and {len(problems) - 1} more samples)" if len(problems) > 1 else ""
        raise InputError(
            f"{name}: {problems[0]}{more}; run `merec doctor corpus=…`, which lists what is wrong with "
            "the files, and mend or exclude the sample"
        )


def _read(file: Path, pairs: Sequence[Pair]) -> np.ndarray | None:
    """The kept maps of these samples, if they are there and whole."""
    if not file.exists():
        return None
    try:
        with np.load(file) as arrays:  # pickles are refused
            maps, sample_ids = arrays["maps"], arrays["sample_id"].tolist()
    except Exception as error:  # a damaged archive fails in a dozen ways, zlib.error to TokenError
        log.warning("%s cannot be read (%s); the maps are measured anew", file, error)
        return None
    return maps if sample_ids == [pair.sample_id for pair in pairs] else None


def _write(file: Path, pairs: Sequence[Pair], maps: np.ndarray) -> None:
    """Keep the maps; that this fails is no reason to fail, for the maps are there."""
    try:
        with atomic(file) as part:
            np.savez_compressed(part, sample_id=np.array([p.sample_id for p in pairs]), maps=maps)
    except OSError as error:
        log.warning(
            "%s cannot be written (%s): the next run measures again; make room, or set MEREC_CACHE to "
            "another folder",
            file,
            error.strerror or error,
        )
