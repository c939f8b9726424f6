"""Stages of one sample: loaded from the store, or computed from the previous stage and stored."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from merec.errors import quote_error
from merec.features.alignment import Alignment
from merec.features.faces import FaceFinder, identify_tools
from merec.features.frames import ReadError, describe_face, read_bytes
from merec.features.onset_apex_features import (
    Pair,
    assert_true_size,
    make_crops,
    make_depth,
    make_motion,
)
from merec.features.representations import Parts, Representation
from merec.features.settings import Settings
from merec.features.store import StopError, Store, hash_content, make_key
from merec.source_code import hash_sources
from merec.types import InputError

log = logging.getLogger(__name__)


class Stage(NamedTuple):
    """Intermediate stage of a sample, or its last stage, a representation in one modality.

    Attributes:
        name: `crops` and `motion`, from colour only; `depth` (crops of depth) and `scene` (motion with
            depth); or the name of the representation.
        representation: The representation; `None` for an intermediate stage.
        modality: `rgb`, `depth` or `fused` for a representation, else "".
        views: Names of the two views if the representation has views; else empty.
    """

    name: str
    representation: Representation | None = None
    modality: str = ""
    views: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Folder in the store."""
        return "-".join([self.name, *(self.views or filter(None, [self.modality]))])

    @property
    def needs_depth(self) -> bool:
        """True if it cannot be computed from colour only."""
        if self.views:
            return "depth" in self.views
        return self.name in ("depth", "scene") or self.modality in ("depth", "fused")


CROPS, DEPTH, MOTION, SCENE = map(Stage, ("crops", "depth", "motion", "scene"))
# What makes each stage; its source, with all that it uses, is part of the key.
MAKERS: dict[Stage, Callable[..., Any]] = {
    CROPS: make_crops,
    DEPTH: make_depth,
    MOTION: make_motion,
    SCENE: make_motion,
}


def list_makers(*stages: Stage) -> list[str]:
    """Return the dotted names of the functions that compute stages."""
    makers: list[Callable[..., Any]] = []
    for stage in stages:
        made = stage.representation
        makers += [MAKERS[stage]] if made is None else made.makers
    return [name_code(maker) for maker in makers]


def name_code(code: Callable[..., Any]) -> str:
    """Return the dotted name of a function or class."""
    return f"{code.__module__}.{code.__qualname__}"


class Outcome(NamedTuple):
    """Outcome of making the features of a sample.

    Attributes:
        keys: Keys of the existing stages, by folder.
        reasons: Reasons why other stages do not exist, by folder.
        shift: Mean head motion, px of the crop.
        note: Reason to doubt the sample, "" if there is none.
        short: Number of repeated points, in regions that had too few.
        lasting: Whether the same files would fail again, i.e. the failure is not temporary.
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
        pair: Files of the sample. The colour frames of onset and apex are read at once, since every key
            depends on them; depth and the clip are read when a stage needs them.
        settings: Settings of all stages.
        faces: Finds the face if crops are missing; its store also contains the stages.

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
        """Return a key that depends on everything that affects the arrays of a stage, and on nothing else."""
        settings = _choose_settings(self.settings, stage, self.pair)
        if stage == CROPS:
            sources = self._identify(self.pair.color)
        elif stage == DEPTH:
            sources = [self.key(CROPS), *self._identify(self.pair.depth or ())]
        else:
            sources = [self.key(before) for before in self._list_before(stage)]
        if stage.representation is not None:
            files = stage.representation.list_files(self.pair, stage.modality)
            sources += self._identify(files)
        return make_key(stage.folder, hash_sources(list_makers(stage)).hash, settings, sources)

    def _identify(self, files: Collection[Path]) -> list[str]:
        """Return hashes of files; new files are read and kept in memory for the stage that needs them."""
        for file in files:
            if file not in self._hashes:
                self._contents[file] = read_bytes(file)
                self._hashes[file] = hash_content(self._contents[file])
        return [self._hashes[file] for file in files]

    def _list_before(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stages from which a stage is computed."""
        with_depth = stage == SCENE or (stage.needs_depth and self.pair.depth is not None)
        crops = (CROPS, DEPTH) if with_depth else (CROPS,)
        if stage.representation is None or stage.representation.from_clip:
            return crops
        return (*crops, SCENE if with_depth else MOTION)

    def get(self, stage: Stage, names: Collection[str] = ()) -> dict[str, np.ndarray]:
        """Return the arrays of a stage, or only those with the given names.

        Raises:
            InputError: If the stage cannot be computed, e.g. because no face is found.
            StopError: If the stage cannot be stored, or no sample can be computed.
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
        pair, settings = self.pair, self.settings
        if stage == CROPS:
            return make_crops(pair, settings.crops, self._faces, self._contents)
        if stage == DEPTH:
            return make_depth(pair, self.get(CROPS), self._contents, settings.depth_noise)
        crops: dict[str, np.ndarray] = {}
        motion: dict[str, np.ndarray] = {}
        for before in self._list_before(stage):
            (motion if before in (MOTION, SCENE) else crops).update(self.get(before))
        if stage.representation is None:
            return make_motion(crops, settings.motion)
        parts = Parts(pair, self._contents, crops, motion, settings, stage.modality, stage.views)
        return stage.representation.make(parts)


def prepare_samples(
    pairs: Sequence[Pair], settings: Settings, store: Store, stages: Sequence[Stage]
) -> list[Outcome]:
    """Compute stages of samples sequentially in this process.

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
            elif stage.representation is not None and (name := stage.representation.shortage):
                short = max(short or 0, int(sample.get(stage, [name])[name].sum()))
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


def _choose_settings(settings: Settings, stage: Stage, pair: Pair) -> dict[str, Any]:
    """Return the settings that a stage itself uses."""
    if stage.representation is not None:
        return stage.representation.list_settings(settings, pair)
    if stage == CROPS:
        return asdict(settings.crops) | identify_tools()
    if stage == DEPTH:
        noise = settings.depth_noise
        return {"noise": noise, "sample": pair.sample_id} if noise else {}
    return asdict(settings.motion)
