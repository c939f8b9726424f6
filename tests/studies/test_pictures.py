"""Figures are XML, the same each time, and take any name."""

import re
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.presentation.figure_style import _THEME, follow_theme, to_svg
from merec.studies.best_epoch_on_test import (
    draw_optimism,
    read_optimism,
)
from merec.studies.confusion_matrices import (
    draw_confusion,
    plot_confusion,
)
from merec.studies.data_sets import (
    draw_bars,
)
from merec.studies.learning_curves import (
    draw_learning_curves,
    read_curves,
)
from merec.studies.scores import score_results
from merec.studies.subjects import draw_subjects, score_subjects


@pytest.fixture(scope="module")
def results(runs: Path) -> list[Result]:
    return pool_runs(find_runs([runs]))


@pytest.fixture
def drawn(results: list[Result]) -> dict[str, Figure]:
    net = results[0]
    return {
        "confusion": plot_confusion(net),
        "bars": draw_bars(score_results(results)),
        "subjects": draw_subjects(score_subjects(results)),
        "curves": draw_learning_curves(read_curves(net), net.name),
        "optimism": draw_optimism(read_optimism(results)),
    }


def test_figures_are_xml_without_metadata_and_with_ids_of_their_own(
    drawn: dict[str, Figure],
) -> None:
    for name, figure in drawn.items():
        svg = to_svg(figure, name)
        ElementTree.fromstring(svg)
        assert svg.startswith("<svg")
        assert "<metadata" not in svg
        ids = re.findall(r'\bid="([^"]*)"', svg)
        used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)
        assert all(key.startswith(f"{name}-") for key in ids)
        assert {a or b for a, b in used} <= set(ids)


def test_a_figure_is_the_same_text_each_time(results: list[Result]) -> None:
    assert to_svg(draw_optimism(read_optimism(results))) == to_svg(
        draw_optimism(read_optimism(results))
    )


def test_on_a_page_black_and_white_follow_its_theme_and_cells_keep_their_colours(
    drawn: dict[str, Figure],
) -> None:
    for name, figure in drawn.items():
        before = to_svg(figure, name)
        after = follow_theme(before)
        ElementTree.fromstring(after)
        assert "#ffffff" in before
        assert not re.search(r'style="[^"]*#(000000|ffffff)', after)
        fixed = [c for c in re.findall(r"#[0-9a-f]{6}", before) if c not in _THEME]
        assert re.findall(r"#[0-9a-f]{6}", after) == fixed
        assert set(re.findall(r"var\((--\w+)\)", after)) <= defined_variables()


def defined_variables() -> set[str]:
    style = files("merec.reporting").joinpath("html", "page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{ ?(?:color-scheme: light dark; )?(--ink[^}]*)\}", style)
    names = re.findall(r"(--\w+):", light)
    assert names == re.findall(r"(--\w+):", dark)
    return set(names)


def test_confusion_shows_the_pooled_counts_and_percent_of_the_true_class(
    results: list[Result],
) -> None:
    net = results[0]
    texts = [text.get_text() for text in plot_confusion(net).axes[0].texts]
    pooled = net.confusions()[1].sum((0, 1))
    share = pooled / pooled.sum(1, keepdims=True)
    assert texts == [
        f"{n}\n{100 * s:.0f} %" for n, s in zip(pooled.ravel(), share.ravel(), strict=True)
    ]


def test_names_with_dollars_are_text_and_no_mathematics() -> None:
    figure = draw_confusion({"Full": np.eye(2, dtype=int)[None]}, ["$a$ $", "<b> & c"], "x_$y$_{z")
    ElementTree.fromstring(to_svg(figure))


def test_sixty_eight_subjects_have_a_legible_cell_each() -> None:
    rows = [
        {"result": r, "seed": 0, "corpus": c, "subject": f"{c}{i}", "samples": 3, "accuracy": 0.5}
        for r in ("a", "b")
        for c, n in (("casme2", 24), ("samm", 28), ("smic", 16), ("casme3", 94))
        for i in range(n)
    ]
    figure = draw_subjects(pd.DataFrame(rows))
    assert sum(len(axes.get_xticks()) for axes in figure.axes) == 24 + 28 + 16 + 94
    assert all(len(axes.texts) == 2 * len(axes.get_xticks()) for axes in figure.axes)
    width = figure.get_size_inches()[0]
    assert width < 12
    for axes in figure.axes:
        cell = axes.get_position().width * width / len(axes.get_xticks())
        assert cell * 72 > 18  # points, for two digits of 8
