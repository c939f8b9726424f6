"""A report on action units: each by itself, beside saying that it is always there."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import f1_score, roc_auc_score

from merec.errors import InputError
from merec.evaluation.pooling import pool_runs
from merec.evaluation.predictions import tabulate
from merec.evaluation.protocol import describe_protocol, set_target
from merec.evaluation.results import Result, assert_emotions
from merec.evaluation.runs import find_runs
from merec.evaluation.splits import leave_one_subject_out
from merec.files import write_json, write_text
from merec.reporting.compare import compare_runs
from merec.reporting.report import write_report
from merec.reporting.result import print_result
from merec.run import collect_scores
from merec.run_folder import RunFolder
from merec.run_folder.prediction_table import read_predictions, write_predictions
from merec.studies.action_unit_scores import (
    draw_units,
    lay_out_unit_scores,
    lay_out_units,
)
from merec.studies.learning_curves import (
    read_curves,
)
from merec.studies.networks_and_controls import (
    draw_forest,
    rank_beside_controls,
)
from merec.targets import open_target
from merec.targets.unit_labels import mark_units
from merec.tracking.wandb_logging import collect_tables, draw_pictures, flatten_scores
from merec.types import ActionUnit, Corpus

UNITS = ["AU4", "AU12", "AU15"]


@pytest.fixture(scope="module")
def corpus(index: pd.DataFrame) -> Corpus:
    """Samples of which a class shows AU 4, AU 12 or AU 4 and 15."""
    output = ((4,), (12,), (4, 15))
    units = [tuple(map(ActionUnit, output[label])) for label in index["label"]]
    coded = index.assign(action_units=units)
    protocol = describe_protocol("coded", coded, ("a", "b", "c"))
    return set_target(Corpus(protocol, coded, None, ()), "action_units", 1)


def write_units_run(folder: Path, corpus: Corpus, skill: float, name: str, epochs: int = 0) -> Path:
    """A run whose predictions know the answer with probability `skill`; epochs end in them."""
    rng, index = np.random.default_rng(0), corpus.index
    facts = {"name": name, "configuration": name, "protocol": corpus.protocol.to_dict()}
    write_text(folder / "config.yaml", "seed: 0\n")
    write_json(folder / "environment.json", facts)
    truth = mark_units(index["label"], corpus.protocol.classes)
    probability = np.where(rng.random(truth.shape) < skill, truth, rng.random(truth.shape))
    for fold in leave_one_subject_out(index["subject"].to_numpy(str)):
        rows, given = index.iloc[fold.test], probability[fold.test]
        ids = rows["sample_id"].to_numpy(str)
        predicted = tabulate(rows, ids, given, open_target(corpus.protocol), fold.number, 0)
        place = RunFolder(folder).fold(fold.number).path
        write_predictions(place / "predictions.csv", predicted)
        if epochs:
            by_epoch = rng.random((len(ids), epochs, len(UNITS))) < 0.5
            by_epoch[:, -1] = given >= 0.5
            np.savez(
                place / "epochs.npz",
                sample_id=ids,
                predicted=by_epoch.astype(np.int8),
                train_loss=np.linspace(1, 0.2, epochs),
                train_accuracy=np.linspace(0.5, 1, epochs),
            )
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> Path:
    folder = tmp_path_factory.mktemp("units")
    write_units_run(folder / "good", corpus, 0.8, "good")
    write_units_run(folder / "poor", corpus, 0.1, "poor & <b>others</b>")
    return folder


@pytest.fixture(scope="module")
def results(root: Path) -> list[Result]:
    return pool_runs(find_runs([root]))


def test_the_table_holds_scikit_learns_f1_and_that_of_always_present(results: list[Result]) -> None:
    table = lay_out_units(results)
    assert table.columns[:4] == ["Action unit", "n", "Subjects", "Always present"]
    assert table.columns[5:] == ["good", "poor & <b>others</b>"]
    assert [unit.rstrip(" *") for unit in table.rows["Action unit"]] == [*UNITS, "mean"]
    for result in results:
        truth, predicted = (
            mark_units(result.predictions[c], UNITS) for c in ("label", "predicted")
        )
        expected = f1_score(truth, predicted, average=None).tolist()
        expected.append(f1_score(truth, predicted, average="macro"))
        actual = [float(cell.split()[0]) for cell in table.rows[result.name]]
        assert actual == pytest.approx(expected, abs=5e-5)
    always = f1_score(truth, np.ones_like(truth), average=None)
    actual = table.rows["Always present"].astype(float).tolist()
    assert actual == pytest.approx([*always, always.mean()], abs=5e-5)
    for words in ("3 action units", "leave-one-subject-out", "a probability of 0.5 or more"):
        assert words in table.caption


def test_areas_are_scikit_learns_and_rare_units_are_marked(results: list[Result]) -> None:
    for result in results:
        scores = result.score_units().set_index("unit")
        truth = mark_units(result.predictions["label"], UNITS)
        probability = result.predictions[[f"p_{unit}" for unit in UNITS]].to_numpy()
        expected = roc_auc_score(truth, probability, average=None).tolist()
        actual = scores["auc"].tolist()
        assert actual == pytest.approx([*expected, np.mean(expected)])
        assert (scores["auc_low"] <= scores["auc"]).all()
        assert (scores["auc"] <= scores["auc_high"]).all()
        assert result.score()["auc"].low == scores.loc["mean", "auc_low"]
        assert result.score_seeds()["auc"] == pytest.approx([actual[-1]])
        assert scores["stable"].tolist() == [*(truth.sum(0) >= 20), True]
        assert not scores["stable"].all()
    named = lay_out_units(results[:1]).rows["Action unit"].tolist()
    assert named == [
        u if s else f"{u} *" for u, s in zip(scores.index, scores["stable"], strict=True)
    ]


def test_the_first_table_and_picture_set_results_beside_guesses(
    results: list[Result], tmp_path: Path, root: Path
) -> None:
    table = lay_out_unit_scores(results).rows.set_index("Method")
    assert table.index.tolist() == [
        "good",
        "poor & <b>others</b>",
        "always present",
        "by frequency",
    ]
    truth = mark_units(results[0].predictions["label"], UNITS)
    always = f1_score(truth, np.ones_like(truth), average="macro")
    assert float(table.loc["always present", "Mean F1"]) == pytest.approx(always, abs=5e-5)
    assert table.loc["always present", "Mean AUC"] == ".5000"
    (axes,) = draw_forest(rank_beside_controls(results), {"always": always}, "F1").axes
    drawn = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert drawn == pytest.approx([result.score()["f1"].value for result in results])
    write_report([root], tmp_path, published=True, console=Console(file=io.StringIO()))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index("<h2>Networks and controls") < page.index("<h2>Scores")
    first = page[page.index('<svg role="img"') :]
    assert first.startswith(
        '<svg role="img" aria-label="Mean F1 of action units with 95 % interval: '
    )


def test_a_report_can_be_computed_again_from_its_predictions(root: Path, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    write_report([root], tmp_path, published=True, console=console)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Action units of coded, leave-one-subject-out</h1>" in page
    assert "<b>others" not in page
    assert "AU15" in console.file.getvalue()
    assert {"table.md", "table.tex"} <= {path.name for path in tmp_path.iterdir()}
    raw = pd.read_csv(tmp_path / "action_units.csv").set_index(["result", "unit"])
    predicted = read_predictions(tmp_path / "predictions.csv")
    for name, rows in predicted.groupby("result"):
        marks = [mark_units(rows[column], UNITS) for column in ("label", "predicted")]
        expected = f1_score(*marks, average="macro")
        assert raw.loc[(name, "mean"), "f1"] == pytest.approx(expected)


def test_a_run_says_writes_and_logs_the_same_numbers(results: list[Result]) -> None:
    result, console = results[0], Console(file=io.StringIO(), width=120)
    print_result(result, console)
    scores = result.score_units().set_index("unit")
    assert f"{scores.loc['mean', 'f1']:.4f}"[1:] in console.file.getvalue()
    stored = json.loads(json.dumps(collect_scores(result)))["action_units"]
    assert [row["f1"] for row in stored] == pytest.approx(scores["f1"].tolist())
    flat = flatten_scores(result)
    assert flat["f1"] == scores.loc["mean", "f1"]
    assert (flat["auc"], flat["AU15/auc_low"]) == tuple(
        scores.loc[row, column] for row, column in (("mean", "auc"), ("AU15", "auc_low"))
    )
    assert flat["AU15/low"] == scores.loc["AU15", "low"]
    tables = collect_tables(result)
    assert set(tables) == {"action_units", "predictions"}
    assert tables["action_units"]["f1"].tolist() == scores["f1"].tolist()
    assert set(draw_pictures(result, None)) == {"units"}


def test_units_are_never_mixed_with_emotions(root: Path, runs: Path) -> None:
    with pytest.raises(InputError, match="follow different protocols"):
        pool_runs(find_runs([root / "good", runs / "svm"]))
    with pytest.raises(InputError, match="follow different protocols"):
        compare_runs([root / "good", runs / "svm"])
    with pytest.raises(InputError, match=r"tells action units, .* `merec report`"):
        assert_emotions(pool_runs(find_runs([root / "good"])))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> Path:
    """A network's run: with five epochs."""
    folder = tmp_path_factory.mktemp("network") / "net"
    return write_units_run(folder, corpus, 0.6, "net", epochs=5)


def test_a_networks_report_shows_what_the_best_epoch_on_test_would_have_claimed(
    network: Path, root: Path, tmp_path: Path
) -> None:
    console = Console(file=io.StringIO(), width=120)
    write_report([network, root / "good"], tmp_path, published=True, console=console)
    optimism = pd.read_csv(tmp_path / "optimism.csv")
    assert optimism["result"].tolist() == ["net"]  # an estimator has no epochs to choose from
    units = pd.read_csv(tmp_path / "action_units.csv").set_index(["result", "unit"])["f1"]
    row = optimism.iloc[0]
    assert row["honest_f1"] == pytest.approx(units[("net", "mean")])
    assert row["best_epoch_f1"] > row["honest_f1"]
    assert "uf1" not in " ".join(optimism)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for title in ("Honest and best epoch on test", "Learning curves"):
        assert f">{title}</h2>" in page
    assert "Best epoch on test" in console.file.getvalue()
    assert "Best epoch on test" in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "label{tab:optimism}" in (tmp_path / "table.tex").read_text(encoding="utf-8")


def test_a_networks_curves_and_optimism_are_logged_and_stored(network: Path) -> None:
    (result,) = pool_runs(find_runs([network]))
    (stored,) = json.loads(json.dumps(collect_scores(result)))["optimism"]
    scores = result.score_units().set_index("unit")["f1"]
    assert stored["honest"] == pytest.approx([scores["mean"]])
    flat = flatten_scores(result)
    assert flat["optimism/best_epoch_f1"] == stored["best_epoch"][0]
    assert flat["optimism/gap_f1"] == pytest.approx(stored["best_epoch"][0] - scores["mean"])
    curves = read_curves(result)
    truth, predicted = (mark_units(result.predictions[c], UNITS) for c in ("label", "predicted"))
    assert curves["held_out_accuracy"].iloc[-1] == pytest.approx((truth == predicted).mean())
    assert set(draw_pictures(result, curves)) == {"units", "learning_curves", "optimism_meter"}
    console = Console(file=io.StringIO(), width=120)
    print_result(result, console)
    assert "Honest and best epoch on test" in console.file.getvalue()


def test_configurations_are_compared_by_their_mean_f1_and_each_unit(
    root: Path, network: Path, tmp_path: Path
) -> None:
    console = Console(file=io.StringIO(), width=120)
    sides = [root / "good", root / "poor", network]
    pairs = compare_runs(sides, console, out=tmp_path)
    assert set(pairs["metric"]) == {"f1", "auc"}
    full = pairs[pairs["subset"] == "Full"].set_index(["metric", "result_a", "result_b"])
    area = full.loc[("auc", "good", "poor & <b>others</b>")]
    good, poor = (result.score_units()["auc"].iloc[-1] for result in pool_runs(find_runs([root])))
    assert (area["a"], area["b"]) == pytest.approx((good, poor))
    assert area["low"] < area["difference"] < area["high"] < 0
    full = full.loc["f1"]
    row = full.loc[("good", "poor & <b>others</b>")]
    units = {r.name: r.score_units()["f1"].iloc[-1] for r in pool_runs(find_runs([root]))}
    assert row["a"] == pytest.approx(units["good"])
    assert row["difference"] == pytest.approx(units["poor & <b>others</b>"] - units["good"])
    assert row["low"] < row["difference"] < row["high"] < 0
    assert row["p"] < row["p_holm"] <= 3 * row["p"]
    classes = pd.read_csv(tmp_path / "classes.csv")
    assert set(classes["class"]) == set(UNITS)
    printed = console.file.getvalue()
    for words in ("Pairs by action unit", "good (seeds 0) has the highest F1, ", "3 action units"):
        assert words in " ".join(printed.split()), words
    assert "UF1" not in printed
    assert "UF1" not in (tmp_path / "comparison.md").read_text(encoding="utf-8")


def test_two_configurations_fit_one_table(root: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    compare_runs([root / "good", root / "poor"], console)
    assert " has F1 " in " ".join(console.file.getvalue().split())


def test_pairs_that_were_pretrained_on_are_counted_but_set_beside_no_uf1(
    corpus: Corpus, tmp_path: Path
) -> None:
    folder = write_units_run(tmp_path / "contrasted", corpus, 0.6, "contrasted", epochs=2)
    table = pd.DataFrame({"sample_id": ["a", "b"], "subject": ["s", "t"], "intensity": [0.2, 2.0]})
    table.assign(kept=[False, True]).to_csv(folder / "pairs.csv", index=False)
    (result,) = pool_runs(find_runs([folder]))
    assert flatten_scores(result)["pairs/kept"] == 1
    assert set(draw_pictures(result, None)) == {"units", "optimism_meter"}


def test_the_picture_has_a_point_for_each_unit_and_their_mean(results: list[Result]) -> None:
    scores = {result.name: result.score_units() for result in results}
    (axes,) = draw_units(scores).axes
    points = [line for line in axes.lines if line.get_marker() in ("o", "|")]
    drawn = [np.asarray(line.get_xdata(), float) for line in points]
    for table, actual in zip([*scores.values()], drawn, strict=False):
        np.testing.assert_allclose(actual, table["f1"])
    np.testing.assert_allclose(drawn[-1], scores["good"]["chance"])
    assert len(drawn) == 3
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [
        f"{unit} (n = {n})" for unit, n in zip([*UNITS, "mean"], table["samples"], strict=True)
    ]
