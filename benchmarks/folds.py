"""Whole sweeps: what each engine takes, and how it grows with folds, samples and workers."""

import shutil
import sys
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.processes import Cost, measure

REAL = Path("../shared/data/megc2019_flow")
EPOCHS, ROUNDS = 200, 1  # of STSTNet's 800; each contender in turn
STEADY = 10  # epochs, where growth is measured
NETWORKS = {"lite_point_gcn": 3, "dual_view": 3}  # epochs
FOLDS, SAMPLES, WORKERS = (8, 16, 32, 68), (221, 442, 884, 1768), (1, 2, 4)
MANY = 20_000  # samples, so that features outweigh a process
PLOT = Path(__file__).with_name("growth.svg")


class Runs:
    """`merec train` into folders of their own.

    Args:
        folder: For these, and for made corpora.
    """

    def __init__(self, folder: Path):
        self.folder, self.numbers = folder, count()

    def train(self, *overrides: str) -> Cost:
        """Return the input of a run."""
        place = self.folder / f"run-{next(self.numbers)}"
        merec = [sys.executable, "-m", "merec", "train", f"hydra.run.dir={place}", "logger=none"]
        cost = measure([*merec, "trainer=cpu", *overrides])
        shutil.rmtree(place)
        return cost

    def train_maps(self, corpus: Path, epochs: int, *overrides: str) -> Cost:
        """Return the input of STSTNet on flow maps."""
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
        if folder.exists():  # another part has made it
            return folder
        folder.mkdir()
        rng, number = np.random.default_rng(0), np.arange(samples)
        ids = [f"x{entry:04d}" for entry in number]
        maps = rng.integers(256, size=(samples, 3, 28, 28), dtype=np.uint8)
        np.savez(folder / "flow.npz", flow=maps, sample_id=np.array(ids))
        table = {
            "sample_id": ids,
            "dataset": "noise",
            "subject": [f"s{entry % subjects:03d}" for entry in number],
            "filename": ids,
            "label": number % 3,
        }
        pd.DataFrame(table).to_csv(folder / "samples.csv", index=False)
        return folder


def measure_sweep(runs: Runs) -> dict[str, list[Cost]]:
    """STSTNet on the maps of MEGC2019, all 68 folds, start-up included; in turn, `ROUNDS` times."""
    corpus = REAL if REAL.exists() else runs.write_maps(68, 442)
    plain = [sys.executable, "-m", "benchmarks.plain_loop", str(corpus), str(EPOCHS)]
    contenders = {
        "plain loop": partial(measure, plain),
        "`auto`, layers of torch": partial(
            runs.train_maps, corpus, EPOCHS, "backbone.compiled=false"
        ),
        "`auto`, compiled kernel": partial(runs.train_maps, corpus, EPOCHS),
    }
    actual: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            actual[name].append(run())
    return actual


def measure_engines(runs: Runs) -> dict[str, dict[str, Cost]]:
    """Each engine: STSTNet on maps, and both networks of the demo on its rendered faces, fused."""
    maps = runs.write_maps(68, 442)
    engines = ("loop", "processes", "stacked")
    actual = {
        f"ststnet, {STEADY} epochs": {
            engine: runs.train_maps(maps, STEADY, f"task.engine={engine}") for engine in engines
        }
    }
    merec = [sys.executable, "-m", "merec"]
    measure([*merec, "prepare", "experiments=demo", "all=true"])
    for backbone, epochs in NETWORKS.items():
        common = ["experiments=demo", f"backbone={backbone}", "datamodule=fused"]
        common += ["hydra/launcher=basic", f"trainer.max_epochs={epochs}", "task.pretrain=null"]
        actual[f"{backbone}, {epochs} epochs"] = {
            engine: runs.train(*common, f"task.engine={engine}") for engine in engines
        }
    return actual


def measure_memory(runs: Runs) -> tuple[int, int, dict[int, Cost]]:
    """Bytes of the features of many maps, of a process that trains without them, and of so many workers."""
    alone = runs.train_maps(runs.write_maps(68, 442), 1, "folds=0-3", "task.engine=loop")
    corpus = runs.write_maps(68, MANY)
    # Of each value: a float to train on, a byte as read, and one in the order of channels.
    features = MANY * 3 * 28 * 28 * (4 + 1 + 1)
    return (
        features,
        alone.memory,
        {
            number: runs.train_maps(
                corpus, 1, "folds=0-3", "task.engine=processes", f"task.workers={number}"
            )
            for number in WORKERS
        },
    )


def measure_growth(runs: Runs) -> dict[str, dict[int, Cost]]:
    """Measure how a sweep of STSTNet grows: with folds, with samples, with workers."""
    actual: dict[str, dict[int, Cost]] = {"folds": {}, "samples": {}, "workers": {}}
    usual = runs.write_maps(68, 442)
    for number in FOLDS:
        folds = f"folds=0-{number - 1}"
        actual["folds"][number] = runs.train_maps(usual, STEADY, folds)
    for number in SAMPLES:
        corpus = runs.write_maps(17, number)
        actual["samples"][number] = runs.train_maps(corpus, STEADY)
    for number in WORKERS:
        workers = ["task.engine=processes", f"task.workers={number}"]
        actual["workers"][number] = runs.train_maps(usual, STEADY, *workers)
    return actual


def plot_growth(growth: dict[str, dict[int, Cost]]) -> None:
    """Seconds against folds and samples, with the straight line from the first to the last."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("folds", "samples"), strict=True):
        numbers, seconds = list(growth[name]), [cost.seconds for cost in growth[name].values()]
        entry = (seconds[-1] - seconds[0]) / (numbers[-1] - numbers[0])
        axes.plot(numbers, seconds, "o-", label="measured")
        straight = [seconds[0] + entry * (number - numbers[0]) for number in numbers]
        axes.plot(numbers, straight, "--", color="grey", label="straight")
        axes.set(xlabel=name, ylabel="seconds", xlim=(0, None), ylim=(0, None))
        axes.legend()
    figure.savefig(PLOT, metadata={"Date": None})


def describe_sweep(folder: Path) -> list[str]:
    """Lines for the README of whole sweeps.

    Args:
        folder: For runs and made corpora.
    """
    sweep = measure_sweep(Runs(folder))
    lines = [
        "",
        "## A sweep",
        "",
        f"STSTNet, maps of MEGC2019, 68 folds, {EPOCHS} of 800 epochs, batches of 256, from the start of the "
        f"command to its end; {ROUNDS} round(s), in each all in turn. The plain loop (`plain_loop.py`): one "
        "fold after the other, three streams, a DataLoader per fold, two threads. Memory is that of all "
        "processes of a command, shared pages once.",
        "",
        "| | seconds | ms per fold and epoch | plain loop / this | memory, MB |",
        "|---|---|---|---|---|",
    ]
    plain = [cost.seconds for cost in sweep["plain loop"]]
    for name, costs in sweep.items():
        seconds = [cost.seconds for cost in costs]
        entry = [1e3 * one / 68 / EPOCHS for one in seconds]
        faster = [first / one for first, one in zip(plain, seconds, strict=True)]
        most = max(cost.memory for cost in costs) / 1e6
        lines.append(
            f"| {name} | {_join(seconds)} | {_join(entry)} | {_join(faster, 2)} | {most:.0f} |"
        )
    return lines


def describe_engines(folder: Path) -> list[str]:
    """Lines for the README of each engine; arguments as `describe_sweep`."""
    lines = [
        "",
        "## Engines",
        "",
        "Commands from start to end, one after the other, all folds.",
        "",
        "| network | `loop`, s | `processes`, s | `stacked`, s | loop / processes | loop / stacked "
        "| MB each |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, costs in measure_engines(Runs(folder)).items():
        loop, processes, stacked = costs.values()
        megabytes = ", ".join(f"{cost.memory / 1e6:.0f}" for cost in costs.values())
        lines.append(
            f"| {name} | {loop.seconds:.1f} | {processes.seconds:.1f} | {stacked.seconds:.1f} "
            f"| {loop.seconds / processes.seconds:.2f}× | {loop.seconds / stacked.seconds:.2f}× "
            f"| {megabytes} |"
        )
    return lines


def describe_growth(folder: Path) -> list[str]:
    """Lines for the README of how sweeps grow; arguments as `describe_sweep`."""
    runs = Runs(folder)
    features, alone, memory = measure_memory(runs)
    growth = measure_growth(runs)
    plot_growth(growth)
    lines = [
        "",
        "## Growth",
        "",
        f"![Seconds of a sweep against folds and samples]({PLOT.name})",
        "",
        f"How a sweep of STSTNet grows ({STEADY} epochs; 442 samples, 68 folds; for samples 17 folds), by "
        "`task.engine=auto`; for workers `processes`:",
        "",
        "| | seconds |",
        "|---|---|",
    ]
    for name, costs in growth.items():
        message = ", ".join(f"{number}: {cost.seconds:.1f}" for number, cost in costs.items())
        lines.append(f"| {name} | {message} |")
    one, many = memory[WORKERS[0]].memory, memory[WORKERS[-1]].memory
    entry = (many - one) / (WORKERS[-1] - WORKERS[0])
    message = ", ".join(f"{number}: {cost.memory / 1e6:.0f}" for number, cost in memory.items())
    bound = [f"{number}: {(features + number * alone) / 1e6:.0f}" for number in memory]
    lines += [
        "",
        f"Memory of `processes` by workers, {MANY} maps, which are {features / 1e6:.0f} MB of features: "
        f"{message} MB. A further worker takes {entry / 1e6:.0f} MB, {100 * entry / features:.0f} % of the "
        f"features. `loop` with hardly any features takes {alone / 1e6:.0f} MB; features and that for each "
        f"worker would be {', '.join(bound)} MB.",
    ]
    return lines


def _join(numbers: Sequence[float], digits: int = 1) -> str:
    return ", ".join(f"{number:.{digits}f}" for number in numbers)
