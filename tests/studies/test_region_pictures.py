"""Pictures of important regions: in report and dashboard, and nowhere without networks of points."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs, read_run
from merec.features.regions import REGIONS
from merec.presentation.figure_style import to_svg
from merec.reporting.page import (
    write_page,
)
from merec.run_folder import RunFolder
from merec.studies.region_importance import (
    Explanation,
    answer,
    draw_adjacency,
    draw_importance,
    lay_out_agreement,
    read_explanation,
)
from merec.tracking.wandb_logging import track_result

IMPORTANT = REGIONS.index("chin")


def explain(folder: Path) -> Path:
    """Give a run the tables of a network that looks at the chin, which is what is coded."""
    for number, rows in read_run(folder).predictions.groupby("fold"):
        place = RunFolder(folder).fold(int(number)).path
        keys = pd.MultiIndex.from_product(
            [rows["sample_id"], REGIONS], names=["sample_id", "region"]
        )
        table = keys.to_frame(index=False)
        table["importance"] = np.where(table["region"] == "chin", 0.5, -0.125)
        table["coded"] = table["region"] == "chin"
        table.to_csv(place / "regions.csv", index=False)
        names = ["layer", "to_region", "from_region"]
        pairs = pd.MultiIndex.from_product([[0], REGIONS, REGIONS], names=names)
        graph = pairs.to_frame(index=False).assign(weight=np.linspace(-1, 0, len(pairs)))
        graph.to_csv(place / "adjacency.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory, write_run, index) -> list[Result]:
    """A network of points and a baseline."""
    root = tmp_path_factory.mktemp("points")
    explain(write_run(root / "net", index, name="net $ <b>", skill=2))
    write_run(root / "svm", index, name="svm")
    return pool_runs(find_runs([root]))


@pytest.fixture(scope="module")
def explanation(results: list[Result]) -> Explanation:
    actual = read_explanation(results[0])
    assert actual is not None
    return actual


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_heat_maps_show_every_number_and_are_xml(explanation: Explanation) -> None:
    drawn = draw_importance(explanation, "net $ <b>")
    row = ["−.125"] * 8
    row[IMPORTANT] = ".500"
    assert texts(drawn) == row * 3
    rows = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    counts = explanation.count_predicted()
    assert rows == [f"{n} ({c})" for n, c in zip(explanation.classes, counts, strict=True)]
    strength = explanation.average_adjacency()
    graph = draw_adjacency(strength, "net")
    assert (texts(graph)[0], texts(graph)[-1]) == ("1.000", ".000")
    for figure in (drawn, graph):
        ElementTree.fromstring(to_svg(figure))


def test_a_class_never_predicted_has_empty_cells(explanation: Explanation) -> None:
    rows = explanation.regions[explanation.regions["predicted"] != 0]
    fewer = Explanation(rows, explanation.adjacency, explanation.names, explanation.classes)
    assert len(texts(draw_importance(fewer, "net"))) == 2 * 8


def test_the_table_names_results_with_coded_samples_only(results, explanation) -> None:
    table = lay_out_agreement([(results[0], explanation)])
    assert table.rows.to_dict("records") == [
        {"Method": "net $ <b>", "n": "35", "Subjects": "7", "AUC": "1.0000 [1.000, 1.000]"}
    ]
    nobody = explanation.regions.assign(coded=False)
    empty = Explanation(nobody, explanation.adjacency, explanation.names, explanation.classes)
    assert lay_out_agreement([(results[0], empty)]) is None
    assert lay_out_agreement([]) is None


def test_the_page_shows_regions_of_the_results_that_have_them(results: list[Result]) -> None:
    page = write_page("", "", "", [answer(results)])
    assert '<section id="regions">' in page
    section = page.split('<section id="regions">')[1].split("</section>")[0]
    assert section.count("<svg") == 2
    assert "1.0000 [1.000, 1.000]" in section
    assert "net $ &lt;b&gt;" in section
    assert "svm" not in section


def test_without_region_tables_there_is_no_such_section(results: list[Result]) -> None:
    assert not answer(results[1:]).parts


def test_the_dashboard_gets_the_same_figures(
    results: list[Result], tmp_path: Path, make_board: Callable
) -> None:
    for name in ("predictions.csv", "metrics.json"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    figures = {"region_importance", "region_adjacency"}
    for result, expected in zip(results, (figures, set()), strict=True):
        board = make_board()
        track_result(board, result, tmp_path)
        assert figures & board.shown.keys() == expected
        assert "confusion" in board.shown
