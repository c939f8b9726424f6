"""A report is whole, recomputable, or refused."""

import io
import re
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import f1_score

from merec.presentation.numbers_and_captions import format_number
from merec.reporting.report import write_report
from merec.run_folder.prediction_table import COLUMNS
from merec.types import InputError


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def test_files_are_there_and_scores_can_be_computed_again_from_the_predictions(report) -> None:
    results, folder, printed = report
    raw = [
        "classes.csv",
        "guesses.csv",
        "leaderboard.csv",
        "optimism.csv",
        "predictions.csv",
        "pretraining.csv",
    ]
    raw += ["subjects.csv", "table.csv", "threshold.csv"]
    raw += ["ablation.csv", "calibration.csv", "jitter.csv", "modalities.csv"]
    raw += ["depth_noise.csv", "train_subjects.csv"]
    logs = "megc2019-log"
    names = sorted([*raw, logs, "report.html", "table.md", "table.tex"])
    assert sorted(path.name for path in folder.iterdir()) == names
    assert sorted(path.name for path in (folder / logs).iterdir()) == [
        "rbf-svm-b-friends-b-100-seed0.txt",
        "ststnet-rgb-seed0.txt",
        "ststnet-rgb-seed1.txt",
    ]
    predicted = pd.read_csv(folder / "predictions.csv")
    assert list(predicted)[:9] == ["result", *COLUMNS]
    scores = pd.read_csv(folder / "table.csv").set_index(["result", "subset"])
    for result in results:
        rows = predicted[predicted["result"] == result.name]
        uf1 = [
            f1_score(one["label"], one["predicted"], average="macro")
            for _, one in rows.groupby("seed")
        ]
        assert scores.loc[(result.name, "Full"), "uf1"] == pytest.approx(sum(uf1) / len(uf1))
    assert "ststnet rgb" in printed
    assert str(folder / "report.html") in printed


def test_the_same_runs_give_the_same_files(
    plain, runs: Path, tmp_path: Path, console: Console
) -> None:
    write_report([runs / "svm"], tmp_path, published=False, console=console)
    files = [path for path in plain.folder.rglob("*") if path.is_file()]
    assert len(files) == 19
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


def test_page_and_terminal_tell_of_runs_that_were_passed_over(
    runs: Path, tmp_path: Path, console: Console
) -> None:
    shutil.copytree(runs, tmp_path / "sweep")
    shutil.rmtree(tmp_path / "sweep/svm/folds/003")
    write_report([tmp_path / "sweep"], tmp_path / "out", published=False, console=console)
    for name in ("report.html", "table.md"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "Notes" in text
        assert re.search(r"passed over: .*svm.*missing 1 of 7 folds", text)
    assert isinstance(console.file, io.StringIO)
    printed = " ".join(console.file.getvalue().split())
    tables, note, after = printed.partition("Not in these tables, passed over: ")
    assert "UF1" in tables
    assert note
    assert "UF1" not in after


def test_a_report_of_whole_runs_has_no_notes(plain) -> None:
    assert "<h2>Notes" not in (plain.folder / "report.html").read_text(encoding="utf-8")


def test_every_seed_and_the_spread_stand_in_terminal_page_and_csv(report) -> None:
    results, folder, printed = report
    (several,) = [result for result in results if len(result.seeds) > 1]
    rows = [rows for _, rows in several.predictions.groupby("seed")]
    values = [f1_score(one["label"], one["predicted"], average="macro") for one in rows]
    page = (folder / "report.html").read_text(encoding="utf-8")
    markdown = (folder / "table.md").read_text(encoding="utf-8")
    for value in values:
        assert all(format_number(value) in text for text in (page, markdown, printed))
    row = pd.read_csv(folder / "table.csv").set_index(["result", "subset"]).loc[several.name, :]
    full = row.loc["Full"]
    assert [float(text) for text in full["uf1_seeds"].split()] == pytest.approx(values)
    assert (full["uf1_min"], full["uf1_max"]) == pytest.approx((min(values), max(values)))
    assert full["uf1_sd"] == pytest.approx(statistics.stdev(values))


def test_majority_and_chance_stand_below_the_results(report) -> None:
    _, folder, printed = report
    page = (folder / "report.html").read_text(encoding="utf-8")
    for guess in ("majority class", "chance, uniform", "chance, by frequency"):
        assert guess in page
        assert guess in " ".join(printed.split())
    assert "the claim can lie below the honest number" in page
    assert "Configurations tried inside each fold: none recorded" in page
