"""Estimators go through the folds as they are."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from merec.errors import InputError
from merec.evaluation.metrics import confusion, uf1
from merec.evaluation.predictions import assert_complete, read_predictions
from merec.evaluation.runs import fold_folder
from merec.evaluation.splits import leave_one_subject_out
from merec.features.flow_map import describe
from merec.tasks import Baseline
from merec.tasks.estimators import NestedChoice, fit_and_score

KEEP = {"rgb": ["u", "v"]}
DESCRIBE = partial(describe, cells=7)


def logistic() -> LogisticRegression:
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))


ESTIMATORS = {
    "logistic": logistic(),
    "nested": NestedChoice(
        logistic(), {"logisticregression__C": [0.01, 1.0]}, StratifiedGroupKFold(2)
    ),
}


def make(data, estimator="logistic", folds=None) -> Baseline:
    return Baseline(data, estimator, ESTIMATORS, KEEP, {"others": DESCRIBE}, 0, folds)


def read(folder: Path, number: int):
    return read_predictions(fold_folder(folder, number) / "predictions.csv")


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
        notes = json.loads((fold_folder(folder, fold.number) / "fold.json").read_text())
        assert {key: notes[key] for key in chosen} == chosen
        assert bool(chosen) == (estimator == "nested")


def test_it_learns_and_every_sample_is_predicted_once(made, make_data, new_folder):

    folder = new_folder()
    make(make_data()).run(folder, None)
    table = pd.concat([read(folder, number) for number in range(6)])
    assert_complete(table, made.protocol, "test")
    counts = confusion(table["label"].to_numpy(), table["predicted"].to_numpy(), 3)
    assert uf1(counts) > 0.8


def test_maps_are_read_as_they_are_whatever_scale_and_order_networks_are_given(
    make_data, new_folder
):
    tables = []
    for data in (make_data(), make_data(scaling="standard", channels=["v", "strain", "u"])):
        folder = new_folder()
        make(data, folds=1).run(folder, None)
        tables.append((fold_folder(folder, 1) / "predictions.csv").read_bytes())
    assert tables[0] == tables[1]


def test_channels_that_the_datamodule_leaves_out_are_not_there_to_describe(make_data, new_folder):
    with pytest.raises(InputError, match=r"keep=\['u', 'v'\], but the maps have channels \['u'\]"):
        make(make_data(channels=["u"]), folds=1).run(new_folder(), None)


def test_finished_folds_are_left_alone(make_data, new_folder):
    folder = new_folder()
    make(make_data(), folds=2).run(folder, None)
    file = fold_folder(folder, 2) / "predictions.csv"
    before = file.stat().st_mtime_ns
    make(make_data(), folds="2-3").run(folder, None)
    assert file.stat().st_mtime_ns == before
    assert sorted(path.name for path in folder.glob("folds/*")) == ["002", "003"]


def test_an_unknown_estimator_is_refused_with_those_there_are(make_data):
    with pytest.raises(InputError, match=r"task\.estimator=svc is unknown; .* logistic, nested"):
        make(make_data(), estimator="svc")


def test_a_fold_out_of_range_is_refused_with_the_range(make_data):
    with pytest.raises(InputError, match=r"6 subjects, so folds are 0 to 5"):
        make(make_data(), folds=6)
