"""Compute and cache features in parallel. Resumable; failed samples are recorded and skipped."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Int

from merec.assets import cache_folder
from merec.features.faces import FaceFinder
from merec.features.failure_reasons import sum_up
from merec.features.index_tables import collect, keep_index, name_index, name_table, write_table
from merec.features.onset_apex_features import Pair
from merec.features.pair_listing import list_pairs
from merec.features.parallel import map_chunks
from merec.features.representations import MODALITIES, Representation, list_representations
from merec.features.sample import (
    CROPS,
    DEPTH,
    MOTION,
    SCENE,
    Outcome,
    Sample,
    Stage,
    list_makers,
    prepare_samples,
)
from merec.features.settings import (
    ClipSettings,
    CropSettings,
    MotionSettings,
    PointSettings,
    PoolSettings,
    Settings,
    read_settings,
)
from merec.features.store import StopError, Store
from merec.features.unlabelled_pairs import describe_pool, list_clips, pair_up_clips, tabulate_pairs
from merec.types import Corpus, Frames, InputError

log = logging.getLogger(__name__)

# What decides which pairs of frames are pretrained on.
POOL_MAKERS = (
    *list_makers(CROPS, MOTION),
    *(
        f"merec.features.unlabelled_pairs.{name}"
        for name in ("list_clips", "pair_up_clips", "tabulate_pairs")
    ),
)
_FEW = 16  # samples that are done before other processes would have started


class Loaded(NamedTuple):
    """A corpus in one representation and modality.

    Attributes:
        rows: Rows of the corpus index that can be used; the arrays have the same order.
        arrays: One per input of a backbone, by the names of the representation: points (n, 8, k, 6), views
            (n, channels, size, size), clips (n, channels, frames, size, size) float32; flow maps (n, 3, 28,
            28) uint8.
        reason: Why the other rows cannot be used: number of samples and first sample of each kind of reason;
            "" if all rows can be used.
        note: Reasons to doubt usable samples, in the same form.
    """

    rows: Int[np.ndarray, " n"]
    arrays: dict[str, np.ndarray]
    reason: str
    note: str = ""


class FeatureStore:
    """Store of features, which are computed once and shared by all folds and runs.

    Args:
        root: The store's folder; `None` for `features` in merec's cache.
        depth: Whether depth is read where it exists, for the modalities depth and fused; rgb uses colour
            only.
        depth_noise: Standard deviation (mm) of the noise added to depth at a distance of 550 mm; 0: none.
        crops: See `CropSettings`.
        motion: See `MotionSettings`.
        points: See `PointSettings`.
        difference: Difference of the views: `signed`, `abs` or `wrap_uint8`.
        view_region: Region that views show: the whole `crop`, or only the skin of the `face`.
        clip: See `ClipSettings`.
        pool: See `PoolSettings`.

    Raises:
        InputError: If a setting is unknown, missing or out of range.
    """

    def __init__(
        self,
        root: str | None,
        depth: bool,
        depth_noise: float | int,
        crops: Mapping[str, Any],
        motion: Mapping[str, Any],
        points: Mapping[str, Any],
        difference: str,
        view_region: str,
        clip: Mapping[str, Any],
        pool: Mapping[str, Any],
    ):
        self.store = Store(Path(root).expanduser() if root else cache_folder() / "features")
        self.depth = depth
        self.settings = Settings(
            read_settings(CropSettings, crops, "crops"),
            read_settings(MotionSettings, motion, "motion"),
            read_settings(PointSettings, points, "points"),
            difference,
            view_region,
            read_settings(ClipSettings, clip, "clip"),
            depth_noise,
        )
        self.pool = read_settings(PoolSettings, pool, "pool")

    def prepare(
        self, corpus: Corpus, jobs: int, representations: Sequence[tuple[Representation, str]] = ()
    ) -> pd.DataFrame:
        """Compute the missing features of a corpus; existing features are kept.

        Args:
            corpus: Corpus of frames.
            jobs: Processes; -1 for one per core.
            representations: Pairs of representation and modality to compute, in addition to crops and motion.

        Returns:
            One row per sample, in the order of the index: `sample_id`, `status` (ready, failed, or colour
            only if only features with depth failed), `reason`, `shift` (head motion, px of the crop), `short`
            (number of missing points, summed over regions; the maximum over modalities), `note` (reason to
            doubt the sample).

        Raises:
            InputError: If the corpus has no frames, the store cannot be written, or the model of the
                landmarker is not available. A sample that cannot be used is not an error; its row gives the
                reason.
        """
        stage_names = [_name_stage(*names) for names in representations]
        pairs = self.list_pairs(corpus, any(kind.from_clip for kind, _ in representations))
        stages = [MOTION, *([SCENE] if any(pair.depth for pair in pairs) else []), *stage_names]
        outcomes = self._run(pairs, stages, jobs)
        for stage in stage_names:
            keep_index(self.store, stage, pairs, self.settings, outcomes)
        in_depth = {stage.folder for stage in stages if stage.needs_depth}
        rows = []
        for pair, outcome in zip(pairs, outcomes, strict=True):
            reason = "; ".join(dict.fromkeys(outcome.reasons.values()))
            status = "failed" if outcome.reasons.keys() - in_depth else "colour only"
            status = status if reason else "ready"
            rows.append(
                (pair.sample_id, status, reason, outcome.shift, outcome.short, outcome.note)
            )
        columns = ["sample_id", "status", "reason", "shift", "short", "note"]
        table = pd.DataFrame(rows, columns=columns)
        return table.astype({"shift": "float64", "short": "Int64"})

    def load(
        self,
        corpus: Corpus,
        representation: Representation,
        modality: str,
        views: Sequence[str] | None = None,
    ) -> Loaded:
        """Load the features of a corpus; missing features are computed first with one process per core.

        Args:
            corpus: Corpus of frames.
            representation: Representation to load.
            modality: `rgb`, `depth` or `fused`.
            views: See `Representation.choose_views`.

        Raises:
            InputError: As `prepare`; or if there is no such modality, or no sample can be used.
        """
        stage = _name_stage(representation, modality, views)
        pairs = self.list_pairs(corpus, representation.from_clip)
        index_table = self.store.read_table(name_index(stage, pairs, self.settings))
        samples = None if index_table is None else collect(self.store, stage, index_table)
        if samples is None:
            outcomes = self._run(pairs, [stage], 1 if len(pairs) < _FEW else -1)
            index_table = keep_index(self.store, stage, pairs, self.settings, outcomes)
            samples = collect(self.store, stage, index_table)
        assert index_table is not None
        reason = sum_up(pairs, index_table["reason"].tolist())
        if samples is None or not samples:
            raise InputError(
                f"no sample of {corpus.protocol.name} can be used: "
                f"{reason or 'the store changed meanwhile'}; merec prepare lists all reasons"
            )
        rows = np.flatnonzero(index_table["key"].to_numpy() != "")
        names = representation.arrays.items()
        arrays = {name: np.stack([sample[key] for sample in samples]) for name, key in names}
        for name, array in arrays.items():
            if array.dtype == np.float16:  # kept in half the room
                arrays[name] = array.astype(np.float32)
        return Loaded(rows, arrays, reason, sum_up(pairs, index_table["note"].tolist()))

    def load_sample(self, corpus: Corpus, row: int) -> dict[str, np.ndarray]:
        """Return crops and motion of one sample, with the names of `make_crops` and `make_motion`.

        If the depth of the sample cannot be used, a warning is logged and only colour is returned.

        Args:
            corpus: Corpus of frames.
            row: Row of the index, from 0.

        Raises:
            InputError: If the sample cannot be used.
        """
        pair = self.list_pairs(corpus)[row]
        with FaceFinder(self.store) as faces:
            sample = Sample(pair, self.settings, faces)
            color = sample.get(CROPS) | sample.get(MOTION)
            if pair.depth is None:
                return color
            try:
                return color | sample.get(DEPTH) | sample.get(SCENE)
            except StopError:
                raise
            except InputError as error:
                log.warning("%s; sample %s is shown in colour only", error, pair.sample_id)
                return color

    def make_pool(self, corpus: Corpus, jobs: int = -1) -> Corpus:
        """Return pairs of frames from the unlabelled clips of a corpus as a new corpus.

        Args:
            corpus: Corpus with unlabelled clips.
            jobs: Processes; -1 for one per core.

        Returns:
            Corpus with protocol `…-pool`. Its index has one row per pair with label 0 and `intensity`, the
            strength of the expression in units of the estimator. `load` accepts it like any corpus.

        Raises:
            InputError: If there are no such clips, or no pair can be used; else as `prepare`.
        """
        clips = list_clips(corpus)
        files = [file for clip in clips for file in clip.files]
        facts = asdict(self.settings) | {
            "pool": asdict(self.pool),
            "clips": [clip.clip_id for clip in clips],
        }
        name = name_table("pool", POOL_MAKERS, files, facts)
        table = self.store.read_table(name)
        if table is None:
            work = partial(pair_up_clips, settings=self.settings, pool=self.pool, store=self.store)
            pools = map_chunks(work, clips, jobs, "clips")
            table = tabulate_pairs(clips, pools)
            reasons = [reason for pool in pools for reason in pool.reasons]
            if reasons:
                log.warning(
                    "%d frames or pairs of unlabelled clips are left out, the first as %s",
                    *(len(reasons), reasons[0]),
                )
            else:
                write_table(self.store, name, table)
        return describe_pool(corpus, table)

    def list_pairs(self, corpus: Corpus, with_clips: bool = False) -> list[Pair]:
        """List the files of each row of the index; the files of clips only if requested."""
        return list_pairs(corpus, self.depth, self.settings.clip.frames if with_clips else None)

    def _run(self, pairs: Sequence[Pair], stages: Sequence[Stage], jobs: int) -> list[Outcome]:
        """Compute stages of every sample and return the outcomes in the order of `pairs`."""
        work = partial(prepare_samples, settings=self.settings, store=self.store, stages=stages)
        return map_chunks(work, pairs, jobs, "samples")


def choose_modality(corpus: Corpus, features: FeatureStore) -> str:
    """Return `fused` if the corpus has depth and a camera, else `rgb`."""
    maps = corpus.index.get("depth", pd.Series(dtype=object))
    has_depth = features.depth and any(isinstance(depth, Frames) for depth in maps)
    return "fused" if has_depth and corpus.camera else "rgb"


def list_shown(modality: str) -> list[tuple[Representation, str]]:
    """List the pairs of representation and modality that a corpus which supports `modality` has."""
    modalities = MODALITIES if modality == "fused" else ("rgb",)
    kinds = list_representations()
    return [(kind, name) for kind in kinds for name in modalities]


def _name_stage(
    representation: Representation, modality: str, views: Sequence[str] | None = None
) -> Stage:
    if modality not in MODALITIES:
        raise InputError(
            f"there is no {representation.name} in modality {modality}; modalities are "
            f"{', '.join(MODALITIES)}"
        )
    chosen = representation.choose_views(modality, views)
    return Stage(representation.name, representation, modality, chosen or ())
