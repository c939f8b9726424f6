"""A full disk is one line, and what is written is private."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from merec.errors import DiskError
from merec.files import atomic, make_output, make_private, write_text
from merec.run_folder.checkpoint import write_checkpoint


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 2 kB, of which writers are told as of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_big(path: Path) -> None:
    if path.suffix == ".npz":
        with atomic(path) as part:
            np.savez(part, x=np.arange(9999))
    elif path.suffix == ".ckpt":
        write_checkpoint(path, {"state_dict": {"w": torch.zeros(9999)}})
    elif path.suffix == ".csv":
        with atomic(path) as part:
            pd.DataFrame({"x": np.arange(9999)}).to_csv(part)
    else:
        write_text(path, "x" * 9999)


@pytest.mark.parametrize("suffix", [".npz", ".ckpt", ".csv", ".json"])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path, suffix):
    path = tmp_path / f"file{suffix}"
    with (
        full_disk(),
        pytest.raises(DiskError, match="make room and give the same command again") as error,
    ):
        write_big(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.errno == errno.EFBIG
    assert names(tmp_path) == []


def test_a_file_where_a_folder_is_needed_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DiskError, match="choose another place"):
            make_output(place)
        with pytest.raises(DiskError, match="choose another place"):
            write_text(place / "table.csv", "x")


def modes(root: Path) -> set[str]:
    return {oct(path.stat().st_mode & 0o777) for path in (root, *root.rglob("*"))}


def test_what_is_written_below_a_private_folder_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        make_private(tmp_path / "store")
        write_text(tmp_path / "store" / "faces" / "ab" / "x.json", "{}")
        assert modes(tmp_path / "store") == {"0o700", "0o600"}
        (tmp_path / "old").mkdir()
        (tmp_path / "old").chmod(0o755)  # as an earlier merec made it
        make_private(tmp_path / "old")
        assert modes(tmp_path / "old") == {"0o700"}
        (tmp_path / "lab").mkdir()
        (tmp_path / "lab").chmod(0o770)  # shared with a group on purpose
        make_private(tmp_path / "lab")
        write_text(tmp_path / "lab" / "sub" / "x.json", "{}")
        assert modes(tmp_path / "lab") == {"0o770", "0o660"}
    finally:
        os.umask(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_a_run_and_what_wandb_keeps_of_it_are_private_and_not_below_the_home(
    merec, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    before = os.umask(0)
    run = tmp_path / "run"
    try:
        options = [
            "task=loso",
            "task.engine=loop",
            "folds=0-5",
            "logger=wandb",
            "trainer.max_epochs=1",
        ]
        assert merec("train", *small, *options, f"hydra.run.dir={run}").returncode == 0
    finally:
        os.umask(before)
    assert not list((tmp_path / "home").rglob("*wandb*"))
    assert any(path.is_file() for path in (run / "wandb" / "staged").rglob("*"))
    assert "WANDB_DATA_DIR" not in os.environ
    ours = [
        run,
        *run.glob("*"),
        *run.glob("folds/*"),
        *run.glob("folds/*/*"),
        run / "wandb" / "staged",
    ]
    assert {path.stat().st_mode & 0o077 for path in ours} == {0}
