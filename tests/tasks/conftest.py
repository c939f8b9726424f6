"""A corpus small enough to train on in a blink, and the tasks around it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch.nn.functional import cross_entropy

from merec.backbones import STSTNet
from merec.config_parts import assemble
from merec.datamodules import ClipDataModule, PairPool
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.splits import Fold, leave_one_subject_out
from merec.run_folder import RunFolder
from merec.run_folder.prediction_table import read_predictions
from merec.tasks import Contrastive, Finetune, FinetuneOnce, LeaveOneSubjectOut
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.losses import binary_cross_entropy
from merec.types import ActionUnit, Corpus

CLASSES = ("negative", "positive", "surprise")
SUBJECTS = ("006", "007", "s01", "s02", "sub01", "sub02")
EPOCHS = 4


def _make_corpus() -> Corpus:
    """30 samples of six subjects in random order; the rows of a map that are bright tell its class."""
    rng = np.random.default_rng(0)
    rows = [
        (f"{subject}_{clip}", "made", subject, f"{clip}", (clip + number) % 3)
        for number, subject in enumerate(SUBJECTS)
        for clip in range(5)
    ]
    index = pd.DataFrame(rows, columns=["sample_id", "corpus", "subject", "clip", "label"])
    index = index.sample(frac=1, random_state=0, ignore_index=True)
    maps = rng.integers(0, 200, (len(index), 3, 28, 28), dtype=np.uint8)
    for row, label in enumerate(index["label"]):
        maps[row, 1, 9 * label : 9 * label + 9] += 55
    return Corpus(describe_protocol("made", index, CLASSES), index, maps, ("u", "v", "strain"))


def _make_data(corpus: Corpus, **changes: Any) -> ClipDataModule:
    settings: dict[str, Any] = {
        "modality": "rgb",
        "representation": "flow_map",
        "channels": ["strain", "v", "u"],
        "scaling": "unit",
        "batch_size": 4,
        "num_workers": 0,
        "seed": 0,
    }
    return ClipDataModule(corpus, **(settings | changes))


_QUIET_TRAINER = partial(
    pl.Trainer,
    accelerator="cpu",
    devices=1,
    deterministic=True,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    num_sanity_val_steps=0,
)


def _settings(data: ClipDataModule, changes: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a task; `lr`, `epochs`, `callbacks`, `scheduler` reach into its factories."""
    optimizer = partial(torch.optim.Adam, lr=changes.pop("lr", 1e-2))
    trainer = partial(
        _QUIET_TRAINER,
        max_epochs=changes.pop("epochs", EPOCHS),
        callbacks=changes.pop("callbacks", None),
    )
    return {
        "datamodule": data,
        "backbone": partial(
            STSTNet, streams=[3, 5, 8], dropout=0.5, size=28, padding=1, compiled=True
        ),
        "finetune": partial(
            Finetune, optimizer=optimizer, scheduler=None, loss=cross_entropy, class_balanced=False
        ),
        "trainer": trainer,
        "seed": data.seed,
        "freeze": "none",
        "weights": None,
        "transductive": False,
        "pretrain": None,
        "pretrain_epochs": None,
        "pretrain_steps": None,
        "pretrain_groups": None,
        "monitor_steps": None,
        "least_intensity": 0,
        "pool": PairPool(source="unlabelled", batch_size=4, augment=None),
        "contrast": ContrastSettings("softmax", "first_batch", 4, 0.1, 0.5, False),
        "contrastive": partial(Contrastive, optimizer=optimizer, scheduler=None),
        "target": "emotion",
        "min_subjects": 2,
        "legacy": {},
    } | changes


@pytest.fixture(scope="session")
def learn_units() -> Callable[..., Any]:
    """A factory of what learns action units; options of `Finetune`."""

    def make(**changes: Any) -> Any:
        settings = {
            "optimizer": partial(torch.optim.Adam, lr=1e-2),
            "scheduler": None,
            "loss": binary_cross_entropy,
            "class_balanced": True,
        }
        return partial(Finetune, **settings | changes)

    return make


@pytest.fixture(scope="session")
def quiet_trainer() -> Callable[..., pl.Trainer]:
    """A trainer on the processor that prints and keeps nothing."""
    return _QUIET_TRAINER


@pytest.fixture(scope="session")
def made() -> Corpus:
    """The corpus; nothing may change it in place."""
    return _make_corpus()


@pytest.fixture(scope="session")
def coded(made: Corpus) -> Callable[..., Corpus]:
    """`made` with action units: a class shows AU 4, AU 4 and 12, or nothing, and two subjects AU 7 always."""

    def make(label: np.ndarray | None = None) -> Corpus:
        classes = made.index["label"].to_numpy() if label is None else label
        often = made.index["subject"].isin(["006", "s01"])
        units = [
            tuple(ActionUnit(unit) for unit in [*((4,), (4, 12), ())[one], *([7] * seven)])
            for one, seven in zip(classes, often, strict=True)
        ]
        return replace(made, index=made.index.assign(action_units=units))

    return make


@pytest.fixture(scope="session")
def make_data(made: Corpus) -> Callable[..., ClipDataModule]:
    """A data module over `made`, or over another `corpus`."""
    return lambda corpus=made, **changes: _make_data(corpus, **changes)


@pytest.fixture(scope="session")
def fold_of(made: Corpus) -> Callable[[str], Fold]:
    """The fold that holds a subject out."""
    folds = {fold.held_out: fold for fold in leave_one_subject_out(made.index["subject"].tolist())}
    return folds.__getitem__


@pytest.fixture(scope="session")
def make_loso(make_data: Callable[..., ClipDataModule]) -> Callable[..., LeaveOneSubjectOut]:
    """Leave one subject out; `kind` is a subclass to build instead."""

    def make(data=None, kind=LeaveOneSubjectOut, **changes: Any) -> LeaveOneSubjectOut:
        rows: dict[str, Any] = {
            "folds": None,
            "hold_out": "subject",
            "groups": None,
            "train_on": None,
            "train_subjects": None,
            "engine": "loop",
            "workers": 2,
            "chunk": None,
            "compiled": False,
        }
        rows |= {"selection": "last", "inner_parts": 3}
        rows |= {key: changes.pop(key) for key in list(changes) if key in rows}
        return assemble(kind, _settings(data or make_data(), changes) | rows)

    return make


@pytest.fixture(scope="session")
def make_once(make_data: Callable[..., ClipDataModule]) -> Callable[..., FinetuneOnce]:
    """Train one network; `kind` is a subclass to build instead."""

    def make(data=None, fold=None, kind=FinetuneOnce, **changes: Any) -> FinetuneOnce:
        return assemble(kind, _settings(data or make_data(), changes) | {"fold": fold})

    return make


@pytest.fixture(scope="session")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """An empty run folder as a task finds it: with its resolved config."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("run")
        (folder / "config.yaml").write_text("seed: 0\n", encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def train(
    make_loso: Callable[..., LeaveOneSubjectOut], new_folder: Callable[[], Path]
) -> Callable[..., Path]:
    """Leave subjects out into a new run folder."""

    def run(**changes: Any) -> Path:
        folder = new_folder()
        make_loso(**changes).run(folder, None)
        return folder

    return run


@pytest.fixture(scope="session")
def swept(train: Callable[..., Path]) -> Path:
    """The run folder of all six folds: what the others are compared with. Read only."""
    return train()


@dataclass
class FoldFiles:
    """Files that a fold left on disk."""

    predictions: pd.DataFrame
    epochs: dict[str, np.ndarray]
    checkpoint: dict[str, Any]
    notes: dict[str, Any]

    @property
    def probability(self) -> np.ndarray:
        return self.predictions.filter(regex="^p_").to_numpy()


def _read_fold(folder: Path, number: int) -> FoldFiles:
    place = RunFolder(folder).fold(number).path
    with np.load(place / "epochs.npz") as arrays:
        epochs = dict(arrays)
    return FoldFiles(
        read_predictions(place / "predictions.csv"),
        epochs,
        torch.load(place / "checkpoint.ckpt", weights_only=True),
        json.loads((place / "fold.json").read_text(encoding="utf-8")),
    )


@pytest.fixture(scope="session")
def read_fold() -> Callable[[Path, int], FoldFiles]:
    """Read a fold's files back."""
    return _read_fold


@pytest.fixture(scope="session")
def same_weights() -> Callable[[FoldFiles, FoldFiles], bool]:
    """Return whether two folds ended with the same weights and statistics, bit for bit."""

    def compare(a: FoldFiles, b: FoldFiles) -> bool:
        one, other = a.checkpoint["state_dict"], b.checkpoint["state_dict"]
        assert one.keys() == other.keys()
        assert len(one) > 5
        return all(torch.equal(one[key], other[key]) for key in one)

    return compare


@pytest.fixture(scope="session")
def assert_same_fold(
    same_weights: Callable[[FoldFiles, FoldFiles], bool],
) -> Callable[[FoldFiles, FoldFiles], None]:
    """Assert that two folds agree bit for bit in all they wrote but the time they took."""

    def compare(a: FoldFiles, b: FoldFiles) -> None:
        pd.testing.assert_frame_equal(a.predictions, b.predictions, check_exact=True)
        assert a.epochs.keys() == b.epochs.keys()
        for key in a.epochs:
            np.testing.assert_array_equal(a.epochs[key], b.epochs[key])
        assert same_weights(a, b)
        assert a.checkpoint["merec"] == b.checkpoint["merec"]

    return compare


class Notes(Logger):
    """A logger that keeps what it is told, as (step, metrics)."""

    name, version = "notes", "0"

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict[str, float]]] = []

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """There are none."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Keep them."""
        self.rows.append((step, dict(metrics)))


@pytest.fixture
def notes() -> Notes:
    """A logger to read back."""
    return Notes()


@pytest.fixture
def keep_sigint() -> Iterator[None]:
    """Give Ctrl-C back to pytest: Lightning ignores the signal once it has met one."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
