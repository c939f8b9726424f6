"""Fixtures that write small folders and spreadsheets in the formats of the official corpora."""

import datetime
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import yaml

import merec.corpora as corpora
from merec.corpora.casme3_lists import MICRO_FILE
from merec.synthetic.frequencies import read_frequencies
from merec.types import ActionUnit, Corpus

CONF = Path(__file__).parents[2] / "conf" / "corpus"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def defaults() -> Callable[[str], dict[str, Any]]:
    """Return a function that reads the YAML of a corpus."""
    return lambda corpus: yaml.safe_load((CONF / f"{corpus}.yaml").read_text())


@pytest.fixture
def read(defaults: Callable[[str], dict[str, Any]]) -> Callable[..., Corpus]:
    """Return a function that reads a corpus with the defaults of its YAML, but without expected counts."""

    def call(corpus: str, root: Path, /, **changes: Any) -> Corpus:
        node = defaults(corpus)
        target = node.pop("_target_").removeprefix("merec.corpora.")
        return getattr(corpora, target)(**{**node, "root": str(root), "expected": {}, **changes})

    return call


@pytest.fixture
def write_sheet() -> Callable[..., Path]:
    """Return a function that writes an .xlsx file with one sheet, whose header is below `above` rows."""

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


_ERRORS = {
    "#NULL!": 0,
    "#DIV/0!": 7,
    "#VALUE!": 15,
    "#REF!": 23,
    "#NAME?": 29,
    "#NUM!": 36,
    "#N/A": 42,
}


def _record(kind: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def _biff_text(text: str, length: str) -> bytes:
    return struct.pack(f"<{length}B", len(text), 1) + text.encode("utf-16-le")


def _biff_cell(row: int, column: int, value: Any) -> bytes:
    if value is None:
        return b""
    place = struct.pack("<HH", row, column)
    if isinstance(value, bool):
        return _record(0x0205, place + struct.pack("<HBB", 1, value, 0))
    if isinstance(value, datetime.date):
        days = (
            datetime.datetime.combine(value, datetime.time()) - datetime.datetime(1899, 12, 30)
        ).days
        return _record(0x0203, place + struct.pack("<Hd", 2, days))
    if isinstance(value, int | float):
        return _record(0x0203, place + struct.pack("<Hd", 1, value))
    if value in _ERRORS:
        return _record(0x0205, place + struct.pack("<HBB", 1, _ERRORS[value], 1))
    return _record(0x0204, place + struct.pack("<H", 1) + _biff_text(value, "H"))


def _pack_ole2(stream: bytes) -> bytes:
    """Pack a stream named `Workbook` into a compound file (format: Microsoft, MS-CFB)."""
    free, end, table = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    stream = stream.ljust(max(4096, -(-len(stream) // 512) * 512), b"\0")
    sectors = len(stream) // 512
    assert sectors + 2 <= 128, "one sector of the allocation table is enough for a test"
    chain = [*range(1, sectors), end, end, table]
    fat = struct.pack("<128I", *chain, *[free] * (128 - len(chain)))

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = (name.encode("utf-16-le") + b"\0\0") if name else b""
        head = text.ljust(64, b"\0") + struct.pack("<HBB3I", len(text), kind, 1, free, free, child)
        return head + bytes(36) + struct.pack("<IQ", start, size)

    directory = entry("Root Entry", 5, 1, end, 0) + entry("Workbook", 2, free, 0, len(stream))
    directory += 2 * entry("", 0, free, 0, 0)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<5H6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIIII", 0, 1, sectors, 0, 4096, end, 0, end, 0, sectors + 1)
    return header.ljust(512, b"\xff") + stream + directory + fat


@pytest.fixture(scope="session")
def write_xls() -> Callable[..., Path]:
    """Return a function that writes an .xls file (BIFF8): text, numbers, booleans, dates, errors, merges."""

    def write(
        file: Path,
        rows: Sequence[Sequence[Any]],
        sheet: str = "Sheet1",
        merged: Sequence[tuple[int, int, int, int]] = (),
    ) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        bof = [
            _record(0x0809, struct.pack("<4HII", 0x600, kind, 0xDBB, 0x7CC, 0, 6))
            for kind in (5, 16)
        ]
        font = _record(
            0x0031,
            struct.pack("<5H4B", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 0) + _biff_text("Arial", "B"),
        )
        styles = [
            _record(
                0x00E0, struct.pack("<HHHBBBBIIH", 0, number, kind, 0x20, 0, 0, 0, 0, 0, 0x20C0)
            )
            for number, kind in ((0, 0xFFF5), (0, 1), (14, 1))  # style, cell, date
        ]
        before = bof[0] + _record(0x0042, struct.pack("<H", 1200)) + 5 * font + b"".join(styles)
        length = len(
            _record(0x0085, struct.pack("<IBB", 0, 0, 0) + _biff_text(sheet, "B")) + _record(10)
        )
        place = struct.pack("<IBB", len(before) + length, 0, 0)
        before += _record(0x0085, place + _biff_text(sheet, "B")) + _record(10)
        cells = [
            _biff_cell(r, c, value) for r, row in enumerate(rows) for c, value in enumerate(row)
        ]
        ranges = b"".join(struct.pack("<4H", *corners) for corners in merged)
        merges = _record(0x00E5, struct.pack("<H", len(merged)) + ranges) if merged else b""
        file.write_bytes(_pack_ole2(before + bof[1] + b"".join(cells) + merges + _record(10)))
        return file

    return write


@pytest.fixture
def touch() -> Callable[..., None]:
    """Return a function that makes empty files, which suffice because loaders do not open frames."""

    def make(folder: Path, names: Iterable[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).touch()

    return make


@pytest.fixture(scope="session")
def real_casme3() -> Path:
    """Return the folder of the real annotation lists of CAS(ME)^3."""
    folder = SHARED / "casme3"
    if not folder.is_dir():
        pytest.skip("the annotation of CAS(ME)^3 is licensed data and is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def real_list(real_casme3: Path) -> Path:
    """Return the official list of part A, version 2."""
    return real_casme3 / MICRO_FILE


@pytest.fixture
def real_rows(real_list: Path) -> pd.DataFrame:
    """Read the rows of the official list, all cells as text."""
    return pd.read_excel(real_list, sheet_name="label", dtype=str)


@pytest.fixture(scope="session")
def drawable() -> set[ActionUnit]:
    """Return every action unit that can be drawn for a synthetic subject."""
    return {
        unit
        for emotion in read_frequencies().emotions.values()
        for group in (*emotion.combinations, tuple(emotion.action_units))
        for unit in group
    }


@pytest.fixture
def composite_rows() -> list[dict[str, str]]:
    """Read names and labels of the 442 samples of MEGC2019."""
    import csv

    file = SHARED / "megc2019_flow" / "samples.csv"
    if not file.exists():
        pytest.skip(
            "the list of MEGC2019's samples lies with the flow maps, not beside this checkout"
        )
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))
