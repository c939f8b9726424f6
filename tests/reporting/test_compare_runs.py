"""Runs are compared on the same subjects or not at all; of several, every pair."""

import io
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pandas as pd
import pytest
from rich.console import Console

from merec.evaluation.comparison import compare_sides
from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.evaluation.significance_tests import compare_paired
from merec.metrics import uf1
from merec.presentation.table_formats import print_table
from merec.reporting.compare import compare_runs
from merec.studies.critical_difference import (
    describe_groups,
    draw_groups,
    explain_groups,
    find_groups,
)
from merec.studies.paired_comparison import (
    Comparison,
    explain_disagreement,
    lay_out_class_pairs,
    quote_pairs,
)
from merec.types import InputError


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_differences_are_those_of_the_paired_test(
    index: pd.DataFrame, tmp_path: Path, console: Console, write_run: Callable
) -> None:
    a = write_run(tmp_path / "a", index, name="weak", skill=0.0)
    b = write_run(tmp_path / "b", index, name="strong", skill=4.0)
    table = compare_runs([a, b], console).set_index(["subset", "metric"])
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


def test_settings_that_differ_are_listed_and_those_of_unlike_backbones_are_not(
    index: pd.DataFrame, tmp_path: Path, console: Console, write_run: Callable
) -> None:
    def task(backbone: str, width: int, lr: float) -> dict:
        node = {"_target_": backbone, "_partial_": True, "width": width}
        return {"backbone": node, "finetune": {"optimizer": {"lr": lr}, "class_balanced": False}}

    tasks = [task("a.Net", 8, 1e-3), task("a.Net", 9, 3e-3), task("b.Net", 9, 3e-3)]
    a, b, c = (write_run(tmp_path / f"{n}", index, task=node) for n, node in enumerate(tasks))
    compare_runs([a, b], console)
    listed = (
        "Settings that differ (A / B): backbone.width 8 / 9; finetune.optimizer.lr 0.001 / 0.003."
    )
    assert listed in " ".join(console.file.getvalue().split())
    compare_runs([a, c], console, out=tmp_path / "out")
    page = (tmp_path / "out/comparison.md").read_text(encoding="utf-8")
    assert "Settings that differ (A / B): finetune.optimizer.lr 0.001 / 0.003." in page
    console.file.truncate(0)
    compare_runs([b, c], console)
    assert "Settings that differ" not in console.file.getvalue()


def test_a_run_does_not_differ_from_its_copy(runs: Path, tmp_path: Path, console: Console) -> None:
    copy = shutil.copytree(runs / "svm", tmp_path / "copy")
    table = compare_runs([runs / "svm", copy], console)
    assert (table["difference"] == 0).all()
    assert (table["p"] == 1).all()
    assert str(runs / "svm") in console.file.getvalue()  # the names alone would not tell them apart


def test_one_seed_stands_beside_several(
    runs: Path, index: pd.DataFrame, tmp_path: Path, console: Console, write_run: Callable
) -> None:
    for seed in (0, 1):
        write_run(tmp_path / "two" / str(seed), index, name="two", seed=seed)
    assert len(compare_runs([tmp_path / "two", runs / "svm"], console)) == 6


def test_unlike_protocols_are_refused(
    runs: Path, tmp_path: Path, console: Console, make_index: Callable, write_run: Callable
) -> None:
    other = write_run(tmp_path / "other", make_index({"casme2": 3}), name="else")
    with pytest.raises(InputError, match="different protocols"):
        compare_runs([runs / "svm", other], console)


def test_a_side_of_two_configurations_is_refused_by_name(runs: Path, console: Console) -> None:
    with pytest.raises(InputError, match=r"2 configurations.*ststnet rgb in .*rbf_svm"):
        compare_runs([runs, runs / "svm"], console)


def test_seeds_that_cannot_be_paired_are_named(
    index: pd.DataFrame, tmp_path: Path, console: Console, write_run: Callable
) -> None:
    for name, seeds in (("two", (0, 1)), ("three", (3, 4, 5))):
        for seed in seeds:
            write_run(tmp_path / name / str(seed), index, name=name, seed=seed)
    with pytest.raises(InputError, match=r"seeds 0, 1 of two.*seeds 3, 4, 5 of three"):
        compare_runs([tmp_path / "two", tmp_path / "three"], console)
    assert console.file.getvalue() == ""


@pytest.fixture(scope="module")
def four(
    tmp_path_factory: pytest.TempPathFactory, make_index: Callable, write_run: Callable
) -> list[Path]:
    """Sides of unlike skill, two of them hardly apart, on twenty subjects."""
    root, index = tmp_path_factory.mktemp("four"), make_index({"casme2": 12, "smic": 8})
    skills = {"guess": 0.0, "weak_svm": 1.6, "a_net": 1.7, "strong": 6.0}
    return [write_run(root / name, index, name=name, skill=skill) for name, skill in skills.items()]


@pytest.fixture(scope="module")
def pooled(four: list[Path]) -> list[Result]:
    """Pooled results of the four sides."""
    return pool_runs(find_runs(four))


class Compared(NamedTuple):
    """Table, printed text and folder of a comparison of the four sides, 100 columns wide."""

    table: pd.DataFrame
    printed: str
    out: Path


@pytest.fixture(scope="module")
def compared(four: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Compared:
    narrow, out = Console(file=io.StringIO(), width=100), tmp_path_factory.mktemp("compared")
    return Compared(compare_runs(four, narrow, out=out), narrow.file.getvalue(), out)


def test_several_sides_print_every_pair_within_100_columns_and_write_it_all(
    compared: Compared,
) -> None:
    table, printed, out = compared
    assert max(map(len, printed.splitlines()[:-1])) <= 100  # the last is a path
    for title in ("Sides", "Pairs", "Pairs by data set", "Pairs by class"):
        assert re.search(rf"^{title} *$", printed, re.MULTILINE)
    for pair in ("B − A", "C − A", "D − A", "C − B", "D − B", "D − C"):
        assert printed.count(f" {pair} ") == 3
    assert "E − " not in printed

    names = ["classes.csv", "comparison.md", "groups.svg", "pairs.csv"]
    assert sorted(path.name for path in out.iterdir()) == names
    written = pd.read_csv(out / "pairs.csv")
    assert set(written["protocol"]) == {"megc2019-cd"}
    pd.testing.assert_frame_equal(written[table.columns], table)
    classes = pd.read_csv(out / "classes.csv")
    assert len(classes) == 6 * 3 * 3
    full = classes[classes["subset"] == "Full"].groupby(["result_a", "result_b"], sort=False)
    uf1 = table[(table["subset"] == "Full") & (table["metric"] == "uf1")]
    assert full["difference"].mean().tolist() == pytest.approx(uf1["difference"].tolist())
    ElementTree.fromstring((out / "groups.svg").read_text(encoding="utf-8"))
    page = (out / "comparison.md").read_text(encoding="utf-8")
    assert "](groups.svg)" in page
    assert "weak\\_svm" in page


def test_the_sentence_tells_who_is_told_apart_from_the_best(compared: Compared) -> None:
    sentence = " ".join(compared.printed.split()).partition("On megc2019-cd")[2]
    apart, _, alike = sentence.partition("not told apart from it")
    assert "of 4 configurations strong (seeds 0) has the highest UF1" in apart
    assert all(name in apart for name in ("guess", "weak_svm", "a_net"))
    assert alike == ""
    assert "Holm-corrected over 6 pairs" in sentence


def test_where_interval_and_p_disagree_it_is_said_which_decides(
    four: list[Path], tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = [pool_runs(find_runs([path]))[0] for path in four[:2]]
    pairs = compare_sides(sides)
    agree = pairs.assign(low=-0.1, high=0.2, p_holm=0.3)
    unlike = pd.concat([agree[:1].assign(low=0.1), agree[1:]])
    classes = pd.DataFrame()
    assert explain_disagreement(Comparison(sides, None, agree, classes)) == ""
    text = explain_disagreement(Comparison(sides, None, unlike, classes))
    start = "Interval and p disagree in UF1 of B − A: the Holm-corrected p decides, at alpha .05; "
    assert text == start + "the interval is approximate."
    reverse = pairs.assign(low=-0.1, high=0.2, p_holm=0.04)
    assert "UF1 of B − A, UAR of B − A" in explain_disagreement(
        Comparison(sides, None, reverse, classes)
    )
    monkeypatch.setattr("merec.reporting.compare.compare_sides", lambda *_: unlike)
    compare_runs(four[:2], console, out=tmp_path)
    assert "Interval and p disagree" in console.file.getvalue()
    assert "Interval and p disagree" in (tmp_path / "comparison.md").read_text(encoding="utf-8")


def test_a_reference_is_set_beside_each_other_side_alone(
    four: list[Path], console: Console
) -> None:
    table = compare_runs(four, console, reference="b")
    assert set(table["result_a"]) == {"weak_svm"}
    assert len(table) == 3 * 3 * 2
    printed = " ".join(console.file.getvalue().split())
    assert "weak_svm (seeds 0) is the reference" in printed
    strong = re.search(r"strong \(seeds 0; UF1 [.\d]+, ([+−])", printed)
    assert strong[1] == "+"
    assert "Holm-corrected over 3 pairs" in printed


@pytest.mark.parametrize("reference", ["E", "AB", "1"])
def test_a_reference_that_is_no_side_is_refused(
    four: list[Path], console: Console, reference: str
) -> None:
    with pytest.raises(InputError, match=f"reference={reference} is no side.*A to D"):
        compare_runs(four, console, reference=reference)


def test_the_third_of_unlike_protocols_is_refused(
    four: list[Path], tmp_path: Path, console: Console, make_index: Callable, write_run: Callable
) -> None:
    other = write_run(tmp_path / "other", make_index({"casme2": 3}), name="else")
    with pytest.raises(InputError, match="different protocols"):
        compare_runs([*four[:2], other], console)
    assert console.file.getvalue() == ""


def test_namesakes_are_told_apart_by_their_folders_and_one_folder_is_no_two_sides(
    four: list[Path], tmp_path: Path, console: Console
) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(four[0], twin)
    table = compare_runs([four[0], four[1], twin], console)
    names = [f"guess ({four[0]})", "weak_svm", f"guess ({twin})"]
    assert list(dict.fromkeys([*table["result_a"], *table["result_b"]])) == names
    with pytest.raises(InputError, match="guess is given twice"):
        compare_runs([four[0], four[1], four[0]], console)


def make_comparison(
    sides: list[Result], apart: list[tuple[str, str]], reference: str | None = None
) -> Comparison:
    """Four sides of which some pairs are told apart by decree."""
    names = [side.name for side in sides]
    pairs = [
        {
            "result_a": a,
            "result_b": b,
            "subset": "Full",
            "metric": "uf1",
            "p": 0.01 if {(a, b), (b, a)} & {*apart} else 0.5,
        }
        for n, a in enumerate(names)
        for b in names[n + 1 :]
        if reference in (None, a, b)
    ]
    table = pd.DataFrame(pairs).assign(difference=0.1, low=0.0, high=0.2)
    return Comparison(sides, reference, table.assign(p_holm=table["p"]), pd.DataFrame())


def test_groups_are_the_largest_sets_without_a_pair_that_is_told_apart(
    pooled: list[Result],
) -> None:
    # Best to worst: strong, a_net or weak_svm, guess.
    chain = make_comparison(pooled, [("strong", "a_net"), ("strong", "guess")])
    groups = [set(group) for group in find_groups(chain)]
    assert groups == [{"strong", "weak_svm"}, {"weak_svm", "a_net", "guess"}]
    assert find_groups(chain)[0][0] == "strong"
    nobody = make_comparison(pooled, [(a.name, b.name) for a in chain.sides for b in chain.sides])
    assert find_groups(nobody) == []
    assert "not told apart: none" in describe_groups(nobody)


def test_of_a_reference_there_is_one_group(pooled: list[Result]) -> None:
    comparison = make_comparison(pooled, [("strong", "guess")], reference="guess")
    assert [set(group) for group in find_groups(comparison)] == [{"guess", "weak_svm", "a_net"}]
    assert "Holm-corrected over 3 pairs" in explain_groups(comparison)


def test_a_bar_has_a_dot_at_each_of_its_members_and_at_no_other(pooled: list[Result]) -> None:
    comparison = make_comparison(pooled, [("strong", "a_net"), ("strong", "guess")])
    output, beside = draw_groups(comparison).axes
    rows = [label.get_text().partition(": ")[2] for label in output.get_yticklabels()]
    dots = [line for line in beside.lines if line.get_marker() == "o"]
    actual = [{rows[int(y)] for y in line.get_ydata()} for line in dots]
    assert actual == [set(group) for group in find_groups(comparison)]
    assert "no ranks" not in explain_groups(comparison)
    assert "Not Nemenyi" in explain_groups(comparison)


def test_the_quote_takes_a_reference_from_the_others_and_others_from_the_best(
    pooled: list[Result],
) -> None:
    best = quote_pairs(make_comparison(pooled, [("strong", "guess")]))
    # By decree each later side less each earlier is +.1; the best is last, so that it stays so.
    assert "told apart from it: guess" in best
    assert best.count("+.1000 [.000, +.200]") == 3
    less = quote_pairs(make_comparison(pooled, [], reference="strong"))
    assert less.count("−.1000 [−.200, .000]") == 3
    assert "the other less it" in less


def test_many_classes_stand_in_tables_of_a_few_columns(pooled: list[Result]) -> None:
    comparison = make_comparison(pooled, [])
    emotions = ["anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"]
    pairs = comparison.full[["result_a", "result_b", "subset", "difference", "low", "high"]]
    classes = pd.concat([pairs.assign(**{"class": name, "samples": 9}) for name in emotions])
    tables = list(lay_out_class_pairs(replace(comparison, classes=classes)))
    columns = [column for table in tables for column in table.columns if column != "Pair"]
    assert columns == [f"{name} (n = 9)" for name in emotions]
    assert [len(table.columns) for table in tables] == [5, 4]
    assert tables[0].title != tables[1].title
    for table in tables:
        assert table.rows["Pair"].tolist() == ["B − A", "C − A", "D − A", "C − B", "D − B", "D − C"]
        printed = Console(file=io.StringIO(), width=100)
        print_table(printed, table)
        assert max(map(len, printed.file.getvalue().splitlines())) <= 100
