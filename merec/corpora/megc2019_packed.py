"""Flow maps of MEGC2019 in `flow.npz`, with their samples in `samples.csv`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from merec.corpora.reading.cells import is_frame_number
from merec.corpora.reading.sheets import read_table, refuse_bad_cells
from merec.corpora.reading.subjects import NAMINGS, is_nobody, spell_subject
from merec.errors import quote_error
from merec.files import refuse_stranger
from merec.path_names import describe_bad_name
from merec.types import InputError

CHANNELS = ("u", "v", "strain")
SIZE = (28, 28)  # px
COLUMNS = {key: (key,) for key in ("sample_id", "dataset", "subject", "filename", "label")}
_STORED = ("channels", "classes", "label", "subject", "dataset")  # beside the maps, in the archive


def read_packed(
    folder: Path, classes: Sequence[str]
) -> tuple[pd.DataFrame, UInt8[np.ndarray, "samples channels height width"]]:
    """Read `flow.npz` and `samples.csv`, joined by sample id.

    Args:
        folder: Folder of both files.
        classes: Class names in label order.

    Returns:
        The columns of `Corpus.index` and the maps, in the order of the table.

    Raises:
        InputError: If a file is damaged or missing, or the files contradict each other.
    """
    file, table = folder / "flow.npz", folder / "samples.csv"
    maps, ids, stored = _load_archive(file)
    if not table.exists():
        raise InputError(f"{table} is missing; it lies beside flow.npz and names its samples")
    rows = _read_samples(table, ids, file.name)
    subjects = _spell_subjects(rows, table)
    index = pd.DataFrame(
        {
            "sample_id": rows["sample_id"].tolist(),
            "corpus": rows["dataset"].tolist(),
            "subject": subjects,
            "clip": rows["filename"].tolist(),
            "label": rows["label"].astype("int64").tolist(),
        }
    )
    position = {sample_id: number for number, sample_id in enumerate(ids)}
    order = index["sample_id"].map(position).to_numpy()
    as_written = index.assign(subject=rows["subject"].tolist())
    _refuse_contradictions(as_written, order, stored, classes, f"{file} and {table.name}")
    return index, maps[order]


def _load_archive(
    file: Path,
) -> tuple[UInt8[np.ndarray, "samples channels height width"], list[str], dict[str, np.ndarray]]:
    """Return the maps, their sample ids, and those arrays of `_STORED` that the archive contains."""
    refuse_stranger(file)
    try:
        with np.load(file) as arrays:
            maps, ids = arrays["flow"], arrays["sample_id"].astype(str).tolist()
            stored = {name: arrays[name] for name in arrays.files if name in _STORED}
    except Exception as error:  # a damaged archive fails in a dozen ways, zlib.error to TokenError
        size = file.stat().st_size
        raise InputError(
            f"{file} cannot be read ({size:,} bytes; {quote_error(error)}); it is cut off or damaged, copy "
            "it again"
        ) from error
    if maps.shape != (len(ids), len(CHANNELS), *SIZE) or maps.dtype != np.uint8:
        raise InputError(
            f"{file} holds {maps.dtype} maps of shape {maps.shape}; expected uint8 of shape "
            f"({len(ids)}, {len(CHANNELS)}, {SIZE[0]}, {SIZE[1]}); take the maps as they circulate"
        )
    return _order_channels(maps, stored.get("channels"), file), ids, stored


def _read_samples(table: Path, ids: Sequence[str], archive: str) -> pd.DataFrame:
    """Read the table, indexed by line number; rows and maps must match one to one."""
    rows = read_table(table, COLUMNS)
    refuse_bad_cells(rows, table)
    rows = rows.set_index(rows.index + rows.attrs["first_row"])
    there = set(ids)
    for line, row in zip(rows.index, rows.to_dict("records"), strict=True):
        wrong = _judge_row(row)
        if wrong:
            raise InputError(f"{table}, line {line}: {wrong}; copy it again")
        if row["sample_id"] not in there:
            raise InputError(
                f"{table}, line {line}: sample {row['sample_id']} has no map in {archive}; "
                "the two files are of different copies, take both from one"
            )
        if not is_frame_number(row["label"]):
            raise InputError(
                f"{table}, line {line}: label {row['label'][:60]!r} is no class number "
                "(0, 1, 2 are expected); copy it again"
            )
    if rows["sample_id"].duplicated().any() or len(rows) != len(ids):
        raise InputError(
            f"{table} names {rows['sample_id'].nunique()} samples in {len(rows)} rows, but {archive} "
            f"holds {len(ids)} maps; take both files from one copy"
        )
    return rows


def _judge_row(row: Mapping[Any, Any]) -> str:
    """Describe invalid names of a row and the expected form; "" if they are valid."""
    for key in COLUMNS:
        if reason := describe_bad_name(row[key]) if key != "label" else "":
            return f"{key} {row[key][:60]!r} {reason}; expected a name"
    if is_nobody(row["subject"]):
        return f"subject {row['subject']!r} is nobody; expected a name"
    return ""


def _spell_subjects(rows: pd.DataFrame, table: Path) -> list[str]:
    """Return the subjects in the spelling of their data set; a sample id must contain its subject."""
    subjects = [
        NAMINGS[data_set].spell(subject) if data_set in NAMINGS else subject
        for data_set, subject in zip(rows["dataset"], rows["subject"], strict=True)
    ]
    for line, sample_id, subject in zip(rows.index, rows["sample_id"], subjects, strict=True):
        if spell_subject(sample_id.partition("_")[0]) != spell_subject(subject):
            raise InputError(
                f"{table}, line {line}: sample {sample_id} is said to show {subject}; expected the "
                "subject that its name begins with; copy the file again"
            )
    return subjects


def _order_channels(
    maps: UInt8[np.ndarray, "samples channels height width"], stored: np.ndarray | None, file: Path
) -> UInt8[np.ndarray, "samples channels height width"]:
    """Reorder the channels to u, v, strain by their names in the file, if it has names."""
    if stored is None:
        return maps
    names = [str(name).strip().casefold() for name in stored.ravel()]
    if sorted(names) != sorted(CHANNELS):
        raise InputError(
            f"{file} names its channels {', '.join(names)[:100]}; expected {', '.join(CHANNELS)}, in any "
            "order; take the maps as they circulate"
        )
    places = [names.index(name) for name in CHANNELS]
    return maps if places == sorted(places) else maps[:, places]


def _refuse_contradictions(
    index: pd.DataFrame,
    order: np.ndarray,
    stored: Mapping[str, np.ndarray],
    classes: Sequence[str],
    files: str,
) -> None:
    """Refuse an archive that contradicts the table.

    Args:
        index: Index of the table.
        order: Position in the archive of each row of the table.
        stored: Arrays of `_STORED` that the archive contains.
        classes: Class names in label order.
        files: Names of both files, for messages.
    """
    named = [str(name) for name in stored.get("classes", np.array([])).ravel()]
    if sorted(named) == sorted(classes) and named != list(classes):
        first = index["sample_id"].iloc[0]
        label = int(index["label"].iloc[0])
        raise InputError(
            f"{files}: sample {first} has label {label}, which the former calls {named[label]} and "
            f"corpus.classes {classes[label]}; take both files from one copy, and leave corpus.classes as "
            "it is"
        )
    for name, column in (("label", "label"), ("subject", "subject"), ("dataset", "corpus")):
        if name not in stored:
            continue
        if stored[name].shape != (len(index),):
            raise InputError(
                f"{files}: {name} has the shape {stored[name].shape} in the former, for {len(index)} "
                "samples; take both files from one copy"
            )
        for sample_id, ours, theirs in zip(
            index["sample_id"], index[column], stored[name][order].tolist(), strict=True
        ):
            same = ours == theirs if name == "label" else _spell(ours) == _spell(theirs)
            if not same:
                raise InputError(
                    f"{files}: {name} of sample {sample_id} is {theirs} in the former and {ours} in the "
                    "latter; take both files from one copy"
                )


def _spell(name: Any) -> str:
    return spell_subject(str(name).strip())
