"""Files are whole or absent, whatever happens while they are written."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from merec import files
from merec.csv_export import write_csv
from merec.files import atomic, whole_folder, write_json, write_text
from merec.path_names import describe_bad_name


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_failed_write_leaves_the_old_content_or_nothing(tmp_path, error, old):
    path = tmp_path / "metrics.json"
    if old:
        path.write_text(old)

    def write_half() -> None:
        with atomic(path) as part:
            part.write_text("half of the new con")
            raise error

    with pytest.raises(error):
        write_half()
    assert names(tmp_path) == (["metrics.json"] if old else [])
    if old:
        assert path.read_text() == old


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, None])
def test_a_folder_takes_its_name_only_when_it_is_whole(tmp_path, error):
    def write_two() -> None:
        with whole_folder(tmp_path / "export") as folder:
            (folder / "first").write_text("1")
            assert names(tmp_path) != ["export"]
            if error:
                raise error
            (folder / "second").write_text("2")

    if error:
        with pytest.raises(error):
            write_two()
        assert names(tmp_path) == []
    else:
        write_two()
        assert names(tmp_path) == ["export"]
        assert names(tmp_path / "export") == ["first", "second"]


def test_readers_see_the_old_content_until_the_block_ends(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("old")
    with atomic(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["predictions.csv"]


def test_the_part_keeps_the_suffix_and_no_pattern_for_finished_files_finds_it(tmp_path):
    # numpy appends .npz to any other suffix, and would then write beside the part.
    path = tmp_path / "epochs.npz"
    with atomic(path) as part:
        assert part.suffix == ".npz"
        assert part.parent == tmp_path
        np.savez(part, x=np.arange(3))
        assert part.exists()
        assert not list(tmp_path.glob("epochs*"))
    with np.load(path) as arrays:
        assert arrays["x"].tolist() == [0, 1, 2]


def test_two_processes_write_one_file_without_mixing(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    monkeypatch.setattr(files.os, "getpid", lambda: 1)
    with atomic(path) as first:
        first.write_text("first, slower")
        monkeypatch.setattr(files.os, "getpid", lambda: 2)
        with atomic(path) as second:
            assert second != first
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first, slower"
    assert names(tmp_path) == ["config.yaml"]


def test_missing_folders_are_made(tmp_path):
    write_text(tmp_path / "folds" / "006" / "log.txt", "ö")
    assert (tmp_path / "folds" / "006" / "log.txt").read_bytes() == "ö".encode()


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_content(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic(path):
        pass
    assert path.read_text() == "old"


def test_json_returns_as_it_was_given_and_stays_legible(tmp_path):
    content = {"name": "CAS(ME)³", "uf1": 0.1 + 0.2, "classes": ["negative"], "none": None}
    write_json(tmp_path / "metrics.json", content)
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert "CAS(ME)³" in text
    assert text.count("\n") > len(content)


def test_what_json_cannot_hold_keeps_the_old_file(tmp_path):
    write_json(tmp_path / "metrics.json", {"uf1": 0.5})
    with pytest.raises(TypeError):
        write_json(tmp_path / "metrics.json", {"uf1": object()})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"uf1": 0.5}
    assert names(tmp_path) == ["metrics.json"]


DANGEROUS = ("=1+1", "+A1", "-A1", "@SUM(1)", "\tx", "\r=1", '=HYPERLINK("x")', "-1+2")
HARMLESS = ("", "-", "+", "-.05", "+1", "-3e-4", "−.05", "'", "a=b", "5", "12+4", "-12.5%")


def test_no_cell_of_a_table_for_people_is_a_formula(tmp_path):
    table = pd.DataFrame({"text": [*DANGEROUS, *HARMLESS], "number": -1.5})
    table["=name"] = table["text"].astype("category")
    write_csv(tmp_path / "a.csv", table)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as handle:
        header, *rows = csv.reader(handle)
    assert header == ["text", "number", "'=name"]
    mended = [f"'{text}".replace("\r", "\n") for text in DANGEROUS]
    assert [row[0] for row in rows] == [*mended, *HARMLESS]
    assert [row[2] for row in rows] == [row[0] for row in rows]
    assert {row[1] for row in rows} == {"-1.5"}
    assert table["text"].tolist() == [*DANGEROUS, *HARMLESS]


@pytest.mark.parametrize(
    "name", ["spNO.1", "EP02_01f", "006_1_2", "a", "王", "sub 01", "...x", "x" * 100]
)
def test_a_plain_name_may_be_part_of_a_path(name, tmp_path):
    assert describe_bad_name(name) == ""
    (tmp_path / name).mkdir()


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "../x", "a/b", "/etc", "a\\b", "C:x", "C:\\x", "\\\\host", "a\0b", "a\nb", "\x7f",
     "x" * 256, "王" * 90, "\udc80", "{}", "=1", "-rf", "@a", "a\u202eb"],
)  # fmt: skip
def test_what_leaves_a_folder_or_is_no_name_is_described(name):
    assert describe_bad_name(name)
