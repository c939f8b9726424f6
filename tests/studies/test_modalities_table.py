"""Modalities stand side by side where runs differ in nothing else; classes are left out one by one."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from merec.evaluation.comparison import compare_results
from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.presentation.numbers_and_captions import format_change
from merec.reporting.report import write_report
from merec.studies.class_scores import (
    ablate_classes,
    lay_out_ablation,
)
from merec.studies.modalities import (
    compare_modalities,
    lay_out_modalities,
)

SKILLS = {"rgb": 1.0, "depth": 0.2, "fused": 3.0}


@pytest.fixture(scope="module")
def root(
    tmp_path_factory: pytest.TempPathFactory, index: pd.DataFrame, write_run: Callable
) -> Path:
    """A network in all modalities, and another in two of them."""
    folder = tmp_path_factory.mktemp("modalities")
    for network, modalities in (("net", SKILLS), ("other", ("depth", "fused"))):
        for modality in modalities:
            task = {"backbone": {"name": network}, "datamodule": {"modality": modality}}
            name = f"{network}-{modality}"
            write_run(folder / name, index, name=name, skill=SKILLS[modality], task=task)
    return folder


@pytest.fixture(scope="module")
def results(root: Path) -> list[Result]:
    return pool_runs(find_runs([root]))


def test_a_backbone_is_a_row_and_a_modality_a_column(results: list[Result]) -> None:
    rows = lay_out_modalities(results, compare_modalities(results)).rows.set_index(
        ["Method", "Metric"]
    )
    assert list(rows) == ["RGB", "Depth", "Fused", "Fused − RGB", "p"]
    assert sorted({name for name, _ in rows.index}) == ["net", "other"]
    by_name = {result.name: result for result in results}
    for modality, column in (("rgb", "RGB"), ("depth", "Depth"), ("fused", "Fused")):
        score = by_name[f"net-{modality}"].score()["uf1"].value
        assert rows.loc[("net", "UF1"), column].startswith(f"{score:.4f}"[1:])
    actual = compare_results(by_name["net-rgb"], by_name["net-fused"]).iloc[0]
    assert rows.loc[("net", "UF1"), "Fused − RGB"] == format_change(actual)
    assert actual["difference"] > 0


def test_without_colour_there_is_no_difference_to_it(results: list[Result]) -> None:
    rows = lay_out_modalities(results, compare_modalities(results)).rows.set_index(
        ["Method", "Metric"]
    )
    assert rows.loc[("other", "UF1"), ["RGB", "Fused − RGB", "p"]].tolist() == ["–"] * 3
    assert rows.loc[("other", "UF1"), "Fused"] != "–"


@pytest.mark.slow
def test_a_report_has_the_table_only_if_it_has_the_runs(root: Path, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=100)
    for name, paths in (("all", [root]), ("one", [root / "net-rgb"])):
        write_report(paths, tmp_path / name, published=False, console=console)
        page = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        assert ('<section id="modalities">' in page) == (name == "all")
        assert pd.read_csv(tmp_path / name / "modalities.csv").empty == (name == "one")
        assert 'aria-label="Classes left out"' in page
        assert 'aria-label="Calibration"' in page
    assert console.file.getvalue().count("\nModalities") == 1


def test_each_class_of_each_result_is_left_out_once(results: list[Result]) -> None:
    table = lay_out_ablation(results, ablate_classes(results)).rows
    names = [result.name for result in results]
    classes = list(results[0].protocol.classes)
    assert table["Method"].tolist() == [name for name in names for _ in classes]
    assert table["Class"].tolist() == classes * len(names)
    assert table["Most taken for"].str.fullmatch(r"–|(negative|positive|surprise) \(\d+ %\)").all()
