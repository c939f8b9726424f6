"""Training of one fold: initial weights, pretraining, finetuning, prediction."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int
from torch import nn

from merec.datamodules import ClipDataModule, open_pretraining
from merec.evaluation.protocol import set_target
from merec.evaluation.splits import Fold
from merec.run_folder.checkpoint import add_config
from merec.run_folder.epochs import Epochs
from merec.targets import open_target
from merec.tasks.checkpoints import describe_inputs, hash_network, read_weights
from merec.tasks.contrastive_pretraining import ContrastivePretraining, group_subjects
from merec.tasks.engines.joint_training import JointTraining, RecordFolds
from merec.tasks.finetune import Finetune, check_freeze
from merec.tasks.macro_pretraining import MacroPretraining
from merec.tasks.network_trainer import Logging, NetworkTrainer
from merec.tasks.outcome import Outcome, predict_held_out
from merec.tasks.progress import OnEpoch
from merec.tasks.starting_weights import StartingWeights
from merec.tasks.task_checks import (
    check_representation,
    check_trainer,
    rehearse_finetuning,
)
from merec.tasks.trainer_factory import Length, fit_module, ignore_cluster
from merec.tasks.training_settings import TrainingSettings


class FoldTrainer:
    """Trainer of folds, each from a new network to predictions.

    Args:
        settings: Settings of the training of a fold.
        groups: Number of groups of subjects that are held out; `None` if folds do not hold out such groups.
        takes_devices: Whether several devices may train one network.

    Attributes:
        datamodule: Samples with the labels of the target.
        networks: Builds and trains networks.
        pretrainer: Pretrains networks; `None` if there is no pretraining.
        is_main_process: Whether this process writes the files of the run (with DDP, the first process).
        device: Device of the networks.

    Raises:
        InputError: If a setting would make every fold fail.
    """

    def __init__(
        self, settings: TrainingSettings, groups: int | None = None, takes_devices: bool = False
    ):
        self.settings = settings
        backbone = getattr(settings.backbone, "func", settings.backbone)
        check_representation(backbone, settings.datamodule)
        check_freeze(backbone, settings.freeze)
        given = settings.datamodule.corpus, settings.target, settings.min_subjects, groups
        labelled = set_target(*given)
        target = open_target(labelled.protocol)
        self.datamodule = settings.datamodule.relabel(labelled, settings.min_subjects)
        self.networks = NetworkTrainer(
            settings.backbone,
            settings.finetune,
            ignore_cluster(settings.trainer),
            StartingWeights(settings.weights, settings.transductive, target),
            target,
            settings.seed,
        )
        rehearse_finetuning(self.networks, self.datamodule, settings.freeze)
        trainer = check_trainer(self.networks.trainer, takes_devices)
        self.is_main_process = trainer.is_global_zero
        self.device = trainer.strategy.root_device
        if settings.weights:
            read_weights(settings.weights)
        self.pretrainer = self._open_pretraining()  # last, for it may take minutes

    def _open_pretraining(self) -> MacroPretraining | ContrastivePretraining | None:
        settings = self.settings.pretraining
        settings.check()
        everyone = self.datamodule.subject.tolist()
        sharing = group_subjects(everyone, settings.pretrain_groups)
        if settings.pretrain is None:
            return None
        data = open_pretraining(settings.pretrain, self.datamodule, settings.pool)
        if settings.pretrain == "macro":
            return MacroPretraining(data, self.networks, settings.length, set(everyone))
        given = data, self.datamodule, self.networks, settings, sharing
        return ContrastivePretraining(*given, self.is_main_process)

    def list_subjects(self, rows: Int[np.ndarray, " rows"]) -> list[str]:
        """Return the subjects of some samples."""
        return np.unique(self.datamodule.subject[rows]).tolist()

    def check_starts(self, folds: Sequence[Fold]) -> None:
        """Check starting weights and pretraining pairs of all folds before training.

        Weights must fit and must not have seen held-out subjects, and there must be enough pairs. Without
        folds, when nobody is held out, weights are checked when they are loaded.

        Raises:
            InputError: If a check fails; the message names the subject, the misfit or the number of pairs.
        """
        held_out = [self.list_subjects(fold.test) for fold in folds]
        if self.pretrainer is not None:
            self.pretrainer.check(held_out or [[]])
        file = self.settings.weights
        if file and folds:
            checkpoint = read_weights(file)
            for subjects in held_out:
                self.networks.weights.refuse_seen(checkpoint, subjects, str(Path(file)))
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
        """Train a new network on `data.train_rows` and record each epoch on `data.test_rows`.

        Args:
            data: The samples.
            on_epoch: Called after each epoch.
            logger: Logger of the losses.
            max_epochs: Number of epochs; `None` for the trainer's number.
            unseen: Rows whose subjects neither starting weights nor pretrained encoders may have seen; `None`
                for `data.test_rows`. Supervised pretraining leaves out the subjects of both.
        """
        start = self._begin(data, data.test_rows if unseen is None else unseen, on_epoch)
        task, trainer, epochs = self.networks.train(
            start.backbone, data, self.settings.freeze, on_epoch, logger, Length(max_epochs)
        )
        task.pretraining = start.pretraining
        return task, trainer, epochs

    def fit_jointly(
        self,
        views: Sequence[ClipDataModule],
        on_epoch: OnEpoch,
        join: Callable[[Sequence[Finetune], Sequence[ClipDataModule]], JointTraining],
    ) -> list[tuple[Finetune, pl.Trainer, Epochs]]:
        """Train several folds in lockstep and return for each fold what `fit` returns.

        All folds share a trainer. A loss that is not finite does not stop training; it is in the `Epochs`.

        Args:
            views: Samples of each fold; all have the same number of steps per epoch.
            on_epoch: Called after each epoch of all folds.
            join: Joins the folds: `StackedFinetune` or `InterleavedFolds`.
        """
        tasks = []
        for view in views:
            start = self._begin(view, view.test_rows, on_epoch)
            tasks.append(self.networks.make_task(start.backbone, view, self.settings.freeze))
            tasks[-1].pretraining = start.pretraining
        together, record = join(tasks, views), RecordFolds(views, on_epoch)
        trainer = fit_module(self.networks.trainer, together, None, [record])
        together.give_back()
        return [
            (task, trainer, epochs) for task, epochs in zip(tasks, record.to_epochs(), strict=True)
        ]

    def make_fresh(self, data: ClipDataModule) -> Finetune:
        """Build the untrained module of a fold."""
        backbone = self.networks.start(data, [], data.classes)
        return self.networks.make_task(backbone, data, self.settings.freeze)

    def _begin(
        self, data: ClipDataModule, unseen: Int[np.ndarray, " unseen"], on_epoch: OnEpoch
    ) -> "_Start":
        """Build the backbone for `fit` and pretrain it."""
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
        """Write the pairs of frames of contrastive pretraining, if any."""
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
    """Backbone to finetune, and the measurements of its pretraining."""

    backbone: nn.Module
    pretraining: list[dict[str, float]]
