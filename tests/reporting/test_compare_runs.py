"""Two runs are compared on the same subjects or not at all."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from merec.evaluation.metrics import uf1
from merec.evaluation.results import pool_runs
from merec.evaluation.runs import find_runs
from merec.evaluation.statistics import compare_paired
from merec.reporting.compare import compare_runs
from merec.types import InputError


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_differences_are_those_of_the_paired_test(
    index: pd.DataFrame, tmp_path: Path, console: Console, write_run: Callable
) -> None:
    a = write_run(tmp_path / "a", index, name="weak", skill=0.0)
    b = write_run(tmp_path / "b", index, name="strong", skill=4.0)
    table = compare_runs(a, b, console).set_index(["subset", "metric"])
    assert sorted({subset for subset, _ in table.index}) == ["Full", "casme2", "smic"]
    sides = [pool_runs(find_runs([side]))[0].confusions()[1] for side in (a, b)]
    expected = compare_paired(uf1, *sides)
    row = table.loc[("Full", "uf1")]
    assert row["difference"] == expected.value == pytest.approx(row["b"] - row["a"])
    assert (row["low"], row["high"], row["p"]) == (expected.low, expected.high, expected.p)
    assert row["difference"] > 0.2
    printed = console.file.getvalue()
    for fact in ("strong (seeds 0) beside weak (seeds 0)", "35 samples, 7 subjects", "megc2019-cd"):
        assert fact in " ".join(printed.split())


def test_a_run_does_not_differ_from_itself(runs: Path, console: Console) -> None:
    table = compare_runs(runs / "svm", runs / "svm", console)
    assert (table["difference"] == 0).all()
    assert (table["p"] == 1).all()
    assert str(runs / "svm") in console.file.getvalue()  # the names alone would not tell them apart


def test_one_seed_stands_beside_several(
    runs: Path, index: pd.DataFrame, tmp_path: Path, console: Console, write_run: Callable
) -> None:
    for seed in (0, 1):
        write_run(tmp_path / "two" / str(seed), index, name="two", seed=seed)
    assert len(compare_runs(tmp_path / "two", runs / "svm", console)) == 6


def test_unlike_protocols_are_refused(
    runs: Path, tmp_path: Path, console: Console, make_index: Callable, write_run: Callable
) -> None:
    other = write_run(tmp_path / "other", make_index({"casme2": 3}), name="else")
    with pytest.raises(InputError, match="different protocols"):
        compare_runs(runs / "svm", other, console)


def test_a_side_of_two_configurations_is_refused_by_name(runs: Path, console: Console) -> None:
    with pytest.raises(InputError, match=r"2 configurations.*ststnet rgb in .*rbf_svm"):
        compare_runs(runs, runs / "svm", console)


def test_seeds_that_cannot_be_paired_are_named(
    index: pd.DataFrame, tmp_path: Path, console: Console, write_run: Callable
) -> None:
    for name, seeds in (("two", (0, 1)), ("three", (3, 4, 5))):
        for seed in seeds:
            write_run(tmp_path / name / str(seed), index, name=name, seed=seed)
    with pytest.raises(InputError, match=r"seeds 0, 1 of two.*seeds 3, 4, 5 of three"):
        compare_runs(tmp_path / "two", tmp_path / "three", console)
    assert console.file.getvalue() == ""
