"""Modalities are compared where nothing else differs; a class is left out as scikit-learn would."""

import json
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from merec.evaluation.comparison import compare_results
from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.evaluation.subject_bootstrap import draw_subjects
from merec.metrics import confusion, uf1, uf1_without_each
from merec.run_folder.identity import configuration_hash
from merec.studies.class_scores import (
    ablate_classes,
)
from merec.studies.modalities import (
    compare_modalities,
)


@pytest.fixture
def write_modality(
    make_small_index: Callable, predict: Callable, write_predicted: Callable, tmp_path: Path
) -> Callable[..., Path]:
    """A run of a modality, of a network of so many features."""

    def write(modality: str, width: int = 8, channels: str = "all", seed: int = 0) -> Path:
        index = make_small_index(subjects=6)
        datamodule = {"modality": modality, "channels": channels, "scaling": "unit"}
        config = {"seed": seed, "task": {"backbone": {"width": width}, "datamodule": datamodule}}
        predicted = predict(index, seed=len(modality) + width).assign(seed=seed)
        return write_predicted(
            tmp_path / f"{modality}-{width}-{channels}-{seed}",
            predicted,
            index,
            name=f"net-{modality}",
            configuration=configuration_hash(config),
            config=config,
        )

    return write


def read(*folders: Path) -> list[Result]:
    return pool_runs(find_runs(folders))


def test_what_differs_in_modality_and_channels_is_compared_with_colour(
    write_modality: Callable,
) -> None:
    folders = [
        write_modality("fused", channels="uvz"),
        write_modality("rgb"),
        write_modality("depth"),
    ]
    results = read(*folders)
    table = compare_modalities(results)
    assert table["family"].nunique() == 1
    assert set(table["base"]) == {results[1].name}
    assert list(table["modality"].unique()) == ["rgb", "depth", "fused"]
    fused = table[table["modality"] == "fused"].reset_index(drop=True)
    alone = compare_results(results[1], results[0])
    pd.testing.assert_frame_equal(fused[alone.columns], alone)
    rows = results[0].score()["uf1"]
    first = fused.iloc[0]
    assert tuple(first[["b", "b_low", "b_high"]]) == (rows.value, rows.low, rows.high)


def test_a_network_of_another_width_is_another_family_and_one_modality_is_none(
    write_modality: Callable,
) -> None:
    pairs = [write_modality(*choice) for choice in product(("rgb", "fused"), (8, 16))]
    lone = write_modality("rgb", 32)
    table = compare_modalities(read(*pairs, lone))
    assert table["family"].nunique() == 2
    assert (table.groupby("family")["base"].nunique() == 1).all()
    assert not table["result"].str.contains("32").any()
    assert compare_modalities(read(pairs[0], lone)).empty


def test_of_two_that_differ_in_channels_only_the_second_is_named_and_left_out(
    write_modality: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    results = read(
        write_modality("rgb"), write_modality("rgb", channels="strain"), write_modality("fused")
    )
    table = compare_modalities(results)
    assert set(table["result"]) == {results[0].name, results[2].name}
    assert f"{results[1].name} is not in the table of modalities" in caplog.text
    assert "in channels only" in caplog.text


def test_of_two_that_differ_in_their_code_only_that_is_said(
    write_modality: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    folders = [write_modality("rgb"), write_modality("fused")]
    forced = folders[0].with_name("forced")
    shutil.copytree(folders[0], forced)
    facts = json.loads((forced / "environment.json").read_text())
    (forced / "environment.json").write_text(json.dumps(facts | {"code": {"a.py": "0"}}))
    compare_modalities(read(*folders, forced))
    assert "in code only" in caplog.text


def test_uf1_without_a_class_equals_scikit_learn_without_its_samples() -> None:
    rng = np.random.default_rng(0)
    label, predicted = rng.integers(4, size=(2, 90))
    actual = uf1_without_each(confusion(label, predicted, 4))
    for left_out in range(4):
        kept = label != left_out
        rest = [c for c in range(4) if c != left_out]
        expected = f1_score(label[kept], predicted[kept], labels=rest, average="macro")
        assert actual[left_out] == pytest.approx(expected)
    several = np.stack([confusion(label, predicted, 4), confusion(predicted, label, 4)])
    np.testing.assert_array_equal(uf1_without_each(several)[0], actual)


def test_classes_say_what_they_are_taken_for_and_what_they_cost(
    write_modality: Callable, reckon_interval: Callable
) -> None:
    result = read(write_modality("rgb", seed=0))[0]
    table = ablate_classes([result]).set_index("class")
    assert table.index.tolist() == list(result.protocol.classes)
    subjects, counts = result.confusions()
    pooled = counts.sum((0, 1))
    for number, (name, row) in enumerate(table.iterrows()):
        assert row["samples"] == pooled[number].sum()
        rest = {c: pooled[number, k] for k, c in enumerate(result.protocol.classes) if c != name}
        assert row["taken_for"] == max(rest, key=rest.get)
        assert row["share"] == pytest.approx(rest[row["taken_for"]] / row["samples"])
        assert row["f1"] == pytest.approx(result.score_classes()[name]["f1"])
        assert row["uf1_without"] - row["difference"] == pytest.approx(uf1(pooled))
    drawn = np.tensordot(draw_subjects(len(subjects), 10_000, 0), counts[0], 1)
    gains = uf1_without_each(drawn) - uf1(drawn)[:, None]
    samples = counts[0].sum(-1)
    for (_, row), draws in zip(table.iterrows(), gains.T, strict=True):
        expected = reckon_interval(row["difference"], draws, samples, (-1, 1))
        assert (row["low"], row["high"]) == pytest.approx(expected)


def test_a_class_that_is_never_mistaken_is_taken_for_none(
    make_small_index: Callable, predict: Callable, write_predicted: Callable, tmp_path: Path
) -> None:
    index = make_small_index(subjects=6)
    right = predict(index, skill=1.0)
    assert (right["label"] == right["predicted"]).all()
    table = ablate_classes(read(write_predicted(tmp_path / "run", right, index)))
    assert table["taken_for"].tolist() == ["", "", ""]
    assert (table["uf1_without"] == 1).all()
