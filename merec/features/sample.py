"""The stages of one sample: out of the store, or made from the stage before and kept there."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from merec.features.clip import make_clip
from merec.features.faces import FaceFinder, identify_tools
from merec.features.frames import read_bytes
from merec.features.pair import (
    WIDE,
    Pair,
    make_crops,
    make_flow_map,
    make_motion,
    make_points,
    make_views,
)
from merec.features.settings import Settings
from merec.features.store import StopError, Store, hash_content, make_key
from merec.source_code import hash_sources
from merec.types import InputError

log = logging.getLogger(__name__)


class Stage(NamedTuple):
    """A step on the way, or a representation in one modality at its end.

    Attributes:
        name: `crops`, `motion`, or `points`, `flow_map`, `views`, `clip`.
        modality: `rgb`, `depth` or `fused`; "" for `crops` and `motion`, which know none.
    """

    name: str
    modality: str = ""

    @property
    def folder(self) -> str:
        """Where it lies in the store."""
        return f"{self.name}-{self.modality}" if self.modality else self.name


CROPS, MOTION = Stage("crops"), Stage("motion")
# What makes each stage; its source, with all that it uses, is part of the key.
MAKERS = {
    "crops": "merec.features.pair.make_crops",
    "motion": "merec.features.pair.make_motion",
    "points": "merec.features.pair.make_points",
    "flow_map": "merec.features.pair.make_flow_map",
    "views": "merec.features.pair.make_views",
    "clip": "merec.features.clip.make_clip",
}


def list_makers(representation: str) -> list[str]:
    """List the functions that make a representation, one stage after the other, as dotted names."""
    return [MAKERS["crops"], MAKERS["motion"], MAKERS[representation]]


class Outcome(NamedTuple):
    """What became of a sample.

    Attributes:
        keys: Of the stages that are there, by folder.
        reasons: Why others are not, by folder.
        shift: Of the head, px of the crop.
        short: Points that were drawn twice, for a region had too few.
        lasting: Whether the same files would fail again for the same reasons.
    """

    keys: dict[str, str]
    reasons: dict[str, str]
    shift: float
    short: int | None
    lasting: bool


class Sample:
    """One sample and its stages.

    Args:
        pair: Its files, which are read at once, for their content is part of every key; but for those of the
            clip, which are read when one is asked for.
        settings: Of all stages.
        faces: Finds the face, if crops are missing; its store keeps the stages too.

    Raises:
        InputError: If a file cannot be read.
    """

    def __init__(self, pair: Pair, settings: Settings, faces: FaceFinder):
        self.pair, self.settings, self.store = pair, settings, faces.store
        self._faces = faces
        self._contents: dict[Path, bytes] = {}
        self._hashes: dict[Path, str] = {}
        self._sources = self._identify((*pair.color, *(pair.depth or ())))
        self._made: dict[Stage, dict[str, np.ndarray]] = {}

    def key(self, stage: Stage) -> str:
        """Changes with all that decides about the stage's arrays, and with nothing else."""
        settings, sources = _choose_settings(self.settings, stage), self._sources
        if stage == MOTION:
            sources = [self.key(CROPS)]
        elif stage.name == "clip":
            files = [file for frame in self.pair.clip for file in frame]
            sources = [self.key(CROPS), *self._identify(files)]
        elif stage != CROPS:
            sources = [self.key(CROPS), self.key(MOTION)]
        if stage.name == "points":
            settings |= {"seed": self.pair.sample_id, "camera": self.pair.camera}
        return make_key(stage.folder, hash_sources([MAKERS[stage.name]]).hash, settings, sources)

    def _identify(self, files: Collection[Path]) -> list[str]:
        """Hashes of files; those not read before are read, and kept for the stage that needs them."""
        for file in files:
            if file not in self._hashes:
                self._contents[file] = read_bytes(file)
                self._hashes[file] = hash_content(self._contents[file])
        return [self._hashes[file] for file in files]

    def get(self, stage: Stage, names: Collection[str] = ()) -> dict[str, np.ndarray]:
        """The arrays of a stage, or only those of some names.

        Raises:
            InputError: If it cannot be made, e.g. as no face is found.
            StopError: If it cannot be kept, or no sample can be made.
        """
        if stage not in self._made:
            key = self.key(stage)
            kept = self.store.load(stage.folder, key, names)
            if kept is None:
                kept = self._make(stage)
                self.store.save(stage.folder, key, kept)
            elif names:  # not all of them
                return kept
            self._made[stage] = kept
        return self._made[stage]

    def _make(self, stage: Stage) -> dict[str, np.ndarray]:
        settings = self.settings
        if stage == CROPS:
            return make_crops(self.pair, settings.crops, self._faces, self._contents)
        if stage == MOTION:
            return make_motion(self.get(CROPS), settings.motion)
        if stage.name == "clip":
            most = _believe(settings)
            frames, made = self.pair.clip, (self._contents, self.get(CROPS))
            return make_clip(frames, *made, settings.clip, most, stage.modality)
        pair, crops, motion, modality = (
            self.pair,
            self.get(CROPS),
            self.get(MOTION),
            stage.modality,
        )
        if stage.name == "points":
            return make_points(pair, crops, motion, settings.points, modality)
        if stage.name == "flow_map":
            return make_flow_map(pair, crops, motion, modality)
        most = settings.motion.most_depth
        return make_views(pair, crops, motion, settings.difference, most, modality)


def prepare_samples(
    pairs: Sequence[Pair], settings: Settings, store: Store, stages: Sequence[Stage]
) -> list[Outcome]:
    """Make some stages of some samples, one after the other in this process.

    Raises:
        StopError: If no sample can be made.
    """
    with FaceFinder(store) as faces:
        return [_prepare_sample(pair, settings, stages, faces) for pair in pairs]


def _prepare_sample(
    pair: Pair, settings: Settings, stages: Sequence[Stage], faces: FaceFinder
) -> Outcome:
    keys: dict[str, str] = {}
    reasons: dict[str, str] = {}
    shift, short, lasting = float("nan"), None, True
    sample: Sample | None = None
    for stage in stages:
        try:
            sample = sample or Sample(pair, settings, faces)
            if stage == MOTION:
                shift = float(sample.get(stage, ["shift"])["shift"][0])
            elif stage.name == "points":
                short = max(short or 0, int(sample.get(stage, ["short"])["short"].sum()))
            else:
                sample.get(stage)
            keys[stage.folder] = sample.key(stage)
        except (StopError, ImportError):  # of any other sample they would be said again
            raise
        except InputError as error:
            reasons[stage.folder] = " ".join(str(error).split())
            # A file that is there and cannot be read may lie on a drive that comes back.
            lasting &= sample is not None or isinstance(error.__cause__, FileNotFoundError)
        except Exception as error:  # whatever it is, the other samples go on
            log.debug("sample %s", pair.sample_id, exc_info=True)
            lasting = False
            reasons[stage.folder] = (
                f"sample {pair.sample_id}: unexpected {type(error).__name__} "
                f"({' '.join(str(error).split())[:200]}); please report it"
            )
    return Outcome(keys, reasons, shift, short, lasting)


def _choose_settings(settings: Settings, stage: Stage) -> dict[str, Any]:
    """The settings that a stage itself heeds."""
    if stage == CROPS:
        return asdict(settings.crops) | identify_tools()
    if stage == MOTION:
        return asdict(settings.motion)
    if stage.name == "points":
        return asdict(settings.points)
    if stage.name == "views":
        return {"difference": settings.difference, "most_depth": settings.motion.most_depth}
    if stage.name == "clip":
        return asdict(settings.clip) | {"most_depth": _believe(settings)}
    return {}


def _believe(settings: Settings) -> float | int:
    """Largest change of depth in a clip, mm: the head's is still in it."""
    return WIDE * settings.motion.most_depth
