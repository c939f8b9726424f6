"""Clip that is given to `merec predict`, decoded as a stream."""

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
    """Clip of a user; a position counts frames from 0, a number is part of the file name.

    Attributes:
        path: Path as the user gave it.
        name: Name for output files of the clip.
        fps: Frames/s; numbers are at this rate, also where frames are missing.
        numbers: Frame numbers in ascending order.
        notes: Messages for the user.
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
        """Time from the first frame to the last, s."""
        return self.second(len(self.numbers) - 1)

    @property
    def has_depth(self) -> bool:
        """True if depth lies beside the frames."""
        return False

    def note(self, text: str) -> None:
        """Add a message for the user, once even if the frames are read repeatedly."""
        if text not in self.notes:
            self.notes.append(text)

    @abstractmethod
    def name_frame(self, position: int) -> str:
        """Return the name of a frame for messages to the user."""

    @abstractmethod
    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """Yield frames in RGB with their positions; one frame at a time is in memory.

        Args:
            positions: Positions in ascending order. Frames that cannot be decoded are left out.
        """

    @abstractmethod
    def export(self, positions: Sequence[int], folder: Path) -> tuple[Frames, Frames | None]:
        """Return files of frames by number, with depth if all frames have it; new files go to `folder`."""
