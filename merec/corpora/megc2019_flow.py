"""The 442 micro-expressions of MEGC2019 (SMIC, CASME II, SAMM) as onset-to-apex flow maps.

Two layouts are read: the packed `flow.npz` + `samples.csv`, and the folders in which the maps circulate,
`three_norm_u_v_os/{subject}/{u_train,u_test}/{0,1,2}/{clip}.png`. Both give the same samples, pixels and
protocol hash. Each channel of each map is min-max stretched to 0..255 (u, v: horizontal and vertical flow,
strain: optical strain), so magnitudes and the zero of u and v are lost.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from merec.corpora.reading.cells import is_frame_number
from merec.corpora.reading.sheets import read_table, refuse_bad_cells
from merec.corpora.reading.subjects import NAMINGS, is_nobody, refuse_namesakes, spell_subject
from merec.errors import quote_error
from merec.evaluation.protocol import assert_counts, describe_protocol
from merec.files import refuse_stranger
from merec.path_names import describe_bad_name
from merec.types import Corpus, InputError

CHANNELS = ("u", "v", "strain")
SIZE = (28, 28)  # px
COLUMNS = {key: (key,) for key in ("sample_id", "dataset", "subject", "filename", "label")}
FOLDERS = ("", "three_norm_u_v_os", "datasets/three_norm_u_v_os")
_TOLD = ("channels", "classes", "label", "subject", "dataset")  # beside the maps, in the archive
_SOURCE = (
    "The maps circulate with the public code of STSTNet and HTNet as the folder three_norm_u_v_os; the "
    "faces behind them (SMIC, CASME II, SAMM) are licensed to researchers, so merec ships no copy"
)


def read_megc2019_flow(
    root: str, name: str, classes: Sequence[str], expected: Mapping[str, Any] | None
) -> Corpus:
    """Read the flow maps from `root`, whichever layout it holds.

    Args:
        root: Folder with `flow.npz` and `samples.csv`, or with the subjects' folders (or with
            `three_norm_u_v_os` in it).
        name: Name of the protocol.
        classes: Class names in label order.
        expected: Counts to assert (see `assert_counts`); `None` to use a subset knowingly.

    Raises:
        InputError: If nothing is found there, a file is damaged, rows and maps do not match, or the counts
            are not the protocol's.
    """
    folder = Path(root).expanduser()
    circulating = [folder / name for name in FOLDERS if any((folder / name).glob("*/u_test"))]
    if (folder / "flow.npz").exists():
        index, maps = _read_packed(folder, classes)
    elif circulating:
        index, maps = _read_folders(circulating[0])
    else:
        found = "does not exist" if not folder.exists() else "holds neither flow.npz nor */u_test"
        raise InputError(
            f"corpus.root={root} {found}; expected the MEGC2019 flow maps. Set corpus.root=FOLDER, or "
            f"MEREC_DATA to the folder that holds megc2019_flow, or roots in "
            f"conf/local/default.yaml. {_SOURCE}"
        )
    refuse_namesakes(index, str(folder))
    outside = ~index["label"].between(0, len(classes) - 1)
    if outside.any():
        row = index[outside].iloc[0]
        raise InputError(
            f"{folder}: sample {row['sample_id']} has label {row['label']}, but classes are 0 to "
            f"{len(classes) - 1}; name every class in corpus.classes, or copy the maps again"
        )
    if expected:
        assert_counts(index, classes, expected, str(folder))
    else:
        name = f"{name}-subset"  # numbers on it are not numbers on the protocol
    return Corpus(describe_protocol(name, index, classes), index, maps, CHANNELS)


def _read_packed(
    folder: Path, classes: Sequence[str]
) -> tuple[pd.DataFrame, UInt8[np.ndarray, "samples channels height width"]]:
    """Read `flow.npz` and `samples.csv`, joined by sample id."""
    file, table = folder / "flow.npz", folder / "samples.csv"
    refuse_stranger(file)
    try:
        with np.load(file) as arrays:
            maps, ids = arrays["flow"], arrays["sample_id"].astype(str).tolist()
            told = {name: arrays[name] for name in arrays.files if name in _TOLD}
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
    maps = _order_channels(maps, told.get("channels"), file)
    if not table.exists():
        raise InputError(f"{table} is missing; it lies beside flow.npz and names its samples")
    rows = read_table(table, COLUMNS)
    refuse_bad_cells(rows, table)
    rows = rows.set_index(rows.index + rows.attrs["first_row"])  # the number of the line
    position = {sample_id: number for number, sample_id in enumerate(ids)}
    for line, row in zip(rows.index, rows.to_dict("records"), strict=True):
        for key in COLUMNS:
            if reason := describe_bad_name(row[key]) if key != "label" else "":
                raise InputError(
                    f"{table}, line {line}: {key} {row[key][:60]!r} {reason}; expected a name; copy it again"
                )
        if is_nobody(row["subject"]):
            raise InputError(
                f"{table}, line {line}: subject {row['subject']!r} is nobody; expected a name; copy it again"
            )
        if row["sample_id"] not in position:
            raise InputError(
                f"{table}, line {line}: sample {row['sample_id']} has no map in {file.name}; "
                "the two files are of different copies, take both from one"
            )
        if not is_frame_number(row["label"]):
            raise InputError(
                f"{table}, line {line}: label {row['label'][:60]!r} is no class number "
                "(0, 1, 2 are expected); copy it again"
            )
    if rows["sample_id"].duplicated().any() or len(rows) != len(ids):
        raise InputError(
            f"{table} names {rows['sample_id'].nunique()} samples in {len(rows)} rows, but {file.name} "
            f"holds {len(ids)} maps; take both files from one copy"
        )
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
    index = pd.DataFrame(
        {
            "sample_id": rows["sample_id"].tolist(),
            "corpus": rows["dataset"].tolist(),
            "subject": subjects,
            "clip": rows["filename"].tolist(),
            "label": rows["label"].astype("int64").tolist(),
        }
    )
    order = index["sample_id"].map(position).to_numpy()
    as_written = index.assign(subject=rows["subject"].tolist())
    _refuse_contradictions(as_written, order, told, classes, f"{file} and {table.name}")
    return index, maps[order]


def _order_channels(
    maps: UInt8[np.ndarray, "samples channels height width"], told: np.ndarray | None, file: Path
) -> UInt8[np.ndarray, "samples channels height width"]:
    """Put the channels in the order u, v, strain by their names in the file, where it has them."""
    if told is None:
        return maps
    names = [str(name).strip().casefold() for name in told.ravel()]
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
    told: Mapping[str, np.ndarray],
    classes: Sequence[str],
    files: str,
) -> None:
    """Refuse what the archive says of a sample if the table says something else.

    Args:
        index: Of the table, in whose order the samples are.
        order: Place of each sample in the archive.
        told: Arrays of the archive, whichever it has of `_TOLD`.
        classes: Class names in label order.
        files: Names of both, for messages.
    """
    named = [str(name) for name in told.get("classes", np.array([])).ravel()]
    if sorted(named) == sorted(classes) and named != list(classes):
        first = index["sample_id"].iloc[0]
        label = int(index["label"].iloc[0])
        raise InputError(
            f"{files}: sample {first} has label {label}, which the former calls {named[label]} and "
            f"corpus.classes {classes[label]}; take both files from one copy, and leave corpus.classes as "
            "it is"
        )
    for name, column in (("label", "label"), ("subject", "subject"), ("dataset", "corpus")):
        if name not in told:
            continue
        if told[name].shape != (len(index),):
            raise InputError(
                f"{files}: {name} has the shape {told[name].shape} in the former, for {len(index)} samples; "
                "take both files from one copy"
            )
        for sample_id, ours, theirs in zip(
            index["sample_id"], index[column], told[name][order].tolist(), strict=True
        ):
            same = ours == theirs if name == "label" else _spell(ours) == _spell(theirs)
            if not same:
                raise InputError(
                    f"{files}: {name} of sample {sample_id} is {theirs} in the former and {ours} in the "
                    "latter; take both files from one copy"
                )


def _spell(name: Any) -> str:
    return spell_subject(str(name).strip())


def _read_folders(
    folder: Path,
) -> tuple[pd.DataFrame, UInt8[np.ndarray, "samples channels height width"]]:
    """Read `{subject}/u_test/{label}/{clip}.png`; `u_train` only repeats the other subjects' maps."""
    from PIL import Image

    rows, maps = [], []
    for file in sorted(folder.glob("*/u_test/*/*.png")):
        subject, label = file.parts[-4], file.parts[-2]
        if not is_frame_number(label):
            raise InputError(
                f"{file}: its folder {label} is no class number (0, 1, 2 are expected); "
                "copy the folder again"
            )
        try:
            with Image.open(file) as image:
                bands, pixels = image.getbands(), np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError) as error:  # Pillow calls a broken chunk a SyntaxError
            raise InputError(f"{file} cannot be read ({error}); copy it again") from error
        if len(bands) < len(CHANNELS) and bands != ("P",):
            raise InputError(
                f"{file} has {len(bands)} channel; expected 3, for u, v and optical strain: take the "
                "maps as they circulate, not a grey copy"
            )
        if pixels.shape[:2] != SIZE:
            raise InputError(
                f"{file} is {pixels.shape[1]}×{pixels.shape[0]} px; expected 28×28: take the maps "
                "as they circulate, not the faces or a resized copy"
            )
        sample_id = file.stem.strip()  # some names have a blank before the dot
        if not sample_id.startswith(f"{subject}_"):
            raise InputError(
                f"{file} is not named {subject}_CLIP.png, but lies with subject {subject}; "
                "move it to its own subject, or copy the folder again"
            )
        rows.append((sample_id, subject, sample_id.removeprefix(f"{subject}_"), int(label)))
        maps.append(pixels.transpose(2, 0, 1))
    if not rows:
        raise InputError(f"{folder} has no */u_test/*/*.png; copy it again. {_SOURCE}")
    index = pd.DataFrame(
        {
            "sample_id": [row[0] for row in rows],
            "corpus": [_name_corpus(row[1], folder) for row in rows],
            "subject": [row[1] for row in rows],
            "clip": [row[2] for row in rows],
            "label": [row[3] for row in rows],
        }
    )
    twice = index["sample_id"].duplicated()
    if twice.any():
        raise InputError(
            f"{folder}: sample {index['sample_id'][twice].iloc[0]} lies there twice; keep the one "
            "that is with its class"
        )
    return index, np.stack(maps)


def _name_corpus(subject: str, folder: Path) -> str:
    """The data set that a subject's name belongs to: `sub01` CASME II, `s01` SMIC, `006` SAMM."""
    for corpus, pattern in {"casme2": r"sub\d\d", "smic": r"s\d\d", "samm": r"\d{3}"}.items():
        if re.fullmatch(pattern, subject):
            return corpus
    raise InputError(
        f"{folder / subject} is no subject of MEGC2019; expected names such as sub01, s01 or 006"
    )
