"""`merec train` on frames: every modality in every representation, from the command line to predictions."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from merec.backbones import STSTNet
from merec.config import build, compose_node
from merec.features.store import Store

CHANNELS = {"rgb": (3, 3), "depth": (1, 1), "fused": (3, 1)}  # of the two views
QUICK = [("flow_map", "fused"), ("points", "fused")]
TINY = ["backbone._target_=tiny.Tiny", "task.engine=loop"]
TINY += [f"~backbone.{key}" for key in ("streams", "dropout", "size", "padding", "compiled")]


class Tiny(torch.nn.Module):
    """A backbone that reads whatever it is given, by the mean of each of its channels."""

    def __init__(self, in_channels: Any, num_classes: int):
        super().__init__()
        self.name = torch.nn.Linear(int(np.sum(in_channels)), num_classes)

    def forward(self, inputs: Any) -> torch.Tensor:
        if isinstance(inputs, tuple):
            return self.name(torch.cat([view.mean((2, 3)) for view in inputs], dim=1))
        return self.name(inputs.mean((1, 2)))


@pytest.fixture
def given(monkeypatch):
    """Shapes that a backbone was given, batch by batch, while it learnt and while it predicted."""
    tiny = ModuleType("tiny")
    tiny.Tiny, tiny.__file__ = Tiny, __file__
    monkeypatch.setitem(sys.modules, "tiny", tiny)
    shapes: dict[str, list] = {"training": [], "predicting": []}

    def record(module: torch.nn.Module, arguments: tuple) -> None:
        if isinstance(module, Tiny | STSTNet):
            views = arguments[0] if isinstance(arguments[0], tuple) else arguments
            seen = shapes["training" if module.training else "predicting"]
            seen.append([tuple(view.shape) for view in views])

    hook = register_module_forward_pre_hook(record)
    yield shapes
    hook.remove()


@pytest.fixture(scope="module")
def frames(rendered: Path, find_local, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides that put one fold of a run on the rendered corpus, all in one store."""
    find_local("face_landmarker")
    return [
        "corpus=synthetic",
        f"corpus.root={rendered}",
        f"features.root={tmp_path_factory.mktemp('features')}",
        "folds=0",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "logger=none",
    ]


@pytest.fixture(scope="module")
def held_out(rendered: Path) -> list[str]:
    """The samples of the subject whom that fold holds out."""
    corpus = build(compose_node("corpus", ["corpus=synthetic", f"corpus.root={rendered}"]))
    return corpus.index.query("subject == 'spNO.1'")["sample_id"].tolist()


def read_predictions(folder: Path) -> pd.DataFrame:
    (file,) = folder.rglob("folds/000/predictions.csv")
    return pd.read_csv(file)


@pytest.mark.parametrize(
    ("representation", "modality"),
    [
        # One modality of each; every shape of every modality is tested where it is made.
        pytest.param(kind, modality, marks=[pytest.mark.slow] * ((kind, modality) not in QUICK))
        for kind in ("flow_map", "points", "views")
        for modality in CHANNELS
    ],
)
def test_a_network_learns_and_predicts_from_the_right_shapes(
    merec, tmp_path, frames, given, held_out, representation, modality
):
    backbone = [] if representation == "flow_map" else TINY
    backbone = [*backbone, *(["features.points.k=64"] if representation == "points" else [])]
    wanted = [f"datamodule={modality}", f"datamodule.representation={representation}"]
    done = merec("train", *frames, *wanted, *backbone)
    assert done.returncode == 0, done.stderr
    shapes = {
        "flow_map": [(2, 3, 28, 28)],
        "points": [(2, 8, 64, 6)],
        "views": [(2, channels, 224, 224) for channels in CHANNELS[modality]],
    }[representation]
    assert given["training"] == [shapes]  # one step
    # Of points once more with each of the eight regions at rest.
    also = [[(2 * 9, 8, 64, 6)]] if representation == "points" else []
    assert given["predicting"]
    assert all(seen in [shapes, *also] for seen in given["predicting"])
    predicted = read_predictions(tmp_path)
    assert predicted["sample_id"].tolist() == held_out
    assert np.allclose(predicted.filter(like="p_").sum(axis=1), 1)


@pytest.mark.parametrize("modality", ["depth", "fused"])
def test_a_baseline_describes_what_moves_in_the_modality(merec, tmp_path, frames, modality):
    chosen = ["task=baseline", "task.estimator=logistic", f"datamodule={modality}"]
    done = merec("train", *frames, *chosen)
    assert done.returncode == 0, done.stderr
    assert read_predictions(tmp_path)["subject"].unique().tolist() == ["spNO.1"]


def test_a_run_does_not_go_on_with_other_features(merec, monkeypatch, frames, given):
    few = "features.points.k=64"
    command = ["train", *frames, few, "datamodule.representation=points", *TINY]
    assert merec(*command).returncode == 0
    load = Store.load

    def load_others(self: Store, folder: str, key: str) -> dict[str, np.ndarray]:
        return {name: array + 1 for name, array in load(self, folder, key).items()}

    monkeypatch.setattr(Store, "load", load_others)
    done = merec(*command)
    assert done.returncode == 2
    assert "with other features or starting weights" in done.stderr
