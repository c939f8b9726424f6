"""Shifts of key frames in held-out samples, which simulate errors of spotting."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from merec.types import Corpus, InputError


@dataclass(frozen=True)
class Jitter:
    """Shift of the key frames of held-out samples, in frames; training samples are not shifted.

    Attributes:
        onset: Shift of the onset; positive is later, 0 is no shift.
        apex: Shift of the apex, likewise.
    """

    onset: int
    apex: int

    def __post_init__(self) -> None:
        for name in ("onset", "apex"):
            frames = getattr(self, name)
            if isinstance(frames, bool) or not isinstance(frames, int):
                raise InputError(
                    f"datamodule.jitter.{name}={frames} is no whole number of frames; give one, e.g. -2"
                )

    @property
    def active(self) -> bool:
        """True if anything is shifted."""
        return bool(self.onset or self.apex)


def check_jitter(jitter: Jitter, corpus: Corpus) -> None:
    """Refuse jitter for a corpus without frames."""
    if jitter.active and "onset" not in corpus.index:
        raise InputError(
            f"datamodule.jitter.onset={jitter.onset} and apex={jitter.apex} shift key frames, but "
            f"{corpus.protocol.name} has flow maps and no frames; set both to 0, or take a corpus of frames"
        )
    if jitter.active and tuple(corpus.key_frames) == ("onset", "apex"):
        raise InputError(
            f"datamodule.jitter.onset={jitter.onset} and apex={jitter.apex} shift key frames, but of "
            f"{corpus.protocol.name} only onset and apex lie on disk; set both to 0, or render "
            "corpus.render.frames=all"
        )


def shift_key_frames(corpus: Corpus, jitter: Jitter) -> tuple[Corpus, pd.DataFrame]:
    """Return a corpus with shifted key frames.

    Args:
        corpus: Corpus of frames.
        jitter: Configured shift.

    Returns:
        The corpus, and a row per sample: `sample_id`, annotated `onset` and `apex`, their shifts in frames
        (`onset_shift`, `apex_shift`), and `clamped`: whether a shift had to be reduced.
    """
    index = corpus.index
    numbers = {frames: np.array(frames.numbers()) for frames in dict.fromkeys(index["color"])}
    rows = [
        (onset, apex, *shift_pair(onset, apex, jitter, numbers[color]))
        for onset, apex, color in index[["onset", "apex", "color"]].itertuples(index=False)
    ]
    names = ["onset", "apex", "new_onset", "new_apex"]
    table = pd.DataFrame(rows, columns=names, dtype="int64")
    shifted = index.assign(onset=table["new_onset"].to_numpy(), apex=table["new_apex"].to_numpy())
    table.insert(0, "sample_id", index["sample_id"].to_numpy())
    for name in ("onset", "apex"):
        table[f"{name}_shift"] = table.pop(f"new_{name}") - table[name]
    short = [table[f"{name}_shift"] != getattr(jitter, name) for name in ("onset", "apex")]
    return replace(corpus, index=shifted), table.assign(clamped=short[0] | short[1])


def shift_pair(onset: int, apex: int, jitter: Jitter, numbers: np.ndarray) -> tuple[int, int]:
    """Return shifted onset and apex.

    Args:
        onset: Annotated onset.
        apex: Annotated apex.
        jitter: Configured shift.
        numbers: Frame numbers on disk, in ascending order.
    """
    new_onset, new_apex = (
        move_towards(start, start + frames, numbers)
        for start, frames in ((onset, jitter.onset), (apex, jitter.apex))
    )
    last = max(apex, new_apex)
    if new_onset >= last:
        before = numbers[(numbers < last) & (numbers >= onset)]
        new_onset = int(before[-1]) if len(before) else onset
    if new_apex <= new_onset:
        after = numbers[(numbers > new_onset) & (numbers <= apex)]
        new_apex = int(after[0]) if len(after) else apex
    return new_onset, new_apex


def move_towards(start: int, target: int, numbers: np.ndarray) -> int:
    """Return the frame on disk between `start` and `target` that is nearest to `target`; else `start`."""
    low, high = min(start, target), max(start, target)
    passed = numbers[(numbers >= low) & (numbers <= high)]
    if not len(passed):
        return start
    return int(passed[-1] if target > start else passed[0])
