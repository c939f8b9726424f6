"""How one fold is trained: start, pretrain, finetune, predict, and whom its weights have seen."""

import copy
import hashlib
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from filelock import FileLock
from jaxtyping import Int
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from merec.datamodules import (
    ClipDataModule,
    PairPool,
    hold_out_others,
    hold_out_pairs,
    open_pretraining,
)
from merec.datamodules.batches import pack
from merec.errors import quote_error
from merec.evaluation.action_units import set_target, spread_units
from merec.evaluation.leakage import assert_never_saw
from merec.evaluation.runs import Epochs
from merec.evaluation.splits import Fold, split_inner_subjects
from merec.files import atomic, make_private, sweep_parts
from merec.seeding import derive_seed
from merec.tasks.checkpoints import (
    add_config,
    describe_inputs,
    hash_network,
    read_checkpoint,
    read_weights,
    write_checkpoint,
)
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.contrastive_module import Contrastive
from merec.tasks.contrastive_monitor import MonitorContrast, ProbeData
from merec.tasks.ddp import EndTogether
from merec.tasks.encoders import group_subjects, locate_encoder
from merec.tasks.engines.together import RecordFolds, Together
from merec.tasks.explain import explain
from merec.tasks.finetune import Finetune, check_freeze, drop_head, load_weights
from merec.tasks.fold_runner import Outcome
from merec.tasks.progress import OnEpoch
from merec.tasks.recording import RecordEpochs
from merec.tasks.targets import Target, open_target
from merec.tasks.trainer_factory import AS_CONFIGURED, Length, ignore_cluster, read_keywords
from merec.tracebacks import describe_mistake
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)

_PROBE_PARTS = 5  # one of so many parts of the training subjects scores a probe
# Of a trainer: what watches it, for how long it finetunes, and how devices stay together.
_NO_MATTER = ("callbacks", "logger", "max_epochs", "plugins")


@dataclass
class FoldTrainer:
    """How one network is trained: what `loso` does for every subject and `finetune` once.

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
        given = self.datamodule.representation
        reads = getattr(backbone, "reads", given)
        if reads != given:
            raise InputError(
                f"{getattr(backbone, '__name__', backbone)} reads {reads}, but datamodule.representation="
                f"{given}; leave both out, recipe= and datamodule.representation=, and the backbone's own "
                "recipe sets it"
            )
        check_freeze(backbone, self.freeze)
        labelled = self.label_corpus()
        self.datamodule = self.datamodule.relabel(labelled, self.min_subjects)
        self.told = open_target(labelled.protocol)
        self.told.check_loss(read_keywords(self.finetune).get("loss"))
        self.trainer = ignore_cluster(self.trainer)
        # Once, before anything is written: each fold would say the same.
        with torch.random.fork_rng(devices=[]):
            self._rehearse()
        try:
            trainer = self.trainer(logger=False)
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise InputError(
                f"the trainer cannot be built: {quote_error(error)}; trainer=auto takes what is there, "
                "trainer=cpu runs anywhere"
            ) from error
        if (
            getattr(trainer, "fast_dev_run", False)
            or not trainer.limit_train_batches
            or trainer.max_steps == 0
        ):
            raise InputError(
                "trainer.fast_dev_run, limit_train_batches=0 or max_steps=0 leaves networks untrained, whose "
                "predictions would be kept; leave it out, debug=fast takes seconds"
            )
        if trainer.world_size > 1 and not self.together:
            raise InputError(
                f"{trainer.world_size} devices train one network together with task=pretrain only; to spread "
                "networks over devices take trainer=auto and one job per device, each with a share of the "
                "folds: -m hydra/launcher=submitit_slurm folds=1/2,2/2"
            )
        self.leads = trainer.is_global_zero  # of several processes one writes
        self.device = trainer.strategy.root_device
        if self.weights:
            read_weights(self.weights)
        for key in ("pretrain_epochs", "pretrain_steps", "monitor_steps"):
            length = getattr(self, key)
            if length is not None and length < 1:
                other = "task.pretrain=null pretrains on nothing"
                if key == "monitor_steps":
                    other = "null measures at the end alone"
                raise InputError(f"task.{key}={length}, but it is 1 at least; {other}")
        if self.pretrain == "contrastive" and None not in (
            self.pretrain_epochs,
            self.pretrain_steps,
        ):
            raise InputError(
                f"task.pretrain_epochs={self.pretrain_epochs} and task.pretrain_steps={self.pretrain_steps} "
                "are both given, but one says how long pretraining takes; set the other to null"
            )
        self.sharing = group_subjects(self.datamodule.subject.tolist(), self.pretrain_groups)
        self.pretraining = None
        if self.pretrain is not None:  # last, for it may take minutes
            others = open_pretraining(self.pretrain, self.datamodule, self.pool)
            self.pretraining = others

    def label_corpus(self) -> Corpus:
        """Return the corpus with what is learnt as its labels."""
        return set_target(self.datamodule.corpus, self.target, self.min_subjects)

    def check_starts(self, folds: Sequence[Fold]) -> None:
        """Refuse what folds start from, before any is trained: weights, and pairs to pretrain on.

        Weights must not have seen whom a fold holds out, and must fit; pairs must be enough. Without folds,
        when nobody is held out, weights are checked as they are loaded.

        Raises:
            InputError: Naming the subject, what does not fit, or how many pairs there are.
        """
        if self.pretrain == "contrastive":
            for test in [fold.test for fold in folds] or [np.arange(0)]:
                pairs = self._hold_out_others(self.datamodule, test)
                assert pairs is not None
                self.contrast.check_pool(len(pairs.train_rows))
            assert self.pretraining is not None
            self._rehearse_contrast(self.pretraining)
        if self.weights and folds:
            checkpoint = read_weights(self.weights)
            for fold in folds:
                self._assert_never_saw(checkpoint, fold.test, Path(self.weights))
            with torch.random.fork_rng(devices=[]):
                self._start(self.datamodule, folds[0].test, self.datamodule.classes)

    def _rehearse(self) -> None:
        """Build what a fold trains and show it two samples, so that what every fold would refuse is refused.

        Raises:
            InputError: If the optimiser or its schedule cannot be built, the network refuses the samples, or
                the loss cannot be computed. A mistake in the network is left to the folds, which tell its
                place and keep its traceback.
        """
        data = self.datamodule
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            backbone = self.backbone(in_channels=data.in_channels, num_classes=len(data.classes))
            task = self._make_task(backbone, data, self.freeze)
            _build_optimizer(task, "recipe")
            backbone.eval()
            with torch.no_grad():
                try:
                    logits = backbone(pack(tuple(view[:2].float() for view in data.views)))
                except InputError:
                    raise
                except Exception:
                    return
                try:
                    task.loss(logits, data.label[:2], weight=task.class_weight)
                except Exception as error:
                    raise InputError(
                        f"the loss cannot be computed: {describe_mistake(error)}; loss takes logits, labels "
                        "and weight, e.g. loss=cross_entropy"
                    ) from error

    def _rehearse_contrast(self, pairs: ClipDataModule) -> None:
        """Build the optimiser and the schedule of contrastive pretraining.

        Raises:
            InputError: If they cannot be built.
        """
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            backbone = self.backbone(in_channels=pairs.in_channels, num_classes=2)
            _build_optimizer(self._make_contrast(backbone, pairs), "recipe.pretrain")

    def _make_contrast(self, backbone: nn.Module, pairs: ClipDataModule) -> Contrastive:
        return self.contrastive(
            backbone=backbone,
            settings=self.contrast,
            sample_id=pairs.sample_id[pairs.train_rows],
            seed=self.seed,
            held_out=pairs.held_out,
            interval="step" if self.pretrain_steps else "epoch",
        )

    def fit(
        self,
        data: ClipDataModule,
        on_epoch: OnEpoch,
        logger: Logger | Literal[False] = False,
        max_epochs: int | None = None,
        unseen: Int[np.ndarray, " unseen"] | None = None,
    ) -> tuple[Finetune, pl.Trainer, Epochs]:
        """Train a fresh network on `data.train_rows`, watching `data.test_rows`.

        `weights` to start from, and encoders pretrained without labels, must not have seen the subjects of
        `unseen`: those watched, unless told otherwise. What is pretrained on by its labels shows neither them
        nor those watched.
        """
        start = self._begin(data, data.test_rows if unseen is None else unseen, on_epoch)
        task, trainer, epochs = self._train(
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
        """What `fit` gives for each of these folds, trained in step with each other.

        All share a trainer. A loss that is not finite stops nobody; it is in the `Epochs`.

        Args:
            views: The folds, all of as many steps per epoch.
            on_epoch: Told of each epoch of all.
            join: How: `StackedFinetune` or `SideBySide`.
        """
        tasks = []
        for view in views:
            start = self._begin(view, view.test_rows, on_epoch)
            tasks.append(self._make_task(start.backbone, view, self.freeze))
            tasks[-1].pretraining = start.pretraining
        together, record = join(tasks, views), RecordFolds(views, on_epoch)
        trainer = self._fit(together, None, record, logger=False)
        together.give_back()
        return [
            (task, trainer, epochs) for task, epochs in zip(tasks, record.to_epochs(), strict=True)
        ]

    def open_target(self, data: ClipDataModule) -> Target:
        """Return how the labels of a fold are learnt: of action units those that it trains."""
        return type(self.told)(len(data.classes))

    def make_fresh(self, data: ClipDataModule) -> Finetune:
        """What a fold trains, before it has learnt anything."""
        backbone = self._start(data, data.test_rows[:0], data.classes)
        return self._make_task(backbone, data, self.freeze)

    def _begin(
        self, data: ClipDataModule, unseen: Int[np.ndarray, " unseen"], on_epoch: OnEpoch
    ) -> "_Start":
        """The backbone that `fit` finetunes, pretrained if it is to be."""
        pretraining: list[dict[str, float]] = []
        backbone = self._start(data, unseen, data.classes)
        others = self._hold_out_others(data, unseen)
        if others is not None and self.pretrain == "contrastive":
            encoder, source = self.find_encoder(others, unseen, on_epoch)
            load_weights(backbone, encoder["state_dict"], str(source))
            pretraining = encoder["merec"]["pretraining"]
        elif others is not None:
            self._train(backbone, others, "none", on_epoch, length=self.pretraining_length)
        return _Start(backbone, pretraining)

    @property
    def pretraining_length(self) -> Length:
        """How long is pretrained; by labels always in epochs, which their schedule counts."""
        steps = self.pretrain_steps if self.pretrain == "contrastive" else None
        return Length(self.pretrain_epochs, steps)

    def find_encoder(
        self,
        pairs: ClipDataModule,
        unseen: Int[np.ndarray, " unseen"],
        on_epoch: OnEpoch,
        logger: Logger | Literal[False] = False,
    ) -> tuple[dict[str, Any], Path]:
        """The checkpoint of an encoder pretrained on `pairs`, and where it lies; trained unless it is there.

        Raises:
            InputError: If it has seen a subject of `unseen` after all.
        """
        trainer = read_keywords(self.trainer)
        settings = {
            "backbone": self.backbone,
            "contrast": self.contrast,
            "contrastive": self.contrastive,
            "trainer": {key: trainer[key] for key in trainer if key not in _NO_MATTER},
            "length": self.pretraining_length.to_arguments() or trainer.get("max_epochs"),
            "seed": self.seed,
            "monitored": self._describe_monitoring(unseen),
            "weights": self.weights and hashlib.sha256(Path(self.weights).read_bytes()).hexdigest(),
        }
        file = locate_encoder(settings, pairs)
        make_private(file.parent)
        sweep_parts(file.parent)
        # Of runs at once, one makes it; of the processes of a run, one holds the lock for all.
        with FileLock(file.with_suffix(".lock")) if self.leads else nullcontext():
            if file.exists():
                encoder = read_checkpoint(file)
            else:
                encoder = self._train_encoder(pairs, unseen, on_epoch, logger)
                if self.leads:
                    write_checkpoint(file, encoder)
        self._assert_never_saw(encoder, unseen, file)
        return encoder, file

    def _train_encoder(
        self,
        pairs: ClipDataModule,
        unseen: Int[np.ndarray, " unseen"],
        on_epoch: OnEpoch,
        logger: Logger | Literal[False],
    ) -> dict[str, Any]:
        """Contrast `pairs` from fresh weights; a checkpoint of what the encoders learnt."""
        names = pairs.sample_id[pairs.train_rows]
        log.info("pretraining on %d %s", len(names), pairs.held_out)
        backbone = self._start(pairs, unseen, self.datamodule.classes)
        task = self._make_contrast(backbone, pairs)
        record = RecordEpochs([], on_epoch)
        monitor = MonitorContrast(
            list(pairs.predict_dataloader()),
            pairs.batch_size,
            self.contrast.chance(len(names), len(pairs.train_dataloader())),
            self.monitor_steps,
            self._collect_probe(unseen) if self.monitor_steps else None,
        )
        self._fit(task, pairs, record, logger, self.pretraining_length, monitor)
        epochs = record.to_epochs()
        log.info("loss %.3f after %d epochs", epochs.train_loss[-1], len(epochs.train_loss))
        packed = self._pack(task, [pairs])
        packed["merec"]["pretraining"] = monitor.rows
        fresh = tuple(f"backbone.{name}." for name in getattr(backbone, "fresh", ()))
        packed["state_dict"] = {  # what is fresh has learnt nothing
            name: value
            for name, value in packed["state_dict"].items()
            if not name.startswith(fresh)
        }
        return packed

    def _list_held_out(self, unseen: Int[np.ndarray, " unseen"]) -> list[str]:
        """The subjects that an encoder must not see which folds share that hold these samples out."""
        alone = [] if self.transductive else np.unique(self.datamodule.subject[unseen]).tolist()
        return sorted({name for subject in alone for name in self.sharing[subject]})

    def _collect_probe(self, unseen: Int[np.ndarray, " unseen"]) -> ProbeData | None:
        """Collect labelled samples to probe an encoder with: of training subjects alone, an inner split.

        None where there are too few subjects or samples for one.
        """
        every, held_out = self.datamodule.annotated, self._list_held_out(unseen)
        rows = np.flatnonzero(~np.isin(every.subject, held_out))
        fold = Fold(0, ", ".join(held_out), rows, rows[:0])
        parts = min(_PROBE_PARTS, len(np.unique(every.subject[every.drop_still(rows)])))
        try:
            data = self.hold_out_inner(fold, parts, "probe")
        except InputError:
            log.warning("too few training subjects for a linear probe while views are contrasted")
            return None
        fitted = copy.copy(data)
        fitted.test_rows = data.train_rows
        first, second = (list(each.predict_dataloader()) for each in (fitted, data))
        return ProbeData(first, second, self.open_target(data))

    def hold_out_inner(self, fold: Fold, parts: int, purpose: str) -> ClipDataModule:
        """Hold one of several parts of a fold's training subjects out of the others.

        Samples that are not trained on are in none of them.

        Args:
            fold: Whose training subjects are divided, balanced in their labels.
            parts: Into how many.
            purpose: Seeds the division, and names the samples.

        Raises:
            InputError: If there are too few subjects, or they show too little to learn.
        """
        every = self.datamodule.annotated
        fold = replace(fold, train=every.drop_still(fold.train))
        every = every.choose_trained_units(fold.train)
        labels = every.label.numpy()
        alike = np.zeros(len(labels), np.int64)
        alike[fold.train] = self.told.stratify(labels[fold.train])
        seed = derive_seed(self.seed, fold.held_out, purpose) % 2**32
        train, inner = split_inner_subjects(fold, every.subject, alike, parts, seed)
        return every.hold_out(train, inner, f"{fold.held_out}, {purpose}")

    def _describe_monitoring(self, unseen: Int[np.ndarray, " unseen"]) -> list[Any]:
        """What decides the measurements that are kept beside an encoder, apart from the pairs."""
        if not self.monitor_steps:
            return []
        every = self.datamodule
        rows = np.flatnonzero(~np.isin(every.subject, self._list_held_out(unseen)))
        shown = [every.label[rows].numpy(), *(view[rows].numpy() for view in every.views)]
        digest = hashlib.sha256()
        for array in shown:
            digest.update(np.ascontiguousarray(array).data)
        return [self.monitor_steps, self.target, self.min_subjects, digest.hexdigest()]

    def _start(
        self, data: ClipDataModule, unseen: Int[np.ndarray, " unseen"], classes: Sequence[str]
    ) -> nn.Module:
        """A fresh backbone for these classes, at random or with `weights`."""
        torch.manual_seed(derive_seed(self.seed, data.held_out, "weights"))
        backbone = self.backbone(in_channels=data.in_channels, num_classes=len(classes))
        if self.weights:
            checkpoint = read_weights(self.weights)
            self._assert_never_saw(checkpoint, unseen, Path(self.weights))
            state = checkpoint["state_dict"]
            other = checkpoint["merec"].get("target", "emotion") != self.target
            # Folds learn other action units, if too few of their training subjects show one.
            other |= self.target == "action_units" and checkpoint["merec"].get("classes") != [
                *classes
            ]
            if other:
                state = drop_head(backbone, state, self.weights)
            load_weights(backbone, state, self.weights)
        return backbone

    def _hold_out_others(
        self, data: ClipDataModule, unseen: Int[np.ndarray, " unseen"]
    ) -> ClipDataModule | None:
        """What is pretrained on before `data`, if anything: without `unseen`, nor the watched by labels."""
        if self.pretraining is None:
            return None
        if self.pretrain == "contrastive":
            held_out = self._list_held_out(unseen)
            return hold_out_pairs(self.pretraining, held_out, self.least_intensity)
        rows = np.union1d(data.test_rows, unseen)
        others = hold_out_others(
            self.pretraining, np.unique(data.subject[rows]).tolist(), data.held_out
        )
        return others.choose_units(data.classes) if self.target == "action_units" else others

    def _train(
        self,
        backbone: nn.Module,
        data: ClipDataModule,
        freeze: str,
        on_epoch: OnEpoch,
        logger: Logger | Literal[False] = False,
        length: Length = AS_CONFIGURED,
    ) -> tuple[Finetune, pl.Trainer, Epochs]:
        """Train a backbone on the classes of `data`, as long as the trainer does unless told otherwise."""
        task, record = self._make_task(backbone, data, freeze), _record(data, on_epoch)
        return task, self._fit(task, data, record, logger, length), record.to_epochs()

    def _make_task(self, backbone: nn.Module, data: ClipDataModule, freeze: str) -> Finetune:
        return self.finetune(
            backbone=backbone,
            target=self.open_target(data),
            label=data.label[data.train_rows],
            seed=self.seed,
            held_out=data.held_out,
            freeze=freeze,
        )

    def _fit(
        self,
        task: pl.LightningModule,
        data: ClipDataModule | None,
        record: pl.Callback,
        logger: Logger | Literal[False],
        length: Length = AS_CONFIGURED,
        *watching: pl.Callback,
    ) -> pl.Trainer:
        """Train a task on `data`, or on its own, in a trainer of its own."""
        # Callbacks from the config have state: each fold gets its own.
        given = copy.deepcopy(read_keywords(self.trainer).get("callbacks") or [])
        trainer = self.trainer(
            callbacks=[*given, record, *watching, EndTogether()],
            logger=logger,
            **length.to_arguments(),  # type: ignore[arg-type]
        )
        trainer.fit(task, datamodule=data)
        if trainer.interrupted:  # some versions swallow Ctrl-C; half a fold must not be written
            raise KeyboardInterrupt
        return trainer

    def _assert_never_saw(
        self, checkpoint: dict[str, Any], unseen: Int[np.ndarray, " unseen"], source: Path
    ) -> None:
        held_out = set(self.datamodule.subject[unseen].tolist())
        assert_never_saw(checkpoint, held_out, self.transductive, str(source))

    def pack(self, task: Finetune, data: ClipDataModule, folder: Path) -> dict[str, Any]:
        """A checkpoint of a network that `fit` trained on `data`, with the resolved config."""
        others = self._hold_out_others(data, data.test_rows)
        packed = self._pack(task, [data] if others is None else [others, data])
        code = hash_network(task.backbone, data.representation)
        packed["merec"] |= describe_inputs(data) | {"code": code}
        return add_config(packed, folder)

    def _pack(self, task: pl.LightningModule, trained: Sequence[ClipDataModule]) -> dict[str, Any]:
        """A checkpoint: weights, whom they saw and whom they never saw, what they tell."""
        saw = {str(name) for data in trained for name in data.subject[data.train_rows]}
        if self.weights:  # what the starting weights saw, these have seen too
            saw |= set(read_weights(self.weights)["merec"]["saw"])
        everyone = set(self.datamodule.subject.tolist())
        return {
            "state_dict": task.state_dict(),
            "merec": {
                "saw": sorted(saw),
                "never_saw": sorted(everyone - saw),
                "target": self.target,
            },
        }

    def write_pairs(self, folder: Path) -> None:
        """Which pairs of frames are pretrained on, if any, and how much expression each shows."""
        if self.pretraining is None or self.pretrain != "contrastive":
            return
        table = self.pretraining.corpus.index[["sample_id", "subject", "intensity"]]
        table = table[np.isfinite(table["intensity"])]  # of labelled samples none is measured
        if table.empty:
            return
        with atomic(folder / "pairs.csv") as part:
            table.assign(kept=table["intensity"] >= self.least_intensity).to_csv(part, index=False)

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
        said = trainer.predict(task, dataloaders=data.predict_dataloader())
        assert said is not None
        probability = torch.cat([probability for _, probability in said]).double().numpy()
        scored = self.datamodule.classes
        if self.target == "action_units":  # a fold may train others, too, and not all of them
            probability = spread_units(probability, data.classes, scored)
            if len(epochs.sample_id):
                predicted = spread_units(epochs.predicted, data.classes, scored)
                epochs = replace(epochs, predicted=predicted)
        return Outcome(
            sample_id=np.concatenate([ids for ids, _ in said]).tolist(),
            probability=probability,
            epochs=epochs,
            checkpoint=self.pack(task, data, folder),
            notes={"parameters": sum(value.numel() for value in task.backbone.parameters())},
            tables=self._tabulate(task, trainer, data),
        )

    def _tabulate(
        self, task: Finetune, trainer: pl.Trainer, data: ClipDataModule
    ) -> dict[str, pd.DataFrame]:
        """Tables that a fold writes beside its predictions."""
        tables = {}
        if data.representation == "points":
            tables = explain(task.backbone, task.target, trainer, data)
        if task.pretraining:
            tables["pretraining"] = pd.DataFrame(task.pretraining)
        return tables


class _Start(NamedTuple):
    """A backbone to finetune, and what was measured of it while it was pretrained."""

    backbone: nn.Module
    pretraining: list[dict[str, float]]


def _build_optimizer(task: pl.LightningModule, node: str) -> None:
    """Refuse an optimiser or schedule that cannot be built, naming the `node` of the config that holds it."""
    try:
        task.configure_optimizers()
    except Exception as error:
        raise InputError(
            f"{node}.optimizer or {node}.scheduler cannot be built: {describe_mistake(error)}; mend its "
            "settings"
        ) from error


def _record(data: ClipDataModule, on_epoch: OnEpoch) -> RecordEpochs:
    return RecordEpochs(list(data.predict_dataloader()), on_epoch)
