"""Run folders pool by sample id: seeds side by side, fold ranges joined, anything amiss refused."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import accuracy_score, f1_score, recall_score

from merec.errors import InputError
from merec.evaluation.optimism import measure_optimism
from merec.evaluation.pooling import pool_runs
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.runs import find_runs, read_run
from merec.files import write_json
from merec.metrics import METRICS
from merec.run import collect_scores
from merec.run_folder import RunFolder
from merec.run_folder.identity import flatten
from merec.run_folder.prediction_table import read_predictions, write_predictions


@pytest.fixture
def index(make_index) -> pd.DataFrame:
    return make_index(subjects=7)


@pytest.fixture
def table(index, predict) -> pd.DataFrame:
    return predict(index, seed=0)


def by_id(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions.sort_values(["seed", "sample_id"], ignore_index=True)


def test_a_run_reads_back_what_was_written(tmp_path, write_run, index, table, classes):
    folder = write_run(
        tmp_path / "run", table, index, config={"seed": 0, "task": {"engine": "loop"}}
    )
    run = read_run(folder)
    pd.testing.assert_frame_equal(by_id(run.predictions), by_id(table), check_exact=True)
    assert run.folder.path == folder
    assert run.config == {"seed": 0, "task": {"engine": "loop"}}
    assert run.environment["name"] == "ststnet"
    assert (run.protocol.samples, run.protocol.subjects) == (len(index), 7)
    assert run.protocol.classes == classes
    assert run.read_epochs() == {}


def test_two_seeds_pool_side_by_side(tmp_path, write_run, index, predict):
    tables = [predict(index, seed=seed) for seed in (1, 0)]
    for number, one in enumerate(tables):
        write_run(tmp_path / f"{number}", one, index, config={"seed": 1 - number, "folds": None})
    (result,) = pool_runs(find_runs([tmp_path]))
    assert result.name == "ststnet"
    assert result.seeds == [0, 1]
    assert len(result.runs) == 2
    pd.testing.assert_frame_equal(
        by_id(result.predictions), by_id(pd.concat(tables)), check_exact=True
    )
    subjects, counts = result.confusions()
    assert subjects == sorted(index["subject"].unique())
    assert counts.shape == (2, 7, 3, 3)
    assert counts.sum() == 2 * len(index)


def test_two_fold_ranges_join_to_the_run_of_all_folds(tmp_path, write_run, index, table):
    write_run(tmp_path / "all", table, index)
    for part, wanted in (("low", table["fold"] <= 2), ("high", table["fold"] > 2)):
        write_run(
            tmp_path / "parts" / part, table[wanted], index, config={"seed": 0, "folds": part}
        )
    (whole,) = pool_runs(find_runs([tmp_path / "all"]))
    (joined,) = pool_runs(find_runs([tmp_path / "parts"]))
    pd.testing.assert_frame_equal(
        by_id(joined.predictions), by_id(whole.predictions), check_exact=True
    )
    assert joined.score() == whole.score()
    assert joined.name == whole.name


def test_scores_equal_scikit_learns_of_the_pooled_rows_averaged_over_seeds(
    tmp_path, write_run, index, predict
):
    for seed in (0, 1, 2):
        write_run(tmp_path / f"{seed}", predict(index, seed=seed), index)
    (result,) = pool_runs(find_runs([tmp_path]))
    assert set(result.subsets) == {"Full", "casme2", "samm"}
    pieces = pd.concat([result.subsets["casme2"], result.subsets["samm"]])
    pd.testing.assert_frame_equal(by_id(pieces), by_id(result.predictions), check_exact=True)

    options = {"average": "macro", "labels": range(3), "zero_division": 0}
    for subset, corpora in {
        "Full": ["casme2", "samm"],
        "casme2": ["casme2"],
        "samm": ["samm"],
    }.items():
        rows = result.predictions[result.predictions["corpus"].isin(corpora)]
        runs = [(part["label"], part["predicted"]) for _, part in rows.groupby("seed")]
        expected = {
            "uf1": np.mean([f1_score(*run, **options) for run in runs]),
            "uar": np.mean([recall_score(*run, **options) for run in runs]),
            "accuracy": np.mean([accuracy_score(*run) for run in runs]),
        }
        actual = result.score(subset)
        assert set(actual) == set(METRICS)
        for name, score in actual.items():
            assert score.value == pytest.approx(expected[name])
            assert score.low <= score.value <= score.high
            assert score.low < score.high or subset != "Full"  # of 3 subjects all draws may agree

    runs = [(part["label"], part["predicted"]) for _, part in result.predictions.groupby("seed")]
    options = {"average": None, "labels": range(3), "zero_division": 0}
    f1 = np.mean([f1_score(*run, **options) for run in runs], axis=0)
    recall = np.mean([recall_score(*run, **options) for run in runs], axis=0)
    for number, (name, score) in enumerate(result.score_classes().items()):
        assert name == result.protocol.classes[number]
        assert score["f1"] == pytest.approx(f1[number])
        assert score["recall"] == pytest.approx(recall[number])
        assert score["samples"] == (index["label"] == number).sum()


def test_one_data_set_has_no_subset_but_itself(tmp_path, write_run, index, predict):
    alone = index[index["corpus"] == "samm"]
    write_run(tmp_path / "run", predict(alone), alone)
    (result,) = pool_runs(find_runs([tmp_path]))
    assert list(result.subsets) == ["Full"]


def test_a_run_is_found_once_however_often_it_is_given(tmp_path, write_run, index, table, predict):
    first = write_run(tmp_path / "sweep" / "0", table, index)
    write_run(tmp_path / "sweep" / "1", predict(index, seed=1), index)
    (tmp_path / "link").symlink_to(first)
    actual = find_runs([first, tmp_path / "sweep", tmp_path, tmp_path / "link"])
    assert sorted(run.folder.path.name for run in actual) == ["0", "1"]
    assert pool_runs(actual)[0].seeds == [0, 1]


def test_a_missing_fold_is_an_error_that_numbers_it(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    shutil.rmtree(RunFolder(folder).fold(3).path)
    with pytest.raises(InputError, match=r"missing 1 of 7 folds \(3\)") as error:
        pool_runs(find_runs([folder]))
    assert str(folder) in str(error.value)


@pytest.fixture
def apart(tmp_path, write_run, index, table, classes) -> Path:
    """A run that held out its two data sets."""
    rows = table.assign(fold=(table["corpus"] == "samm").astype(int))
    protocol = replace(describe_protocol("fake", index, classes), held_out=("casme2", "samm"))
    return write_run(tmp_path / "apart", rows, index, epochs=6, protocol=protocol.to_dict())


def test_of_a_missing_data_set_the_fold_is_numbered(apart):
    shutil.rmtree(RunFolder(apart).fold(1).path)
    with pytest.raises(InputError, match=r"missing 1 of 2 folds \(1\)"):
        pool_runs(find_runs([apart]))


def test_leaving_subjects_out_and_leaving_data_sets_out_are_never_pooled_or_compared(
    apart, tmp_path, write_run, index, table
):
    write_run(tmp_path / "subjects", table, index)
    with pytest.raises(InputError, match=r"leave-one-data-set-out\) and .*leave-one-subject-out\)"):
        pool_runs(find_runs([tmp_path]))


def test_best_epoch_on_test_is_that_of_each_held_out_data_set(apart):
    (result,) = pool_runs(find_runs([apart]))
    (reading,) = result.read_optimism()
    recorded = result.predictions.set_index("sample_id")
    label, predicted = [], []
    for fold in result.runs[0].read_epochs().values():
        truth = recorded.loc[fold.sample_id, "label"].to_numpy()
        best = (fold.predicted == truth[:, None]).sum(0).argmax()
        label, predicted = [*label, *truth], [*predicted, *fold.predicted[:, best]]
    expected = f1_score(label, predicted, average="macro", labels=range(3), zero_division=0)
    assert reading.best_epoch[0] == pytest.approx(expected)


def test_a_fold_that_was_being_written_counts_as_missing(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    place = RunFolder(folder).fold(3).path
    (place / "predictions.csv").rename(place / ".predictions.4711.part.csv")
    with pytest.raises(InputError, match=r"missing 1 of 7 folds \(3\)"):
        pool_runs(find_runs([folder]))


def test_a_seed_that_lacks_a_fold_is_not_hidden_by_one_that_is_whole(
    tmp_path, write_run, index, table, predict
):
    write_run(tmp_path / "0", table, index)
    write_run(tmp_path / "1", predict(index, seed=1).query("fold != 6"), index)
    with pytest.raises(InputError, match=r"seed 1 has .* missing 1 of 7 folds \(6\)"):
        pool_runs(find_runs([tmp_path]))


def test_a_fold_predicted_by_two_folders_is_an_error_that_names_them(
    tmp_path, write_run, index, table
):
    write_run(tmp_path / "low", table.query("fold <= 3"), index)
    write_run(tmp_path / "high", table.query("fold >= 3"), index)
    with pytest.raises(InputError, match="is predicted twice for seed 0") as error:
        pool_runs(find_runs([tmp_path]))
    assert "low" in str(error.value)
    assert "high" in str(error.value)


def test_mixed_protocols_are_an_error_that_names_both_runs(
    tmp_path, write_run, index, predict, table
):
    other = index.assign(label=(index["label"] + 1) % 3)
    write_run(tmp_path / "mine", table, index)
    write_run(tmp_path / "theirs", predict(other), other, configuration="0ther")
    with pytest.raises(InputError, match="follow different protocols") as error:
        pool_runs(find_runs([tmp_path]))
    assert "mine" in str(error.value)
    assert "theirs" in str(error.value)


def test_predictions_of_another_corpus_than_the_folders_protocol_are_an_error(
    tmp_path, write_run, index, predict
):
    other = index.assign(sample_id=index["sample_id"] + "x")
    write_run(tmp_path / "run", predict(other), index)
    with pytest.raises(InputError, match=r"are not the \d+ of fake"):
        pool_runs(find_runs([tmp_path]))


@pytest.mark.parametrize("name", ["config.yaml", "environment.json"])
def test_a_folder_without_config_or_environment_is_no_run(tmp_path, write_run, index, table, name):
    folder = write_run(tmp_path / "run", table, index)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"run is no run folder: it has no {name}; give a folder"):
        read_run(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("environment.json", '{"name": "stst'),
        ("environment.json", "{}"),
        ("environment.json", "[]"),
        ("environment.json", '{"name": "a", "configuration": "b", "protocol": {"name": "fake"}}'),
        ("config.yaml", "seed: [0"),
    ],
)
def test_a_damaged_config_or_environment_is_an_error_that_names_the_file(
    tmp_path, write_run, index, table, name, content
):
    folder = write_run(tmp_path / "run", table, index)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=f"run.{name} is damaged"):
        read_run(folder)


def test_an_environment_without_a_configuration_is_damaged(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    recorded = json.loads((folder / "environment.json").read_text())
    for key in ("name", "configuration", "protocol"):
        (folder / "environment.json").write_text(
            json.dumps({name: value for name, value in recorded.items() if name != key})
        )
        with pytest.raises(InputError, match=f"damaged .*{key}"):
            read_run(folder)


def test_a_run_without_a_finished_fold_is_an_error(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    shutil.rmtree(folder / "folds")
    with pytest.raises(InputError, match=r"no fold of .*run has finished; run its command again"):
        find_runs([tmp_path])


def test_a_whole_run_that_was_copied_without_its_folds_is_called_so(
    tmp_path, write_run, index, table, caplog
):
    folder = write_run(tmp_path / "runs" / "slim", table, index)
    shutil.rmtree(folder / "folds")
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match=r"slim has scores, but its folder folds/ is missing"):
        find_runs([folder])
    write_run(tmp_path / "runs" / "whole", table, index)
    find_runs([tmp_path / "runs"])
    assert "slim is passed over: its folds/ is missing, copy it too" in caplog.text


def test_folders_that_hold_no_run_are_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.csv").touch()
    with pytest.raises(InputError, match=r"there is no run in .*empty"):
        find_runs([tmp_path / "empty"])
    for name in ("absent", "file.csv"):
        with pytest.raises(InputError, match=f"{name} is no folder"):
            find_runs([tmp_path / name])


def test_a_damaged_fold_is_an_error_that_names_the_file(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    RunFolder(folder).fold(5).predictions.write_bytes(b"\x00\x01")
    with pytest.raises(InputError, match=r"005.predictions\.csv"):
        find_runs([folder])


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("p_positive", 1.7, "p_positive is 1.7, expected a probability from 0 to 1"),
        ("p_positive", -0.3, "p_positive is -0.3, expected a probability from 0 to 1"),
        ("p_positive", 0.999, "the sum of its probabilities is .*, expected 1"),
        ("predicted", "other", "predicted is [012], expected the class of the largest probability"),
        ("predicted", 3, "predicted is 3, expected a class from 0 to 2"),
        ("label", -1, "label is -1, expected a class from 0 to 2"),
        ("fold", -2, "fold is -2, expected 2 as in its folder"),
        ("fold", 3, "fold is 3, expected 2 as in its folder"),
        ("seed", 1, "seed is 1, expected 0 as in config.yaml"),
        ("subject", "sub04", "subject is sub04, expected 005, held out by fold.json"),
    ],
)
def test_a_row_that_no_fold_can_have_written_is_refused_by_file_line_and_sample(
    tmp_path, write_run, index, table, column, value, words
):
    folder = write_run(tmp_path / "run", table, index)
    place = RunFolder(folder).fold(2).path
    (place / "fold.json").write_text('{"held_out": "005"}')
    read_run(folder)
    rows = pd.read_csv(place / "predictions.csv", dtype={"subject": str})
    rows[column] = rows[column].astype(object)
    sample_id, named = rows.loc[1, ["sample_id", "predicted"]]
    rows.loc[1, column] = (named + 1) % 3 if value == "other" else value
    rows.to_csv(place / "predictions.csv", index=False)
    actual = rf"002.predictions\.csv is damaged \(line 3, sample {sample_id}: {words}\); delete"
    with pytest.raises(InputError, match=actual):
        read_run(folder)


def test_a_class_without_its_column_and_a_sample_given_twice_are_refused(
    tmp_path, write_run, index, table
):
    folder = write_run(tmp_path / "run", table, index)
    file = RunFolder(folder).fold(2).predictions
    rows = pd.read_csv(file, dtype={"subject": str})
    rows.drop(columns="p_surprise").to_csv(file, index=False)
    with pytest.raises(InputError, match="it has no column p_surprise"):
        read_run(folder)
    rows.assign(p_contempt=0.0).to_csv(file, index=False)
    with pytest.raises(InputError, match="p_contempt is of no class of fake"):
        read_run(folder)
    pd.concat([rows, rows.iloc[:1]]).to_csv(file, index=False)
    with pytest.raises(InputError, match="sample_id is .*, expected each sample once"):
        read_run(folder)


def test_a_folder_that_is_no_fold_of_the_run_is_refused(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    for name in ("007", "copy"):
        shutil.copytree(RunFolder(folder).fold(2).path, folder / "folds" / name)
        with pytest.raises(InputError, match=rf"{name} is no fold of this run, .* 000 to 006"):
            read_run(folder)
        shutil.rmtree(folder / "folds" / name)


def test_a_sample_moved_to_another_data_set_is_refused(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    file = RunFolder(folder).fold(2).predictions
    rows = pd.read_csv(file, dtype={"subject": str})
    rows.loc[0, "corpus"] = "casme2"
    rows.to_csv(file, index=False)
    with pytest.raises(InputError, match="a sample was moved to another data set"):
        pool_runs([read_run(folder)])


def write_variants(
    tmp_path, write_run, index, table, configs: list[dict], name: str = "ststnet"
) -> None:
    for number, config in enumerate(configs):
        write_run(
            tmp_path / f"{number}",
            table,
            index,
            name=name,
            configuration=f"{number:08x}",
            config=config,
        )


def names_of(folder) -> list[str]:
    return [result.name for result in pool_runs(find_runs([folder]))]


def test_equal_names_are_told_apart_by_the_settings_that_differ(tmp_path, write_run, index, table):
    configs = [
        {"backbone": {"width": 8, "depth": 2}, "seed": 0},
        {"backbone": {"width": 16, "depth": 2}, "seed": 0},
    ]
    write_variants(tmp_path, write_run, index, table, configs)
    assert names_of(tmp_path) == ["ststnet (width=8)", "ststnet (width=16)"]


def test_seeds_folds_and_loggers_tell_no_configurations_apart(tmp_path, write_run, index, predict):
    for seed in (0, 1):
        task = {
            "seed": seed,
            "folds": f"0-{seed + 6}",
            "datamodule": {"seed": seed, "corpus": {"root": seed}},
        }
        config = {"seed": seed, "logger": {"id": seed}, "task": task}
        write_run(tmp_path / f"{seed}", predict(index, seed=seed), index, config=config)
    assert names_of(tmp_path) == ["ststnet"]
    task = {"seed": 5, "datamodule": {"seed": 5, "corpus": {"root": 9}}, "width": 16}
    settings = {"seed": 5, "logger": {"id": 7}, "task": task}
    write_run(tmp_path / "2", predict(index, seed=5), index, configuration="0ther", config=settings)
    assert names_of(tmp_path) == ["ststnet", "ststnet (width=16)"]


def test_other_names_need_no_settings(tmp_path, write_run, index, table):
    write_run(tmp_path / "0", table, index, name="ststnet", configuration="0", config={"width": 1})
    write_run(tmp_path / "1", table, index, name="rbf_svm", configuration="1", config={"width": 2})
    assert names_of(tmp_path) == ["ststnet", "rbf_svm"]


def test_names_are_unique_where_the_first_three_settings_are_equal(
    tmp_path, write_run, index, table
):
    configs = [
        {"a": 1, "b": 1, "c": 1, "d": 1},
        {"a": 2, "b": 2, "c": 2, "d": 1},
        {"a": 2, "b": 2, "c": 2, "d": 2},
    ]
    write_variants(tmp_path, write_run, index, table, configs)
    names = names_of(tmp_path)
    assert len(set(names)) == 3
    assert names[2] == "ststnet (a=2, d=2)"


@pytest.mark.parametrize(
    "configs",
    [
        [{"width": 1}, {"width": 1}],  # of two versions of the code, say
        [{"a": {"x": 1}}, {"b": {"x": 1}}],
    ],
)
def test_names_are_unique_where_no_setting_tells_them_apart(
    tmp_path, write_run, index, table, configs
):
    write_variants(tmp_path, write_run, index, table, configs)
    names = names_of(tmp_path)
    assert len(set(names)) == 2
    assert all(f"{number:08x}" in name for number, name in enumerate(names))


def test_flatten_keeps_every_leaf_under_its_dotted_key():
    nested = {"a": {"b": {"c": 1}, "d": [1, {"e": 2}]}, "f": None, "g": {}}
    assert flatten(nested) == {"a.b.c": 1, "a.d": [1, {"e": 2}], "f": None, "g": {}}
    assert flatten(yaml.safe_load("a: {b: 1}\nc: x")) == {"a.b": 1, "c": "x"}


def test_epochs_are_read_by_fold(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index, epochs=5)
    epochs = read_run(folder).read_epochs()
    assert sorted(epochs) == list(range(7))
    for number, fold in epochs.items():
        rows = table[table["fold"] == number].set_index("sample_id")
        assert sorted(fold.sample_id) == sorted(rows.index)
        assert fold.predicted.shape == (len(rows), 5)
        assert fold.train_loss.shape == fold.train_accuracy.shape == (5,)
        np.testing.assert_array_equal(fold.predicted[:, -1], rows.loc[fold.sample_id, "predicted"])


def test_the_optimism_meter_reads_each_seed_of_all_its_folders(tmp_path, write_run, index, predict):
    for seed in (0, 1):
        table = predict(index, seed=seed)
        write_run(tmp_path / f"{seed}a", table.query("fold < 4"), index, epochs=6)
        write_run(tmp_path / f"{seed}b", table.query("fold >= 4"), index, epochs=6)
    (result,) = pool_runs(find_runs([tmp_path]))
    readings = result.read_optimism()
    assert len(readings) == 2
    for seed, reading in zip(result.seeds, readings, strict=True):
        table = result.predictions.query("seed == @seed").set_index("sample_id")
        predicted: dict[str, np.ndarray] = {}
        for run in result.runs:
            if run.predictions["seed"].iloc[0] == seed:
                for fold in run.read_epochs().values():
                    predicted |= dict(zip(fold.sample_id, fold.predicted, strict=True))
        expected = measure_optimism(
            np.stack([predicted[sample_id] for sample_id in table.index]),
            table["label"].to_numpy(),
            table["subject"].to_numpy(str),
            result.target,
        )
        # The control guesses in the order of rows, so only its mean is comparable.
        for name in ("honest", "best_epoch", "best_common_epoch", "epochs"):
            assert getattr(reading, name) == pytest.approx(getattr(expected, name))
        options = {"average": "macro", "labels": range(3), "zero_division": 0}
        assert reading.honest[0] == pytest.approx(
            f1_score(table["label"], table["predicted"], **options)
        )
    assert readings[0].honest != readings[1].honest


@pytest.mark.parametrize("epochs", [0, dict.fromkeys(range(6), 4)])
def test_there_is_no_optimism_to_read_without_epochs_of_every_fold(
    tmp_path, write_run, index, table, epochs
):
    write_run(tmp_path / "run", table, index, epochs=epochs)
    (result,) = pool_runs(find_runs([tmp_path]))
    assert result.read_optimism() == []
    # The same predictions have a reading once every fold has epochs, be they unlike in number.
    write_run(tmp_path / "again", table, index, epochs={**dict.fromkeys(range(7), 4), 6: 5})
    (result,) = pool_runs(find_runs([tmp_path / "again"]))
    assert len(result.read_optimism()) == 1


def test_a_result_is_transductive_if_any_of_its_runs_is(tmp_path, write_run, index, predict):
    write_run(tmp_path / "0", predict(index, seed=0), index)
    assert not pool_runs(find_runs([tmp_path]))[0].transductive
    write_run(tmp_path / "1", predict(index, seed=1), index, transductive=True)
    assert pool_runs(find_runs([tmp_path]))[0].transductive


def test_one_edited_label_is_named_with_its_sample(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    file = RunFolder(folder).fold(2).predictions
    rows = read_predictions(file)
    sample_id, label = rows.loc[0, "sample_id"], int(rows.loc[0, "label"])
    other = (label + 1) % 3
    rows.loc[0, "label"] = other
    write_predictions(file, rows)
    text = f"label of sample {sample_id} is {other}, but the run recorded {label} "
    with pytest.raises(InputError, match=re.escape(text)):
        pool_runs(find_runs([folder]))
    if len(rows) > 1:  # of two nobody knows which
        rows.loc[1, "label"] = (rows.loc[1, "label"] + 1) % 3
        write_predictions(file, rows)
        with pytest.raises(InputError, match="its folders hold another corpus"):
            pool_runs(find_runs([folder]))


def test_predictions_that_do_not_give_the_scores_of_the_run_are_refused(
    tmp_path, write_run, index, table
):
    folder = write_run(tmp_path / "run", table, index)
    (result,) = pool_runs(find_runs([folder]))
    write_json(folder / "metrics.json", collect_scores(result))
    assert len(find_runs([folder])) == 1
    predicted = table["label"].to_numpy()  # all right, and all tables agree
    probability = np.eye(3)[predicted]
    columns = [f"p_{name}" for name in result.protocol.classes]
    right = table.assign(predicted=predicted)
    right[columns] = probability
    for number, rows in right.groupby("fold"):
        write_predictions(RunFolder(folder).fold(int(number)).predictions, rows)
    with pytest.raises(
        InputError, match=r"UF1 of its fold tables is 1\.0000, but its metrics.json says"
    ):
        find_runs([folder])
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match=r"metrics\.json is damaged \('scores' is missing\)"):
        find_runs([folder])
    shutil.rmtree(RunFolder(folder).fold(3).path)  # of a part the scores say nothing
    assert len(find_runs([folder])) == 1


def test_runs_of_unlike_libraries_name_the_packages(tmp_path, write_run, index, predict, caplog):
    for seed, versions in enumerate(
        ({"numpy": "2.3", "torch": "2.9"}, {"numpy": "2.4", "torch": "2.9"})
    ):
        write_run(tmp_path / f"{seed}", predict(index, seed=seed), index, versions=versions)
    pool_runs(find_runs([tmp_path]))
    assert "pools runs of different versions: numpy 2.3 and 2.4; " in caplog.text
    assert "torch" not in caplog.text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda b: b.splitlines(keepends=True)[0], "holds no prediction"),
        (lambda b: b.replace(b",sub0", b",s\0b0", 1), "line 2 holds NUL bytes"),
    ],
)
def test_a_table_without_rows_or_with_nul_bytes_is_named(
    tmp_path, write_run, index, table, content, reason
):
    folder = write_run(tmp_path / "run", table, index)
    file = RunFolder(folder).fold(6).predictions
    file.write_bytes(content(file.read_bytes()))
    with pytest.raises(InputError, match=f"^{re.escape(str(file))} .*{reason}"):
        read_run(folder)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    for name in ("folds/003/predictions.csv", "environment.json", "config.yaml"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(
            InputError, match=f"^{re.escape(str(folder / name))} is no regular file"
        ):
            read_run(folder)


def test_a_config_that_was_cut_off_is_damaged(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    file = folder / "config.yaml"
    content = file.read_text()
    file.write_text(content[: content.index("folds:") + 3])
    with pytest.raises(InputError, match=r"config\.yaml is damaged \(its last line is not whole\)"):
        read_run(folder)


def test_a_run_that_holds_out_nobody_leads_to_predict(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index)
    shutil.rmtree(folder / "folds")
    (folder / "checkpoint.ckpt").touch()
    with pytest.raises(InputError, match=r"give its checkpoint\.ckpt to merec predict"):
        find_runs([folder])


def test_a_config_that_the_run_was_not_trained_with_is_refused(tmp_path, write_run, index, table):
    settings = {"seed": 0, "task": {"width": 8, "datamodule": {"corpus": {"root": "/a"}}}}
    folder = write_run(tmp_path / "run", table, index, config=settings)
    moved = {"seed": 0, "task": {"width": 8, "datamodule": {"corpus": {"root": "/b"}}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(moved))
    read_run(folder)  # where the data lie decides nothing
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | {"task": {"width": 9}}))
    with pytest.raises(
        InputError, match=r"config\.yaml is not what the run was trained with.*copy"
    ):
        read_run(folder)


def test_a_run_whose_hash_was_reckoned_by_names_alone_is_still_read(
    tmp_path, write_run, index, table
):
    task = {"width": 8, "corpus": {"render": {"seed": 3, "root": "/a"}}}
    folder = write_run(tmp_path / "run", table, index, config={"seed": 0, "task": task})
    plain = json.dumps({"width": 8, "corpus": {"render": {}}}, sort_keys=True)
    facts = json.loads((folder / "environment.json").read_text())
    facts["configuration"] = hashlib.sha256(plain.encode()).hexdigest()[:16]
    (folder / "environment.json").write_text(json.dumps(facts))
    read_run(folder)


def test_folds_that_all_differ_from_a_file_of_the_run_blame_that_file(
    tmp_path, write_run, index, table
):
    folder = write_run(tmp_path / "run", table, index)
    before = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(before.replace("seed: 0", "seed: 1"))
    with pytest.raises(InputError) as caught:
        read_run(folder)
    assert "config.yaml was changed, or is of another run: 7 of 7 folds" in str(caught.value)
    assert "seed is 0, expected 1" in str(caught.value)
    assert "delete" not in str(caught.value)
    (folder / "config.yaml").write_text(before)
    facts = json.loads((folder / "environment.json").read_text())
    facts["protocol"]["classes"].reverse()
    (folder / "environment.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"environment\.json was changed, or is of another run"):
        read_run(folder)


def test_epochs_that_some_folds_lack_are_said(tmp_path, write_run, index, table, caplog):
    folder = write_run(tmp_path / "run", table, index, epochs=3)
    RunFolder(folder).fold(2).epochs.unlink()
    (result,) = pool_runs(find_runs([folder]))
    assert result.read_optimism() == []
    assert "epochs.npz is missing in 1 of 7 folds (002)" in caplog.text


def test_a_negative_count_of_samples_is_damage(tmp_path, write_run, index, table):
    folder = write_run(tmp_path / "run", table, index, not_trained_on={"zero_motion": -5})
    with pytest.raises(InputError, match=r"zero_motion is -5, expected a number of 0 or more"):
        read_run(folder)
