"""Importance and graphs pool over folds and seeds by sample id; the AUC is scikit-learn's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from merec.evaluation.pooling import pool_runs
from merec.evaluation.runs import find_runs, read_run
from merec.run_folder import RunFolder
from merec.studies.region_importance import (
    TABLES,
    Explanation,
    rank_coded,
    read_explanation,
)

NAMES = ["right", "chin", "left"]  # in no alphabetical order


def write_tables(folder: Path, seed: int = 0) -> pd.DataFrame:
    """Give each sample of a run random importance; returns what was written."""
    rng = np.random.default_rng(seed)
    written = []
    for number, rows in read_run(folder).predictions.groupby("fold"):
        ids = rng.permutation(rows["sample_id"].to_numpy(str))
        regions = pd.MultiIndex.from_product([ids, NAMES], names=["sample_id", "region"])
        table = regions.to_frame(index=False)
        table["importance"] = rng.choice([-0.5, 0.1, 0.25, 1 / 3], len(table))
        table["coded"] = rng.random(len(table)) < 0.4
        table.to_csv(RunFolder(folder).fold(int(number)).path / "regions.csv", index=False)
        pairs = pd.MultiIndex.from_product(
            [range(2), NAMES, NAMES], names=["layer", "to_region", "from_region"]
        )
        graph = pairs.to_frame(index=False).assign(weight=rng.normal(size=len(pairs)))
        graph.to_csv(RunFolder(folder).fold(int(number)).path / "adjacency.csv", index=False)
        written.append(table.assign(seed=seed, weight=[graph["weight"].to_numpy()] * len(table)))
    return pd.concat(written)


@pytest.fixture
def index(make_small_index) -> pd.DataFrame:
    return make_small_index()


@pytest.fixture
def explained(tmp_path, write_predicted, predict, index) -> tuple[Explanation, pd.DataFrame]:
    """Two seeds that predict and look at other things, and what was written."""
    written = []
    for seed in (0, 1):
        predicted = predict(index, seed=seed)
        folder = write_predicted(tmp_path / f"{seed}", predicted, index)
        written.append(write_tables(folder, seed).merge(predicted, on=["seed", "sample_id"]))
    (result,) = pool_runs(find_runs([tmp_path]))
    explanation = read_explanation(result)
    assert explanation is not None
    return explanation, pd.concat(written)


@pytest.mark.parametrize("ties", [False, True])
def test_the_auc_is_scikit_learns(ties: bool) -> None:
    rng = np.random.default_rng(0)
    importance = rng.normal(size=(300, 8)).round(0 if ties else 12)
    coded = rng.random((300, 8)) < rng.random((300, 1))
    coded[:2] = [[True] * 8, [False] * 8]
    actual = rank_coded(importance, coded)
    comparable = coded.any(1) & ~coded.all(1)
    np.testing.assert_array_equal(np.isfinite(actual), comparable)
    expected = [
        roc_auc_score(truth, score)
        for truth, score in zip(coded[comparable], importance[comparable], strict=True)
    ]
    np.testing.assert_allclose(actual[comparable], expected)
    assert comparable.sum() > 200


def test_importance_is_averaged_over_the_samples_of_each_predicted_class(explained) -> None:
    explanation, written = explained
    mean = explanation.average_importance()
    assert list(mean.columns) == NAMES
    assert list(mean.index) == ["negative", "positive", "surprise"]
    for number, name in enumerate(mean.index):
        rows = written[written["predicted"] == number]
        for region in NAMES:
            part = rows.loc[rows["region"] == region, "importance"]
            assert mean.loc[name, region] == pytest.approx(part.mean())
        assert explanation.count_predicted()[number] == len(rows) / len(NAMES)


def test_a_class_that_is_never_predicted_has_no_importance(explained) -> None:
    explanation, _ = explained
    rest = explanation.regions[explanation.regions["predicted"] != 1]
    fewer = Explanation(rest, explanation.adjacency, NAMES, explanation.classes)
    assert fewer.average_importance().loc["positive"].isna().all()
    assert fewer.count_predicted()[1] == 0


def test_the_graph_is_the_mean_size_of_weights_over_layers_folds_and_seeds(explained) -> None:
    explanation, written = explained
    every = written.drop_duplicates(["seed", "fold"])["weight"]
    expected = np.mean([np.abs(weight).reshape(2, 3, 3).mean(0) for weight in every], axis=0)
    strength = explanation.average_adjacency()
    assert list(strength.index) == list(strength.columns) == NAMES
    np.testing.assert_allclose(strength.to_numpy(), expected)


def test_agreement_is_the_mean_auc_of_comparable_samples_within_its_interval(explained) -> None:
    explanation, written = explained
    aucs = {
        key: roc_auc_score(rows["coded"], rows["importance"])
        for key, rows in written.groupby(["seed", "subject", "sample_id"])
        if rows["coded"].nunique() == 2
    }
    actual = explanation.compare_with_action_units()
    assert actual.auc.value == pytest.approx(np.mean(list(aucs.values())))
    assert actual.auc.low < actual.auc.value < actual.auc.high
    assert actual.samples == len({sample for _, _, sample in aucs})
    assert actual.subjects == len({subject for _, subject, _ in aucs})


def test_nothing_is_compared_where_nothing_is_coded(explained) -> None:
    explanation, _ = explained
    nobody = explanation.regions.assign(coded=False)
    empty = Explanation(nobody, explanation.adjacency, NAMES, explanation.classes)
    assert empty.compare_with_action_units() is None


def test_runs_without_tables_have_no_explanation(tmp_path, write_predicted, predict, index) -> None:
    folder = write_predicted(tmp_path / "run", predict(index), index)
    assert read_run(folder).read_table("regions", TABLES["regions"]).empty
    (result,) = pool_runs(find_runs([tmp_path]))
    assert read_explanation(result) is None


def test_samples_named_like_numbers_or_like_nothing_keep_their_names(
    tmp_path, write_predicted, predict, index
) -> None:
    numbered = index["subject"] == index["subject"].iloc[0]  # no other name in its fold
    index.loc[numbered, "sample_id"] = [f"{number:03d}" for number in range(numbered.sum())]
    index.loc[index.index[~numbered][0], "sample_id"] = "NA"
    folder = write_predicted(tmp_path / "run", predict(index), index)
    written = write_tables(folder)
    actual = read_run(folder).read_table("regions", TABLES["regions"])
    pd.testing.assert_frame_equal(
        actual[["sample_id", "region", "importance", "coded"]],
        written[["sample_id", "region", "importance", "coded"]].reset_index(drop=True),
    )
    assert {"001", "NA"} <= set(actual["sample_id"])


def test_runs_without_a_graph_are_explained_without_one(tmp_path, write_predicted, predict, index):
    folder = write_predicted(tmp_path / "run", predict(index), index)
    write_tables(folder)
    for file in folder.glob("folds/*/adjacency.csv"):
        file.unlink()
    (result,) = pool_runs(find_runs([tmp_path]))
    assert read_explanation(result).average_adjacency() is None
