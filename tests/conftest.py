"""Fixtures of all tests: conf/ composed as the command line does, and a small corpus on disk."""

import csv
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from merec.__main__ import main
from merec.config import home, register

# Two cores serve all tests; more threads than cores only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
SHARED = Path(__file__).parents[2] / "shared" / "data"
FACTS = {"casme2": ("sub01", "sub02"), "smic": ("s01", "s02"), "samm": ("006", "007")}


@pytest.fixture(scope="session")
def real_maps() -> Path:
    """The folder that holds the real MEGC2019 maps."""
    if not (SHARED / "megc2019_flow" / "flow.npz").exists():
        pytest.skip("the MEGC2019 flow maps are licensed data and are not beside this checkout")
    return SHARED


def make_maps(rng: np.random.Generator, label: int) -> np.ndarray:
    """A map whose bright corner tells the class, in noise."""
    maps = rng.integers(100, 156, size=(3, 28, 28), dtype=np.uint8)
    top, left = ((0, 0), (0, 14), (14, 7))[label]
    maps[:2, top : top + 14, left : left + 14] += np.uint8(60)
    return maps


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed corpus of 6 subjects and 30 samples in which the class is visible."""
    root = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    rows, maps = [], []
    for dataset, subjects in FACTS.items():
        for subject in subjects:
            for number in range(5):
                label = (number + len(rows)) % 3
                clip = f"c{number}"
                rows.append((f"{subject}_{clip}", dataset, subject, clip, label))
                maps.append(make_maps(rng, label))
    ids = np.array([row[0] for row in rows])
    np.savez(root / "flow.npz", flow=np.stack(maps), sample_id=ids)
    with (root / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", "dataset", "subject", "filename", "label"])
        writer.writerows(rows)
    return root


@pytest.fixture(scope="session")
def small(small_root: Path) -> list[str]:
    """Overrides that put a run on the small corpus with a quick recipe and no W&B."""
    return [
        f"corpus.root={small_root}",
        "corpus.name=small",
        "corpus.expected=null",
        "trainer=cpu",
        "trainer.max_epochs=3",
        "recipe.optimizer.lr=1e-2",
        "datamodule.scaling=unit",
    ]


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., DictConfig]]:
    """Compose conf/ as the command line would."""
    monkeypatch.setenv("MEREC_HOME", str(home()))
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(home() / "conf"), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides), return_hydra_config=False)


class Done(NamedTuple):
    """What a call of the command line gave."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def merec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Call the command line in an empty folder, as a user does, without paying for imports each time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("MEREC_DATA", str(tmp_path / "no data"))

    def call(*arguments: str) -> Done:
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        monkeypatch.setattr(sys, "argv", ["merec", *arguments])
        GlobalHydra.instance().clear()
        capfd.readouterr()
        handlers = [*logging.getLogger().handlers]
        try:
            code = main()
        finally:  # Hydra's handlers write into this run's folder, which may be gone by the next call
            logging.getLogger().handlers = handlers
        return Done(code, *capfd.readouterr())

    return call
