"""Two processes that train one network together take the steps of one process on the whole batch."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import cross_entropy, normalize

from merec.datamodules import PairPool
from merec.datamodules.batches import SeededBatches
from merec.datamodules.ranks import deal
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.features.prepare import FeatureStore, Loaded
from merec.features.representations import Representation
from merec.run_folder.lock import LOCK
from merec.seeding import derive_seed
from merec.tasks import Contrastive, Finetune, Pretrain
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.epoch_recorder import RecordEpochs
from merec.types import Camera, Corpus

PEOPLE = ("spNO.1", "spNO.2", "spNO.3")
CLASSES = ("negative", "positive", "surprise")
RANKS, EACH, EPOCHS = 2, 10, 3  # of two subjects: batches of 8, 8 and 4; pairs: 10 and 10
SOFTMAX = ContrastSettings("softmax", "first_batch", 12, 0.1, 0.5, False)
TASKS = {
    "softmax": {"contrast": SOFTMAX},
    "nce": {"contrast": replace(SOFTMAX, mode="nce", z="ema")},
    "in batch": {"contrast": replace(SOFTMAX, mode="in_batch")},
    "macro": {"pretrain": "macro"},
}


class Linears(nn.Module):
    """The least backbone of two views, without batch norm."""

    reads, fresh, embedding = "views", ("head",), 6

    def __init__(self, in_channels: tuple[int, int], num_classes: int, dropout: float):
        super().__init__()
        first, second = in_channels
        self.first, self.second = nn.Linear(first * 16, 6), nn.Linear(second * 16, 6)
        self.seeds = []
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(12, num_classes)

    def encode(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        self.seeds.append(torch.initial_seed())
        first, second = (self.dropout(view.flatten(1)) for view in views)
        return normalize(self.first(first)), normalize(self.second(second))

    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        return self.head(torch.cat(self.encode(views), 1))


class Drawn(FeatureStore):
    """A store that draws the views of a sample from its name."""

    def __init__(self) -> None:
        pass

    def make_pool(self, corpus: Corpus, jobs: int = -1) -> Corpus:
        index = tabulate("_pair").assign(label=0)
        return Corpus(describe_protocol("pool", index, ["unlabelled"]), index, None, (), CAMERA)

    def load(
        self, corpus: Corpus, representation: Representation, modality: str, views=None
    ) -> Loaded:
        names = corpus.index["sample_id"]
        rngs = [np.random.default_rng(derive_seed(name)) for name in names]
        views = {
            name: np.stack([rng.normal(size=(channels, 4, 4)) for rng in rngs]).astype(np.float32)
            for name, channels in (("first", 3), ("second", 1))
        }
        return Loaded(np.arange(len(names)), views, "")


CAMERA = Camera(900, 900, 320, 240, 640, 480)


def tabulate(suffix: str) -> pd.DataFrame:
    rows = [
        (f"{subject}_{clip}{suffix}", "made", subject, f"{clip}", clip * clip % 3, "here", 1.0)
        for subject in PEOPLE
        for clip in range(EACH)
    ]
    names = ["sample_id", "corpus", "subject", "clip", "label", "depth", "intensity"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def pretrain(make_data, make_once, quiet_trainer) -> Callable[..., Pretrain]:
    """Pretrain one network without the second subject, in float64, into a run folder."""
    index = tabulate("")
    corpus = Corpus(describe_protocol("made", index, CLASSES), index, None, (), CAMERA)
    corpus = replace(corpus, macro=tabulate("_macro"))
    rate = partial(torch.optim.SGD, lr=0.1, momentum=0.9)

    def run(folder: Path, ranks: int = 1, dropout: float = 0.0, **changes: Any) -> Pretrain:
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("seed: 0\n", encoding="utf-8")
        trainer = partial(
            quiet_trainer,
            max_epochs=EPOCHS,
            precision="64-true",
            use_distributed_sampler=False,
            strategy="auto" if ranks == 1 else "ddp_find_unused_parameters_true",
            devices=ranks,
            callbacks=[Keep(folder)],
        )
        data = make_data(
            corpus,
            features=Drawn(),
            modality="fused",
            representation="views",
            channels=None,
            scaling="standard",
            batch_size=8,
        )
        settings = {
            "data": data,
            "fold": 1,
            "kind": Pretrain,
            "pretrain": "contrastive",
            "backbone": partial(Linears, dropout=dropout),
            "trainer": trainer,
            "pool": PairPool(source="unlabelled", batch_size=10, augment=None),
            "contrastive": partial(Contrastive, optimizer=rate, scheduler=None),
            # Weighed by class, a mean over the parts of a batch is not that over the batch.
            "finetune": partial(
                Finetune, optimizer=rate, scheduler=None, loss=cross_entropy, class_balanced=True
            ),
        }
        task = make_once(**(settings | changes))
        task.run(folder, None)
        return task

    return run


class Keep(pl.Callback):
    """Write down how a process ended and what it drew."""

    def __init__(self, folder: Path):
        self.folder, self.drawn = folder, []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.drawn.append(torch.get_rng_state())

    def on_train_end(self, trainer, pl_module) -> None:
        (record,) = (entry for entry in trainer.callbacks if isinstance(entry, RecordEpochs))
        ended = {"state": pl_module.state_dict(), "seeds": pl_module.backbone.seeds}
        ended |= {"drawn": torch.stack(self.drawn)}
        ended |= {"loss": record.loss, "accuracy": record.accuracy}
        torch.save(ended, self.folder / f"rank{trainer.global_rank}.pt")


def join(rank: int, meeting: Path, work: Callable[[int], None]) -> None:
    """Be one of two processes, as Lightning finds them."""
    os.environ |= {"LOCAL_RANK": f"{rank}", "NODE_RANK": "0", "WORLD_SIZE": f"{RANKS}"}
    torch.set_num_threads(1)
    address = f"file://{meeting}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=RANKS)
    work(rank)


@pytest.fixture(scope="session")
def in_two(tmp_path_factory) -> Callable[[Callable[[int], None]], None]:
    """Do the same in two processes at once, which are told which of them they are."""
    # Forks know what the tests have made; they meet in a file, not at a port that another may take.
    fork = multiprocessing.get_context("fork")

    def run(work: Callable[[int], None]) -> None:
        meeting = tmp_path_factory.mktemp("meeting") / "file"
        both = [fork.Process(target=join, args=(rank, meeting, work)) for rank in range(RANKS)]
        for one in both:
            one.start()
        for one in both:
            one.join(100)
            one.kill()
        assert [one.exitcode for one in both] == [0, 0]

    return run


@pytest.fixture(scope="module")
def ended(pretrain, in_two, tmp_path_factory) -> Path:
    """A folder per task, with how one process ended alone and each of two together. Read only."""
    folder = tmp_path_factory.mktemp("ended")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEREC_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name, changes in TASKS.items():
            pretrain(folder / name / "alone", **changes)

        def work(rank: int) -> None:
            for name, changes in TASKS.items():
                pretrain(folder / name / f"{rank}", RANKS, **changes)
            pretrain(folder / "dropout" / f"{rank}", RANKS, dropout=0.5)

        in_two(work)
    return folder


def read(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("rank*.pt")
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("name", TASKS)
def test_two_processes_learn_what_one_does_on_whole_batches(ended, name):
    alone, *both = (read(ended / name / entry) for entry in ("alone", "0", "1"))
    for one in both:
        assert one["state"].keys() == alone["state"].keys()
        for key, value in alone["state"].items():
            torch.testing.assert_close(one["state"][key], value, rtol=0, atol=1e-8)
        assert one["loss"] == pytest.approx(alone["loss"], abs=1e-8)
        assert one["accuracy"] == alone["accuracy"]
    assert alone["loss"][-1] < alone["loss"][0]


@pytest.mark.parametrize("name", [*TASKS, "dropout"])
def test_both_end_with_the_same_weights(ended, name):
    one, other = (read(ended / name / f"{rank}")["state"] for rank in range(RANKS))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", TASKS)
def test_the_first_alone_writes_and_says_whom_it_never_saw(ended, name):
    first, other = ({file.name for file in (ended / name / f"{rank}").iterdir()} for rank in (0, 1))
    assert other == {"config.yaml", "rank1.pt"}
    assert first - other > {"checkpoint.ckpt"}
    checkpoint = torch.load(ended / name / "0" / "checkpoint.ckpt", weights_only=True)
    assert checkpoint["merec"]["never_saw"] == ["spNO.2"]


def test_dropout_differs_between_processes_and_steps_and_what_else_is_drawn_does_not(ended):
    one, other = (read(ended / "dropout" / f"{rank}") for rank in range(RANKS))
    steps = len(one["drawn"])
    assert len({*one["seeds"], *other["seeds"]}) == RANKS * steps
    assert torch.equal(one["drawn"], other["drawn"])
    assert len(one["drawn"].unique(dim=0)) == steps
    macro = {read(ended / "macro" / f"{rank}")["seeds"][0] for rank in range(RANKS)}
    assert len(macro) == RANKS


# Dealing


@pytest.fixture
def be(monkeypatch) -> Callable[[int, int], None]:
    """Be a process of several, as far as torch says."""

    def pretend(rank: int, ranks: int) -> None:
        for name, value in {
            "is_initialized": True,
            "get_rank": rank,
            "get_world_size": ranks,
        }.items():
            monkeypatch.setattr(distributed, name, lambda value=value: value)

    return pretend


@pytest.mark.parametrize(("samples", "sizes"), [(24, [8, 8, 8]), (20, [8, 12]), (23, [8, 12])])
def test_each_batch_is_dealt_out_in_equal_parts_and_two_samples_a_process(be, samples, sizes):
    def draw() -> list[np.ndarray]:
        batches = SeededBatches(np.arange(samples), 8, 0, "s01", None)
        drawn = [draw.rows for draw in batches]
        assert len(drawn) == len(batches)
        return drawn

    whole = np.concatenate(draw())
    parts = []
    for rank in range(4):
        be(rank, 4)
        parts.append(draw())
    for number, size in enumerate(sizes):
        dealt = np.stack([part[number] for part in parts], 1).ravel()
        np.testing.assert_array_equal(dealt, whole[8 * number : 8 * number + size])


@pytest.mark.parametrize("samples", [8, 9, 20, 23, 24])
def test_even_batches_give_each_process_equally_many_and_two_at_least(be, samples):
    sizes = []
    for rank in range(4):
        be(rank, 4)
        batches = SeededBatches(np.arange(samples), 10, 0, "s01", None, even=True)
        sizes.append([len(draw.rows) for draw in batches])
        assert len(sizes[-1]) == len(batches)
    assert all(entry == sizes[0] for entry in sizes)
    assert min(sizes[0]) >= 2


def test_a_batch_of_fewer_samples_than_processes_is_refused_with_the_remedy(be):
    be(0, 4)
    with pytest.raises(
        InputError, match=r"batch of 3 samples .* to 4 devices; lower trainer\.devices"
    ):
        deal(np.arange(3))


@pytest.mark.parametrize("make", ["make_loso", "make_once"])
def test_folds_are_not_trained_on_several_devices_but_spread(request, quiet_trainer, make):
    trainer = partial(quiet_trainer, max_epochs=1, strategy="ddp", devices=2)
    with pytest.raises(
        InputError, match="2 devices train one network together .* one job per device"
    ):
        request.getfixturevalue(make)(trainer=trainer)


# From the command line, where Lightning starts the other process

MADE = """
import os
from dataclasses import replace

import numpy as np

from merec.corpora import read_megc2019_flow
from merec.features.prepare import FeatureStore, Loaded


def read(**settings):
    corpus = read_megc2019_flow(**settings)
    return replace(corpus, macro=corpus.index.assign(sample_id=corpus.index["sample_id"] + "_macro"))


class Drawn(FeatureStore):
    def __init__(self, fails: bool):
        self.fails = fails

    def load(self, corpus, representation, modality, views=None):
        if self.fails and "LOCAL_RANK" in os.environ:
            raise OSError("the disk of the other is gone")
        maps = np.random.default_rng(0).integers(0, 256, (len(corpus.index), 3, 28, 28), np.uint8)
        return Loaded(np.arange(len(maps)), {"maps": maps}, "")
"""


@pytest.fixture
def pretrain_by_command(tmp_path, small) -> Callable[..., subprocess.CompletedProcess]:
    """Call `merec train task=pretrain trainer=ddp`, with two processes, in an empty folder."""
    (tmp_path / "made.py").write_text(MADE, encoding="utf-8")

    def run(fails: bool) -> subprocess.CompletedProcess:
        features = f"datamodule.features={{_target_:made.Drawn,fails:{fails}}}"
        chosen = ["task=pretrain", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
        rest = ["corpus._target_=made.read", features, "datamodule.batch_size=10", "fold=0"]
        given = [text for text in small if text != "trainer=cpu"]
        command = [sys.executable, "-m", "merec", "train", *given, *chosen, *rest]
        command += ["logger=none", "hydra.run.dir=run"]
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
        )

    return run


@pytest.mark.slow
def test_the_command_starts_both_and_says_and_writes_everything_once(pretrain_by_command, tmp_path):
    done = pretrain_by_command(fails=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert done.stderr == (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    written = {file.name for file in (tmp_path / "run").iterdir()} - {LOCK}  # some versions keep it
    assert written == {"checkpoint.ckpt", "config.yaml", "environment.json", "train.log"}


@pytest.mark.slow
def test_when_the_other_fails_the_command_ends_with_its_reason(pretrain_by_command, tmp_path):
    done = pretrain_by_command(fails=True)
    assert done.returncode != 0
    assert "the disk of the other is gone" in done.stderr
    assert not (tmp_path / "run" / "checkpoint.ckpt").exists()


@pytest.mark.slow
def test_several_runs_at_once_are_refused(merec, small):
    done = merec("train", "-m", *small, "trainer=ddp", "task=pretrain", "seed=0,1")
    assert done.returncode == 2
    assert "give the command without -m" in done.stderr
