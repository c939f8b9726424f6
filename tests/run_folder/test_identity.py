"""A result is that of the code that computed it: other code is refused by name, unless that is forced."""

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from merec import source_code
from merec.datamodules import ClipDataModule
from merec.evaluation.pooling import pool_runs
from merec.evaluation.runs import find_runs
from merec.features.representations import open_representation
from merec.provenance import _read_commit, hash_run_sources
from merec.run_folder.identity import comparable, configuration_hash
from merec.source_code import modules, parsed_module

NET = '''
import torch

import my_scale


class Net(torch.nn.Module):
    """A network of somebody else's."""

    reads = "flow_map"

    def __init__(self, in_channels, num_classes, **rest):
        super().__init__()
        self.head = torch.nn.Linear(in_channels, num_classes)

    def forward(self, maps):
        return self.head(maps.mean((2, 3)) * my_scale.SCALE)
'''


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write somebody's network, or change it as an editor would; what Python knows of it is forgotten."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write(net: str = NET, scale: str = "SCALE = 10.0\n") -> None:
        (folder / "my_net.py").write_text(net)
        (folder / "my_scale.py").write_text(scale)
        for name in ("my_net", "my_scale"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        for module in (source_code, modules, parsed_module):  # as in a process that starts anew
            for recorded in vars(module).values():
                getattr(recorded, "cache_clear", lambda: None)()

    write()
    return write


@pytest.fixture
def command(small: list[str], tmp_path: Path) -> list[str]:
    net = ["backbone._target_=my_net.Net", "trainer.max_epochs=1"]
    return ["train", *small, *net, "logger=none", f"hydra.run.dir={tmp_path / 'run'}"]


@pytest.mark.parametrize(
    "engine",
    [
        "loop",
        pytest.param("processes", marks=pytest.mark.slow),
        pytest.param("stacked", marks=pytest.mark.slow),
    ],
)
def test_a_run_does_not_go_on_with_an_edited_network(merec, tmp_path, command, plug_in, engine):
    command = [*command, f"task.engine={engine}"]
    assert merec(*command).returncode == 0
    before = (tmp_path / "run/predictions.csv").read_bytes()
    edited = NET.replace("self.head(maps", "2 * self.head(maps")

    plug_in(edited)
    done = merec(*command)
    assert done.returncode == 2
    assert "my_net.py changed" in done.stderr
    assert "resume=force" in done.stderr
    assert "hydra.run.dir" in done.stderr

    # Half-finished, it is not mixed either; nor if what the network imports was edited.
    for name in ("metrics.json", "folds/002/predictions.csv"):
        (tmp_path / "run" / name).unlink()
    assert "my_net.py changed" in merec(*command).stderr
    plug_in(NET, "SCALE = 20.00\n")
    done = merec(*command)
    assert done.returncode == 2
    assert "my_scale.py changed" in done.stderr

    # A comment is no other code, and what is missing is trained as it was.
    plug_in(NET.replace("somebody else's", "a friend's") + "\n# a comment\n")
    done = merec(*command)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/predictions.csv").read_bytes() == before


@pytest.mark.parametrize("setting", ["chunk", "workers", "root", "engine"])
def test_a_setting_of_a_network_counts_whatever_it_is_called(setting):
    one, other = ({"task": {"backbone": {setting: n}, "folds": n, "engine": n}} for n in (1, 2))
    assert comparable(one) != comparable(other)
    assert configuration_hash(one) != configuration_hash(other)
    alike = {"task": {"backbone": {setting: 1}, "folds": 3, "engine": 4, "seed": 5}}
    assert configuration_hash(one) == configuration_hash(alike)


def test_files_and_functions_named_in_the_config_count(tmp_path, plug_in):
    mask = tmp_path / "mask.txt"
    task = {"_target_": "my_net.Net", "mask": str(mask), "act": "my_scale.SCALE"}
    actual = []
    for text in ("2", "7"):
        mask.write_text(text)
        actual.append(hash_run_sources({"task": task}, []).files)
    assert {"mask.txt", "my_scale.py"} <= actual[0].keys()
    assert {name for name in actual[0] if actual[0][name] != actual[1][name]} == {"mask.txt"}


@pytest.mark.slow
def test_other_code_that_is_forced_is_told_in_every_table(merec, tmp_path, command, plug_in):
    assert merec(*command).returncode == 0
    for name in ("metrics.json", "predictions.csv", "folds/002/predictions.csv"):
        (tmp_path / "run" / name).unlink()
    plug_in(NET.replace("self.head(maps", "2 * self.head(maps"))
    done = merec(*command, "resume=force")
    assert done.returncode == 0, done.stderr
    assert "my_net.py changed" in done.stderr
    assert "2 versions of the code" in merec("report", str(tmp_path / "run")).stdout
    assert merec(*command).returncode == 0  # it goes on with the code that was accepted
    assert merec(*command, "resume=of course").returncode == 2


@pytest.mark.slow
def test_shares_of_the_folds_trained_by_other_code_are_not_pooled(
    merec, tmp_path, command, plug_in
):
    parts = tmp_path / "parts"
    assert merec(*command, "folds=0-2", f"hydra.run.dir={parts / 'a'}").returncode == 0
    plug_in(NET.replace("self.head(maps", "2 * self.head(maps"))
    assert merec(*command, "folds=3-5", f"hydra.run.dir={parts / 'b'}").returncode == 0
    done = merec("report", str(parts))
    assert done.returncode == 2
    assert "my_net.py" in done.stderr
    assert "not pooled" in done.stderr


def test_the_code_and_its_libraries_stand_in_the_environment(merec, tmp_path, command, plug_in):
    plug_in("import statsmodels\n" + NET)
    assert merec(*command).returncode == 0
    environment = json.loads((tmp_path / "run/environment.json").read_text())
    assert {"my_net.py", "my_scale.py", "merec/tasks/fold_trainer.py"} <= environment["code"].keys()
    assert not any("reporting" in name or "rcn_a" in name for name in environment["code"])
    assert environment["versions"]["statsmodels"]
    (run,) = pool_runs(find_runs([tmp_path / "run"]))[0].runs
    assert run.codes == [source_code.combine(environment["code"])]


@pytest.mark.slow
def test_in_a_checkout_an_edited_backbone_or_stage_is_refused_and_other_files_are_not(
    tmp_path, small
):
    """By a copy of the checkout, in processes that start anew."""
    home = Path(__file__).parents[2]
    for name in ("merec", "conf", "experiments"):
        ignore = shutil.ignore_patterns("__pycache__", "local")
        shutil.copytree(home / name, tmp_path / name, ignore=ignore)
    command = [
        sys.executable,
        "-m",
        "merec",
        "train",
        *small,
        "logger=none",
        "folds=0",
        "hydra.run.dir=run",
    ]

    def train() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    def edit(name: str, before: str, after: str) -> None:
        file = tmp_path / name
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))

    assert train().returncode == 0
    edit("merec/reporting/tables.py", "\n\n\n", "\n\n\nADDED = 1\n\n\n")
    edit("merec/backbones/rcn_a.py", "\n\n\n", "\n\n\nADDED = 1\n\n\n")
    edit("merec/backbones/ststnet.py", '"""', '"""Word. ')
    assert train().returncode == 0
    edit(
        "merec/backbones/ststnet.py",
        "def forward(self",
        "def twice(self):\n        return 2\n\n    def forward(self",
    )
    done = train()
    assert done.returncode == 2
    assert "merec/backbones/ststnet.py changed" in done.stderr


@pytest.mark.parametrize("representation", ["flow_map", "points"])
def test_stages_of_features_are_code_of_a_run_on_frames_and_not_of_one_on_flow_maps(representation):
    def hash_names(**columns: int) -> set[str]:
        index = pd.DataFrame({"sample_id": ["a"], **columns})
        data = object.__new__(ClipDataModule)
        data.corpus, data.representation = (
            SimpleNamespace(index=index),
            open_representation(representation),
        )
        config = {"task": {"_target_": "merec.backbones.STSTNet"}}
        return {*hash_run_sources(config, [data]).files}

    maker = f"merec/features/representations/{representation}.py"
    assert {"merec/features/optical_flow.py", maker} <= hash_names(onset=1)
    assert "merec/features/optical_flow.py" not in hash_names()


def test_uncommitted_changes_are_recorded_as_a_hash_of_the_difference(tmp_path, monkeypatch):
    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "provenance.py"
    file.write_text("a = 1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr("merec.provenance.__file__", str(file))
    clean = _read_commit()
    assert clean is not None
    assert "+" not in clean
    actual = {clean}
    for text in ("a = 2\n", "a = 3\n"):
        file.write_text(text)
        actual.add(_read_commit())
    file.write_text("a = 1\n")
    (tmp_path / "new.py").write_text("b = 1\n")
    actual.add(_read_commit())
    assert len(actual) == 4
    assert all(entry.startswith(clean) for entry in actual)
