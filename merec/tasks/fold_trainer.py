"""Train one fold: start, pretrain, finetune, predict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int
from torch import nn

from merec.datamodules import ClipDataModule, PairPool, open_pretraining
from merec.evaluation.protocol import set_target
from merec.evaluation.splits import Fold
from merec.run_folder.checkpoint import add_config
from merec.run_folder.epochs import Epochs
from merec.targets import open_target
from merec.tasks.checkpoints import describe_inputs, hash_network, read_weights
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.contrastive_module import Contrastive
from merec.tasks.contrastive_pretraining import ContrastivePretraining, group_subjects
from merec.tasks.engines.together import RecordFolds, Together
from merec.tasks.finetune import Finetune, check_freeze
from merec.tasks.macro_pretraining import MacroPretraining
from merec.tasks.network_trainer import Logging, NetworkTrainer
from merec.tasks.outcome import Outcome, predict_held_out
from merec.tasks.pretraining_settings import PretrainingSettings
from merec.tasks.progress import OnEpoch
from merec.tasks.starting_weights import StartingWeights
from merec.tasks.task_checks import (
    check_representation,
    check_trainer,
    rehearse_contrast,
    rehearse_finetuning,
)
from merec.tasks.trainer_factory import Length, fit_module, ignore_cluster
from merec.types import Corpus


@dataclass
class FoldTrainer:
    """Trains one fold, from a fresh network to predictions: `loso` for every subject, `finetune` once.

    Attributes:
        datamodule: The samples.
        backbone: Factory of a fresh backbone; takes `in_channels`, `num_classes`. `reads` of its class is the
            representation it takes, if it says so.
        finetune: Factory of the LightningModule around it.
        trainer: Factory of a fresh Lightning trainer.
        seed: Seed of initial weights, batches and dropout.
        freeze: `encoder` finetunes the head alone, `none` everything.
        weights: Checkpoint to start from, or `None` to start at random.
        transductive: Allow `weights` that saw the held-out subject, and pretrain one encoder by contrast for
            all folds, on everyone; every table then says so.
        pretrain: What the network is first trained on inside each fold: `macro`, `contrastive`; `None` for
            nothing.
        pretrain_epochs: For how long; `None` for `pretrain_steps`, or the trainer's number of epochs.
        pretrain_steps: For how many steps of the optimiser views are contrasted, in place of epochs; their
            schedule then counts steps, too.
        pretrain_groups: Into how many groups of subjects the folds are put that share an encoder, which saw
            none of them; `None` for one encoder per fold.
        monitor_steps: Steps from one measurement to the next while views are contrasted: accuracy on pairs
            of held-out subjects, and a linear probe among training subjects, which choose nothing; `None`
            measures the accuracy at the end.
        least_intensity: Pairs that show less are not contrasted (τ of Li et al. 2025, whose value is not
            published); in units of the pool's estimator.
        pool: How `contrastive` draws pairs.
        contrast: How views are contrasted.
        target: What is told: the `emotion`, or which `action_units` there are.
        min_subjects: How many training subjects must show an action unit for a fold to learn it.
        legacy: Defects of released code that the other settings refer to.
        contrastive: Factory of the LightningModule that does it.
    """

    datamodule: ClipDataModule
    backbone: Callable[..., nn.Module]
    finetune: Callable[..., Finetune]
    trainer: Callable[..., pl.Trainer]
    seed: int
    freeze: str
    weights: str | None
    transductive: bool
    pretrain: str | None
    pretrain_epochs: int | None
    pretrain_steps: int | None
    pretrain_groups: int | None
    monitor_steps: int | None
    least_intensity: float | int
    pool: PairPool
    contrast: ContrastSettings
    target: str
    min_subjects: int
    legacy: Mapping[str, bool]
    contrastive: Callable[..., Contrastive]
    together: ClassVar[bool] = False  # whether several devices may train one network

    def __post_init__(self) -> None:
        backbone = getattr(self.backbone, "func", self.backbone)
        check_representation(backbone, self.datamodule)
        check_freeze(backbone, self.freeze)
        labelled = self.label_corpus()
        target = open_target(labelled.protocol)
        self.datamodule = self.datamodule.relabel(labelled, self.min_subjects)
        self.trainer = ignore_cluster(self.trainer)
        self.networks = NetworkTrainer(
            self.backbone,
            self.finetune,
            self.trainer,
            StartingWeights(self.weights, self.transductive, target),
            target,
            self.seed,
        )
        rehearse_finetuning(self.networks, self.datamodule, self.freeze)
        trainer = check_trainer(self.networks.trainer, self.together)
        self.leads = trainer.is_global_zero  # of several processes one writes
        self.device = trainer.strategy.root_device
        if self.weights:
            read_weights(self.weights)
        self.pretrainer = self._open_pretraining()  # last, for it may take minutes

    def _open_pretraining(self) -> MacroPretraining | ContrastivePretraining | None:
        settings = PretrainingSettings(
            self.pretrain,
            self.pretrain_epochs,
            self.pretrain_steps,
            self.pretrain_groups,
            self.monitor_steps,
            self.least_intensity,
            self.pool,
            self.contrast,
            self.contrastive,
        )
        settings.check()
        everyone = self.datamodule.subject.tolist()
        sharing = group_subjects(everyone, self.pretrain_groups)
        if self.pretrain is None:
            return None
        data = open_pretraining(self.pretrain, self.datamodule, self.pool)
        if self.pretrain == "macro":
            return MacroPretraining(data, self.networks, settings.length, set(everyone))
        return ContrastivePretraining(
            data, self.datamodule, self.networks, settings, sharing, self.leads
        )

    @property
    def pretraining(self) -> ClipDataModule | None:
        """All that networks are pretrained on, if anything; each fold leaves out what it must not see."""
        return None if self.pretrainer is None else self.pretrainer.data

    def label_corpus(self) -> Corpus:
        """Return the corpus with the labels of the target."""
        return set_target(self.datamodule.corpus, self.target, self.min_subjects)

    def list_subjects(self, rows: Int[np.ndarray, " rows"]) -> list[str]:
        """Return the subjects of some samples."""
        return np.unique(self.datamodule.subject[rows]).tolist()

    def check_starts(self, folds: Sequence[Fold]) -> None:
        """Refuse what folds start from, before any is trained: weights, and pairs to pretrain on.

        Weights must not have seen whom a fold holds out, and must fit; pairs must be enough. Without folds,
        when nobody is held out, weights are checked as they are loaded.

        Raises:
            InputError: Naming the subject, what does not fit, or how many pairs there are.
        """
        held_out = [self.list_subjects(fold.test) for fold in folds]
        if self.pretrainer is not None:
            for subjects in held_out or [[]]:
                self.pretrainer.check(subjects)
        if isinstance(self.pretrainer, ContrastivePretraining):
            rehearse_contrast(self.pretrainer)
        if self.weights and folds:
            checkpoint = read_weights(self.weights)
            for subjects in held_out:
                self.networks.weights.refuse_seen(checkpoint, subjects, str(Path(self.weights)))
            with torch.random.fork_rng(devices=[]):
                self.networks.start(self.datamodule, held_out[0], self.datamodule.classes)

    def fit(
        self,
        data: ClipDataModule,
        on_epoch: OnEpoch,
        logger: Logging = False,
        max_epochs: int | None = None,
        unseen: Int[np.ndarray, " unseen"] | None = None,
    ) -> tuple[Finetune, pl.Trainer, Epochs]:
        """Train a fresh network on `data.train_rows` and record each epoch on `data.test_rows`.

        Args:
            data: The samples.
            on_epoch: Told of each epoch.
            logger: Where losses are logged.
            max_epochs: Number of epochs; `None` for that of the trainer.
            unseen: Samples whose subjects neither starting weights nor pretrained encoders may have seen;
                `None` for `data.test_rows`. Pretraining by labels leaves out the subjects of both.
        """
        start = self._begin(data, data.test_rows if unseen is None else unseen, on_epoch)
        task, trainer, epochs = self.networks.train(
            start.backbone, data, self.freeze, on_epoch, logger, Length(max_epochs)
        )
        task.pretraining = start.pretraining
        return task, trainer, epochs

    def fit_together(
        self,
        views: Sequence[ClipDataModule],
        on_epoch: OnEpoch,
        join: Callable[[Sequence[Finetune], Sequence[ClipDataModule]], Together],
    ) -> list[tuple[Finetune, pl.Trainer, Epochs]]:
        """Return for each of several folds what `fit` does, trained in step with each other.

        All share a trainer. A loss that is not finite stops nobody; it is in the `Epochs`.

        Args:
            views: The samples of each fold, all of as many steps per epoch.
            on_epoch: Told of each epoch of all folds.
            join: Joins the folds: `StackedFinetune` or `SideBySide`.
        """
        tasks = []
        for view in views:
            start = self._begin(view, view.test_rows, on_epoch)
            tasks.append(self.networks.make_task(start.backbone, view, self.freeze))
            tasks[-1].pretraining = start.pretraining
        together, record = join(tasks, views), RecordFolds(views, on_epoch)
        trainer = fit_module(self.networks.trainer, together, None, [record])
        together.give_back()
        return [
            (task, trainer, epochs) for task, epochs in zip(tasks, record.to_epochs(), strict=True)
        ]

    def make_fresh(self, data: ClipDataModule) -> Finetune:
        """Build what a fold trains, before it has learnt anything."""
        backbone = self.networks.start(data, [], data.classes)
        return self.networks.make_task(backbone, data, self.freeze)

    def _begin(
        self, data: ClipDataModule, unseen: Int[np.ndarray, " unseen"], on_epoch: OnEpoch
    ) -> "_Start":
        """Build the backbone that `fit` finetunes, and pretrain it."""
        held_out = self.list_subjects(unseen)
        backbone = self.networks.start(data, held_out, data.classes)
        if self.pretrainer is None:
            return _Start(backbone, [])
        return _Start(backbone, self.pretrainer.pretrain(backbone, data, held_out, on_epoch))

    def pack(self, task: Finetune, data: ClipDataModule, folder: Path) -> dict[str, Any]:
        """Return the checkpoint of a network that `fit` trained on `data`, with the resolved config."""
        trained = [data]
        if self.pretrainer is not None:
            trained.insert(0, self.pretrainer.hold_out(data, self.list_subjects(data.test_rows)))
        packed = self.networks.pack(task, trained, set(self.datamodule.subject.tolist()))
        code = hash_network(task.backbone, data.representation)
        packed["merec"] |= describe_inputs(data) | {"code": code}
        return add_config(packed, folder)

    def write_pairs(self, folder: Path) -> None:
        """Write which pairs of frames are pretrained on, if any."""
        if self.pretrainer is not None:
            self.pretrainer.write_pairs(folder)

    def train_fold(
        self, data: ClipDataModule, folder: Path, on_epoch: OnEpoch, **options: Any
    ) -> Outcome:
        """Train one fold and predict its held-out samples."""
        return self.conclude(*self.fit(data, on_epoch, **options), data, folder)

    def conclude(
        self,
        task: Finetune,
        trainer: pl.Trainer,
        epochs: Epochs,
        data: ClipDataModule,
        folder: Path,
    ) -> Outcome:
        """Predict the held-out samples of a trained fold."""
        checkpoint = self.pack(task, data, folder)
        return predict_held_out(task, trainer, epochs, data, self.networks.target, checkpoint)


class _Start(NamedTuple):
    """A backbone to finetune, and what was measured while it was pretrained."""

    backbone: nn.Module
    pretraining: list[dict[str, float]]
