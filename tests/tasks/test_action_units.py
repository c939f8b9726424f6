"""Networks are taught action units: in every engine alike, and blind to whom they hold out."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch.nn.functional import cross_entropy

from merec.backbones import STSTNet
from merec.baselines import Baseline
from merec.errors import InputError
from merec.evaluation.completeness import assert_complete
from merec.evaluation.fold_choice import FoldChoice
from merec.evaluation.splits import split_inner_subjects
from merec.features.representations.flow_map import describe
from merec.run_folder import RunFolder
from merec.run_folder.identity import comparable, configuration_hash
from merec.targets.action_units import ActionUnits
from merec.targets.unit_labels import mark_units
from merec.types import ActionUnit, Corpus

UNITS = ("AU4", "AU12")


@pytest.fixture(scope="module")
def make_units(make_loso, learn_units) -> Callable[..., Any]:
    """The task; options of it, and `balanced`."""

    def make(data: Any, balanced: bool = True, **changes: Any) -> Any:
        learning = learn_units(class_balanced=balanced)
        return make_loso(data, **{"finetune": learning, "target": "action_units"} | changes)

    return make


@pytest.fixture(scope="module")
def train_units(coded, make_data, make_units, new_folder) -> Callable[..., Path]:
    """Train networks to tell action units; options of the task, and `balanced`, `precision`."""

    def train(data: Any = None, folder: Path | None = None, **changes: Any) -> Path:
        place = folder or new_folder()
        make_units(data or make_data(coded()), **changes).run(place, None)
        return place

    return train


@pytest.fixture(scope="module")
def unit_run(train_units) -> Path:
    """The run folder of all six folds; read only."""
    return train_units(epochs=16)


def read_marks(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return mark_units(table["label"], UNITS), mark_units(table["predicted"], UNITS)


def test_every_sample_is_predicted_once_and_units_are_learnt(
    unit_run, coded, make_data, make_units, read_fold
):
    table = pd.concat([read_fold(unit_run, number).predictions for number in range(6)])
    protocol = make_units(make_data(coded())).protocol
    assert protocol.classes == UNITS
    assert_complete(table, protocol, "test")
    truth, predicted = read_marks(table)
    always = f1_score(truth, np.ones_like(truth), average="macro")
    assert f1_score(truth, predicted, average="macro") > always + 0.15
    # Each by itself: they need not sum to one.
    assert (np.abs(table[["p_AU4", "p_AU12"]].sum(axis=1) - 1) > 0.1).any()


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_a_sample_whose_units_are_not_known_is_as_if_it_were_not_there(
    coded, make_data, train_units, read_fold, engine, caplog
):
    corpus = coded()
    unknown = np.zeros(len(corpus.index), dtype=bool)
    unknown[[2, 14, 15]] = True
    cells = corpus.index["action_units"].mask(unknown, None)
    rest = corpus.index[~unknown].reset_index(drop=True)
    data = [
        make_data(replace(corpus, index=corpus.index.assign(action_units=cells))),
        make_data(replace(corpus, index=rest, flow_maps=corpus.flow_maps[~unknown])),
    ]
    with_gaps, without = (
        train_units(entry, engine=engine, epochs=2, folds="0-2") for entry in data
    )
    for number in range(3):
        one, other = read_fold(with_gaps, number), read_fold(without, number)
        pd.testing.assert_frame_equal(one.predictions, other.predictions)
        np.testing.assert_array_equal(one.epochs["train_loss"], other.epochs["train_loss"])
    assert "3 of 30 samples of made are left out" in caplog.text


def test_checkpoints_say_what_they_tell(unit_run, read_fold):
    merec = read_fold(unit_run, 3).checkpoint["merec"]
    # Two of the training subjects show AU 7, too: it is trained, but two in all are too few to score it.
    assert (merec["target"], merec["classes"]) == ("action_units", ["AU4", "AU7", "AU12"])


def test_epochs_keep_what_is_said_of_each_unit_and_end_with_what_is_written(unit_run, read_fold):
    for number in range(6):
        fold = read_fold(unit_run, number)
        ids, predicted = fold.epochs["sample_id"], fold.epochs["predicted"]
        assert predicted.shape == (5, 16, 2)
        _, answers = read_marks(fold.predictions.set_index("sample_id").loc[ids])
        np.testing.assert_array_equal(predicted[:, -1], answers)
        assert ((fold.epochs["train_accuracy"] >= 0) & (fold.epochs["train_accuracy"] <= 1)).all()


@pytest.mark.parametrize("engine", [pytest.param("processes", marks=pytest.mark.slow), "stacked"])
def test_engines_agree(unit_run, train_units, read_fold, engine):
    folder = train_units(epochs=16, engine=engine, chunk=3, folds="0-2")
    for number in range(3):
        one, other = read_fold(unit_run, number), read_fold(folder, number)
        pd.testing.assert_frame_equal(one.predictions, other.predictions, rtol=0, atol=1e-3)
        np.testing.assert_allclose(
            one.epochs["train_loss"], other.epochs["train_loss"], rtol=0, atol=1e-3
        )
        assert other.epochs["predicted"].shape == (5, 16, 2)


def test_what_the_held_out_subject_shows_changes_nothing_that_is_said_of_it(
    made, coded, make_data, train_units, read_fold, same_weights
):
    runs = []
    for shift in (0, 1):
        label = made.index["label"].to_numpy(copy=True)
        rows = (made.index["subject"] == "007").to_numpy()
        label[rows] = (label[rows] + shift) % 3
        data = make_data(coded(label))
        runs.append(read_fold(train_units(data, folds=1, selection="inner", epochs=4), 1))
    columns = ["sample_id", "p_AU4", "p_AU12", "predicted"]
    pd.testing.assert_frame_equal(runs[0].predictions[columns], runs[1].predictions[columns])
    assert not runs[0].predictions["label"].equals(runs[1].predictions["label"])
    assert same_weights(*runs)
    assert runs[0].notes["epochs"] == runs[1].notes["epochs"]


def test_an_interrupted_run_goes_on(unit_run, train_units, read_fold, assert_same_fold):
    folder = train_units(epochs=16, folds=0)
    kept = RunFolder(folder).fold(0).predictions.stat().st_mtime_ns
    train_units(epochs=16, folds="0-1", folder=folder)
    assert RunFolder(folder).fold(0).predictions.stat().st_mtime_ns == kept
    for number in range(2):
        assert_same_fold(read_fold(folder, number), read_fold(unit_run, number))


def test_weights_change_what_is_learnt(unit_run, train_units, read_fold, same_weights):
    even = read_fold(train_units(epochs=16, folds=0, balanced=False), 0)
    assert not same_weights(even, read_fold(unit_run, 0))


def test_what_does_not_go_with_action_units_is_refused(coded, make_data, make_units, learn_units):
    data = make_data(coded())
    with pytest.raises(
        InputError, match="cross_entropy learns one .* set loss=binary_cross_entropy"
    ):
        make_units(data, finetune=learn_units(loss=cross_entropy))
    with pytest.raises(InputError, match="balanced=false and recipe.class_balanced=true"):
        make_units(make_data(coded(), balanced=True))
    with pytest.raises(InputError, match="no coded action units"):
        make_units(make_data())


class Headless(STSTNet):
    """A network that does not say what its head is."""

    fresh = ()


def test_weights_of_emotions_start_all_but_the_head(
    swept, train_units, make_units, coded, make_data
):
    weights = str(RunFolder(swept).fold(0).checkpoint)  # of three emotions
    kind = {"streams": [3, 5, 8], "dropout": 0.5, "size": 28, "padding": 1, "compiled": True}
    with pytest.raises(InputError, match="another task.target, and Headless does not say"):
        train_units(folds=0, weights=weights, backbone=partial(Headless, **kind))
    task = make_units(make_data(coded()), folds=0, weights=weights)
    (fold,) = task.chosen
    started = task.fold_trainer.make_fresh(
        task.datamodule.hold_out(fold.train, fold.test, fold.held_out)
    )
    state = torch.load(weights, weights_only=True)["state_dict"]
    for name, value in started.state_dict().items():
        kept = value.shape == state[name].shape and torch.equal(value, state[name])
        assert kept != name.startswith("backbone.classify."), name


def test_where_nothing_is_told_inside_all_epochs_are_trained(
    coded, make_data, make_units, learn_units, new_folder, read_fold, caplog
):
    silent = partial(torch.optim.SGD, lr=0.0)
    finetune = learn_units(optimizer=silent)
    task = make_units(make_data(coded()), folds=1, selection="inner", epochs=3, finetune=finetune)
    task.fold_trainer.networks.target = Silent(("AU4", "AU7"))
    folder = new_folder()
    task.run(folder, None)
    assert read_fold(folder, 1).notes["epochs"] == 3
    assert "007: nothing of its inner subjects is told rightly" in caplog.text


class Silent(ActionUnits):
    """Says of nothing that it is there."""

    def decide(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(logits, dtype=torch.bool)


def test_inner_parts_share_rare_units_and_say_so_where_they_cannot(coded, make_data, make_units):
    marks = np.array([[1, 0], [1, 1], [0, 0], [1, 0], [0, 1]], dtype=np.float32)
    np.testing.assert_array_equal(ActionUnits(("AU4", "AU7")).stratify(marks), [0, 1, -1, 0, 1])
    task = make_units(make_data(coded()), folds=0)
    (fold,) = task.chosen
    with pytest.raises(InputError, match="no class has more than 1; lower task.inner_parts"):
        split_inner_subjects(fold, task.datamodule.subject, np.arange(30), 3, 0)


def test_runs_from_before_the_choice_go_on_and_pool_with_those_that_tell_emotions():
    old = {"task": {"freeze": "none", "datamodule": {"scaling": "unit"}}}
    new = {"task": old["task"] | {"target": "emotion", "min_subjects": 2}}
    units = {"task": new["task"] | {"target": "action_units"}}
    fewer = {"task": units["task"] | {"min_subjects": 1}}
    assert comparable(old) == comparable(new)
    assert len({configuration_hash(entry) for entry in (old, new, units, fewer)}) == 3


def show(corpus: Corpus, units: dict[str, tuple[int, ...]]) -> Corpus:
    """Add action units to all samples of some subjects."""
    cells = [
        tuple({*coded} | {ActionUnit(unit) for unit in units.get(subject, ())})
        for coded, subject in zip(
            corpus.index["action_units"], corpus.index["subject"], strict=True
        )
    ]
    return replace(corpus, index=corpus.index.assign(action_units=cells))


@pytest.mark.parametrize("way", ["loop", "stacked", "inner", "estimator"])
def test_labels_of_the_held_out_subject_decide_neither_what_is_trained_nor_any_prediction(
    coded, make_data, train_units, new_folder, read_fold, same_weights, way
):
    # Two others show AU 9 and AU 10. Labels of 007 decide whether a third does, and whether AU 30 exists.
    base = show(coded(), {"006": (9,), "s01": (9, 10), "sub02": (10,)})
    runs = []
    for rows in ((), (9, 30), (9, 10, 30)):
        data = make_data(show(base, {"007": rows}))
        if way == "estimator":
            folder, estimator = new_folder(), LogisticRegression(max_iter=50)
            words = {"others": partial(describe, cells=7)}
            how = (0, FoldChoice(1, "subject", None, None, None), "action_units", 2)
            Baseline(data, "e", {"e": estimator}, {"rgb": ["u", "v"]}, words, *how).run(
                folder, None
            )
        elif way == "inner":
            folder = train_units(data, folds=1, selection="inner", epochs=2)
        else:
            # A stack holds several folds; alone, fold 1 is trained as among others.
            folds = "0-2" if way == "stacked" else 1
            folder = train_units(data, folds=folds, engine=way, epochs=2)
        runs.append(folder)
    tables = [RunFolder(folder).fold(1).read_predictions() for folder in runs]
    scored = [[c for c in table if c.startswith("p_")] for table in tables]
    assert scored[0] == ["p_AU4", "p_AU12"]
    assert scored[1] == ["p_AU4", "p_AU9", "p_AU12"]
    assert scored[2] == ["p_AU4", "p_AU9", "p_AU10", "p_AU12"]
    for number, common in enumerate(scored[:2]):
        before, after = (tables[number + shift][["sample_id", *common]] for shift in (0, 1))
        pd.testing.assert_frame_equal(before, after)
    if way != "estimator":
        first, *rest = (read_fold(folder, 1) for folder in runs)
        assert first.checkpoint["merec"]["classes"] == ["AU4", "AU7", "AU9", "AU10", "AU12"]
        for other in rest:
            assert other.checkpoint["merec"]["classes"] == first.checkpoint["merec"]["classes"]
            assert same_weights(first, other)
