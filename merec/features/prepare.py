"""From a corpus to its features: in parallel, resumable, on and on after samples that cannot be used."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Int

from merec.assets import cache_folder
from merec.features.pair import MODALITIES, SCHEMA, Pair
from merec.features.sample import (
    CROPS,
    MOTION,
    OnDemand,
    Outcome,
    Sample,
    Stage,
    identify_tools,
    prepare_samples,
)
from merec.features.settings import (
    CropSettings,
    MotionSettings,
    PointSettings,
    Settings,
    read_settings,
)
from merec.features.store import StopError, Store, make_key
from merec.types import Corpus, Frames, InputError

log = logging.getLogger(__name__)

REPRESENTATIONS = ("points", "flow_map", "views")
_ARRAYS = {"points": {"points": "points"}, "flow_map": {"maps": "map"}}
_CHANNELS = {
    "rgb": ("u", "v", "strain"),
    "depth": ("dz", "dz_x", "dz_y"),
    "fused": ("u", "v", "dz"),
}
_SCHEMA = 1  # of the tables
_CHUNK = 8  # samples that share a landmarker, which takes .05 s to open
_MOST = 20  # failures on the screen
_FEW = 16  # samples that are done before other processes would have started


class Loaded(NamedTuple):
    """A corpus in one representation and modality.

    Attributes:
        rows: Of the corpus's index, those that can be used; the arrays follow them.
        arrays: `points`: `points` (n, 8, k, 6) float32; `flow_map`: `maps` (n, 3, 28, 28) uint8; `views`:
            `first` and `second` (n, channels, size, size) float32.
        channels: Names of a flow map's; empty for the others.
    """

    rows: Int[np.ndarray, " n"]
    arrays: dict[str, np.ndarray]
    channels: tuple[str, ...]


class FeatureStore:
    """Features of corpora, made once and shared by all folds and runs.

    Args:
        root: The store's folder; `None` for `features` in merec's cache.
        depth: Whether depth is read where it lies beside the frames. A sample with broken depth then counts
            in no modality, so that rgb, depth and fused are compared on the same samples.
        crops: See `CropSettings`.
        motion: See `MotionSettings`.
        points: See `PointSettings`.
        difference: Of the views: `signed`, `abs` or `wrap_uint8`.

    Raises:
        InputError: If a setting is unknown, missing or out of range.
    """

    def __init__(
        self,
        root: str | None,
        depth: bool,
        crops: Mapping[str, Any],
        motion: Mapping[str, Any],
        points: Mapping[str, Any],
        difference: str,
    ):
        self.store = Store(Path(root).expanduser() if root else cache_folder() / "features")
        self.depth = depth
        self.settings = Settings(
            read_settings(CropSettings, crops, "crops"),
            read_settings(MotionSettings, motion, "motion"),
            read_settings(PointSettings, points, "points"),
            difference,
        )

    def prepare(
        self, corpus: Corpus, jobs: int, representations: Sequence[tuple[str, str]] = ()
    ) -> pd.DataFrame:
        """Make what is missing of a corpus; what is there is kept.

        Args:
            corpus: Of frames.
            jobs: Processes; -1 for one per core.
            representations: Pairs of representation and modality, made beside crops and motion.

        Returns:
            One row per sample of the index, in its order: `sample_id`, `status` (ready or failed), `reason`,
            `shift` (of the head, px of the crop), `short` (points of regions that had too few, over all
            regions; the larger of several modalities).

        Raises:
            InputError: If the corpus has no frames, the store cannot be written, or the landmarker's model
                cannot be had. A sample that cannot be used is none: it has a row.
        """
        stages = [MOTION, *(_name_stage(*names) for names in representations)]
        pairs = self._pair_up(corpus)
        outcomes = self._run(pairs, stages, jobs)
        for stage in stages[1:]:
            self._keep_table(stage, pairs, outcomes)
        rows = []
        for pair, outcome in zip(pairs, outcomes, strict=True):
            reason = "; ".join(dict.fromkeys(outcome.reasons.values()))
            status = "failed" if reason else "ready"
            rows.append((pair.sample_id, status, reason, outcome.shift, outcome.short))
        table = pd.DataFrame(rows, columns=["sample_id", "status", "reason", "shift", "short"])
        return table.astype({"shift": "float64", "short": "Int64"})

    def load(self, corpus: Corpus, representation: str, modality: str) -> Loaded:
        """The features of a corpus; what is missing is made first, one process per core.

        Raises:
            InputError: As `prepare`; or if there is no such representation or modality, or no sample can be
                used.
        """
        stage = _name_stage(representation, modality)
        pairs = self._pair_up(corpus)
        known = self.store.read_table(self._name_table(stage, pairs))
        found = None if known is None else self._collect(stage, known)
        if found is None:
            outcomes = self._run(pairs, [stage], 1 if len(pairs) < _FEW else -1)
            known = self._keep_table(stage, pairs, outcomes)
            found = self._collect(stage, known)
        assert known is not None
        failed = known[known["key"] == ""]
        if found is None or not found:
            reason = failed["reason"].iloc[0] if len(failed) else "the store changed meanwhile"
            raise InputError(
                f"no sample of {corpus.protocol.name} can be used: {reason}; merec prepare lists all reasons"
            )
        if len(failed):
            log.warning(
                "%d of %d samples of %s are left out, the first as %s; merec prepare lists all",
                *(len(failed), len(known), corpus.protocol.name, failed["reason"].iloc[0]),
            )
        rows = np.flatnonzero(known["key"].to_numpy() != "")
        names = _ARRAYS.get(representation, {"first": "first", "second": "second"})
        arrays = {name: np.stack([sample[own] for sample in found]) for name, own in names.items()}
        if representation == "views":  # kept in half the room
            arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
        return Loaded(rows, arrays, _CHANNELS[modality] if representation == "flow_map" else ())

    def load_sample(self, corpus: Corpus, row: int) -> dict[str, np.ndarray]:
        """Crops and motion of one sample, by the names that `make_crops` and `make_motion` give them.

        Args:
            corpus: Of frames.
            row: Of its index, from 0.

        Raises:
            InputError: If the sample cannot be used.
        """
        pair = self._pair_up(corpus)[row]
        with OnDemand() as landmarker:
            sample = Sample(pair, self.settings, self.store, landmarker)
            return sample.get(CROPS) | sample.get(MOTION)

    def _pair_up(self, corpus: Corpus) -> list[Pair]:
        """The files of each row of the index."""
        if "onset" not in corpus.index:
            raise InputError(
                f"{corpus.protocol.name} has flow maps and no frames, so nothing is to be prepared; use "
                "datamodule=rgb and a backbone that reads flow_map"
            )
        columns = corpus.index[["sample_id", "color", "depth", "onset", "apex"]]
        pairs = []
        for sample_id, color, depth, onset, apex in columns.itertuples(index=False):
            numbers = (int(onset), int(apex))
            has_depth = self.depth and isinstance(depth, Frames)
            maps = _locate(depth, numbers) if has_depth else None
            pairs.append(Pair(sample_id, _locate(color, numbers), maps, corpus.camera))
        return pairs

    def _run(self, pairs: Sequence[Pair], stages: Sequence[Stage], jobs: int) -> list[Outcome]:
        """Make stages of every sample, with a bar; outcomes in the order of `pairs`."""
        from joblib import Parallel, delayed, parallel_config
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("samples"), TimeRemainingColumn())
        bar = Progress(
            TextColumn("preparing"), *columns, console=console, disable=not console.is_terminal
        )
        outcomes: list[Outcome] = []
        with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1), bar:
            line = bar.add_task("", total=len(pairs))
            tasks = (
                delayed(prepare_samples)(pairs[at : at + _CHUNK], self.settings, self.store, stages)
                for at in range(0, len(pairs), _CHUNK)
            )
            for done in Parallel(return_as="generator")(tasks):
                outcomes += done
                bar.advance(line, len(done))
        return outcomes

    def _name_table(self, stage: Stage, pairs: Sequence[Pair]) -> str:
        """Changes with the files' sizes and times, so that they need not be read to find the table."""
        facts = [
            (pair.sample_id, os.fspath(file.absolute()), *_stamp(file))
            for pair in pairs
            for file in pair.files
        ]
        cameras = {pair.camera for pair in pairs}
        settings = asdict(self.settings) | {
            "facts": facts,
            "cameras": list(cameras),
            "schema": SCHEMA,
        }
        return f"{stage.folder}-{make_key('table', _SCHEMA, settings | identify_tools(), [])}"

    def _keep_table(
        self, stage: Stage, pairs: Sequence[Pair], outcomes: Sequence[Outcome]
    ) -> pd.DataFrame:
        """A row per sample with the key of its stage, or "" and the reason why there is none."""
        at = stage.folder
        rows = [
            (pair.sample_id, outcome.keys.get(at, ""), outcome.reasons.get(at, ""))
            for pair, outcome in zip(pairs, outcomes, strict=True)
        ]
        table = pd.DataFrame(rows, columns=["sample_id", "key", "reason"])
        if not all(outcome.lasting for outcome in outcomes):
            return table  # it is tried again next time
        try:
            self.store.write_table(self._name_table(stage, pairs), table)
        except StopError as error:
            log.warning("%s (only the index table is missing)", error)
        return table

    def _collect(self, stage: Stage, table: pd.DataFrame) -> list[dict[str, np.ndarray]] | None:
        """The arrays of the samples of a table that have any; `None` if some are gone or damaged."""
        found = []
        for key in table["key"]:
            arrays = self.store.load(stage.folder, key) if key else None
            if key and arrays is None:
                return None
            if arrays is not None:
                found.append(arrays)
        return found


def choose_modality(corpus: Corpus, features: FeatureStore) -> str:
    """`fused` where depth and camera are there, else `rgb`."""
    maps = corpus.index.get("depth", pd.Series(dtype=object))
    has_depth = features.depth and any(isinstance(depth, Frames) for depth in maps)
    return "fused" if has_depth and corpus.camera else "rgb"


def describe_failures(table: pd.DataFrame, root: Path, written: Path | None) -> str:
    """What `FeatureStore.prepare` made of a corpus, in lines: the first failures, then a sum.

    Args:
        table: Its rows.
        root: The store.
        written: The CSV with all of them, if there is one.
    """
    failed = table[table["status"] == "failed"]
    lines = [f"{row['sample_id']}: {row['reason']}" for _, row in failed.head(_MOST).iterrows()]
    if len(failed) > _MOST:
        lines.append(f"… and {len(failed) - _MOST} more")
    short = int((table["short"] > 0).sum())
    lines.append(
        f"{len(table) - len(failed)} of {len(table)} samples are ready, {len(failed)} failed; {short} have "
        f"regions with fewer points than asked for; {root}"
    )
    return "\n".join([*lines, *([f"All samples: {written}"] if written else [])]) + "\n"


def _locate(frames: Frames, numbers: tuple[int, int]) -> tuple[Path, Path]:
    return frames.path(numbers[0]), frames.path(numbers[1])


def _stamp(file: Path) -> tuple[int, int]:
    """Size and time of a file; -1 where there is none."""
    try:
        found = file.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _name_stage(representation: str, modality: str) -> Stage:
    if representation not in REPRESENTATIONS or modality not in MODALITIES:
        raise InputError(
            f"there is no {representation} in modality {modality}; representations are "
            f"{', '.join(REPRESENTATIONS)}, modalities {', '.join(MODALITIES)}"
        )
    return Stage(representation, modality)
