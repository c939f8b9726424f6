"""Types that all parts of merec share: corpus, batch and protocol."""

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
    """Batch of samples: inputs, labels and ids."""

    inputs: "Inputs"
    # The class; of action units 1 for each that is there, else 0.
    label: "Int[Tensor, ' batch'] | Float[Tensor, 'batch units']"
    sample_id: np.ndarray  # of str, one per sample: a prediction is joined by it, never by position

    def to(self, device: "torch.device") -> "Batch":
        """Return the batch on another device."""
        inputs = self.inputs
        if isinstance(inputs, tuple):
            first, second = inputs
            return self._replace(
                inputs=(first.to(device), second.to(device)), label=self.label.to(device)
            )
        return self._replace(inputs=inputs.to(device), label=self.label.to(device))


@dataclass(frozen=True)
class Protocol:
    """Protocol: samples, subjects, classes and split. Scores can be compared only if their protocols agree.

    Attributes:
        name: Short name, e.g. `megc2019-cd`.
        classes: Class names in label order.
        samples: Number of samples.
        subjects: Number of subjects.
        hash: First 16 hex digits of the SHA-256 over the sorted (sample id, subject, label) rows.
        held_out: Held-out data sets, by number of their fold; empty if every subject is held out once.
        train_on: Data sets to train on; empty for all except the held-out one.
        groups: Subjects of each held-out group, by number of its fold; empty without groups.
        target: Name of the target, see `merec.targets`: `emotion` (one of `classes`) or `action_units` (any
            of `classes`).
        sources: First 16 hex digits of the SHA-256 over the sorted (sample id, data set) rows; empty if
            unknown, as in older runs. It is not used in comparisons of protocols.
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
        """True if each fold holds out a single subject, as in most published protocols."""
        return not self.held_out and not self.groups

    @property
    def unit(self) -> str:
        """Held-out unit of a fold, as text."""
        if self.groups:
            return "group of subjects"
        return "data set" if self.held_out else "subject"

    @property
    def split(self) -> str:
        """Description of the split."""
        if self.train_on:
            return f"trained on {', '.join(self.train_on)}, tested on {', '.join(self.held_out)}"
        if self.groups:
            return f"leave-one-group-out, {len(self.groups)} groups"
        return f"leave-one-{self.unit.replace(' ', '-')}-out"

    def to_dict(self) -> dict[str, Any]:
        """Return the protocol as plain lists and numbers, for JSON."""
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
    """Annotated action unit of the Facial Action Coding System, e.g. `R12` or `T18`.

    Attributes:
        number: Number of the action unit.
        side: `L` or `R` (the subject's left or right) if only one side moves, else "".
        part: `T` (top) or `B` (bottom) if only one lip moves, else "".
    """

    number: int
    side: str = ""
    part: str = ""

    def __str__(self) -> str:
        return f"{self.side}{self.part}{self.number}"


class Camera(NamedTuple):
    """Pinhole camera without distortion; all values in px of the frames on disk.

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
    """Numbered images of a clip, as file names.

    Attributes:
        folder: Folder of the images.
        name: File name with a placeholder for the frame number, e.g. `{}.jpg`, `img{}.jpg`, `006_{:05d}.jpg`.
    """

    folder: Path
    name: str

    def path(self, number: int) -> Path:
        """Return the file of a frame; it need not exist."""
        return self.folder / self.name.format(int(number))

    def numbers(self) -> list[int]:
        """Return the sorted frame numbers on disk; empty if the folder does not exist."""
        before, after = re.split(r"\{[^}]*\}", self.name)
        pattern = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
        if not self.folder.is_dir():
            return []
        matches = (pattern.fullmatch(file.name) for file in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)


class Finding(NamedTuple):
    """Finding about a corpus, for its user.

    Attributes:
        severity: `error` (the sample cannot be used as it is), `warning` or `note` (e.g. an erratum that
            was applied).
        kind: Kind of finding, e.g. `onset after apex`, `missing frame`, `erratum`.
        where: File or folder, relative to the root of the corpus if it is below it.
        row: Number of the row of the annotation, from 0 below the header; `None` if it does not refer to one
            row.
        sample_id: Id of the sample, or "".
        found: Description of the problem.
        remedy: Expected value, and the action to take or that was taken.
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
    """Samples of one or several data sets.

    A corpus of flow maps has `flow_maps`; a corpus of frames has the columns from `onset` on. Samples are
    sorted by id, so that results do not depend on the order of rows or files.

    Attributes:
        protocol: Protocol of the samples.
        index: One row per sample, sorted by id: `sample_id`, `corpus` (data set), `subject`, `clip` (its name
            within the data set), `label`; for frames also `onset`, `apex` (frame numbers), `offset` (frame
            number, `pd.NA` if unknown; dtype Int64), `fps` (frames/s), `emotion` (as annotated, with
            corrected spelling), `action_units` (tuple of `ActionUnit`; `None` if they were not coded or
            cannot be read), `color` (`Frames`), `depth` (`Frames` of uint16 mm, 0 = invalid, or `None`),
            `row` (of the annotation, from 0).
        flow_maps: Onset-to-apex motion of each row of `index`, 0..255, channels as in
            `channels`; `None` for a corpus of frames.
        channels: Names of the flow maps' channels, e.g. `("u", "v", "strain")`; empty for frames.
        camera: Intrinsics of the frames; `None` if unknown.
        macro: Macro-expressions of the same subjects and classes, columns as in `index`; `None` if there are
            none.
        unlabelled: Clips without labels: `clip_id`, `corpus`, `subject` ("" if unknown), `clip`, `fps`,
            `color`, `depth`; `None` if there are none.
        findings: Findings about corrected and invalid rows of the annotation.
        key_frames: Names of the frames that exist for each sample by design: `onset`, `apex` and perhaps
            `offset`. Other frames are then not reported as missing. Empty if all frames exist.
        rejected: Rows with errors (in `findings`) whose frame numbers can be read; columns as in `index`
            except `label`. `None` unless the corpus was read with `lenient`.
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
