"""Test that every randomly changed sheet is either read or refused with a one-line message."""

# ruff: noqa: E501 - tables of readers and odd cells

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from merec.corpora.macro import make_macro_corpus
from merec.errors import InputError
from merec.types import Corpus

CASME2 = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion"]  # fmt: skip
CASME3 = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
STEM = "cas(me)3_part_A_ME_label_JpgIndex"


def _times(n: int) -> list[int]:
    return [10 * n + 1, 10 * n + 4, 10 * n + 9]


def _part_a(n: int) -> list[Any]:
    return [f"spNO.{n % 3 + 1}", "abc"[n % 3], *map(str, _times(n)), "4+R12", "VII", "happy"]


# By reader: corpus, settings, file name without suffix, name of the sheet, header, function of a row.
READERS: dict[str, tuple[str, dict[str, Any], str, str, list[str], Callable[[int], list[Any]]]] = {
    "casme2": ("casme2", {}, "CASME2-coding-20140508", "Sheet1", CASME2,
               lambda n: [n % 3 + 1, f"EP{n:02d}", *_times(n), "4+L10", "happiness"]),
    "samm": ("samm", {}, "SAMM_Micro_FACS_Codes_v2", "MICRO ONLY",
             ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units", "Estimated Emotion"],
             lambda n: [n % 3 + 6, f"{n % 3 + 6:03d}_1_{n}", *_times(n), "6E+12", "Anger"]),
    "v2": ("casme3", {}, f"{STEM}_v2", "label", CASME3, _part_a),
    "v1": ("casme3", {"annotation": "v1"}, f"{STEM}_v1", "Sheet1", CASME3, _part_a),
    "dvscl": ("casme3", {"annotation": "dvscl"}, "dvscl_943", "Sheet1",
              ["subject", "clip", "onset", "apex", "label", "class_name"],
              lambda n: [f"spNO.{n % 3 + 1}", "abc"[n % 3], *_times(n)[:2], 0, "negative"]),
    "own": ("casme3", {"annotation": "own"}, "own", "Tabelle1", CASME3, _part_a),
    "part_c": ("casme3", {"annotation": "part_c"}, "CAS(ME)3_part_C_ME", "mockCrimeME",
               ["sub", "count", "onset", "offset", "au", "emotion"],
               lambda n: [n % 3 + 1, n, *_times(n)[::2], "12", "positive"]),
    "macro": ("casme3", {}, "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion", "Sheet1",
              ["sub", "seq", "onset", "apex", "offset", "emotion"],
              lambda n: [n % 3 + 1, "abc"[n % 3], *_times(n), "happy"]),
    "megc2019_flow": ("megc2019_flow", {}, "samples", "Sheet1",
                      ["index", "sample_id", "dataset", "subject", "filename", "label", "label_name"],
                      lambda n: [n, f"sub0{n % 3 + 1}_EP{n:02d}", "casme2", f"sub0{n % 3 + 1}", f"EP{n:02d}", n % 3, "negative"]),
}  # fmt: skip
ENDINGS = {"casme2": ("xlsx", "xls", "csv"), "samm": ("xlsx", "xls", "csv"), "v2": ("xlsx", "xls", "csv"),
           "v1": ("xlsx", "xls", "csv"), "dvscl": ("csv",), "own": ("xlsx", "xls", "csv"), "part_c": ("xlsx", "csv"),
           "macro": ("xlsx", "xls"), "megc2019_flow": ("csv",)}  # fmt: skip
CASES = [(reader, kind) for reader in READERS for kind in ENDINGS[reader]]
ODD = (
    *(None, "", " ", 0, -1, 1.5, 59.0, 2**63, 10**30, 1e300, True, False, "#N/A", "#DIV/0!", "NaN", "inf"),
    *("59.0", "1e5", "0x10", "٣", "²", "１２", "-", "/", "=1+1", "@x", "../../x", "/etc/x", "C:x", "{}", "{0}"),
    *("a" * 300, "王" * 100, "9" * 5000, "a\nb", "\u202eb", "\u200b", "é", "1_000", "4,7", "6E+12", "nan"),
    *("sub01", "Sub 1", "spNO.01", "006", "onset", "Subject", "middle", "unknown", '"', "'", ";", "\t", "%s"),
    *(datetime.date(2014, 5, 8), datetime.date(1901, 1, 1), "2014-05-08", "5/8/2014", "NULL", "None", "[b]x[/b]"),
)  # fmt: skip


def _mutate(rows: list[list[Any]], rng: np.random.Generator) -> list[list[Any]]:
    """Change some cells, rows and columns of a table, header included."""
    rows = [list(row) for row in rows]
    for _ in range(rng.integers(1, 6)):
        number, column = int(rng.integers(len(rows))), int(rng.integers(max(map(len, rows))))
        change = rng.integers(12)
        if change < 7:
            row = rows[number]
            if column < len(row):
                row[column] = ODD[int(rng.integers(len(ODD)))]
        elif change == 7:
            rows.insert(number, list(rows[int(rng.integers(len(rows)))]))
        elif change == 8 and len(rows) > 2:
            del rows[number]
        elif change == 9:
            rows.insert(number, [])
        elif change == 10:
            rows[number] = rows[number][:column]
        else:
            for row in rows:
                if column < len(row):
                    del row[column]
            if not any(rows):
                rows[0] = [None]
    return rows


def _break_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    change = rng.integers(3)
    if change == 0:
        del data[int(rng.integers(len(data))) :]
    elif change == 1:
        for position in rng.integers(len(data), size=int(rng.integers(1, 20))):
            data[position] = int(rng.integers(256))
    else:
        start = int(rng.integers(len(data)))
        del data[start : start + int(rng.integers(1, 200))]
    return bytes(data)


def _break_xml(file: Path, rng: np.random.Generator) -> None:
    """Change the parts of an .xlsx below its compression: numbers in places, kinds, styles and ranges."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    names = [name for name in parts if name.endswith(".xml")]
    name = (
        names[int(rng.integers(len(names)))] if rng.random() < 0.3 else "xl/worksheets/sheet1.xml"
    )
    text = parts[name].decode()
    swaps = [
        (r'r="[A-Z]+(\d+)"', ('r="XFD1048576"', 'r="A0"', 'r=""', 'r="ZZZZ1"', 'r="A2000000000"')),
        (r'<row r="\d+"', ('<row r="1048576"', '<row r="x"', '<row r="1.5"', '<row', '<row r="2000000000"')),
        (r't="\w+"', ('t="e"', 't="b"', 't="d"', 't="str"', 't="s"', 't="inlineStr"', 't="x"')),
        (r"<v>[^<]*</v>", ("<v></v>", "<v>nan</v>", "<v>1e999</v>", "<v>-1</v>", "<v>99999</v>", "<f>A1</f>")),
        (r"</sheetData>", ('</sheetData><mergeCells count="1"><mergeCell ref="A2:A1048576"/></mergeCells>',
                           '</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>',
                           '</sheetData><mergeCells><mergeCell ref="x"/></mergeCells>')),
        (r'dimension ref="[^"]*"', ('dimension ref="A1"', 'dimension ref="A1:XFD1048576"', 'dimension ref="?"')),
    ]  # fmt: skip
    pattern, choices = swaps[int(rng.integers(len(swaps)))]
    places = list(re.finditer(pattern, text))
    if places:
        place = places[int(rng.integers(len(places)))]
        new = choices[int(rng.integers(len(choices)))]
        text = text[: place.start()] + new + text[place.end() :]
    parts[name] = text.encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _write(file: Path, sheet: str, rows: list[list[Any]], rng: Any, write_xls: Any) -> None:
    kind = file.suffix[1:]
    if kind == "xlsx":
        book = openpyxl.Workbook()
        book.active.title = sheet
        for r, row in enumerate(rows, start=1):
            for c, value in enumerate(row, start=1):
                text = value.replace("\0", "") if isinstance(value, str) else value
                book.active.cell(r, c).value = float("inf") if text == "inf" else text
        if rng.random() < 0.2:
            last = int(rng.integers(2, len(rows) + 2))
            book.active.merge_cells(start_row=2, end_row=last, start_column=1, end_column=1)
        book.save(file)
    elif kind == "xls":
        numbers = [
            [float(v) if isinstance(v, int) and abs(v) > 2**60 else v for v in row] for row in rows
        ]
        texts = [[v[:250] if isinstance(v, str) else v for v in row] for row in numbers]
        merged = [(1, int(rng.integers(1, 8)), 0, 0)] if rng.random() < 0.2 else []
        write_xls(file, texts, sheet, merged)
    else:
        out = io.StringIO(newline="")
        delimiter = ",,,;\t|"[int(rng.integers(6))]
        csv.writer(out, delimiter=delimiter).writerows(rows)
        encodings = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "gb18030", "utf-16-le")
        file.write_bytes(out.getvalue().encode(encodings[int(rng.integers(6))], errors="replace"))


def _read(
    reader: str, folder: Path, file: Path, read: Callable[..., Corpus], lenient: bool
) -> None:
    corpus, settings, *_ = READERS[reader]
    if settings.get("annotation") == "own":
        settings = {"annotation": str(file)}
    if corpus != "megc2019_flow":
        settings = {**settings, "lenient": lenient}
    result = read(corpus, folder, **settings)
    if reader == "macro" and result.macro is not None and len(result.macro):
        make_macro_corpus(result)
    assert (result.index["subject"] != "").all()
    assert not result.index["sample_id"].duplicated().any()


def fuzz(
    reader: str, kind: str, count: int, folder: Path, read: Callable[..., Corpus], write_xls: Any
) -> None:
    corpus, _, stem, sheet, header, make = READERS[reader]
    rows = [header, *map(make, range(6))]
    rng = np.random.default_rng([count, CASES.index((reader, kind))])
    file = folder / f"{stem}.{kind}"
    if reader == "macro":
        _write(
            folder / f"{STEM}_v2.csv", "", [CASME3, *map(_part_a, range(6))], _Plain(), write_xls
        )
    if corpus == "megc2019_flow":
        ids = np.array([row[1] for row in rows[1:]])
        np.savez(folder / "flow.npz", flow=np.zeros((6, 3, 28, 28), np.uint8), sample_id=ids)
    _write(file, sheet, rows, _Plain(), write_xls)
    _read(reader, folder, file, read, lenient=False)  # the unchanged sheet is valid
    messages: list[str] = []
    read_well = 0
    for number in range(count):
        change = rng.random()
        _write(file, sheet, _mutate(rows, rng) if change < 0.7 else rows, rng, write_xls)
        if change >= 0.85:
            file.write_bytes(_break_bytes(file.read_bytes(), rng))
        elif change >= 0.7 and kind == "xlsx":
            _break_xml(file, rng)
        for lenient in (False, True):
            try:
                _read(reader, folder, file, read, lenient)
            except InputError as error:
                messages.append(str(error))
            except Exception as error:
                raise AssertionError(f"{reader} {kind} number {number}: {error!r}") from error
            else:
                read_well += 1
    assert [text for text in messages if "\n" in text or len(text) > 2000] == []
    assert min(read_well, len(messages)) > count / 10


class _Plain:
    """Random generator whose draws change nothing."""

    def random(self) -> float:
        """Return a value above every threshold."""
        return 1.0

    def integers(self, *_: int) -> int:
        """Return the first choice."""
        return 0


@pytest.mark.parametrize(
    ("reader", "kind"),
    [pytest.param(*case, marks=[pytest.mark.slow] * (case[1] == "xls")) for case in CASES],
)
def test_a_changed_sheet_is_read_or_refused_in_one_line(
    reader: str, kind: str, tmp_path: Path, read: Callable[..., Corpus], write_xls: Any
) -> None:
    fuzz(reader, kind, 6, tmp_path, read, write_xls)


@pytest.mark.slow
@pytest.mark.parametrize(("reader", "kind"), CASES)
def test_two_thousand_changed_sheets_are_read_or_refused_in_one_line(
    reader: str, kind: str, tmp_path: Path, read: Callable[..., Corpus], write_xls: Any
) -> None:
    fuzz(reader, kind, 2000, tmp_path, read, write_xls)
