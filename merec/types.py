"""Types that all parts of merec share: a corpus, a batch of its samples, the protocol."""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8

from merec.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import, and a corpus needs none
    import torch
    from torch import Tensor

    # Flow maps (batch, channels, height, width), points (batch, regions, k, features), clips (batch,
    # channels, frames, height, width), or two views, each (batch, its channels, height, width).
    Inputs = (
        Float[Tensor, "batch _ _ _"]
        | Float[Tensor, "batch _ _ _ _"]
        | tuple[Float[Tensor, "batch _ _ _"], Float[Tensor, "batch _ _ _"]]
    )

__all__ = [
    "ActionUnit",
    "Batch",
    "Camera",
    "Corpus",
    "Finding",
    "Frames",
    "InputError",
    "Protocol",
]


class Batch(NamedTuple):
    """Some samples, what they show, and which they are."""

    inputs: "Inputs"
    # The class; of action units 1 for each that is there, else 0.
    label: "Int[Tensor, ' batch'] | Float[Tensor, 'batch units']"
    sample_id: np.ndarray  # of str, one per sample: a prediction is joined by it, never by position

    def to(self, device: "torch.device") -> "Batch":
        """Return the same samples on another device."""
        inputs = self.inputs
        if isinstance(inputs, tuple):
            first, second = inputs
            return self._replace(
                inputs=(first.to(device), second.to(device)), label=self.label.to(device)
            )
        return self._replace(inputs=inputs.to(device), label=self.label.to(device))


@dataclass(frozen=True)
class Protocol:
    """Which samples, which subjects, which classes: two numbers compare only if these agree.

    Attributes:
        name: Short name, e.g. `megc2019-cd`.
        classes: Class names in the order of their label.
        samples: Number of samples.
        subjects: Number of subjects.
        hash: First 16 hex digits of the SHA-256 over the sorted (sample id, subject, label) rows.
        held_out: Data sets that are held out whole, by number of their fold; none if every subject is held
            out once.
        train_on: Data sets that alone are trained on; none for all but the held-out one.
        groups: Subjects of each group that is held out at once, by number of its fold; none without groups.
        target: Name of what is predicted of a sample, see `merec.targets`: its `emotion`, one of `classes`,
            or its `action_units`, any of them.
        sources: First 16 hex digits of the SHA-256 over the sorted (sample id, data set) rows; empty if it is
            not known, as in older runs, and no part of a comparison of protocols.
    """

    name: str
    classes: tuple[str, ...]
    samples: int
    subjects: int
    hash: str
    held_out: tuple[str, ...] = ()
    train_on: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    target: str = "emotion"
    sources: str = field(default="", compare=False)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.held_out) or len(self.groups) or self.subjects

    @property
    def leaves_one_subject_out(self) -> bool:
        """True if each fold holds out a single subject, as published numbers of most protocols do."""
        return not self.held_out and not self.groups

    @property
    def unit(self) -> str:
        """Unit that a fold holds out, in words."""
        if self.groups:
            return "group of subjects"
        return "data set" if self.held_out else "subject"

    @property
    def split(self) -> str:
        """Split in words: who is trained on and who is held out."""
        if self.train_on:
            return f"trained on {', '.join(self.train_on)}, tested on {', '.join(self.held_out)}"
        if self.groups:
            return f"leave-one-group-out, {len(self.groups)} groups"
        return f"leave-one-{self.unit.replace(' ', '-')}-out"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain lists and numbers, for JSON."""
        plain = {
            key: [*value] if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return plain | {"groups": [list(names) for names in self.groups]}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Protocol":
        """Return the inverse of `to_dict`."""
        tuples = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
        groups = tuple(tuple(names) for names in fields.get("groups", ()))
        return cls(**(fields | tuples | {"groups": groups}))


class ActionUnit(NamedTuple):
    """A movement of the Facial Action Coding System as annotated, e.g. `R12` or `T18`.

    Attributes:
        number: Number of the action unit.
        side: `L` or `R` (the subject's own left or right) where one side moves alone, else "".
        part: `T` (top) or `B` (bottom) where one lip moves alone, else "".
    """

    number: int
    side: str = ""
    part: str = ""

    def __str__(self) -> str:
        return f"{self.side}{self.part}{self.number}"


class Camera(NamedTuple):
    """A pinhole camera without distortion; all in px of the frames as they lie on disk.

    The centre of the first pixel is (0, 0).
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int


@dataclass(frozen=True)
class Frames:
    """The numbered images of a clip: they are named, not opened.

    Attributes:
        folder: Folder of them.
        name: File name with a place for the frame number, e.g. `{}.jpg`, `img{}.jpg`, `006_{:05d}.jpg`.
    """

    folder: Path
    name: str

    def path(self, number: int) -> Path:
        """Return the file of a frame; it need not exist."""
        return self.folder / self.name.format(int(number))

    def numbers(self) -> list[int]:
        """Frame numbers that lie on disk, sorted; empty if the folder does not exist."""
        before, after = re.split(r"\{[^}]*\}", self.name)
        pattern = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
        if not self.folder.is_dir():
            return []
        matches = (pattern.fullmatch(file.name) for file in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)


class Finding(NamedTuple):
    """Something about a corpus that its user should know.

    Attributes:
        severity: `error` (the sample cannot be used as it is), `warning` or `note` (e.g. an erratum that
            was applied).
        kind: What it is in a word or two, e.g. `onset after apex`, `missing frame`, `erratum`.
        where: File or folder, relative to the corpus's root where it lies below it.
        row: Number of the annotation's row, from 0, as `pandas` counts below the header; `None` if it is
            not about one row.
        sample_id: The sample, or "".
        found: Description of the problem.
        remedy: What was expected, and what to do or what was done.
    """

    severity: str
    kind: str
    where: str
    row: int | None
    sample_id: str
    found: str
    remedy: str


@dataclass(frozen=True)
class Corpus:
    """The samples of a data set, or of several.

    A corpus of flow maps has `flow_maps`; a corpus of frames has the columns from `onset` on. Samples are
    sorted by id, so that nothing depends on the order of a sheet's rows or of a folder's files.

    Attributes:
        protocol: Which list of samples this is.
        index: One row per sample, sorted by id: `sample_id`, `corpus` (the data set it comes from),
            `subject`, `clip` (its name within that data set), `label`; for frames also `onset`, `apex` (frame
            numbers), `offset` (frame number, `pd.NA` where none is known; dtype Int64), `fps` (frames/s),
            `emotion` (as annotated, spelling mended), `action_units` (tuple of `ActionUnit`; `None` where
            they were not coded or cannot be read, so that it is not known which there are),
            `color` (`Frames`), `depth` (`Frames` of uint16 mm, 0 = invalid, or `None`), `row` (of the
            annotation, from 0).
        flow_maps: Onset-to-apex motion of each row of `index`, 0..255, channels as in
            `channels`; `None` for a corpus of frames.
        channels: Names of the flow maps' channels, e.g. `("u", "v", "strain")`; empty for frames.
        camera: Intrinsics of the frames, `None` where unknown.
        macro: Macro-expressions of the same subjects and classes, columns as `index`; `None` if none lie
            there.
        unlabelled: Clips without labels: `clip_id`, `corpus`, `subject` ("" if unknown), `clip`, `fps`,
            `color`, `depth`; `None` if there are none.
        findings: Findings on what was mended or is wrong in the annotation.
        key_frames: Names of the frames that were written of each sample, by design, so that no other frame
            is missing: `onset`, `apex` and perhaps `offset`; empty where all were.
        rejected: Rows that would be samples but for what is wrong with them (an error in `findings`), as far
            as their frame numbers can be read; columns as `index` but `label`. `None` in strict reading.
    """

    protocol: Protocol
    index: pd.DataFrame
    flow_maps: UInt8[np.ndarray, "samples channels height width"] | None
    channels: tuple[str, ...]
    camera: Camera | None = None
    macro: pd.DataFrame | None = None
    unlabelled: pd.DataFrame | None = None
    findings: tuple[Finding, ...] = ()
    key_frames: tuple[str, ...] = ()
    rejected: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        order = self.index["sample_id"].to_numpy(object).argsort(kind="stable")
        if (order == np.arange(len(order))).all():
            return
        object.__setattr__(self, "index", self.index.iloc[order].reset_index(drop=True))
        if self.flow_maps is not None:
            object.__setattr__(self, "flow_maps", self.flow_maps[order])
