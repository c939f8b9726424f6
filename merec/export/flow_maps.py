"""Export of flow maps to the folder layout of the released code of STSTNet and HTNet.

`three_norm_u_v_os/{subject}/{u_train,u_test}/{label}/{sample}.png`: `u_test` contains the maps of the
subject, `u_train` the maps of all other subjects. Red, green and blue are the three channels of a map; PNG
keeps each value.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from merec.errors import InputError
from merec.path_names import describe_bad_name
from merec.types import Corpus

FOLDER = "three_norm_u_v_os"


def write_flow_maps(corpus: Corpus, folder: Path) -> str:
    """Write the flow maps of a corpus, for each held-out subject a folder `u_train` and a folder `u_test`.

    Files in `u_train` are hard links where the disk supports them, else copies.

    Args:
        corpus: Corpus of flow maps.
        folder: Folder to write to.

    Returns:
        Summary of the export.

    Raises:
        InputError: If the maps do not have three channels, or a name is not a valid file name.
    """
    maps, index = corpus.flow_maps, corpus.index
    assert maps is not None
    if maps.shape[1] != 3:
        raise InputError(
            f"the flow maps of {corpus.protocol.name} have {maps.shape[1]} channels; expected 3, which a PNG "
            "file holds"
        )
    for column in ("sample_id", "subject"):
        for name in index[column]:
            if reason := describe_bad_name(name):
                raise InputError(f"{column} {name[:60]!r} {reason}; expected the name of a file")
    _write_tests(index, maps, folder / FOLDER)
    _link_training_maps(index, folder / FOLDER)
    return (
        f"{len(index)} flow maps of {index['subject'].nunique()} subjects; red, green, blue: "
        f"{', '.join(corpus.channels)}; labels: "
        + ", ".join(f"{label} {name}" for label, name in enumerate(corpus.protocol.classes))
    )


def _write_tests(
    index: pd.DataFrame, maps: UInt8[np.ndarray, "samples channels height width"], root: Path
) -> None:
    """Write the maps of each subject to its folder `u_test`."""
    from PIL import Image

    for row, pixels in zip(index.to_dict("records"), maps, strict=True):
        file = root / _place(row["subject"], "u_test", row)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(file)


def _link_training_maps(index: pd.DataFrame, root: Path) -> None:
    """Link the maps of all other subjects in the folder `u_train` of each subject."""
    rows = index.to_dict("records")
    for held_out in index["subject"].unique():
        for row in rows:
            if row["subject"] == held_out:
                continue
            source = root / _place(row["subject"], "u_test", row)
            file = root / _place(held_out, "u_train", row)
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, file)
            except OSError:  # a file system without hard links
                shutil.copyfile(source, file)


def _place(held_out: str, part: str, row: dict) -> Path:
    """Return the path of a map in the folder of a held-out subject."""
    return Path(held_out, part, str(row["label"]), f"{row['sample_id']}.png")
