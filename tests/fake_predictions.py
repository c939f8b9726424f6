"""Fake corpora, predictions and run folders, small enough to score by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from merec.evaluation.predictions import tabulate
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.splits import leave_one_subject_out
from merec.run_folder import RunFolder
from merec.run_folder.identity import configuration_hash
from merec.run_folder.prediction_table import write_predictions
from merec.targets.emotion import Emotion

CLASSES = ("negative", "positive", "surprise")
MEGC2019 = Path(__file__).parents[1].parent / "shared" / "data" / "megc2019_flow" / "flow.npz"


def _make_index(subjects: int = 7, num_classes: int = 3, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(subjects):
        # Names as in SAMM and CASME II: the former must stay text, and sort before the latter.
        corpus, subject = (
            ("samm", f"{number:03d}") if number % 2 else ("casme2", f"sub{number:02d}")
        )
        rows += [
            (f"{subject}_{clip}", corpus, subject, f"EP{clip}", int(rng.integers(num_classes)))
            for clip in range(int(rng.integers(2, 7)))
        ]
    index = pd.DataFrame(rows, columns=["sample_id", "corpus", "subject", "clip", "label"])
    return index.sample(frac=1, random_state=seed, ignore_index=True)  # subjects are not grouped


def _predict(
    index: pd.DataFrame, classes: tuple[str, ...] = CLASSES, seed: int = 0, skill: float = 0.5
) -> pd.DataFrame:
    """Predictions of every fold by a model that knows the answer with probability `skill`."""
    rng = np.random.default_rng(seed)
    label, rows = index["label"].to_numpy(), np.arange(len(index))
    probability = rng.dirichlet(np.ones(len(classes)), size=len(index))
    best = probability.argmax(1)
    # Where it knows, the highest probability and that of the true class change places.
    true = np.where(rng.random(len(index)) < skill, label, best)
    highest, other = probability[rows, best], probability[rows, true]
    probability[rows, best], probability[rows, true] = other, highest
    table = tabulate(index, index["sample_id"].tolist(), probability, Emotion(classes), 0, seed)
    folds = leave_one_subject_out(index["subject"].tolist())
    number = {fold.held_out: fold.number for fold in folds}
    return table.assign(fold=table["subject"].map(number)).sort_values("fold", ignore_index=True)


def _write_run(
    folder: Path,
    predictions: pd.DataFrame,
    index: pd.DataFrame,
    classes: tuple[str, ...] = CLASSES,
    name: str = "ststnet",
    configuration: str = "c0ffee00",
    config: dict | None = None,
    epochs: int | dict[int, int] = 0,
    **environment: object,
) -> Path:
    """Write the folds of `predictions` as `merec train` would; epochs end in what was predicted."""
    folder.mkdir(parents=True)
    seed = int(predictions["seed"].iloc[0])
    settings = {"seed": seed, "folds": None, "backbone": {"width": 8}} if config is None else config
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    protocol = describe_protocol("fake", index, classes)
    if settings.get("task"):  # what it was trained with, as the reader checks
        configuration = configuration_hash(settings)
    recorded = {"name": name, "configuration": configuration, "protocol": protocol.to_dict()}
    (folder / "environment.json").write_text(json.dumps(recorded | environment), encoding="utf-8")
    rng = np.random.default_rng(seed)
    for number, rows in predictions.groupby("fold"):
        place = RunFolder(folder).fold(int(number)).path
        write_predictions(place / "predictions.csv", rows)
        length = epochs.get(int(number), 0) if isinstance(epochs, dict) else epochs
        if length:
            predicted = rng.integers(len(classes), size=(len(rows), length))
            predicted[:, -1] = rows["predicted"]
            np.savez(
                place / "epochs.npz",
                sample_id=rows["sample_id"].to_numpy(str),
                predicted=predicted.astype(np.int8),
                train_loss=rng.random(length, dtype=np.float32),
                train_accuracy=rng.random(length, dtype=np.float32),
            )
    return folder


@pytest.fixture
def make_index() -> Callable[..., pd.DataFrame]:
    """Index of a fake corpus of two data sets, rows in random order."""
    return _make_index


@pytest.fixture
def predict() -> Callable[..., pd.DataFrame]:
    """Predictions of an index, fold by fold."""
    return _predict


@pytest.fixture
def write_run() -> Callable[..., Path]:
    """A run folder, written by hand."""
    return _write_run


@pytest.fixture
def classes() -> tuple[str, ...]:
    """Class names in label order."""
    return CLASSES


@pytest.fixture(scope="session")
def megc2019() -> tuple[np.ndarray, np.ndarray]:
    """Labels and subjects of the 442 real samples of MEGC2019."""
    if not MEGC2019.exists():
        pytest.skip("the flow maps of MEGC2019 are not at ../shared/data/megc2019_flow")
    with np.load(MEGC2019) as arrays:
        return arrays["label"].astype(np.int64), arrays["subject"]


def _reckon_interval(
    value: float, draws: list[float], samples: np.ndarray, limits: tuple[float, float] = (0, 1)
) -> tuple[float, float]:
    """A t interval with bootstrap standard error, term by term; `samples` by subject and class."""
    subjects, classes = samples.shape
    total, kept = samples.sum(), [c for c in range(classes) if samples[:, c].sum()]
    of_all = of_each = 0.0
    for row in samples:
        of_all += (row.sum() / total) ** 2
        of_each += np.mean([row[c] / samples[:, c].sum() for c in kept]) ** 2
    number = max(2, min(1 / of_all, 1 / of_each))
    error = np.sqrt(np.mean([(draw - value) ** 2 for draw in draws]) * subjects / (subjects - 1))
    reach = stats.t(number - 1).ppf(0.975) * error
    return max(value - reach, limits[0]), min(value + reach, limits[1])


@pytest.fixture(scope="session")
def reckon_interval() -> Callable[..., tuple[float, float]]:
    """See `_reckon_interval`."""
    return _reckon_interval
