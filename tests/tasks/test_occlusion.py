"""A region matters as much as the predicted class loses without its motion; folds keep it, and the graph."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from merec.backbones import LitePointGCN
from merec.backbones.lite_point_gcn import Legacy
from merec.datamodules import ClipDataModule
from merec.features.prepare import FeatureStore, Loaded
from merec.features.regions import REGIONS
from merec.features.representations import Representation
from merec.run_folder import RunFolder
from merec.targets.emotion import Emotion
from merec.tasks.occlusion import (
    measure_importance,
    tabulate_adjacency,
    tabulate_importance,
    tabulate_occlusion,
)
from merec.types import ActionUnit, Corpus

EMOTION = Emotion(("a", "b", "c"))
REST = torch.zeros(1, 1, 1, 6)


class Looker(nn.Module):
    """Sums what moves in some regions, all alike, and learns a graph that it does not use."""

    reads = "points"

    def __init__(self, in_channels: int, num_classes: int, regions: tuple[int, ...] = range(8)):
        super().__init__()
        self.regions = list(regions)
        self.point = nn.Linear(in_channels, 16)
        self.head = nn.Linear(16, num_classes)
        self.adjacency = nn.Parameter(torch.randn(2, 8, 8))

    def forward(self, points):
        actual = self.point(points[:, self.regions]).tanh().mean(2)
        return self.head((actual**2).sum(1))


def make_gcn(in_channels: int, num_classes: int) -> LitePointGCN:
    return LitePointGCN(
        in_channels=in_channels,
        num_classes=num_classes,
        features=("x", "y", "z", "u", "v", "dz"),
        keep=(0.5, 0.25),
        widths=((8,), (8,), (8, 16)),
        pool="max",
        graph="learned",
        graph_width=8,
        graph_blocks=1,
        graph_dropout=0.1,
        head_width=8,
        head_dropout=0.1,
        apart=True,
        centre_motion=True,
        legacy=Legacy(detach_stages=False, rank_centred=False, drop_to_first=False),
    )


def ready(network: nn.Module) -> nn.Module:
    """In evaluation and float64."""
    return network.double().eval()


def draw_points(samples: int = 5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 8, 16, 6, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("make", [Looker, make_gcn])
def test_all_occlusions_at_once_equal_one_after_the_other(make) -> None:
    torch.manual_seed(0)
    network, points = ready(make(6, 3)), draw_points()
    before = points.clone()
    actual = measure_importance(network, EMOTION, points, REST.double())
    assert torch.equal(points, before)
    expected = torch.empty(5, 8, dtype=torch.float64)
    for sample, region in product(range(5), range(8)):
        whole = points[sample : sample + 1]
        resting = whole.clone()
        resting[0, region, :, 3:] = 0
        with torch.no_grad():
            predicted, less = network(whole).softmax(1)[0], network(resting).softmax(1)[0]
        expected[sample, region] = predicted.max() - less[predicted.argmax()]
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    assert actual.abs().min() > 1e-7


def test_only_a_region_that_is_looked_at_matters() -> None:
    torch.manual_seed(1)
    actual = measure_importance(
        ready(Looker(6, 3, regions=(5,))), EMOTION, draw_points(), REST.double()
    )
    assert (actual[:, 5] != 0).all()
    assert (actual[:, [0, 1, 2, 3, 4, 6, 7]] == 0).all()


def test_regions_that_change_places_take_their_importance_along() -> None:
    torch.manual_seed(2)
    network, points = ready(Looker(6, 3)), draw_points()
    order = torch.tensor([3, 7, 0, 1, 6, 2, 5, 4])
    actual = measure_importance(network, EMOTION, points, REST.double())
    moved = measure_importance(network, EMOTION, points[:, order], REST.double())
    torch.testing.assert_close(moved, actual[:, order])
    assert not torch.allclose(moved, actual)


# Tables


def test_a_coded_region_is_one_that_a_unit_of_the_sample_moves() -> None:
    importance = np.arange(16.0).reshape(2, 8)
    units = [(ActionUnit(12, "R"), ActionUnit(17)), ()]
    table = tabulate_importance(["006", "NA"], importance, units)
    assert list(table.columns) == ["sample_id", "region", "importance", "coded"]
    assert table["sample_id"].tolist() == ["006"] * 8 + ["NA"] * 8
    assert table["region"].tolist() == [*REGIONS, *REGIONS]
    np.testing.assert_array_equal(table["importance"], np.arange(16))
    coded = set(table.loc[table["coded"], "region"])
    assert coded == {"left cheek", "left mouth corner", "mouth", "chin"}
    assert not table["coded"][8:].any()
    assert not tabulate_importance(["006", "NA"], importance, None)["coded"].any()


def test_a_row_of_the_adjacency_takes_from_its_columns() -> None:
    adjacency = torch.zeros(2, 8, 8)
    adjacency[1, 3, 6] = -0.5
    table = tabulate_adjacency(adjacency)
    assert len(table) == 2 * 64
    (row,) = table[table["weight"] != 0].to_dict("records")
    assert row == {
        "layer": 1,
        "from_region": REGIONS[6],
        "to_region": REGIONS[3],
        "weight": -0.5,
    }


# Folds


class Store(FeatureStore):
    """Points that are drawn."""

    def __init__(self) -> None:
        """No settings."""

    def load(
        self, corpus: Corpus, representation: Representation, modality: str, views=None
    ) -> Loaded:
        points = draw_points(len(corpus.index)).float().numpy()
        return Loaded(np.arange(len(points)), {"points": points}, "")


@pytest.fixture
def make_points(
    made: Corpus, make_data: Callable[..., ClipDataModule]
) -> Callable[..., ClipDataModule]:
    """The made corpus as points, with action units."""
    units = [(ActionUnit(4),), (ActionUnit(12, "L"), ActionUnit(17))]
    coded = [units[row % 2] for row in range(len(made.index))]
    index = made.index.assign(action_units=coded)
    corpus = replace(made, index=index, flow_maps=None, channels=())

    def make(**changes: Any) -> ClipDataModule:
        settings = {"representation": "points", "channels": None, "scaling": "raw"} | changes
        return make_data(corpus=corpus, features=Store(), **settings)

    return make


@pytest.fixture
def train_points(make_points, train) -> Callable[..., Path]:
    def run(**changes: Any) -> Path:
        settings = {"backbone": Looker, "folds": "0-1", "epochs": 1} | changes
        return train(data=make_points(), **settings)

    return run


def read(folder: Path, number: int, name: str) -> pd.DataFrame:
    return pd.read_csv(
        RunFolder(folder).fold(number).path / f"{name}.csv", dtype={"sample_id": str}
    )


def test_a_fold_keeps_its_samples_importance_and_its_graph(made, train_points, read_fold) -> None:
    folder = train_points()
    points = dict(zip(made.index["sample_id"], draw_points(len(made.index)).float(), strict=True))
    for number in range(2):
        fold = read_fold(folder, number)
        state = fold.checkpoint["state_dict"]
        network = Looker(6, 3).eval()
        network.load_state_dict(
            {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
        )
        regions = read(folder, number, "regions")
        ids = regions["sample_id"].unique()
        assert sorted(ids) == sorted(fold.predictions["sample_id"])
        expected = measure_importance(
            network, EMOTION, torch.stack([points[name] for name in ids]), REST
        )
        np.testing.assert_allclose(regions["importance"], expected.ravel(), atol=1e-6)
        for name, rows in regions[regions["coded"]].groupby("sample_id"):
            row = int(np.flatnonzero(made.index["sample_id"] == name)[0])
            assert rows["region"].str.contains("brow").all() == (row % 2 == 0)
        weight = read(folder, number, "adjacency")["weight"].to_numpy()
        np.testing.assert_array_equal(weight.astype(np.float32), network.adjacency.detach().ravel())
    assert not read(folder, 0, "adjacency").equals(read(folder, 1, "adjacency"))


def test_a_resumed_run_has_the_tables_of_all_folds(train_points, make_points, make_loso) -> None:
    folder = train_points()
    before = {name: read(folder, 1, name) for name in ("regions", "adjacency")}
    kept = (RunFolder(folder).fold(0).path / "regions.csv").stat().st_mtime_ns
    shutil.rmtree(RunFolder(folder).fold(1).path)
    make_loso(data=make_points(), backbone=Looker, folds="0-1", epochs=1).run(folder, None)
    assert (RunFolder(folder).fold(0).path / "regions.csv").stat().st_mtime_ns == kept
    for name, table in before.items():
        pd.testing.assert_frame_equal(read(folder, 1, name), table)


def test_predictions_are_written_after_the_tables(train_points) -> None:
    place = RunFolder(train_points(folds="0")).fold(0).path
    last = max(place.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert last.name == "predictions.csv"


def test_folds_of_other_backbones_have_no_such_tables(swept) -> None:
    assert not [*swept.glob("folds/*/regions.csv"), *swept.glob("folds/*/adjacency.csv")]


def test_a_network_without_a_graph_of_regions_has_importance_only(
    make_points, fold_of, quiet_trainer
) -> None:
    fold = fold_of("s01")
    data = make_points().hold_out(fold.train, fold.test, "s01")
    network = Looker(6, 3)
    for adjacency in (None, torch.ones(2, 1, 1)):  # none, or all points as one region
        del network.adjacency
        network.adjacency = adjacency
        assert list(tabulate_occlusion(network, EMOTION, quiet_trainer(logger=False), data)) == [
            "regions"
        ]


def test_rest_is_rest_in_any_scale(make_points, fold_of, quiet_trainer) -> None:
    data = make_points(scaling="standard")
    points = data.sample_inputs.views[0] + 1  # its mean is no zero
    points[:, 2, :, 3:] = 0
    data.sample_inputs = replace(data.sample_inputs, views=(points,), tested=(points,))
    fold = fold_of("s01")
    table = tabulate_occlusion(
        Looker(6, 3),
        EMOTION,
        quiet_trainer(logger=False),
        data.hold_out(fold.train, fold.test, "s01"),
    )["regions"]
    importance = table.groupby("region")["importance"].apply(lambda values: np.abs(values).max())
    assert importance[REGIONS[2]] < 1e-6
    assert importance.drop(REGIONS[2]).min() > 1e-4
