"""Groups of subjects are held out by every engine and estimator, and nothing of theirs is learnt from."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from merec.baselines import Baseline
from merec.errors import InputError
from merec.evaluation.completeness import assert_complete
from merec.evaluation.fold_choice import FoldChoice
from merec.features.representations.flow_map import describe
from merec.run_folder import RunFolder
from merec.run_folder.identity import comparable, configuration_hash
from merec.run_folder.prediction_table import read_predictions
from merec.targets.unit_labels import find_trained_units
from merec.types import Corpus

IN_GROUPS = {"hold_out": "groups", "groups": 3, "epochs": 2}


@pytest.fixture(scope="module")
def hold_out_groups(make_loso, learn_units, make_data, coded, new_folder) -> Callable[..., Path]:
    """Hold three groups of two subjects out; by `way` action units by a network or an estimator."""

    def run(way: str = "loop", corpus: Corpus | None = None, **changes: Any) -> Path:
        folder, data = new_folder(), make_data(corpus or coded())
        if way == "estimator":
            words = {"others": partial(describe, cells=7)}
            how = (0, FoldChoice(None, "groups", 3, None, None), "action_units", 2)
            estimator = {"e": LogisticRegression(max_iter=50)}
            task = Baseline(data, "e", estimator, {"rgb": ["u", "v"]}, words, *how)
        else:
            engine = "loop" if way == "inner" else way
            units = {"finetune": learn_units(), "target": "action_units", "engine": engine}
            inner = {"selection": "inner", "inner_parts": 2} if way == "inner" else {}
            task = make_loso(data, **IN_GROUPS | units | inner | changes)
        task.run(folder, None)
        return folder

    return run


@pytest.fixture(scope="module")
def grouped(hold_out_groups) -> Path:
    """The run folder of the three folds; read only."""
    return hold_out_groups()


def read(folder: Path, number: int) -> pd.DataFrame:
    return read_predictions(RunFolder(folder).fold(number).predictions)


def test_every_sample_is_predicted_once_by_who_never_saw_its_group(
    grouped, coded, make_data, make_loso, learn_units, read_fold
):
    task = make_loso(make_data(coded()), finetune=learn_units(), target="action_units", **IN_GROUPS)
    files = [read_fold(grouped, number) for number in range(3)]
    assert_complete(pd.concat([one.predictions for one in files]), task.protocol, "test")
    for number, (one, members) in enumerate(zip(files, task.protocol.groups, strict=True)):
        assert one.notes["held_out"] == f"group-{number + 1}-of-3"
        assert tuple(one.checkpoint["merec"]["never_saw"]) == members
        assert set(one.predictions["subject"]) == set(members)
        train = task.datamodule.corpus.index.iloc[task.chosen[number].train]
        assert one.checkpoint["merec"]["classes"] == [*find_trained_units(train, 2)]


@pytest.mark.parametrize("engine", [pytest.param("processes", marks=pytest.mark.slow), "stacked"])
def test_engines_agree(grouped, hold_out_groups, engine):
    other = hold_out_groups(engine)
    for number in range(3):
        one, two = (read(folder, number).filter(regex="^p_") for folder in (grouped, other))
        np.testing.assert_allclose(one.to_numpy(), two.to_numpy(), atol=1e-3)


def spoil(corpus: Corpus, members: tuple[str, ...]) -> Corpus:
    """Other pixels of these subjects, and their labels dealt out anew among each one's samples."""
    index, maps = corpus.index.copy(), corpus.flow_maps.copy()
    for subject in members:
        rows = np.flatnonzero(index["subject"] == subject)
        index.loc[rows, ["label", "action_units"]] = index.loc[
            np.roll(rows, 1), ["label", "action_units"]
        ].to_numpy()
        maps[rows] = 255 - maps[rows]
    return replace(corpus, index=index, flow_maps=maps)


@pytest.mark.parametrize("way", ["loop", "stacked", "inner", "estimator"])
def test_labels_and_pixels_of_a_held_out_group_change_nothing_that_is_learnt(
    way, coded, make_data, make_loso, hold_out_groups, read_fold, same_weights
):
    corpus, few = coded(), {"folds": "1"} if way != "stacked" else {}
    members = make_loso(make_data(corpus), **IN_GROUPS).protocol.groups
    spoilt = spoil(corpus, members[1][:1])
    before, after = (hold_out_groups(way, one, **few) for one in (corpus, spoilt))
    a, b = read(before, 1), read(after, 1)
    assert (a["label"] != b["label"]).any()
    untouched = (a["subject"] != members[1][0]).to_numpy()
    assert untouched.any()
    pd.testing.assert_frame_equal(a[untouched], b[untouched], check_exact=True)
    if way == "estimator":
        other = ~untouched
        assert not a[other].filter(regex="^p_").equals(b[other].filter(regex="^p_"))
        return
    one, two = read_fold(before, 1), read_fold(after, 1)
    assert same_weights(one, two)


def test_an_interrupted_run_goes_on(
    grouped, hold_out_groups, make_loso, make_data, read_fold, coded, learn_units, assert_same_fold
):
    folder = hold_out_groups(folds="2/3")
    assert [place.name for place in (folder / "folds").iterdir()] == ["001"]
    units = {"finetune": learn_units(), "target": "action_units"}
    make_loso(make_data(coded()), **IN_GROUPS | units).run(folder, None)
    for number in range(3):
        assert_same_fold(read_fold(folder, number), read_fold(grouped, number))


def test_weights_that_saw_one_of_a_group_are_refused(swept, coded, make_data, make_loso):
    # They never saw 006, but everyone else.
    weights = str(RunFolder(swept).fold(0).checkpoint)
    with pytest.raises(InputError, match=r"was trained on subject .*, which this fold holds out"):
        make_loso(make_data(coded()), weights=weights, **IN_GROUPS)


def test_a_table_with_somebody_of_another_group_is_refused(
    grouped, hold_out_groups, make_loso, make_data, coded, learn_units
):
    folder = hold_out_groups(folds="1")
    file = RunFolder(folder).fold(1).predictions
    table = read_predictions(file)
    table.loc[0, "subject"] = read(grouped, 0)["subject"].iloc[0]
    table.to_csv(file, index=False)
    units = {"finetune": learn_units(), "target": "action_units"}
    task = make_loso(make_data(coded()), **IN_GROUPS | units)
    with pytest.raises(InputError, match=r"line 2.* expected a subject of group-2-of-3"):
        task.run(folder, None)


def test_groups_of_encoders_and_groups_held_out_are_refused_together(make_loso, make_data, coded):
    with pytest.raises(InputError, match=r"task\.pretrain_groups=2 with task\.hold_out=groups"):
        make_loso(make_data(coded()), pretrain="macro", pretrain_groups=2, **IN_GROUPS)


def test_with_few_training_subjects_the_others_are_neither_seen_nor_predicted(
    grouped, hold_out_groups, read_fold
):
    seen = []
    for number in (2, 3):
        actual = read_fold(hold_out_groups(folds="1", train_subjects=number), 1)
        saw = set(actual.checkpoint["merec"]["saw"])
        assert len(saw) == number
        whole = read_fold(grouped, 1)
        assert actual.predictions["sample_id"].tolist() == whole.predictions["sample_id"].tolist()
        assert [*actual.predictions] == [*whole.predictions]
        seen.append(saw)
    assert seen[0] < seen[1]


def test_runs_from_before_groups_are_of_one_configuration_with_those_without():
    old = {"task": {"target": "emotion", "hold_out": "subject"}}
    new = {"task": old["task"] | {"groups": None, "train_subjects": None}}
    grouped = {"task": {"target": "emotion", "hold_out": "groups", "groups": 3}}
    assert comparable(old) == comparable(new)
    hashes = [configuration_hash(config) for config in (old, new, grouped)]
    assert hashes[0] == hashes[1] != hashes[2]
