"""The stages of one sample: out of the store, or made from the stage before and kept there."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from merec.errors import quote_error
from merec.features.alignment import Alignment
from merec.features.clip import make_clip
from merec.features.faces import FaceFinder, identify_tools
from merec.features.frames import ReadError, describe_face, read_bytes
from merec.features.onset_apex_features import (
    WIDE,
    Pair,
    assert_true_size,
    make_crops,
    make_depth,
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
        name: `crops` and `motion`, of colour alone; `depth` (its crops) and `scene` (motion with depth); or
            `points`, `flow_map`, `views`, `clip`.
        modality: `rgb`, `depth` or `fused` of the last four; else "".
        views: The two `views`; else none.
    """

    name: str
    modality: str = ""
    views: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Where it lies in the store."""
        return "-".join([self.name, *(self.views or filter(None, [self.modality]))])

    @property
    def needs_depth(self) -> bool:
        """Whether it cannot be made of colour alone."""
        if self.views:
            return "depth" in self.views
        return self.name in ("depth", "scene") or self.modality in ("depth", "fused")


CROPS, DEPTH, MOTION, SCENE = map(Stage, ("crops", "depth", "motion", "scene"))
# What makes each stage; its source, with all that it uses, is part of the key.
MAKERS = {
    "crops": "merec.features.onset_apex_features.make_crops",
    "depth": "merec.features.onset_apex_features.make_depth",
    "motion": "merec.features.onset_apex_features.make_motion",
    "scene": "merec.features.onset_apex_features.make_motion",
    "points": "merec.features.onset_apex_features.make_points",
    "flow_map": "merec.features.onset_apex_features.make_flow_map",
    "views": "merec.features.onset_apex_features.make_views",
    "clip": "merec.features.clip.make_clip",
}


def list_makers(representation: str) -> list[str]:
    """List the functions that make a representation, one stage after the other, as dotted names."""
    return [MAKERS[name] for name in ("crops", "depth", "motion", representation)]


class Outcome(NamedTuple):
    """What became of a sample.

    Attributes:
        keys: Of the stages that are there, by folder.
        reasons: Why others are not, by folder.
        shift: Of the head, px of the crop.
        note: What should make one doubt the sample, "" if nothing should.
        short: Points that were drawn twice, for a region had too few.
        lasting: Whether the same files would fail again for the same reasons.
    """

    keys: dict[str, str]
    reasons: dict[str, str]
    note: str
    shift: float
    short: int | None
    lasting: bool


class Sample:
    """One sample and its stages.

    Args:
        pair: Its files. Those of onset and apex in colour are read at once, as every key needs them;
            depth and the clip when a stage needs them.
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
        self._identify(pair.color)
        self._made: dict[Stage, dict[str, np.ndarray]] = {}

    def key(self, stage: Stage) -> str:
        """Changes with all that decides about the stage's arrays, and with nothing else."""
        settings = _choose_settings(self.settings, stage, self.pair.sample_id)
        if stage == CROPS:
            sources = self._identify(self.pair.color)
        elif stage == DEPTH:
            sources = [self.key(CROPS), *self._identify(self.pair.depth or ())]
        else:
            sources = [self.key(before) for before in self._list_before(stage)]
        if stage.name == "clip":
            sources += self._identify([file for frame in self._list_clip(stage) for file in frame])
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

    def _list_before(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that one is made of. Without depth its maker says what is missing."""
        with_depth = stage == SCENE or (stage.needs_depth and self.pair.depth is not None)
        crops = (CROPS, DEPTH) if with_depth else (CROPS,)
        if stage.name in ("motion", "scene", "clip"):
            return crops
        return (*crops, SCENE if with_depth else MOTION)

    def _list_clip(self, stage: Stage) -> tuple[tuple[Path, ...], ...]:
        """The clip's files that a stage needs: of `rgb` the colour alone."""
        return self.pair.clip if stage.needs_depth else tuple(each[:1] for each in self.pair.clip)

    def get(self, stage: Stage, names: Collection[str] = ()) -> dict[str, np.ndarray]:
        """The arrays of a stage, or only those of some names.

        Raises:
            InputError: If it cannot be made, e.g. as no face is found.
            StopError: If it cannot be kept, or no sample can be made.
        """
        if stage.needs_depth and stage != DEPTH and self.pair.depth is not None:
            frame = self.get(CROPS, ["frame"])["frame"]
            assert_true_size(self.pair, self.get(DEPTH, ["eyes"]), frame)
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
        pair, settings, modality = self.pair, self.settings, stage.modality
        if stage == CROPS:
            return make_crops(pair, settings.crops, self._faces, self._contents)
        if stage == DEPTH:
            return make_depth(pair, self.get(CROPS), self._contents, settings.depth_noise)
        crops: dict[str, np.ndarray] = {}
        motion: dict[str, np.ndarray] = {}
        for before in self._list_before(stage):
            (motion if before in (MOTION, SCENE) else crops).update(self.get(before))
        if stage in (MOTION, SCENE):
            return make_motion(crops, settings.motion)
        if stage.name == "clip":
            frames, most = self._list_clip(stage), _believe(settings)
            noisy = partial(pair.add_noise, noise=settings.depth_noise)
            return make_clip(frames, self._contents, crops, settings.clip, most, modality, noisy)
        if stage.name == "points":
            return make_points(pair, crops, motion, settings.points, modality)
        if stage.name == "flow_map":
            return make_flow_map(pair, crops, motion, modality)
        most = settings.motion.most_depth
        first, second = stage.views
        how = (settings.difference, most, settings.view_region)
        return make_views(pair, crops, motion, *how, (first, second))


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
            lasting &= not isinstance(error, ReadError)
        except Exception as error:  # whatever it is, the other samples go on
            log.debug("sample %s", pair.sample_id, exc_info=True)
            lasting = False
            reasons[stage.folder] = (
                f"sample {pair.sample_id}: unexpected {type(error).__name__} "
                f"({quote_error(error)}); please report it"
            )
    note = ""
    if sample is not None and len(keys):
        crops = sample.get(CROPS, ["frame", "matrix", "landmarks"])
        alignment = Alignment(crops["matrix"], settings.crops.size)
        points = alignment.to_frame(crops["landmarks"][0, :, :2].astype(np.float64))
        height, width = crops["frame"].tolist()
        note = describe_face(points, width, height)
    return Outcome(keys, reasons, note, shift, short, lasting)


def _choose_settings(settings: Settings, stage: Stage, sample_id: str) -> dict[str, Any]:
    """The settings that a stage itself heeds."""
    if stage == CROPS:
        return asdict(settings.crops) | identify_tools()
    if stage == DEPTH:
        return {"noise": settings.depth_noise, "sample": sample_id} if settings.depth_noise else {}
    if stage in (MOTION, SCENE):
        return asdict(settings.motion)
    if stage.name == "points":
        return asdict(settings.points)
    if stage.name == "views":
        how = {"difference": settings.difference, "region": settings.view_region}
        return how | {"most_depth": settings.motion.most_depth}
    if stage.name == "clip":
        noise = _choose_settings(settings, DEPTH, sample_id)
        return asdict(settings.clip) | {"most_depth": _believe(settings)} | noise
    return {}


def _believe(settings: Settings) -> float | int:
    """Largest change of depth in a clip, mm: the head's is still in it."""
    return WIDE * settings.motion.most_depth
