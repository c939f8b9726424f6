"""Made folders and spreadsheets with the official names, columns and quirks."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import yaml

import merec.corpora as corpora
from merec.corpora.casme3 import MICRO_FILE
from merec.corpora.synthetic.frequencies import read_frequencies
from merec.types import ActionUnit, Corpus

CONF = Path(__file__).parents[2] / "conf" / "corpus"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def defaults() -> Callable[[str], dict[str, Any]]:
    """The YAML of a corpus."""
    return lambda corpus: yaml.safe_load((CONF / f"{corpus}.yaml").read_text())


@pytest.fixture
def read(defaults: Callable[[str], dict[str, Any]]) -> Callable[..., Corpus]:
    """Read a corpus with the defaults of its YAML, without Hydra; counts are not asserted unless asked."""

    def call(corpus: str, root: Path, /, **changes: Any) -> Corpus:
        node = defaults(corpus)
        target = node.pop("_target_").removeprefix("merec.corpora.")
        return getattr(corpora, target)(**{**node, "root": str(root), "expected": {}, **changes})

    return call


@pytest.fixture
def write_sheet() -> Callable[..., Path]:
    """Write an .xlsx with one sheet, its header `above` rows from the top."""

    def write(
        file: Path,
        header: Sequence[str],
        rows: Iterable[Sequence[Any]],
        sheet: str = "Sheet1",
        above: int = 0,
    ) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        book = openpyxl.Workbook()
        page = book.active
        page.title = sheet
        for number in range(above):
            page.append([f"line {number} of a legend"])
        page.append(list(header))
        for row in rows:
            page.append(list(row))
        book.create_sheet("Empty")
        book.save(file)
        return file

    return write


@pytest.fixture
def touch() -> Callable[..., None]:
    """Make empty files: the loaders name frames and open none."""

    def make(folder: Path, names: Iterable[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).touch()

    return make


@pytest.fixture(scope="session")
def real_casme3() -> Path:
    """The folder that holds the real annotation lists of CAS(ME)^3."""
    folder = SHARED / "casme3"
    if not folder.is_dir():
        pytest.skip("the annotation of CAS(ME)^3 is licensed data and is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def real_list(real_casme3: Path) -> Path:
    """The official list of part A, version 2."""
    return real_casme3 / MICRO_FILE


@pytest.fixture
def real_rows(real_list: Path) -> pd.DataFrame:
    """Its rows as they stand there, all text."""
    return pd.read_excel(real_list, sheet_name="label", dtype=str)


@pytest.fixture(scope="session")
def drawable() -> set[ActionUnit]:
    """Every action unit that a made subject can show."""
    return {
        unit
        for emotion in read_frequencies().emotions.values()
        for group in (*emotion.combinations, tuple(emotion.action_units))
        for unit in group
    }


@pytest.fixture
def composite_rows() -> list[dict[str, str]]:
    """Names and labels of the 442 samples of MEGC2019."""
    import csv

    file = SHARED / "megc2019_flow" / "samples.csv"
    if not file.exists():
        pytest.skip(
            "the list of MEGC2019's samples lies with the flow maps, not beside this checkout"
        )
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))
