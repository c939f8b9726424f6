from pathlib import Path

import pandas as pd
import pytest

from merec.evaluation.comparison import compare_results
from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.reporting.leaderboard import conclude, lay_out_leaderboard, rank_results
from merec.reporting.published import (
    lay_out_published,
)
from merec.studies.scores import score_results

STSTNET = {"backbone": {"_target_": "merec.backbones.STSTNet"}}


@pytest.fixture(scope="module")
def results(tmp_path_factory, index: pd.DataFrame, write_run) -> list[Result]:
    root = tmp_path_factory.mktemp("board")
    for seed in (0, 1):
        cost = {"seconds": 100.0 + 20 * seed, "parameters": 1683}
        write_run(
            root / f"net-{seed}",
            index,
            "ststnet-rgb",
            seed,
            0.3,
            4,
            None,
            environment=cost,
            task=STSTNET,
        )
    cost = {"seconds": 7.0, "tried": 48}
    write_run(
        root / "ridge", index, "ridge-rgb", skill=3.0, environment=cost, task={"estimator": "ridge"}
    )
    return pool_runs(find_runs([root]))


def test_the_best_honest_number_comes_first(results: list[Result]) -> None:
    board = rank_results(results)
    assert board["result"].tolist() == ["ridge-rgb", "ststnet-rgb"]
    assert board["uf1"].is_monotonic_decreasing


def test_scores_are_those_of_the_main_table(results: list[Result]) -> None:
    board = rank_results(results).set_index("result")
    scores = score_results(results).set_index(["result", "subset"])
    for name in board.index:
        for column in ("uf1", "uar", "uf1_low", "uar_high"):
            assert board.loc[name, column] == scores.loc[(name, "Full"), column]
            assert board.loc[name, f"{column}_smic"] == scores.loc[(name, "smic"), column]


def test_the_conclusion_says_better_only_where_the_paired_test_does(
    index, write_run, tmp_path: Path
) -> None:
    for name, skill in (("good", 6.0), ("twin", 6.0), ("poor", 0.0)):
        write_run(tmp_path / name, index, name, skill=skill, task={"estimator": name})
    results = {result.name: result for result in pool_runs(find_runs([tmp_path]))}
    text = conclude([*results.values()])
    best, worse = (
        max(("good", "twin"), key=lambda name: results[name].score("Full")["uf1"].value),
        "poor",
    )
    assert f"{best} has the highest UF1" in text
    p = compare_results(results[best], results[worse]).query(
        "subset == 'Full' and metric == 'uf1'"
    )["p"]
    assert (f"It is better than {worse}." in text) == (2 * float(p.iloc[0]) <= 0.05)
    assert f"better than {'twin' if best == 'good' else 'good'}" not in text


def test_what_was_published_of_a_network_stands_beside_it_with_source_and_mark(
    results: list[Result],
) -> None:
    board = rank_results(results).set_index("result")
    assert board.loc["ststnet-rgb", "published"] == ".7353/.7605"
    assert board.loc["ridge-rgb", "published"] == ""
    cells = lay_out_leaderboard(results).rows.set_index("Method")
    assert cells.loc["ststnet-rgb", "Published"] == ".7353/.7605 (STSTNet; C)"
    assert cells.loc["ridge-rgb", "Published"] == "–"


def test_ststnet_padded_by_2_stands_beside_the_number_of_the_code_that_does_so(
    index, write_run, tmp_path: Path
) -> None:
    task = {"backbone": STSTNET["backbone"] | {"padding": 2}}
    write_run(tmp_path / "a", index, "padded-rgb", epochs=3, task=task)
    write_run(tmp_path / "b", index, "svm", task={"estimator": "svm"})
    results = pool_runs(find_runs([tmp_path]))
    cells = lay_out_leaderboard(results).rows.set_index("Method")
    assert (
        cells.loc["padded-rgb", "Published"] == ".7209/.7250 (STSTNet, PyTorch code, padding 2; C)"
    )
    published = lay_out_published(results)
    rows = published.rows.set_index("Method")
    assert rows.loc["STSTNet, PyTorch code, padding 2", "Full"] == ".7209/.7250"
    assert "padding=1, the default here" in published.caption


def test_cost_is_that_of_one_seed(results: list[Result]) -> None:
    board = rank_results(results).set_index("result")
    assert board.loc["ststnet-rgb", "seconds"] == 110.0
    assert board.loc["ststnet-rgb", "parameters"] == 1683
    assert board.loc["ridge-rgb", "tried"] == 48
    cells = lay_out_leaderboard(results).rows.set_index("Method")
    assert cells.loc["ridge-rgb", ["Seconds", "Parameters", "Tried"]].tolist() == ["7", "–", "48"]


def test_leaking_methods_are_marked(
    results: list[Result], index, write_run, tmp_path: Path
) -> None:
    task = {"backbone": {"_target_": "merec.backbones.HTNet"}}
    write_run(tmp_path / "a", index, "htnet-rgb", epochs=3, task=task)
    write_run(tmp_path / "b", index, "svm", task={"estimator": "svm"})
    cells = lay_out_leaderboard(pool_runs(find_runs([tmp_path]))).rows.set_index("Method")
    assert cells.loc["htnet-rgb", "Published"].endswith("(HTNet; C, LEAK)")


def test_one_result_alone_is_no_leaderboard(results: list[Result]) -> None:
    assert lay_out_leaderboard(results[:1]) is None
