"""Made folders and spreadsheets with the official names, columns and quirks."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

import merec.corpora as corpora
from merec.types import Corpus

CONF = Path(__file__).parents[2] / "conf" / "corpus"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def read() -> Callable[..., Corpus]:
    """Read a corpus with the defaults of its YAML, without Hydra; counts are not asserted unless asked."""

    def call(corpus: str, root: Path, /, **changes: Any) -> Corpus:
        node = yaml.safe_load((CONF / f"{corpus}.yaml").read_text())
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


@pytest.fixture
def real_casme3() -> Path:
    """The folder that holds the real annotation lists of CAS(ME)^3."""
    folder = SHARED / "casme3"
    if not folder.is_dir():
        pytest.skip("the annotation of CAS(ME)^3 is licensed data and is not beside this checkout")
    return folder


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
