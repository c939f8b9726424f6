"""Tables say what the predictions say."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.presentation.numbers_and_captions import (
    format_difference,
    format_number,
    make_slugs,
    measure_cell,
)
from merec.reporting.published import (
    lay_out_published,
)
from merec.studies.best_epoch_on_test import (
    lay_out_optimism,
    read_optimism,
)
from merec.studies.class_scores import (
    lay_out_classes,
    score_classes,
)
from merec.studies.learning_curves import (
    read_curves,
)
from merec.studies.scores import (
    lay_out_scores,
    lay_out_scores_briefly,
    score_results,
)
from merec.studies.subjects import (
    lay_out_subjects,
    score_subjects,
)

ALL = (
    lay_out_scores,
    lay_out_scores_briefly,
    lay_out_optimism,
    lay_out_classes,
    lay_out_subjects,
    lay_out_published,
)


@pytest.fixture(scope="module")
def results(runs: Path) -> list[Result]:
    return pool_runs(find_runs([runs]))


def test_scores_equal_scikit_learn_on_the_predictions(results: list[Result]) -> None:
    for result in results:
        rows = score_results(results)[score_results(results)["result"] == result.name].set_index(
            "subset"
        )
        assert list(rows.index) == ["Full", "casme2", "smic"]
        for subset, row in rows.iterrows():
            table = result.predictions
            table = table if subset == "Full" else table[table["corpus"] == subset]
            kept = {"labels": range(3), "average": "macro", "zero_division": 0}
            by_seed = [(one["label"], one["predicted"]) for _, one in table.groupby("seed")]
            mean = {
                "uf1": sum(f1_score(*pair, **kept) for pair in by_seed) / len(by_seed),
                "uar": sum(recall_score(*pair, **kept) for pair in by_seed) / len(by_seed),
                "accuracy": sum(accuracy_score(*pair) for pair in by_seed) / len(by_seed),
            }
            for metric, value in mean.items():
                assert row[metric] == pytest.approx(value)
                assert row[f"{metric}_low"] <= value <= row[f"{metric}_high"]
            assert row["samples"] == table["sample_id"].nunique()


def test_classes_agree_with_the_result_and_average_to_the_scores(results: list[Result]) -> None:
    for result in results:
        rows = score_classes(results)[score_classes(results)["result"] == result.name]
        full = rows[rows["subset"] == "Full"].set_index("class")
        for name, expected in result.score_classes().items():
            assert full.loc[name, list(expected)].to_dict() == pytest.approx(expected)
        uf1 = score_results(results).set_index(["result", "subset"])["uf1"][result.name]
        assert rows.groupby("subset")["f1"].mean().to_dict() == pytest.approx(uf1.to_dict())


def test_correct_samples_of_subjects_add_up_to_the_accuracy(results: list[Result]) -> None:
    full = score_results(results)[score_results(results)["subset"] == "Full"].set_index("result")[
        "accuracy"
    ]
    by_result = score_subjects(results).groupby("result")[["correct", "samples"]].sum()
    for name, row in by_result.iterrows():
        assert row["correct"] / row["samples"] == pytest.approx(full[name])


def test_only_results_with_epochs_have_a_claim_and_honest_is_the_score(
    results: list[Result],
) -> None:
    assert set(read_optimism(results)["result"]) == {"ststnet rgb"}
    assert read_optimism(results)["seed"].tolist() == [0, 1]
    scores = score_results(results).set_index(["result", "subset"])
    honest = read_optimism(results)["honest_uf1"].mean()
    assert honest == pytest.approx(scores.loc[("ststnet rgb", "Full"), "uf1"])
    assert scores.loc[("ststnet rgb", "Full"), "claimed_uf1"] > honest
    assert scores["claimed_uf1"].notna().sum() == 1


@pytest.mark.parametrize("lay_out", ALL)
def test_every_table_names_protocol_seeds_and_pretraining(results: list[Result], lay_out) -> None:
    table = lay_out(results)
    protocol = results[0].protocol
    for fact in (protocol.name, protocol.hash, "35 samples", "7 subjects", "seeds", "0, 1"):
        assert fact in table.caption
    assert "transductive pretraining: no" in table.caption
    assert all(isinstance(cell, str) for cell in table.rows.to_numpy().ravel())


def test_transductive_results_are_marked_everywhere(runs: Path) -> None:
    results = pool_runs(find_runs([runs / "svm"]))
    guilty = [Result("guilty", r.protocol, r.runs, r.predictions) for r in results]
    for result in guilty:
        result.runs[0].environment["transductive"] = True
    assert "YES for guilty" in lay_out_subjects(guilty).caption
    assert lay_out_scores(guilty).rows["Transductive"].tolist() == ["YES"] * 3 + ["–"] * 9
    assert lay_out_published(guilty).rows["Source"].iloc[-1] == "ours, TRANSDUCTIVE"


def test_data_sets_held_out_are_named_everywhere_and_no_published_number_stands_beside_them(
    results: list[Result],
) -> None:
    apart = [
        replace(entry, protocol=replace(entry.protocol, held_out=("casme2", "smic")))
        for entry in results
    ]
    assert lay_out_published(apart) is None
    for table in (lay_out_scores(apart), lay_out_classes(apart), lay_out_optimism(apart)):
        assert ", leave-one-data-set-out; seeds" in table.caption
    assert "chosen by each held-out data set" in lay_out_optimism(apart).caption


def test_published_rows_stand_above_ours_word_for_word(results: list[Result]) -> None:
    rows = lay_out_published(results).rows.set_index("Method")
    assert rows.loc["IncepTR", "Full"] == ".753/.746"
    assert rows.loc["HTNet", "Source"] == "C, LEAK"
    assert rows["Source"].tolist()[-2:] == ["ours", "ours"]


def test_curves_end_where_the_predictions_are(results: list[Result]) -> None:
    with_epochs, without = results
    curves = read_curves(with_epochs)
    assert curves["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert read_curves(without) is None
    table = with_epochs.predictions
    accuracy = (table["label"] == table["predicted"]).mean()
    assert curves["held_out_accuracy"].iloc[-1] == pytest.approx(accuracy)
    assert (curves["train_loss_10"] <= curves["train_loss_50"]).all()
    assert (curves["train_loss_50"] <= curves["train_loss_90"]).all()


def test_numbers_are_written_as_the_field_writes_them() -> None:
    written = [format_number(x) for x in (0.74123, 1.0, 0.0, -0.0123, -0.00001, float("nan"))]
    assert written == [".7412", "1.0000", ".0000", "−.0123", ".0000", "–"]
    assert [format_difference(x) for x in (0.05, -0.05, 0.0)] == ["+.0500", "−.0500", ".0000"]


def test_cells_are_sorted_by_the_number_they_start_with() -> None:
    cells = {
        ".7412 [.690, .788]": 0.7412,
        "0.73 [0.67, 0.80]": 0.73,
        "−.0123 [−.100, +.050]": -0.0123,
        "+.0500": 0.05,
        "≤ .0001": 0.0001,
        ".6733/.7002": 0.6733,
        "1.0000": 1.0,
        "006": 6,
        "12 s": 12,
        "4 min": 240,
        "1 h 23 min": 4980,
        "3dcnn": None,
        "6053bd953c31": None,
        "0e5a": None,
        "": None,
    }
    assert {cell: measure_cell(cell) for cell in cells} == cells


def test_slugs_are_plain_and_unique() -> None:
    assert make_slugs(["A b/c", "a_b c", "a-b-c-2", "…"]) == [
        "a-b-c",
        "a-b-c-2",
        "a-b-c-2-2",
        "run",
    ]


def test_classes_of_the_fixture_are_those_of_the_protocol(results: list[Result]) -> None:
    columns = pd.Series(list(lay_out_classes(results).rows)[1:]).str.partition(" ")[0]
    assert columns.tolist() == list(results[0].protocol.classes)
