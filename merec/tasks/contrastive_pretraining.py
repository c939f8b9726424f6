"""Contrastive pretraining of the encoders of a network on two views of a clip, without labels."""

import copy
import hashlib
import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from merec.datamodules import ClipDataModule, hold_out_pairs
from merec.evaluation.splits import Fold
from merec.run_folder import RunFolder
from merec.tasks.contrastive_module import Contrastive
from merec.tasks.contrastive_monitor import MonitorContrast, ProbeData
from merec.tasks.encoder_cache import Key, find_encoder
from merec.tasks.epoch_recorder import RecordEpochs
from merec.tasks.inner_subjects import hold_out_inner
from merec.tasks.network_trainer import Logging, NetworkTrainer
from merec.tasks.pretraining_settings import PretrainingSettings
from merec.tasks.progress import OnEpoch
from merec.tasks.starting_weights import load_weights
from merec.tasks.task_checks import check_optimizer
from merec.tasks.trainer_factory import fit_module, read_keywords
from merec.types import InputError

log = logging.getLogger(__name__)

_PROBE_PARTS = 5  # one of so many parts of the training subjects scores a probe
# Settings of a trainer that do not decide an encoder: callbacks, logger, the number of epochs of finetuning,
# and how devices stay together.
_INDIFFERENT = ("callbacks", "logger", "max_epochs", "plugins")


@dataclass
class ContrastivePretraining:
    """Contrastive pretraining without the held-out subjects of a fold or of folds that share an encoder.

    Attributes:
        data: All pairs of frames.
        labelled: All labelled samples.
        networks: Builds networks.
        settings: Hyperparameters.
        sharing: Subjects that are held out together, by subject.
        writes: Whether this process writes encoders (with DDP, the first process).
    """

    data: ClipDataModule
    labelled: ClipDataModule
    networks: NetworkTrainer
    settings: PretrainingSettings
    sharing: Mapping[str, Sequence[str]]
    writes: bool

    def check(self, folds: Sequence[Collection[str]]) -> None:
        """Refuse folds with too few pairs, and an optimiser or schedule that cannot be built.

        Args:
            folds: Held-out subjects of each fold.

        Raises:
            InputError: If so; the message contains the number of pairs, or names the object that cannot be
                built.
        """
        for held_out in folds:
            pairs = self.hold_out(self.labelled, held_out)
            self.settings.contrast.check_pool(len(pairs.train_rows))
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            channels = self.data.in_channels
            backbone = self.networks.backbone(in_channels=channels, num_classes=2)
            check_optimizer(self.make_module(backbone, self.data), "recipe.pretrain")

    def hold_out(self, data: ClipDataModule, held_out: Collection[str]) -> ClipDataModule:
        """Return the pairs of a fold; pairs of held-out subjects are in `test_rows`.

        Args:
            data: Samples that the fold finetunes on; not used, since no further subject is left out without
                labels.
            held_out: Held-out subjects.
        """
        shared = self._list_held_out(held_out)
        return hold_out_pairs(self.data, shared, self.settings.least_intensity)

    def pretrain(
        self,
        backbone: nn.Module,
        data: ClipDataModule,
        held_out: Collection[str],
        on_epoch: OnEpoch,
    ) -> list[dict[str, float]]:
        """Load a pretrained encoder into the backbone of a fold, and return its measurements."""
        encoder, source = self._find_encoder(data, held_out, on_epoch)
        load_weights(backbone, encoder["state_dict"], str(source))
        measured: list[dict[str, float]] = encoder["merec"]["pretraining"]
        return measured

    def make_checkpoint(
        self,
        data: ClipDataModule,
        held_out: Collection[str],
        on_epoch: OnEpoch,
        logger: Logging = False,
    ) -> dict[str, Any]:
        """Return the checkpoint of a pretrained encoder."""
        return self._find_encoder(data, held_out, on_epoch, logger)[0]

    def write_pairs(self, folder: Path) -> None:
        """Write the pairs of frames that are contrasted, with their intensity."""
        table = self.data.corpus.index[["sample_id", "subject", "intensity"]]
        table = table[np.isfinite(table["intensity"])]  # of labelled samples none is measured
        if table.empty:
            return
        kept = table["intensity"] >= self.settings.least_intensity
        RunFolder(folder).write_pairs(table.assign(kept=kept))

    def make_module(self, backbone: nn.Module, pairs: ClipDataModule) -> Contrastive:
        """Wrap a backbone into the LightningModule that contrasts `pairs.train_rows`."""
        return self.settings.contrastive(
            backbone=backbone,
            settings=self.settings.contrast,
            sample_id=pairs.sample_id[pairs.train_rows],
            seed=self.networks.seed,
            held_out=pairs.held_out,
            interval="step" if self.settings.pretrain_steps else "epoch",
        )

    def _find_encoder(
        self,
        data: ClipDataModule,
        held_out: Collection[str],
        on_epoch: OnEpoch,
        logger: Logging = False,
    ) -> tuple[dict[str, Any], Path]:
        """Return the pretrained encoder of a fold, from the cache if possible, and its file.

        Raises:
            InputError: If the encoder was trained on a held-out subject.
        """
        pairs = self.hold_out(data, held_out)
        encoder, file = find_encoder(
            self._describe(held_out),
            pairs,
            lambda: self._train_encoder(pairs, held_out, on_epoch, logger),
            self.writes,
        )
        self.networks.weights.refuse_seen(encoder, held_out, str(file))
        return encoder, file

    def _describe(self, held_out: Collection[str]) -> Key:
        """Return everything except the pairs that affects an encoder and its measurements."""
        trainer = read_keywords(self.networks.trainer)
        return {
            "backbone": self.networks.backbone,
            "contrast": self.settings.contrast,
            "contrastive": self.settings.contrastive,
            "trainer": {key: trainer[key] for key in trainer if key not in _INDIFFERENT},
            "length": self.settings.length.to_arguments() or trainer.get("max_epochs"),
            "seed": self.networks.seed,
            "monitored": self._describe_monitoring(held_out),
            "weights": self.networks.weights.hash(),
        }

    def _describe_monitoring(self, held_out: Collection[str]) -> list[Any]:
        """Return everything that affects the measurements by a linear probe."""
        if not self.settings.monitor_steps:
            return []
        every = self.labelled
        rows = np.flatnonzero(~np.isin(every.subject, self._list_held_out(held_out)))
        digest = hashlib.sha256()
        views = (view[rows].numpy() for view in every.sample_inputs.views)
        for array in (every.label[rows].numpy(), *views):
            digest.update(np.ascontiguousarray(array).data)
        target = self.networks.target.name
        return [self.settings.monitor_steps, target, every.min_subjects, digest.hexdigest()]

    def _train_encoder(
        self,
        pairs: ClipDataModule,
        held_out: Collection[str],
        on_epoch: OnEpoch,
        logger: Logging,
    ) -> dict[str, Any]:
        """Train encoders from initial weights by contrast and return their checkpoint."""
        names = pairs.sample_id[pairs.train_rows]
        log.info("pretraining on %d %s", len(names), pairs.held_out)
        backbone = self.networks.start(pairs, held_out, self.labelled.classes)
        module = self.make_module(backbone, pairs)
        record = RecordEpochs([], on_epoch)
        monitor = MonitorContrast(
            list(pairs.predict_dataloader()),
            pairs.batch_size,
            self.settings.contrast.chance(len(names), len(pairs.train_dataloader())),
            self.settings.monitor_steps,
            self._collect_probe(held_out) if self.settings.monitor_steps else None,
        )
        callbacks = [record, monitor]
        fit_module(self.networks.trainer, module, pairs, callbacks, logger, self.settings.length)
        epochs = record.to_epochs()
        log.info("loss %.3f after %d epochs", epochs.train_loss[-1], len(epochs.train_loss))
        packed = self.networks.pack(module, [pairs], set(self.labelled.subject.tolist()))
        packed["merec"]["pretraining"] = monitor.rows
        untrained = tuple(f"backbone.{name}." for name in getattr(backbone, "fresh", ()))
        packed["state_dict"] = {
            name: value
            for name, value in packed["state_dict"].items()
            if not name.startswith(untrained)
        }
        return packed

    def _list_held_out(self, held_out: Collection[str]) -> list[str]:
        """Return the held-out subjects of all folds that share an encoder; empty if transductive."""
        if self.networks.weights.transductive:
            return []
        return sorted({name for subject in held_out for name in self.sharing[subject]})

    def _collect_probe(self, held_out: Collection[str]) -> ProbeData | None:
        """Collect labelled samples of training subjects: to fit a linear probe on, and to score it on.

        Returns:
            `None` if there are too few training subjects or samples.
        """
        every, shared = self.labelled.annotated, self._list_held_out(held_out)
        rows = np.flatnonzero(~np.isin(every.subject, shared))
        fold = Fold(0, ", ".join(shared), rows, rows[:0])
        parts = min(_PROBE_PARTS, len(np.unique(every.subject[every.drop_still(rows)])))
        seed, target = self.networks.seed, self.networks.target
        try:
            scored = hold_out_inner(self.labelled, fold, parts, "probe", seed, target)
        except InputError:
            log.warning("too few training subjects for a linear probe while views are contrasted")
            return None
        fitted = copy.copy(scored)
        fitted.test_rows = scored.train_rows
        train, inner = (list(part.predict_dataloader()) for part in (fitted, scored))
        return ProbeData(train, inner, self.networks.open_target(scored))


def group_subjects(subjects: Sequence[str], groups: int | None) -> dict[str, list[str]]:
    """Return for each subject the subjects of its group, which are held out together.

    Args:
        subjects: Subjects of a corpus, possibly repeated.
        groups: Number of groups of about equal size; `None` for one group per subject.

    Raises:
        InputError: If there are too few or too many groups.
    """
    people = sorted(set(subjects))
    if groups is None:
        return {subject: [subject] for subject in people}
    if not 2 <= groups <= len(people):
        raise InputError(
            f"task.pretrain_groups={groups}, but there are {len(people)} subjects: give 2 to {len(people)}, "
            "null for one each, or task.transductive=true for one encoder that sees everyone"
        )
    parts = [people[start::groups] for start in range(groups)]
    return {subject: part for part in parts for subject in part}
