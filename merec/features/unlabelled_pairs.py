"""Pairs of frames from clips without labels for pretraining, each with the intensity of its expression.

In a window of about a second the least expressive frame is the onset (in a clip of two frames the first), and
each k-th frame of the window is an apex (Li et al. 2025). The threshold of intensity is applied when pairs
are used.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from merec.evaluation.protocol import describe_protocol
from merec.features.faces import FaceFinder
from merec.features.frames import read_bytes
from merec.features.intensity import measure_intensity, read_action_units
from merec.features.onset_apex_features import Pair
from merec.features.sample import CROPS, MOTION, Sample
from merec.features.settings import PoolSettings, Settings
from merec.features.store import StopError, Store
from merec.types import Corpus, Frames, InputError


class Clip(NamedTuple):
    """A clip without labels.

    Attributes:
        clip_id: Its name.
        numbers: Numbers of its frames, rising.
        fps: Frames/s.
        color: Its frames.
    """

    clip_id: str
    numbers: tuple[int, ...]
    fps: float
    color: Frames

    @property
    def files(self) -> list[Path]:
        """Files of all colour frames."""
        return [self.color.path(number) for number in self.numbers]

    def pair(self, onset: int, apex: int) -> Pair:
        """Return two frames in colour as a pair; depth does not affect which pairs exist."""
        color = (self.color.path(onset), self.color.path(apex))
        return Pair(f"{self.clip_id}/{onset}-{apex}", color, None, None)


class Found(NamedTuple):
    """Pairs of one clip, or the reasons why it has none.

    Attributes:
        pairs: Onset and apex (frame numbers) and intensity of each pair.
        reasons: Reasons why frames or pairs could not be used.
    """

    pairs: list[tuple[int, int, float]]
    reasons: list[str]


def list_clips(corpus: Corpus) -> list[Clip]:
    """Return the clips without labels that have at least two frames.

    Raises:
        InputError: If there are none.
    """
    clips = []
    if corpus.unlabelled is not None and len(corpus.unlabelled):
        columns = corpus.unlabelled[["clip_id", "fps", "color"]]
        for clip_id, fps, color in columns.itertuples(index=False):
            clip = Clip(clip_id, tuple(color.numbers()), fps, color)
            clips += [clip] if len(clip.numbers) > 1 else []
    if not clips:
        raise InputError(
            f"{corpus.protocol.name} has no unlabelled clips to pretrain on; set corpus.unlabelled to the "
            "folders that hold them (rendered: corpus.render.unlabelled=N), or contrast labelled samples: "
            "task.pool.source=samples"
        )
    return clips


def choose_windows(clip: Clip, pool: PoolSettings) -> list[tuple[int, ...]]:
    """Return frame numbers of evenly spaced, disjoint windows of a clip with at least two frames each."""
    first, last = clip.numbers[0], clip.numbers[-1]
    length = max(1, round(pool.seconds * clip.fps))  # frames from a window's first to its last
    count = max(1, min(pool.windows, (last - first + 1) // (length + 1)))
    starts = np.linspace(first, max(first, last - length), count).round().astype(int)
    windows = [
        tuple(number for number in clip.numbers if start <= number <= start + length)
        for start in starts.tolist()
    ]
    return [window for window in windows if len(window) > 1]


def pair_up_clips(
    clips: Sequence[Clip], settings: Settings, pool: PoolSettings, store: Store
) -> list[Found]:
    """Return the pairs of clips, computed sequentially in this process.

    Raises:
        StopError: If no clip can be used.
    """
    results = []
    with FaceFinder(store) as faces:
        for clip in clips:
            results.append(Found([], []))
            for window in choose_windows(clip, pool):
                _pair_up(clip, window, settings, pool, faces, results[-1])
    return results


def _pair_up(
    clip: Clip,
    window: Sequence[int],
    settings: Settings,
    pool: PoolSettings,
    faces: FaceFinder,
    result: Found,
) -> None:
    """Add the pairs of a window to the result of its clip."""
    strengths: dict[int, float] = {}
    for number in window:
        file = clip.color.path(number)
        try:
            units = read_action_units(faces.find(file, read_bytes(file)).blendshapes)
        except StopError:
            raise
        except InputError as error:
            result.reasons.append(str(error))
        else:
            strengths[number] = sum(units.values())
    if not strengths:
        return
    # Of a clip of two frames, a rendered pair, the first is the onset: of 32 such the other one was the less
    # expressive by its blendshapes in 16.
    rested = min(strengths, key=lambda number: strengths[number])
    onset = clip.numbers[0] if len(clip.numbers) == 2 else rested
    # Of no more frames than a step has, as of a clip of onset and apex alone, the last is one too.
    for apex in window[:: min(pool.step, len(window) - 1)]:
        if apex == onset or apex not in strengths:
            continue
        try:
            sample = Sample(clip.pair(onset, apex), settings, faces)
            crops, motion = sample.get(CROPS), sample.get(MOTION)
        except StopError:
            raise
        except InputError as error:
            result.reasons.append(str(error))
        else:
            result.pairs.append((onset, apex, measure_intensity(pool.intensity, crops, motion)))


def tabulate_pairs(clips: Sequence[Clip], results: Sequence[Found]) -> pd.DataFrame:
    """Return a row per pair: `clip_id`, `onset`, `apex`, `intensity`."""
    rows = [
        (clip.clip_id, *pair)
        for clip, result in zip(clips, results, strict=True)
        for pair in result.pairs
    ]
    return pd.DataFrame(rows, columns=["clip_id", "onset", "apex", "intensity"])


def describe_pool(corpus: Corpus, table: pd.DataFrame) -> Corpus:
    """Return the pairs of a table (see `tabulate_pairs`) as a corpus.

    Raises:
        InputError: If there are none.
    """
    name = corpus.protocol.name
    if table.empty:
        raise InputError(
            f"no pair of frames of the unlabelled clips of {name} can be used; merec doctor examines them"
        )
    numbers = table.astype({"onset": int, "apex": int, "intensity": float})
    index = numbers.merge(corpus.unlabelled, on="clip_id", validate="many_to_one")
    between = index["onset"].astype(str) + "-" + index["apex"].astype(str)
    index = index.assign(sample_id=index["clip_id"] + "/" + between, label=0)
    protocol = describe_protocol(f"{name}-pool", index, ["unlabelled"])
    return Corpus(protocol, index, None, (), corpus.camera)
