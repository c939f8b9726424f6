"""A report is whole, recomputable, or refused."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import f1_score

from merec.evaluation.predictions import COLUMNS
from merec.reporting.report import write_report
from merec.types import InputError


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def test_files_are_there_and_scores_can_be_computed_again_from_the_predictions(report) -> None:
    results, folder, printed = report
    raw = ["classes.csv", "leaderboard.csv", "optimism.csv", "predictions.csv", "pretraining.csv"]
    raw += ["subjects.csv", "table.csv", "threshold.csv"]
    raw += ["ablation.csv", "calibration.csv", "jitter.csv", "modalities.csv"]
    logs = "megc2019-log"
    names = sorted([*raw, logs, "report.html", "table.md", "table.tex"])
    assert sorted(path.name for path in folder.iterdir()) == names
    assert sorted(path.name for path in (folder / logs).iterdir()) == [
        "rbf-svm-b-friends-b-100-seed0.txt",
        "ststnet-rgb-seed0.txt",
        "ststnet-rgb-seed1.txt",
    ]
    said = pd.read_csv(folder / "predictions.csv")
    assert list(said)[:9] == ["result", *COLUMNS]
    scores = pd.read_csv(folder / "table.csv").set_index(["result", "subset"])
    for result in results:
        own = said[said["result"] == result.name]
        uf1 = [
            f1_score(one["label"], one["predicted"], average="macro")
            for _, one in own.groupby("seed")
        ]
        assert scores.loc[(result.name, "Full"), "uf1"] == pytest.approx(sum(uf1) / len(uf1))
    assert "ststnet rgb" in printed
    assert str(folder / "report.html") in printed


def test_the_same_runs_give_the_same_files(
    plain, runs: Path, tmp_path: Path, console: Console
) -> None:
    write_report([runs / "svm"], tmp_path, published=False, console=console)
    files = [path for path in plain.folder.rglob("*") if path.is_file()]
    assert len(files) == 16
    for file in files:
        assert file.read_bytes() == (tmp_path / file.relative_to(plain.folder)).read_bytes()


def test_published_numbers_are_shown_only_if_wanted(report, plain) -> None:
    for name in ("report.html", "table.md", "table.tex"):
        assert "HTNet" in (report.folder / name).read_text(encoding="utf-8")
        assert "HTNet" not in (plain.folder / name).read_text(encoding="utf-8")


def test_an_incomplete_run_is_refused_and_nothing_is_written(
    runs: Path, tmp_path: Path, console: Console
) -> None:
    shutil.copytree(runs / "svm", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "folds" / "003")
    with pytest.raises(InputError, match="missing 1 of 7 folds"):
        write_report([tmp_path / "run"], tmp_path / "out", published=True, console=console)
    assert not (tmp_path / "out").exists()


def test_two_protocols_are_refused(
    runs: Path, tmp_path: Path, console: Console, make_index: Callable, write_run: Callable
) -> None:
    other = write_run(tmp_path / "other", make_index({"casme2": 3}), name="else")
    with pytest.raises(InputError, match="different protocols"):
        write_report([runs / "svm", other], tmp_path / "out", published=True, console=console)
    assert not (tmp_path / "out").exists()
