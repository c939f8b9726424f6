"""Files of sample sheets, and the command that creates them."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from PIL import Image, UnidentifiedImageError

from merec.evaluation.results import Result
from merec.presentation.numbers_and_captions import hide_folders

SHEETS = Path("runs/inspect")  # where `merec inspect` writes if it is not told
SOURCE = "Source"  # a PNG's text that says which data set the sample is of
_FLOW_MAPS = "megc2019_flow"  # has no frames to look at


def name_sheet(sample_id: str) -> str:
    """Return a file name for a sample, without extension."""
    return re.sub(r"[^\w.-]+", "_", sample_id)


def find_sheets(samples: pd.DataFrame, folder: Path) -> dict[str, Path]:
    """Return the sheets in a folder by sample, without sheets of equal ids of other data sets.

    Args:
        samples: Columns `sample_id` and `corpus`.
        folder: Folder in which `merec inspect` wrote.
    """
    sheets = {}
    rows = samples[["sample_id", "corpus"]].drop_duplicates()
    for sample_id, corpus in rows.itertuples(index=False):
        sheet = folder / f"{name_sheet(sample_id)}.png"
        if sheet.is_file() and _read_source(sheet) == corpus:
            sheets[sample_id] = sheet
    return sheets


def _read_source(sheet: Path) -> str | None:
    """Read the data set that a sheet names; `None` if it cannot be read."""
    try:
        with Image.open(sheet) as image:
            return image.info.get(SOURCE)
    except (OSError, UnidentifiedImageError):
        return None


def tell_command(result: Result, samples: Sequence[str], folder: Path) -> str | None:
    """Return the command that creates sheets of samples; `None` if frames or corpus are unknown.

    Args:
        result: Result, whose first run gives corpus and features.
        samples: Sample ids.
        folder: Output folder of `merec inspect`.
    """
    run = result.runs[0]
    target = str(run.config.get("corpus", {}).get("_target_", ""))
    choice = target.partition(".read_")[2]
    if not choice or choice == _FLOW_MAPS:
        return None
    given = shlex.split(str(run.environment.get("command") or ""))
    groups = ("corpus.", "features=", "features.", "experiments=", "--config-dir=")
    kept = [word for word in given if word.startswith(groups) and "," not in word]
    out = [] if folder == SHEETS else [f"out={folder}"]
    words = ["merec", "inspect", *samples, f"corpus={choice}", *kept, *out]
    return hide_folders(shlex.join(words))
