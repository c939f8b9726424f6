"""The whole door: a backbone and a corpus that `merec new` writes go through the verbs, merec unchanged."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest

from merec.config import build, compose_node
from merec.config_groups import home

pytestmark = pytest.mark.slow


@pytest.fixture
def frames(rendered: Path, tmp_path: Path) -> list[str]:
    """The rendered corpus as the new corpus lays it out, and overrides that make it one of a short run."""
    corpus = build(compose_node("corpus", ["corpus=synthetic", f"corpus.root={rendered}"]))
    root = tmp_path / "frames"
    for row in corpus.index.to_dict("records"):
        place = root / row["subject"] / row["clip"]
        place.mkdir(parents=True, exist_ok=True)
        for number in (row["onset"], row["apex"]):
            if not (place / f"{number}.jpg").exists():
                (place / f"{number}.jpg").symlink_to(row["color"].path(number))
    table: pd.DataFrame = corpus.index[["subject", "clip", "onset", "apex", "emotion"]]
    table.to_csv(root / "samples.csv", index=False)
    classes = ",".join(sorted(table["emotion"].unique()))
    return ["corpus=mine", f"corpus.root={root}", f"corpus.classes=[{classes}]"]


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., CompletedProcess]:
    """Call merec as a user does, in a folder of its own."""

    def run(*arguments: str, path: str = "", module: str = "merec") -> CompletedProcess:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(home()), path])}
        environment |= {"MEREC_DATA": str(tmp_path / "no data"), "PIP_NO_INDEX": "1"}
        command = [sys.executable, "-P", "-m", module, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )

    return run


@pytest.mark.parametrize("way", ["installed", "named"])
def test_a_new_backbone_and_a_new_corpus_go_through_all_verbs(
    call, frames, tmp_path, find_local, way
):
    find_local("face_landmarker")
    flags, path = [], ""
    for kind, name in (("backbone", "tiny"), ("corpus", "mine")):
        assert call("new", kind, name).returncode == 0
        if way == "named":
            flags += ["--config-dir", name]
            continue
        path = str(tmp_path / "site")
        options = ["install", "--no-deps", "--no-build-isolation", "--target", path]
        done = call(*options, f"./{name}", module="pip")
        assert done.returncode == 0, done.stderr

    def succeed(*arguments: str) -> str:
        done = call(*arguments, path=path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    store = f"features.root={tmp_path / 'features'}"
    quick = [*frames, store, "backbone=tiny", "trainer=cpu", "trainer.max_epochs=2", "logger=none"]
    succeed("doctor", *flags, *frames)
    succeed("train", *flags, *quick, "folds=0")
    succeed("train", *flags, "-m", *quick, "seed=0,1", "hydra/launcher=local")
    assert "took" not in succeed("train", *flags, *quick)  # all folds are there
    runs = sorted(path.parent for path in (tmp_path / "runs").rglob("metrics.json"))
    assert len(runs) == 2
    assert "tiny" in succeed("report", *flags, *map(str, runs))
    facts = json.loads((runs[0] / "environment.json").read_text())
    assert "tiny/__init__.py" in facts["code"]

    succeed("train", *flags, *quick, "task=finetune", "hydra.run.dir=everyone")
    weights = "task.weights=everyone/checkpoint.ckpt"
    succeed("train", *flags, *quick, "task=finetune", weights, "hydra.run.dir=again")
    clip = next(path for path in (tmp_path / "frames").glob("*/*"))
    predict = ["predict", str(clip), "checkpoint=everyone/checkpoint.ckpt"]
    assert "emotion: " in succeed(*predict, *flags)
    succeed("inspect", *flags, *frames, store, "count=1")

    done = call(*predict)
    assert done.returncode == 2
    assert "asks for tiny.Tiny, which is no backbone of merec or of a plug-in" in done.stderr
    done = call("train", *quick)
    assert "there is no corpus=mine" in done.stderr
