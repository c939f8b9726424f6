"""Whole sweeps: what each engine takes, and how it grows with folds, samples and workers."""

import shutil
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.processes import Cost, measure

REAL = Path("../shared/data/megc2019_flow")
EPOCHS = 40  # of STSTNet's 800
STEADY = 10  # epochs, where growth is measured
NETWORKS = {"lite_point_gcn": 4, "dual_view": 2}  # epochs
FOLDS, SAMPLES, WORKERS = (8, 16, 32, 68), (221, 442, 884, 1768), (1, 2, 4)
PLOT = Path(__file__).with_name("growth.svg")


class Runs:
    """`merec train` into folders of their own.

    Args:
        folder: For these, and for made corpora.
    """

    def __init__(self, folder: Path):
        self.folder, self.numbers = folder, count()

    def train(self, *overrides: str) -> Cost:
        """What a run takes."""
        place = self.folder / f"run-{next(self.numbers)}"
        merec = [sys.executable, "-m", "merec", "train", f"hydra.run.dir={place}", "logger=none"]
        cost = measure([*merec, "trainer=cpu", *overrides])
        shutil.rmtree(place)
        return cost

    def train_maps(self, corpus: Path, epochs: int, *overrides: str) -> Cost:
        """What STSTNet takes on flow maps."""
        return self.train(
            *("experiments=megc2019_ststnet", f"corpus.root={corpus}", "corpus.expected=null"),
            *(f"trainer.max_epochs={epochs}", *overrides),
        )

    def write_maps(self, subjects: int, samples: int) -> Path:
        """Noise in the layout of MEGC2019: timing needs no faces.

        Args:
            subjects: Number of folds.
            samples: Of all subjects together.
        """
        folder = self.folder / f"maps-{subjects}-{samples}"
        folder.mkdir()
        rng, number = np.random.default_rng(0), np.arange(samples)
        ids = [f"x{each:04d}" for each in number]
        maps = rng.integers(256, size=(samples, 3, 28, 28), dtype=np.uint8)
        np.savez(folder / "flow.npz", flow=maps, sample_id=np.array(ids))
        table = {
            "sample_id": ids,
            "dataset": "noise",
            "subject": [f"s{each % subjects:03d}" for each in number],
            "filename": ids,
            "label": number % 3,
        }
        pd.DataFrame(table).to_csv(folder / "samples.csv", index=False)
        return folder


def take_turns(rounds: int, jobs: dict[str, Callable[[], Cost]]) -> dict[str, Cost]:
    """Median of each job, all of them run once per round so that a busy machine hits all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            costs[name].append(job())
    return {
        name: Cost(median(c.seconds for c in some), max(c.memory for c in some))
        for name, some in costs.items()
    }


def measure_engines(runs: Runs, rounds: int) -> dict[str, Cost]:
    """STSTNet on the maps of MEGC2019, all folds: the plain loop, and each engine."""
    corpus = REAL if REAL.exists() else runs.write_maps(68, 442)
    plain = [sys.executable, "-m", "benchmarks.plain_loop", str(corpus), str(EPOCHS)]
    layers, jobs = "backbone.compiled=false", {"plain loop": lambda: measure(plain)}
    for name, overrides in (
        ("auto, layers of torch", ["task.engine=auto", layers]),
        ("auto", ["task.engine=auto"]),
        ("loop", ["task.engine=loop"]),
        ("stacked", ["task.engine=stacked"]),
    ):
        jobs[name] = partial(runs.train_maps, corpus, EPOCHS, *overrides)
    return take_turns(rounds, jobs)


def measure_networks(runs: Runs, rounds: int) -> dict[str, dict[str, Cost]]:
    """Both networks of the demo on its rendered faces, fused: the loop, and the others."""
    found = {}
    for backbone, epochs in NETWORKS.items():
        common = ["experiments=demo", f"backbone={backbone}", "datamodule=fused"]
        common += ["hydra/launcher=basic", f"trainer.max_epochs={epochs}"]
        engines = (
            ("loop", "processes", "stacked")
            if backbone == "lite_point_gcn"
            else ("loop", "processes")
        )
        jobs = {engine: partial(runs.train, *common, f"task.engine={engine}") for engine in engines}
        found[backbone] = take_turns(rounds, jobs)
    return found


def measure_growth(runs: Runs) -> dict[str, dict[int, Cost]]:
    """How a sweep of STSTNet grows: with folds, with samples, with workers."""
    found: dict[str, dict[int, Cost]] = {"folds": {}, "samples": {}, "workers": {}}
    usual = runs.write_maps(68, 442)
    for number in FOLDS:
        folds = f"folds=0-{number - 1}"
        found["folds"][number] = runs.train_maps(usual, STEADY, folds)
    for number in SAMPLES:
        corpus = runs.write_maps(17, number)
        found["samples"][number] = runs.train_maps(corpus, STEADY)
    for number in WORKERS:
        workers = ["task.engine=processes", f"task.workers={number}"]
        found["workers"][number] = runs.train_maps(usual, STEADY, *workers)
    return found


def plot_growth(growth: dict[str, dict[int, Cost]]) -> None:
    """Seconds against folds and samples, with the line through the first that is linear growth."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("folds", "samples"), strict=True):
        numbers, seconds = list(growth[name]), [cost.seconds for cost in growth[name].values()]
        each = (seconds[-1] - seconds[0]) / (numbers[-1] - numbers[0])
        axes.plot(numbers, seconds, "o-", label="measured")
        straight = [seconds[0] + each * (number - numbers[0]) for number in numbers]
        axes.plot(numbers, straight, "--", color="grey", label="straight")
        axes.set(xlabel=name, ylabel="seconds", xlim=(0, None), ylim=(0, None))
        axes.legend()
    figure.savefig(PLOT, metadata={"Date": None})
