"""Test that neither samples nor predictions depend on the order of rows or files."""

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from merec.corpora import read_megc2019_flow
from merec.evaluation.protocol import describe_protocol
from merec.types import Corpus

CASME2 = "CASME2-coding-20140508.xlsx"
CASME2_HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units",
                 "Estimated Emotion"]  # fmt: skip
EMOTIONS = ("happiness", "others", "disgust", "repression", "surprise")
SAMM = "SAMM_Micro_FACS_Codes_v2.xlsx"
SAMM_HEADER = ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units",
               "Estimated Emotion"]  # fmt: skip
SAMM_EMOTIONS = ("Anger", "Contempt", "Happiness", "Other", "Surprise")


def shuffle(rows: list[Any], seed: int) -> list[Any]:
    return random.Random(seed).sample(rows, len(rows)) if seed else rows


def assert_same(one: Corpus, other: Corpus) -> None:
    assert one.protocol == other.protocol
    pd.testing.assert_frame_equal(
        *(corpus.index.drop(columns="row", errors="ignore") for corpus in (one, other))
    )


def test_casme2_and_samm_give_one_index_for_any_order_of_rows(tmp_path, read, write_sheet):
    casme2 = [[n % 7 + 1, f"EP{n:02d}_01", 5, 9, 20, "4", EMOTIONS[n % 5]] for n in range(25)]
    samm = [
        [n % 7 + 6, f"{n % 7 + 6:03d}_{n}_1", 5, 9, 20, "4", SAMM_EMOTIONS[n % 5]]
        for n in range(25)
    ]
    by_order: dict[str, list[Corpus]] = {"casme2": [], "samm": []}
    for seed in range(3):
        root = tmp_path / str(seed)
        write_sheet(root / CASME2, CASME2_HEADER, shuffle(casme2, seed))
        write_sheet(root / SAMM, SAMM_HEADER, shuffle(samm, seed), "MICRO ONLY", above=13)
        for name, corpora in by_order.items():
            # Frames are not compared, because their folders are below different roots.
            corpus = read(name, root)
            index = corpus.index.drop(columns=["color", "depth"])
            corpora.append(Corpus(corpus.protocol, index, None, ()))
    for first, *shuffled in by_order.values():
        for corpus in shuffled:
            assert_same(first, corpus)


@pytest.mark.slow
def test_the_official_list_of_casme3_gives_one_index_for_any_order_of_rows(
    tmp_path, read, real_casme3
):
    with (real_casme3 / "dvscl_943.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    corpora = []
    for seed in (0, 1):
        list_ = tmp_path / f"list{seed}" / "dvscl_943.csv"
        list_.parent.mkdir()
        with list_.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *shuffle(rows, seed)])
        corpora.append(read("casme3", tmp_path, annotation=str(list_)))
    assert len(corpora[0].index) == 943
    assert_same(*corpora)


def test_any_corpus_is_sorted_by_id_with_its_maps():
    rng = np.random.default_rng(0)
    index = pd.DataFrame({"sample_id": [f"s{n:02d}" for n in rng.permutation(20)]})
    index = index.assign(corpus="a", subject="b", clip="c", label=0)
    maps = rng.integers(256, size=(20, 3, 4, 4), dtype=np.uint8)
    corpus = Corpus(describe_protocol("p", index, ["one"]), index, maps, ("u", "v", "strain"))
    assert corpus.index["sample_id"].is_monotonic_increasing
    assert corpus.index.index.equals(pd.RangeIndex(20))
    assert corpus.flow_maps is not None
    for sample_id, flow_map in zip(corpus.index["sample_id"], corpus.flow_maps, strict=True):
        (row,) = np.flatnonzero(index["sample_id"] == sample_id)
        assert (flow_map == maps[row]).all()


def write_packed(root: Path, rows: list[dict[str, str]], maps: dict[str, np.ndarray]) -> Path:
    """Write `samples.csv` in the order of `rows` and `flow.npz` in a different order."""
    root.mkdir()
    with (root / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    ids = sorted(maps, key=lambda sample_id: sample_id[::-1])
    np.savez(root / "flow.npz", flow=np.stack([maps[i] for i in ids]), sample_id=np.array(ids))
    return root


@pytest.fixture(scope="module")
def layouts(tmp_path_factory, small_root) -> list[Path]:
    """Write the small corpus three times: packed, packed in another order of rows, and as folders."""
    root = tmp_path_factory.mktemp("layouts")
    with (small_root / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(small_root / "flow.npz") as arrays:
        maps = dict(zip(arrays["sample_id"].tolist(), arrays["flow"], strict=True))
    for row in rows:
        folder = root / "folders" / row["subject"] / "u_test" / row["label"]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = maps[row["sample_id"]].transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / f"{row['sample_id']}.png")
    packed = [write_packed(root / f"{seed}", shuffle(rows, seed), maps) for seed in (0, 1)]
    return [*packed, root / "folders"]


def test_packed_maps_in_any_order_and_folders_give_one_index(layouts):
    classes = ("negative", "positive", "surprise")
    corpora = [read_megc2019_flow(str(root), "small", classes, None) for root in layouts]
    for other in corpora[1:]:
        assert_same(corpora[0], other)
        assert np.array_equal(corpora[0].flow_maps, other.flow_maps)


@pytest.mark.parametrize(
    "task",
    [
        ["task=baseline", "task.estimator=logistic"],
        pytest.param(["task=baseline", "task.estimator=rbf_svm_nested"], marks=pytest.mark.slow),
        ["task=loso", "backbone=ststnet", "task.engine=loop"],
    ],
    ids=["logistic", "rbf_svm_nested", "ststnet"],
)
def test_predictions_are_bit_equal_for_any_order_and_layout(
    merec: Callable[..., Any],
    tmp_path: Path,
    small: list[str],
    layouts: list[Path],
    task: list[str],
):
    tables = []
    for number, root in enumerate(layouts):
        out = tmp_path / str(number)
        overrides = [*small, f"corpus.root={root}", *task, "folds=0-1", "logger=none"]
        done = merec("train", *overrides, f"hydra.run.dir={out}")
        assert done.returncode == 0, done.stderr
        table = pd.read_csv(out / "predictions.csv", dtype=str)
        tables.append(table.sort_values("sample_id", ignore_index=True))
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other)
