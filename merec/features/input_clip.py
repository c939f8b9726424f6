"""A clip that a user gives to merec predict, decoded as a stream."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from merec.types import Frames

ASSUMED_FPS = 30.0  # frames/s, of clips that do not say
FASTEST = 10_000.0  # frames/s; a header that says more is wrong

Frame = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class InputClip(ABC):
    """A clip; positions count its frames from 0, numbers are what its files are called by.

    Attributes:
        path: Path as it was named.
        name: For files that are written about it.
        fps: Frames/s; numbers count in it, also where frames are missing.
        numbers: Numbers of its frames, rising.
        notes: What its user should know.
    """

    path: Path
    name: str
    fps: float | int
    numbers: Sequence[int]
    notes: list[str] = field(default_factory=list)

    def second(self, position: int) -> float:
        """Return the time of a frame, s after the first."""
        return (self.numbers[position] - self.numbers[0]) / self.fps

    @property
    def duration(self) -> float:
        """From the first frame to the last, s."""
        return self.second(len(self.numbers) - 1)

    @property
    def has_depth(self) -> bool:
        """True if depth lies beside the frames."""
        return False

    def note(self, text: str) -> None:
        """Note once, however often the frames are read, what the user should know."""
        if text not in self.notes:
            self.notes.append(text)

    @abstractmethod
    def name_frame(self, position: int) -> str:
        """Name a frame in a message, so that its user finds it."""

    @abstractmethod
    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """Return some frames in RGB, each with its position; one at a time is in memory.

        Args:
            positions: Rising. What cannot be decoded is left out.
        """

    @abstractmethod
    def export(self, positions: Sequence[int], folder: Path) -> tuple[Frames, Frames | None]:
        """Return some frames as files, by number, and their depth if all have it; written below `folder`."""
