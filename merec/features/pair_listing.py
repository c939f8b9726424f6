"""Files of each sample of a corpus: onset and apex, and the clip from onset to offset."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd

from merec.features.onset_apex_features import Pair
from merec.features.representations.clip import choose_frames
from merec.types import Corpus, Frames, InputError


def list_pairs(corpus: Corpus, with_depth: bool, clip_frames: int | None) -> list[Pair]:
    """List the files of each row of an index.

    Args:
        corpus: Corpus of frames.
        with_depth: Whether depth is read where it exists.
        clip_frames: Number of frames of each clip; `None` for onset and apex only.

    Raises:
        InputError: If the corpus has no frames.
    """
    if "onset" not in corpus.index:
        raise InputError(
            f"{corpus.protocol.name} has flow maps and no frames, so nothing is to be prepared; use "
            "datamodule=rgb and a backbone that reads flow_map"
        )
    columns = corpus.index[["sample_id", "color", "depth", "onset", "apex"]]
    pairs = []
    for sample_id, color, depth, onset, apex in columns.itertuples(index=False):
        numbers = (int(onset), int(apex))
        has_depth = with_depth and isinstance(depth, Frames)
        maps = _locate(depth, numbers) if has_depth else None
        pairs.append(Pair(sample_id, _locate(color, numbers), maps, corpus.camera))
    return pairs if clip_frames is None else _add_clips(pairs, corpus.index, clip_frames)


def _add_clips(pairs: Sequence[Pair], index: pd.DataFrame, count: int) -> list[Pair]:
    """Add the frames of the clips to pairs, from onset to offset, or to the apex if the offset is unknown."""
    offsets = index["offset"] if "offset" in index else pd.Series(pd.NA, index.index)
    ends = offsets.fillna(index["apex"])
    list_numbers = cache(lambda frames: frames.numbers())  # clips share folders
    added = []
    for pair, row, end in zip(pairs, index.itertuples(), ends, strict=True):
        there = list_numbers(row.color) or [row.onset]  # reading it will say what is wrong
        chosen = choose_frames(there, row.onset, int(end), count)
        kinds = [row.color, *([row.depth] if pair.depth else [])]
        clip = tuple(tuple(frames.path(number) for frames in kinds) for number in chosen)
        added.append(replace(pair, clip=clip))
    return added


def _locate(frames: Frames, numbers: tuple[int, int]) -> tuple[Path, Path]:
    return frames.path(numbers[0]), frames.path(numbers[1])
