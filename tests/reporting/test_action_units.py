"""A report on action units: each by itself, beside saying that it is always there."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import f1_score

from merec.errors import InputError
from merec.evaluation.action_units import label_action_units, mark_units
from merec.evaluation.predictions import read_predictions, tabulate, write_predictions
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.results import Result, pool_runs
from merec.evaluation.runs import find_runs, fold_folder
from merec.evaluation.splits import leave_one_subject_out
from merec.files import write_json, write_text
from merec.reporting.action_units import lay_out_units
from merec.reporting.compare import compare_runs
from merec.reporting.report import write_report
from merec.reporting.result import print_result
from merec.reporting.summary import summarize
from merec.reporting.tracking import collect_tables, draw_pictures, flatten_scores
from merec.run import collect_scores
from merec.types import ActionUnit, Corpus

UNITS = ["AU4", "AU12", "AU15"]


@pytest.fixture(scope="module")
def corpus(index: pd.DataFrame) -> Corpus:
    """Samples of which a class shows AU 4, AU 12 or AU 4 and 15."""
    shown = ((4,), (12,), (4, 15))
    units = [tuple(map(ActionUnit, shown[label])) for label in index["label"]]
    coded = index.assign(action_units=units)
    protocol = describe_protocol("coded", coded, ("a", "b", "c"))
    return label_action_units(Corpus(protocol, coded, None, ()), 2)


def write_units_run(folder: Path, corpus: Corpus, skill: float, name: str) -> Path:
    """A run whose predictions know the answer with probability `skill`."""
    rng, index = np.random.default_rng(0), corpus.index
    facts = {"name": name, "configuration": name, "protocol": corpus.protocol.to_dict()}
    write_text(folder / "config.yaml", "seed: 0\n")
    write_json(folder / "environment.json", facts)
    truth = mark_units(index["label"], corpus.protocol.classes)
    probability = np.where(rng.random(truth.shape) < skill, truth, rng.random(truth.shape))
    for fold in leave_one_subject_out(index["subject"].to_numpy(str)):
        rows, given = index.iloc[fold.test], probability[fold.test]
        ids = rows["sample_id"].to_numpy(str)
        said = tabulate(rows, ids, given, corpus.protocol.classes, fold.number, 0, "action_units")
        write_predictions(fold_folder(folder, fold.number) / "predictions.csv", said)
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
    assert table.columns[4:] == ["good", "poor & <b>others</b>"]
    assert table.rows["Action unit"].tolist() == [*UNITS, "mean"]
    for result in results:
        truth, said = (mark_units(result.predictions[c], UNITS) for c in ("label", "predicted"))
        expected = f1_score(truth, said, average=None).tolist()
        expected.append(f1_score(truth, said, average="macro"))
        found = [float(cell.split()[0]) for cell in table.rows[result.name]]
        assert found == pytest.approx(expected, abs=5e-5)
    always = f1_score(truth, np.ones_like(truth), average=None)
    found = table.rows["Always present"].astype(float).tolist()
    assert found == pytest.approx([*always, always.mean()], abs=5e-5)
    for words in ("3 action units", "leave-one-subject-out", "a probability of 0.5 or more"):
        assert words in table.caption


def test_a_report_can_be_computed_again_from_its_predictions(root: Path, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    write_report([root], tmp_path, published=True, console=console)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Action units of coded, leave-one-subject-out</h1>" in page
    assert "<b>others" not in page
    assert "AU15" in console.file.getvalue()
    assert {"table.md", "table.tex"} <= {path.name for path in tmp_path.iterdir()}
    raw = pd.read_csv(tmp_path / "action_units.csv").set_index(["result", "unit"])
    said = read_predictions(tmp_path / "predictions.csv")
    for name, rows in said.groupby("result"):
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
    assert flat["AU15/low"] == scores.loc["AU15", "low"]
    tables = collect_tables(result)
    assert set(tables) == {"action_units", "predictions"}
    assert tables["action_units"]["f1"].tolist() == scores["f1"].tolist()
    assert draw_pictures(result, None) == {}


def test_units_are_never_mixed_with_emotions_and_compare_says_what_to_do(
    root: Path, runs: Path
) -> None:
    with pytest.raises(InputError, match="follow different protocols"):
        pool_runs(find_runs([root / "good", runs / "svm"]))
    with pytest.raises(InputError, match=r"tells action units, .* `merec report`"):
        compare_runs([root / "good", root / "poor"])
    with pytest.raises(InputError, match=r"tells action units, .* `merec report`"):
        summarize(pool_runs(find_runs([root / "good"])))
