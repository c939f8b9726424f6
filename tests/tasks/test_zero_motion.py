"""Samples without motion are predicted, but nothing that is trained or chosen depends on them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from merec.baselines import Baseline
from merec.baselines.estimators import NestedChoice
from merec.evaluation.fold_choice import FoldChoice
from merec.features.representations.flow_map import describe
from merec.run_folder.prediction_table import read_predictions
from merec.types import Corpus

Run = Callable[[Corpus, bool, Path], pd.DataFrame]
STILL = slice(0, None, 4)


@pytest.fixture(scope="module")
def corpora(made: Corpus) -> tuple[Corpus, Corpus]:
    """`made` with motionless samples, and the same with other maps of these."""
    onset = np.zeros(len(made.index), int)
    apex = np.ones_like(onset)
    apex[STILL] = 0
    one = replace(made, index=made.index.assign(onset=onset, apex=apex))
    assert one.flow_maps is not None
    maps = one.flow_maps.copy()
    maps[STILL] = 255 - maps[STILL]
    return one, replace(one, flow_maps=maps)


def read(folder: Path) -> pd.DataFrame:
    tables = [read_predictions(file) for file in sorted(folder.glob("folds/*/predictions.csv"))]
    return pd.concat(tables).set_index("sample_id")


@pytest.fixture
def runs(make_loso, make_data, new_folder) -> dict[str, Run]:
    """Ways to train that write the predictions of two folds."""

    def train(corpus: Corpus, drop: bool, **changes: object) -> pd.DataFrame:
        data, folder = (
            make_data(corpus=corpus, drop_zero_motion=drop, scaling="standard"),
            new_folder(),
        )
        make_loso(data=data, folds="0-1", epochs=2, **changes).run(folder, None)
        return read(folder)

    def estimate(corpus: Corpus, drop: bool, estimator: object) -> pd.DataFrame:
        data, folder = make_data(corpus=corpus, drop_zero_motion=drop), new_folder()
        words = {"others": partial(describe, cells=7)}
        how = (0, FoldChoice("0-1", "subject", None, None, None), "emotion", 2)
        Baseline(data, "e", {"e": estimator}, {"rgb": ["u", "v"]}, words, *how).run(folder, None)
        return read(folder)

    logistic = LogisticRegression(max_iter=50)
    nested = NestedChoice(logistic, {"C": [0.01, 1.0]}, StratifiedGroupKFold(2))
    return {
        "loop": partial(train, engine="loop"),
        "processes": partial(train, engine="processes", workers=2),
        "stacked": partial(train, engine="stacked"),
        "inner": partial(train, engine="loop", selection="inner"),
        "logistic": partial(estimate, estimator=logistic),
        "nested": partial(estimate, estimator=nested),
    }


@pytest.mark.parametrize(
    "way",
    [
        "loop",
        pytest.param("processes", marks=pytest.mark.slow),
        "stacked",
        "inner",
        "logistic",
        "nested",
    ],
)
def test_maps_of_motionless_samples_change_no_prediction_of_others(runs, corpora, way):
    one, other = (runs[way](corpus, True) for corpus in corpora)
    assert len(one) == len(other) == 10
    moving = (
        corpora[0].index.set_index("sample_id").query("apex > onset").index.intersection(one.index)
    )
    assert 0 < len(moving) < 10
    columns = [name for name in one if name.startswith("p_")]
    assert (one.loc[moving, columns] == other.loc[moving, columns]).all(axis=None)


@pytest.mark.parametrize("way", ["loop", "logistic"])
def test_with_drop_zero_motion_false_they_are_trained_on(runs, corpora, way):
    one, other = (runs[way](corpus, False) for corpus in corpora)
    moving = (
        corpora[0].index.set_index("sample_id").query("apex > onset").index.intersection(one.index)
    )
    columns = [name for name in one if name.startswith("p_")]
    assert not (one.loc[moving, columns] == other.loc[moving, columns]).all(axis=None)
