"""Small honest run folders: random predictions, seeded, written as `merec train` writes them."""

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from pytorch_lightning.loggers import WandbLogger
from rich.console import Console

from merec.evaluation.predictions import tabulate
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.results import Result
from merec.evaluation.splits import leave_one_subject_out, select_folds
from merec.files import atomic, write_json, write_text
from merec.reporting.report import write_report
from merec.run_folder import RunFolder
from merec.run_folder.identity import configuration_hash
from merec.run_folder.prediction_table import write_predictions
from merec.targets.emotion import Emotion

CLASSES = ("negative", "positive", "surprise")


class Report(NamedTuple):
    """A written report."""

    results: list[Result]
    folder: Path
    printed: str


WriteRun = Callable[..., Path]
MakeIndex = Callable[..., pd.DataFrame]


def make_an_index(subjects: dict[str, int], samples: int = 5, seed: int = 0) -> pd.DataFrame:
    """An index of `samples` samples for each of so many subjects per data set."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "sample_id": f"{corpus}/s{subject:02d}/c{clip}",
            "corpus": corpus,
            "subject": f"{corpus}_s{subject:02d}",
            "clip": f"c{clip}",
            "label": int(rng.integers(3)),
        }
        for corpus, number in subjects.items()
        for subject in range(number)
        for clip in range(samples)
    ]
    return pd.DataFrame(rows)


def write_a_run(
    folder: Path,
    index: pd.DataFrame,
    name: str = "ststnet rgb",
    seed: int = 0,
    skill: float = 1.0,
    epochs: int = 0,
    folds: str | None = None,
    protocol: str = "megc2019-cd",
    environment: dict | None = None,
    task: dict | None = None,
    remark: str | None = None,
) -> Path:
    """Write a run folder.

    Args:
        folder: Where to.
        index: The samples.
        name: The run's short name, which here stands for its configuration too.
        seed: The run's seed.
        skill: How much the true class is favoured.
        epochs: How many epochs to record; 0 for an estimator without any.
        folds: Which folds, as `merec train folds=` takes them.
        protocol: Name of the protocol.
        environment: Further entries of environment.json.
        task: The task's node of its config, which then is what tells configurations apart.
        remark: What its config says of it.
    """
    described = describe_protocol(protocol, index, CLASSES)
    config = {
        "seed": seed,
        "folds": folds,
        "backbone": {"name": name},
        "trainer": {"max_epochs": epochs},
    }
    config |= {"remark": remark} if remark else {}
    config |= {"task": task} if task else {}
    write_text(folder / "config.yaml", yaml.safe_dump(config))
    configuration = configuration_hash(config) if task else f"hash-of-{name}"
    facts = {"name": name, "configuration": configuration, "protocol": described.to_dict()}
    write_json(folder / "environment.json", facts | (environment or {}))
    for fold in select_folds(leave_one_subject_out(index["subject"].to_numpy(str)), folds):
        rng = np.random.default_rng([seed, fold.number, len(name), int(10 * skill)])
        rows = index.iloc[rng.permutation(fold.test)]
        scores = rng.normal(size=(max(epochs, 1), len(rows), 3))
        ramp = np.minimum(1, np.linspace(0.1, 1.6, epochs)) if epochs else np.ones(1)
        scores += skill * ramp[:, None, None] * np.eye(3)[rows["label"]]
        probability = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        ids = rows["sample_id"].to_numpy(str)
        predicted = tabulate(rows, ids, probability[-1], Emotion(CLASSES), fold.number, seed)
        write_predictions(RunFolder(folder).fold(fold.number).predictions, predicted)
        if epochs:
            noise = rng.normal(scale=0.02, size=(2, epochs))
            with atomic(RunFolder(folder).fold(fold.number).epochs) as part:
                np.savez(
                    part,
                    sample_id=ids,
                    predicted=probability.argmax(-1).T,
                    train_loss=1.1 * np.exp(-2 * ramp) + np.abs(noise[0]),
                    train_accuracy=np.clip(0.35 + 0.6 * ramp + noise[1], 0, 1),
                )
    return folder


class Board(WandbLogger):
    """A W&B logger without W&B; keeps what it is told."""

    def __init__(self) -> None:
        """Nothing is started."""
        self.shown: dict[str, object] = {}
        nothing = lambda *_, **__: None  # noqa: E731
        self.run = SimpleNamespace(id="x", summary={}, config={}, log=self.shown.update)
        self.run.project, self.run.entity, self.run.group = "merec", "", "small/loso"
        self.run.offline, self.run.disabled = False, False
        self.run.define_metric = self.run.log_artifact = nothing

    @property
    def experiment(self) -> SimpleNamespace:
        return self.run


@pytest.fixture(scope="session")
def make_board() -> Callable[[], Board]:
    """A fresh `Board`."""
    return Board


@pytest.fixture(scope="session")
def make_index() -> MakeIndex:
    """See `make_an_index`."""
    return make_an_index


@pytest.fixture(scope="session")
def write_run() -> WriteRun:
    """See `write_a_run`."""
    return write_a_run


@pytest.fixture(scope="session")
def index() -> pd.DataFrame:
    """Two data sets, seven subjects."""
    return make_an_index({"casme2": 4, "smic": 3})


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, index: pd.DataFrame) -> Path:
    """A network of two seeds with epochs, one seed in two fold ranges, and a baseline."""
    root = tmp_path_factory.mktemp("runs")
    more = {"commit": "0123456789abcdef", "versions": {"python": "3.11", "numpy": "2.4"}}
    more |= {"command": "merec train task=loso", "seconds": 12.3}
    write_a_run(root / "net-0", index, seed=0, epochs=6, environment=more)
    write_a_run(root / "net-1a", index, seed=1, epochs=6, folds="0-2", environment=more)
    write_a_run(root / "net-1b", index, seed=1, epochs=6, folds="3-6", environment=more)
    write_a_run(root / "svm", index, name="rbf_svm & <b>friends</b> 100%", skill=1.5)
    return root


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory, runs: Path) -> Report:
    """A report of all `runs` with published numbers: results, folder, and what was printed."""
    out = tmp_path_factory.mktemp("report")
    console = Console(file=io.StringIO(), width=80)
    results = write_report([runs], out, published=True, console=console)
    return Report(results, out, console.file.getvalue())


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, runs: Path) -> Report:
    """A report of the baseline alone, without published numbers."""
    out = tmp_path_factory.mktemp("plain")
    console = Console(file=io.StringIO(), width=80)
    results = write_report([runs / "svm"], out, published=False, console=console)
    return Report(results, out, console.file.getvalue())
