"""Onset-to-apex flow maps of the 442 micro-expressions of MEGC2019 (SMIC, CASME II, SAMM).

Two layouts are supported: the packed `flow.npz` + `samples.csv`, and the folders in which the maps are
distributed, `three_norm_u_v_os/{subject}/{u_train,u_test}/{0,1,2}/{clip}.png`. Both give the same samples,
pixels and protocol hash. Each channel of each map is min-max scaled to 0..255 (u, v: horizontal and vertical
flow, strain: optical strain), so magnitudes and the zero of u and v are lost.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from merec.corpora.megc2019_packed import CHANNELS, SIZE, read_packed
from merec.corpora.reading.cells import is_frame_number
from merec.corpora.reading.subjects import refuse_namesakes
from merec.evaluation.protocol import assert_counts, describe_protocol
from merec.types import Corpus, InputError

FOLDERS = ("", "three_norm_u_v_os", "datasets/three_norm_u_v_os")
_SOURCE = (
    "The maps circulate with the public code of STSTNet and HTNet as the folder three_norm_u_v_os; the "
    "faces behind them (SMIC, CASME II, SAMM) are licensed to researchers, so merec ships no copy"
)


def read_megc2019_flow(
    root: str, name: str, classes: Sequence[str], expected: Mapping[str, Any] | None
) -> Corpus:
    """Read the flow maps from `root` in either layout.

    Args:
        root: Folder with `flow.npz` and `samples.csv`, with the subjects' folders, or with the folder
            `three_norm_u_v_os`.
        name: Name of the protocol.
        classes: Class names in label order.
        expected: Counts to assert (see `assert_counts`); `None` to use a subset on purpose.

    Raises:
        InputError: If no maps are found, a file is damaged, rows and maps do not match, or the counts differ
            from the protocol.
    """
    folder = Path(root).expanduser()
    circulating = [folder / name for name in FOLDERS if any((folder / name).glob("*/u_test"))]
    if (folder / "flow.npz").exists():
        index, maps = read_packed(folder, classes)
    elif circulating:
        index, maps = _read_folders(circulating[0])
    else:
        problem = "does not exist" if not folder.exists() else "holds neither flow.npz nor */u_test"
        raise InputError(
            f"corpus.root={root} {problem}; expected the MEGC2019 flow maps. Set corpus.root=FOLDER, or "
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


def _read_folders(
    folder: Path,
) -> tuple[pd.DataFrame, UInt8[np.ndarray, "samples channels height width"]]:
    """Read `{subject}/u_test/{label}/{clip}.png`; `u_train` only repeats maps of other subjects."""
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
    """Return the data set of a subject by its name: `sub01` CASME II, `s01` SMIC, `006` SAMM."""
    for corpus, pattern in {"casme2": r"sub\d\d", "smic": r"s\d\d", "samm": r"\d{3}"}.items():
        if re.fullmatch(pattern, subject):
            return corpus
    raise InputError(
        f"{folder / subject} is no subject of MEGC2019; expected names such as sub01, s01 or 006"
    )
