"""Estimators go through the folds as they are."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from merec.baselines import Baseline
from merec.baselines.estimators import NestedChoice, fit_and_score
from merec.baselines.true_action_units import TrueActionUnits
from merec.errors import InputError
from merec.evaluation.completeness import assert_complete
from merec.evaluation.fold_choice import FoldChoice
from merec.evaluation.splits import leave_one_subject_out, split
from merec.features.representations.flow_map import describe
from merec.metrics import confusion, uf1
from merec.run_folder import RunFolder
from merec.targets.unit_labels import mark_units
from merec.types import ActionUnit, Corpus

KEEP = {"rgb": ["u", "v"]}
DESCRIBE = partial(describe, cells=7)


def logistic() -> LogisticRegression:
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))


ESTIMATORS = {
    "logistic": logistic(),
    "nested": NestedChoice(
        logistic(), {"logisticregression__C": [0.01, 1.0]}, StratifiedGroupKFold(2)
    ),
    "true_action_units": TrueActionUnits(LogisticRegression(class_weight="balanced")),
}


def make(
    data,
    estimator="logistic",
    folds=None,
    hold_out="subject",
    train_on=None,
    target="emotion",
    min_subjects=2,
    groups=None,
    train_subjects=None,
) -> Baseline:
    choice = FoldChoice(folds, hold_out, groups, train_on, train_subjects)
    how = (0, choice, target, min_subjects)
    return Baseline(data, estimator, ESTIMATORS, KEEP, {"others": DESCRIBE}, *how)


def read(folder: Path, number: int):
    return RunFolder(folder).fold(number).read_predictions()


@pytest.mark.parametrize("estimator", ["logistic", "nested"])
def test_a_fold_equals_fitting_and_scoring_directly(made, make_data, new_folder, estimator):
    folder = new_folder()
    make(make_data(), estimator, folds="0,4").run(folder, None)
    subject, label = made.index["subject"].to_numpy(str), made.index["label"].to_numpy()
    for fold in [leave_one_subject_out(subject)[number] for number in (0, 4)]:
        scores, chosen = fit_and_score(
            ESTIMATORS[estimator],
            partial(DESCRIBE, keep=["u", "v"]),
            made.flow_maps[fold.train],
            label[fold.train],
            subject[fold.train],
            made.flow_maps[fold.test],
            made.channels,
            3,
        )
        table = read(folder, fold.number).set_index("sample_id")
        table = table.loc[made.index["sample_id"].iloc[fold.test]]
        np.testing.assert_array_equal(table.filter(regex="^p_").to_numpy(), scores)
        notes = json.loads(RunFolder(folder).fold(fold.number).notes.read_text())
        assert {key: notes[key] for key in chosen} == chosen
        assert bool(chosen) == (estimator == "nested")


def test_it_learns_and_every_sample_is_predicted_once(made, make_data, new_folder):

    folder = new_folder()
    make(make_data()).run(folder, None)
    table = pd.concat([read(folder, number) for number in range(6)])
    assert_complete(table, made.protocol, "test")
    counts = confusion(table["label"].to_numpy(), table["predicted"].to_numpy(), 3)
    assert uf1(counts) > 0.8


def of_three(made: Corpus) -> Corpus:
    """The same samples, two subjects to a data set."""
    corpus = made.index["subject"].str[:1].map({"0": "samm", "s": "smic"})
    whole = corpus.mask(made.index["subject"].str.startswith("sub"), "casme2")
    return replace(made, index=made.index.assign(corpus=whole))


@pytest.mark.parametrize("train_on", [None, ["samm"]])
def test_a_held_out_data_set_is_predicted_from_the_others_alone(
    made, make_data, new_folder, train_on
):
    corpus, folder = of_three(made), new_folder()
    task = make(make_data(corpus), "nested", None, "corpus", train_on)
    task.run(folder, None)
    tables = []
    for fold in split(corpus, "corpus", train_on)[0]:
        subject, label = (corpus.index[name].to_numpy() for name in ("subject", "label"))
        scores, _ = fit_and_score(
            ESTIMATORS["nested"],
            partial(DESCRIBE, keep=["u", "v"]),
            corpus.flow_maps[fold.train],
            label[fold.train],
            subject[fold.train].astype(str),
            corpus.flow_maps[fold.test],
            corpus.channels,
            3,
        )
        table = read(folder, fold.number)
        assert set(table["corpus"]) == {fold.held_out}
        actual = table.set_index("sample_id").loc[corpus.index["sample_id"].iloc[fold.test]]
        np.testing.assert_array_equal(actual.filter(regex="^p_").to_numpy(), scores)
        tables.append(table)
    assert_complete(pd.concat(tables), task.protocol, "test")


def test_each_action_unit_is_told_by_an_estimator_of_its_own(made, coded, make_data, new_folder):
    folder, corpus = new_folder(), coded()
    task = make(make_data(corpus), "nested", target="action_units")
    assert task.protocol.classes == ("AU4", "AU12")  # AU 7 is shown by two subjects only
    task.run(folder, None)
    tables = [read(folder, number) for number in range(6)]
    label = made.index["label"].to_numpy()
    for fold in leave_one_subject_out(made.index["subject"].to_numpy(str))[:2]:
        for unit, marks in (("p_AU4", label < 2), ("p_AU12", label == 1)):
            scores, chosen = fit_and_score(
                ESTIMATORS["nested"],
                partial(DESCRIBE, keep=["u", "v"]),
                made.flow_maps[fold.train],
                marks[fold.train].astype(int),
                made.index["subject"].to_numpy(str)[fold.train],
                made.flow_maps[fold.test],
                made.channels,
                2,
            )
            actual = tables[fold.number].set_index("sample_id")[unit]
            ids = made.index["sample_id"].iloc[fold.test]
            np.testing.assert_array_equal(actual.loc[ids], scores[:, 1])
            notes = json.loads(RunFolder(folder).fold(fold.number).notes.read_text())
            assert notes[unit.removeprefix("p_")] == chosen
    table = pd.concat(tables)
    assert_complete(table, task.protocol, "test")
    truth, predicted = (
        mark_units(table[name], task.protocol.classes) for name in ("label", "predicted")
    )
    assert f1_score(truth, predicted, average="macro") > 0.8


def test_what_the_held_out_subject_shows_changes_nothing_that_is_said_of_it(
    made, coded, make_data, new_folder
):
    predicted = []
    for shift in (0, 1):
        label = made.index["label"].to_numpy(copy=True)
        rows = (made.index["subject"] == "007").to_numpy()
        label[rows] = (label[rows] + shift) % 3
        folder = new_folder()
        make(make_data(coded(label)), folds=1, target="action_units").run(folder, None)
        predicted.append(read(folder, 1))
    columns = ["p_AU4", "p_AU12", "predicted"]
    pd.testing.assert_frame_equal(predicted[0][columns], predicted[1][columns])
    assert not predicted[0]["label"].equals(predicted[1]["label"])


def test_a_sample_whose_units_are_not_known_is_as_if_it_were_not_there(
    coded, make_data, new_folder
):
    corpus = coded()
    unknown = np.zeros(len(corpus.index), dtype=bool)
    unknown[[2, 14, 15]] = True
    cells = corpus.index["action_units"].mask(unknown, None)
    rest = corpus.index[~unknown].reset_index(drop=True)
    tables = []
    for index, maps in (
        (corpus.index.assign(action_units=cells), corpus.flow_maps),
        (rest, corpus.flow_maps[~unknown]),
    ):
        folder = new_folder()
        data = make_data(replace(corpus, index=index, flow_maps=maps))
        make(data, folds="0-2", target="action_units").run(folder, None)
        tables.append(pd.concat([read(folder, number) for number in range(3)]))
    pd.testing.assert_frame_equal(*tables)


def test_flow_maps_without_coded_action_units_are_refused(make_data):
    with pytest.raises(InputError, match="no coded action units"):
        make(make_data(), target="action_units")


def test_maps_are_read_as_they_are_whatever_scale_and_order_networks_are_given(
    make_data, new_folder
):
    tables = []
    for data in (make_data(), make_data(scaling="standard", channels=["v", "strain", "u"])):
        folder = new_folder()
        make(data, folds=1).run(folder, None)
        tables.append(RunFolder(folder).fold(1).predictions.read_bytes())
    assert tables[0] == tables[1]


def test_channels_that_the_datamodule_leaves_out_are_not_there_to_describe(make_data):
    with pytest.raises(InputError, match=r"keep=\['u', 'v'\], but the maps have channels \['u'\]"):
        make(make_data(channels=["u"]), folds=1)


def test_finished_folds_are_left_alone(make_data, new_folder):
    folder = new_folder()
    make(make_data(), folds=2).run(folder, None)
    file = RunFolder(folder).fold(2).predictions
    before = file.stat().st_mtime_ns
    make(make_data(), folds="2-3").run(folder, None)
    assert file.stat().st_mtime_ns == before
    assert sorted(path.name for path in folder.glob("folds/*")) == ["002", "003"]


def test_an_unknown_estimator_is_refused_with_those_there_are(make_data):
    with pytest.raises(InputError, match=r"task\.estimator=svc is unknown; .* logistic, nested"):
        make(make_data(), estimator="svc")


def test_a_fold_out_of_range_is_refused_with_the_range(make_data):
    with pytest.raises(InputError, match=r"6 to hold out, so folds are 0 to 5"):
        make(make_data(), folds=6)


def test_class_from_true_action_units_is_a_regression_on_the_coded_ones(
    made, coded, make_data, new_folder
):
    corpus = coded()
    unknown = made.index["sample_id"].isin(made.index["sample_id"].iloc[::7])
    cells = corpus.index["action_units"].mask(unknown, None)
    index = corpus.index.assign(action_units=cells)
    folder, data = new_folder(), make_data(replace(corpus, index=index))
    make(data, "true_action_units").run(folder, None)
    marks = np.array(
        [
            [
                4 in {u.number for u in one or ()},
                7 in {u.number for u in one or ()},
                12 in {u.number for u in one or ()},
            ]
            for one in index["action_units"]
        ],
        dtype=float,
    )
    label, unknown = index["label"].to_numpy(), index["action_units"].isna().to_numpy()
    for fold in leave_one_subject_out(index["subject"].to_numpy(str))[:2]:
        train = fold.train[~unknown[fold.train]]
        fitted = LogisticRegression(class_weight="balanced").fit(marks[train], label[train])
        expected = fitted.predict_proba(marks[fold.test])
        expected[unknown[fold.test]] = np.bincount(label[train]) / len(train)
        table = read(folder, fold.number).set_index("sample_id")
        actual = table.loc[index["sample_id"].iloc[fold.test]].filter(regex="^p_").to_numpy()
        np.testing.assert_allclose(actual, expected, atol=1e-9)


def test_units_of_the_held_out_subject_change_no_prediction_of_its_other_samples(
    coded, make_data, new_folder
):
    corpus, tables = coded(), []
    rows = np.flatnonzero(corpus.index["subject"] == "007")
    changed = corpus.index["action_units"].copy()
    changed[rows[0]] = (ActionUnit(30),)
    for cells in (corpus.index["action_units"], changed):
        folder = new_folder()
        data = make_data(replace(corpus, index=corpus.index.assign(action_units=cells)))
        make(data, "true_action_units", folds=1).run(folder, None)
        tables.append(
            read(folder, 1).set_index("sample_id").drop(corpus.index["sample_id"][rows[0]])
        )
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_true_action_units_predict_no_action_units_and_want_coded_ones(coded, make_data):
    with pytest.raises(InputError, match=r"would predict themselves; set task\.target=emotion"):
        make(make_data(coded()), "true_action_units", target="action_units")
    with pytest.raises(InputError, match="made has no coded action units"):
        make(make_data(), "true_action_units")
