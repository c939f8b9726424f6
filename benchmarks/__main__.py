"""Measure what this project claims to be fast, and write benchmarks/README.md.

python -m benchmarks [repeats [part ...]]
"""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from sklearn.metrics import f1_score
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.features import describe_features
from benchmarks.folds import describe_engines, describe_growth, describe_sweep
from benchmarks.plain_loop import ThreeStreams
from benchmarks.point_gcn import describe_point_gcn
from benchmarks.point_sets import describe_point_sets
from benchmarks.rendering import describe_rendering
from benchmarks.roofline import describe_roofline
from benchmarks.timing import in_turn
from merec.backbones import STSTNet
from merec.backbones.kernels.acceleration import accelerate
from merec.config_parts import assemble
from merec.datamodules import ClipDataModule, PairPool
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.splits import leave_one_subject_out
from merec.evaluation.subject_bootstrap import bootstrap, draw_subjects
from merec.metrics import uf1
from merec.tasks import Contrastive, Finetune
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.process_setup import keep_freed_memory, quiet_lightning
from merec.tasks.training_settings import TrainingSettings
from merec.types import Corpus


def make_corpus(samples: int = 442, subjects: int = 68) -> Corpus:
    """Noise of the size of MEGC2019: timing needs no faces."""
    import pandas as pd

    rng = np.random.default_rng(0)
    index = pd.DataFrame(
        {
            "sample_id": [f"x{i:03d}" for i in range(samples)],
            "corpus": "noise",
            "subject": [f"s{i % subjects:02d}" for i in range(samples)],
            "clip": [f"{i}" for i in range(samples)],
            "label": rng.integers(3, size=samples),
        }
    )
    maps = rng.integers(256, size=(samples, 3, 28, 28), dtype=np.uint8)
    protocol = describe_protocol("noise", index, ["negative", "positive", "surprise"])
    return Corpus(protocol, index, maps, ("u", "v", "strain"))


def measure_step(repeats: int) -> dict[str, float]:
    """One epoch of STSTNet on 435 maps in batches of 256: merec's, and one branch per stream."""
    maps = torch.rand(435, 3, 28, 28)
    last = maps.contiguous(memory_format=torch.channels_last)
    label = torch.randint(3, (435,))

    def epoch(network: nn.Module, inputs: torch.Tensor) -> None:
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-5)
        for rows in torch.randperm(435).split(256):
            optimizer.zero_grad()
            cross_entropy(network(inputs[rows]), label[rows]).backward()
            optimizer.step()

    fused = accelerate(STSTNet(3, 3, (3, 5, 8), 0.5, 28, 1, True))
    return in_turn(
        repeats, streams=partial(epoch, ThreeStreams(), maps), fused=partial(epoch, fused, last)
    )


def measure_loop(repeats: int, folder: Path) -> dict[str, float]:
    """Ten epochs of one fold: through Lightning with recording, and a bare loop over the same batches."""
    data = ClipDataModule(make_corpus(), "rgb", "flow_map", ["strain", "v", "u"], "raw", 256, 0, 0)
    adam = partial(torch.optim.Adam, lr=5e-5)
    backbone = partial(STSTNet, streams=(3, 5, 8), dropout=0.5, size=28, padding=1, compiled=True)
    lightning = partial(
        pl.Trainer,
        max_epochs=10,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    finetune = partial(
        Finetune, optimizer=adam, scheduler=None, loss=cross_entropy, class_balanced=False
    )
    settings = {
        "datamodule": data,
        "backbone": backbone,
        "finetune": finetune,
        "trainer": lightning,
        "seed": 0,
        "freeze": "none",
        "weights": None,
        "transductive": False,
        "pretrain": None,
        "pretrain_epochs": None,
        "pretrain_steps": None,
        "monitor_steps": None,
        "pretrain_groups": None,
        "least_intensity": 0,
        "pool": PairPool(source="unlabelled", batch_size=None, augment=None),
        "contrast": ContrastSettings("in_batch", "ema", 1, 0.1, 0.5, False),
        "contrastive": Contrastive,
        "target": "emotion",
        "min_subjects": 2,
        "legacy": {},
    }
    trainer = FoldTrainer(assemble(TrainingSettings, settings))
    fold = leave_one_subject_out(data.subject)[0]
    view = data.hold_out(fold.train, fold.test, fold.held_out)

    def bare() -> None:
        network = accelerate(backbone(in_channels=3, num_classes=3))
        optimizer = adam(network.parameters())
        for _ in range(10):
            for batch in view.train_dataloader():
                optimizer.zero_grad()
                cross_entropy(network(batch.inputs), batch.label).backward()
                optimizer.step()

    return in_turn(
        repeats, bare=bare, lightning=lambda: trainer.fit(view, lambda epoch, epochs: None)
    )


def measure_bootstrap(repeats: int) -> dict[str, float]:
    """200 draws of 68 subjects: at once, and one after the other through scikit-learn."""
    rng = np.random.default_rng(0)
    subject, label, predicted = rng.integers(68, size=442), *rng.integers(3, size=(2, 442))
    counts = np.zeros((1, 68, 3, 3), dtype=np.int64)
    np.add.at(counts, (0, subject, label, predicted), 1)
    rows = [np.flatnonzero(subject == s) for s in range(68)]

    def naive() -> None:
        for _ in range(200):
            drawn = np.concatenate([rows[s] for s in rng.integers(68, size=68)])
            f1_score(
                label[drawn], predicted[drawn], average="macro", labels=range(3), zero_division=0
            )

    def at_once() -> None:
        draw_subjects.cache_clear()  # kept for further metrics, which would be no fair comparison
        bootstrap(uf1, counts, draws=200)

    return in_turn(repeats, naive=naive, at_once=at_once)


def measure_command_line(repeats: int) -> dict[str, float]:
    """Seconds until `merec --help` and `merec train --cfg job` have answered."""

    def call(*arguments: str) -> None:
        command = [sys.executable, "-m", "merec", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    return in_turn(
        repeats, help=partial(call, "--help"), cfg=partial(call, "train", "--cfg", "job")
    )


def describe_steps(repeats: int, folder: Path) -> list[str]:
    """Lines for the README of the measurements: its beginning, and what is small."""
    step, loop = measure_step(repeats), measure_loop(repeats, folder)
    draws, line = measure_bootstrap(repeats), measure_command_line(repeats)
    rows = [
        (
            "STSTNet epoch, 435 maps, batch 256",
            "one branch per stream",
            step["streams"],
            "merec",
            step["fused"],
        ),
        (
            "STSTNet, 10 epochs of a fold",
            "bare loop",
            loop["bare"],
            "Lightning, recorded",
            loop["lightning"],
        ),
        (
            "200 bootstrap draws of 68 subjects",
            "scikit-learn in a loop",
            draws["naive"],
            "merec",
            draws["at_once"],
        ),
    ]
    return [
        "# Measurements",
        "",
        '`make bench` writes this file, `make bench ARGS="3 sweep"` a part of it. Each row times two things',
        "in turn within one run; the ratio is what counts, the seconds belong to the machine.",
        "",
        f"Machine: {os.cpu_count()} cores {platform.machine()}, torch {torch.__version__.partition('+')[0]} "
        f"with {torch.get_num_threads()} threads, Python {platform.python_version()}; medians of {repeats}.",
        "",
        "| what | reference | ms | measured | ms | reference / measured |",
        "|---|---|---|---|---|---|",
        *(
            f"| {what} | {a} | {1e3 * x:.1f} | {b} | {1e3 * y:.1f} | {x / y:.2f}× |"
            for what, a, x, b, y in rows
        ),
        "",
        f"`merec --help` answers in {line['help']:.2f} s, `merec train --cfg job` in {line['cfg']:.2f} s.",
        f"Lightning and recording cost {100 * (loop['lightning'] - loop['bare']):.1f} ms per epoch here.",
    ]


def main() -> None:
    """Measure all parts, or those named, and write the table; the others stay as they are."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    quiet_lightning()
    keep_freed_memory()
    file = Path(__file__).with_name("README.md")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parts: dict[str, Callable[[], list[str]]] = {
            "steps": lambda: describe_steps(repeats, folder),
            "sweep": lambda: describe_sweep(folder),
            "engines": lambda: describe_engines(folder),
            "growth": lambda: describe_growth(folder),
            "roofline": lambda: describe_roofline(repeats),
            "point_gcn": lambda: describe_point_gcn(repeats),
            "point_sets": lambda: describe_point_sets(repeats),
            "rendering": lambda: describe_rendering(folder),
            "features": lambda: describe_features(folder / "features"),
        }
        wanted = sys.argv[2:] or list(parts)
        if set(wanted) - set(parts):
            sys.exit(f"there are the parts {', '.join(parts)}")
        before = file.read_text(encoding="utf-8").split("\n## ")
        kept = dict(zip(parts, before, strict=False)) if len(before) == len(parts) else {}
        actual = {
            name: "\n".join(measure()).strip().removeprefix("## ") if name in wanted else kept[name]
            for name, measure in parts.items()
        }
    text = "\n\n## ".join(part.strip() for part in actual.values()) + "\n"
    file.write_text(text, encoding="utf-8")
    Console().print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
