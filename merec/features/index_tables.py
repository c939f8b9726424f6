"""Tables of the feature store: which samples of a corpus have a stage, and under which key."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from merec.features.faces import identify_tools
from merec.features.onset_apex_features import Pair
from merec.features.sample import CROPS, DEPTH, MOTION, Outcome, Stage, list_makers
from merec.features.settings import Settings
from merec.features.store import StopError, Store, make_key
from merec.source_code import hash_sources

log = logging.getLogger(__name__)

_STAGES = ("merec.features.sample",)  # of a pair those that are made are named one by one


def name_table(
    folder: str, makers: Sequence[str], files: Sequence[Path], facts: Mapping[str, Any]
) -> str:
    """Return the name of a table, a hash of everything that affects its content.

    The name depends on sizes and modification times of the files, so that the table is found without reading
    them.

    Args:
        folder: First part of the name.
        makers: Dotted names of the functions whose code affects the table.
        files: Files from which the table is computed.
        facts: Settings and other values that affect it.
    """
    stamps = [(os.fspath(file.absolute()), *_stamp(file)) for file in files]
    settings = {**facts, "files": stamps} | identify_tools()
    code = hash_sources(makers, _STAGES).hash
    return f"{folder}-{make_key('table', code, settings, [])}"


def name_index(stage: Stage, pairs: Sequence[Pair], settings: Settings) -> str:
    """Return the name of the table that lists the samples that have a stage."""
    makers = list_makers(CROPS, DEPTH, MOTION, stage)
    cameras = list({pair.camera for pair in pairs})
    facts = asdict(settings) | {"samples": [pair.sample_id for pair in pairs], "cameras": cameras}
    files: list[Path] = []
    for pair in pairs:
        files += pair.files if stage.needs_depth else dict.fromkeys(pair.color)
        if stage.representation is not None:
            files += stage.representation.list_files(pair, stage.modality)
    return name_table(stage.folder, makers, files, facts)


def keep_index(
    store: Store,
    stage: Stage,
    pairs: Sequence[Pair],
    settings: Settings,
    outcomes: Sequence[Outcome],
) -> pd.DataFrame:
    """Store and return one row per sample: the key of its stage, or "" and the reason why there is none."""
    at = stage.folder
    rows = [
        (pair.sample_id, outcome.keys.get(at, ""), outcome.reasons.get(at, ""), outcome.note)
        for pair, outcome in zip(pairs, outcomes, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["sample_id", "key", "reason", "note"])
    if all(outcome.lasting for outcome in outcomes):  # else it is tried again next time
        write_table(store, name_index(stage, pairs, settings), table)
    return table


def write_table(store: Store, name: str, table: pd.DataFrame) -> None:
    """Store a table, or warn that it cannot be stored."""
    try:
        store.write_table(name, table)
    except StopError as error:
        log.warning("%s (only the index table is missing)", error)


def collect(store: Store, stage: Stage, table: pd.DataFrame) -> list[dict[str, np.ndarray]] | None:
    """Return the arrays of the samples in a table that have a key; `None` if a file is missing or damaged."""
    samples = []
    for key in table["key"]:
        arrays = store.load(stage.folder, key) if key else None
        if key and arrays is None:
            return None
        if arrays is not None:
            samples.append(arrays)
    return samples


def _stamp(file: Path) -> tuple[int, int]:
    """Return size and modification time of a file; -1 if it does not exist."""
    try:
        status = file.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
