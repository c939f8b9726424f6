"""Results that differ in the shift of their key frames are a study: a table, and a curve with intervals."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from merec.evaluation.comparison import compare_results
from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.presentation.figure_style import to_svg
from merec.reporting.page import (
    write_page,
)
from merec.reporting.report import write_report
from merec.run_folder import RunFolder
from merec.studies.shifted_key_frames import (
    answer,
    draw_jitters,
    draw_study,
    lay_out_jitter,
    read_jitters,
    split_lines,
)
from merec.types import InputError

TITLE = "Key frames off the annotated ones"
APEX = {-2: 0.6, 0: 2.0, 1: 1.8, 4: 0.5}  # shift: skill


@pytest.fixture(scope="module")
def few(make_index: Callable) -> pd.DataFrame:
    return make_index({"smic": 5})


@pytest.fixture(scope="module")
def write(few: pd.DataFrame, write_run: Callable) -> Callable[..., Path]:
    """Write a run tested with shifted key frames; every second sample's apex gets half as far."""

    def write(folder: Path, onset: int = 0, apex: int = 0, skill: float = 1.0, **task) -> Path:
        jitter = {"_target_": "merec.datamodules.Jitter", "onset": onset, "apex": apex}
        node = {"datamodule": {"jitter": jitter, "modality": "rgb"}, "estimator": "svm"} | task
        write_run(folder, few, task=node, name="svm-rgb", skill=skill)
        if onset or apex:
            short = np.arange(len(few)) % 2 == 0
            shifts = pd.DataFrame({"sample_id": few["sample_id"], "onset": 5, "apex": 12})
            shifts["onset_shift"] = onset
            shifts["apex_shift"] = np.where(short, int(apex / 2), apex)
            shifts.assign(clamped=short).to_csv(RunFolder(folder).shifts, index=False)
        return folder

    return write


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, write: Callable) -> Path:
    """A study of the apex, one shift of the onset, one of both, and another estimator as annotated."""
    root = tmp_path_factory.mktemp("jitter")
    for apex, skill in APEX.items():
        write(root / f"apex{apex}", apex=apex, skill=skill)
    write(root / "onset1", onset=1, skill=1.5)
    write(root / "both1", onset=1, apex=1, skill=1.7)
    write(root / "other", estimator="ridge")
    return root


def read(*folders: Path) -> list[Result]:
    return pool_runs(find_runs(folders))


@pytest.fixture(scope="module")
def results(root: Path) -> list[Result]:
    return read(root)


def find(results: list[Result], folder: str) -> Result:
    return next(r for r in results if r.runs[0].folder.path.name == folder)


def test_a_study_is_of_results_that_differ_in_their_jitter_only(results: list[Result]) -> None:
    table = read_jitters(results)
    assert table["study"].nunique() == 1
    assert find(results, "other").name not in set(table["result"])
    pairs = list(table[["onset", "apex"]].itertuples(index=False, name=None))
    assert pairs == [(0, -2), (0, 0), (0, 1), (0, 4), (1, 0), (1, 1)]


def test_scores_are_those_of_the_results_and_differences_are_paired(results: list[Result]) -> None:
    annotated = find(results, "apex0")
    for _, row in read_jitters(results).iterrows():
        result = next(r for r in results if r.name == row["result"])
        score = result.score()["uf1"]
        assert (row["uf1"], row["uf1_low"], row["uf1_high"]) == (score.value, score.low, score.high)
        if result is annotated:
            assert np.isnan(row["difference"])
            continue
        actual = (
            compare_results(annotated, result).set_index(["subset", "metric"]).loc["Full", "uf1"]
        )
        for key in ("difference", "low", "high"):
            assert row[key] == actual[key]


def test_what_was_clamped_is_counted_and_what_was_reached_is_told(results: list[Result]) -> None:
    table = read_jitters(results).set_index("result")
    far, plain = (table.loc[find(results, name).name] for name in ("apex4", "apex0"))
    assert (far["clamped"], far["samples"]) == (13, 25)
    assert far["apex_reached"] == pytest.approx((13 * 2 + 12 * 4) / 25)
    assert far["onset_reached"] == 0
    assert (plain["clamped"], plain["apex_reached"]) == (0, 0)
    rows = lay_out_jitter(results, read_jitters(results)).rows.set_index("Method")
    assert rows.loc[far.name, "Clamped"] == "13 of 25"
    assert rows.loc[far.name, "Apex"] == "+4"
    assert rows.loc[plain.name, "Less annotated"] == "–"


def test_lines_join_what_is_shifted_alike(results: list[Result]) -> None:
    lines = split_lines(read_jitters(results))
    assert {name: line["shift"].tolist() for name, line in lines.items()} == {
        "apex": [-2, 0, 1, 4],
        "onset": [0, 1],
        "both": [0, 1],
    }


def test_a_figure_shows_every_score_of_a_line_with_its_interval(results: list[Result]) -> None:
    lines = split_lines(read_jitters(results))
    axes = draw_study({"apex": lines["apex"]}).axes[0]
    (drawn,) = axes.containers
    line, _, (bars,) = drawn
    np.testing.assert_array_equal(line.get_xdata(), lines["apex"]["shift"])
    np.testing.assert_array_equal(line.get_ydata(), lines["apex"]["uf1"])
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, lines["apex"][["uf1_low", "uf1_high"]])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["-2", "0", "+1", "+4"]


def test_a_figure_has_words_for_those_who_do_not_see_it(results: list[Result]) -> None:
    (drawn,) = draw_jitters(read_jitters(results))
    ElementTree.fromstring(to_svg(drawn.figure))
    assert drawn.alt.count("gives") == 8
    assert "apex shifted: -2 gives" in drawn.alt
    assert "onset shifted" in drawn.alt


@pytest.mark.slow
def test_the_page_and_the_files_hold_the_study(root: Path, tmp_path: Path) -> None:
    write_report([root], tmp_path, published=False)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    section = page.split('<section id="key-frames-off-the-annotated-ones">')[1].split("</section>")[
        0
    ]
    assert section.count("<svg") == 1
    assert section.count("<table") == 1
    assert len(pd.read_csv(tmp_path / "jitter.csv")) == 6
    assert TITLE in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_nothing_is_said_where_all_key_frames_are_annotated(root: Path) -> None:
    results = read(root / "apex0", root / "other")
    assert read_jitters(results).empty
    assert not answer(results).parts


def test_a_shifted_result_that_stands_alone_is_told_and_not_drawn(root: Path) -> None:
    results = read(root / "apex4")
    assert lay_out_jitter(results, read_jitters(results)).rows["Apex"].tolist() == ["+4"]
    assert not list(draw_jitters(read_jitters(results)))
    assert TITLE in write_page("", "", "", [answer(results)])


def test_a_lost_table_of_shifts_is_told_with_its_remedy(tmp_path: Path, write: Callable) -> None:
    folder = write(tmp_path / "run", apex=3)
    RunFolder(folder).shifts.unlink()
    with pytest.raises(InputError, match=r"jitter\.csv does not exist; .* in a new one"):
        read_jitters(pool_runs(find_runs([folder])))
