"""How one fold is trained: start, pretrain, finetune, predict, and whom its weights have seen."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from merec.datamodules import ClipDataModule, hold_out_others, open_pretraining
from merec.evaluation.leakage import assert_never_saw
from merec.evaluation.runs import Epochs
from merec.seeding import derive_seed
from merec.tasks.explain import explain
from merec.tasks.finetune import Finetune, load_weights
from merec.tasks.folds import Outcome
from merec.tasks.recording import RecordEpochs
from merec.types import InputError

OnEpoch = Callable[[int, int], None]


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
        weights: Checkpoint to start from, or `None` to start at random.
        transductive: Allow `weights` that saw the held-out subject; every table then says so.
        pretrain: What the network is first trained on inside each fold, e.g. `macro`; `None` for nothing.
        pretrain_epochs: For how long; `None` for the trainer's number of epochs.
    """

    datamodule: ClipDataModule
    backbone: Callable[..., nn.Module]
    finetune: Callable[..., Finetune]
    trainer: Callable[..., pl.Trainer]
    seed: int
    weights: str | None
    transductive: bool
    pretrain: str | None
    pretrain_epochs: int | None

    def __post_init__(self) -> None:
        backbone, given = getattr(self.backbone, "func", None), self.datamodule.representation
        reads = getattr(backbone, "reads", given)
        if reads != given:
            raise InputError(
                f"{getattr(backbone, '__name__', backbone)} reads {reads}, but datamodule.representation="
                f"{given}; leave that to the backbone's recipe"
            )
        try:  # once, before anything is written: each fold would say the same
            self.trainer(logger=False)
        except (MisconfigurationException, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"the trainer cannot be built: {reason}; trainer=auto takes what is there, trainer=cpu "
                "runs anywhere"
            ) from error
        if self.weights:
            self._read_weights()
        if self.pretrain_epochs is not None and self.pretrain_epochs < 1:
            raise InputError(
                f"task.pretrain_epochs={self.pretrain_epochs}, but it is 1 at least; task.pretrain=null "
                "pretrains on nothing"
            )
        self.pretraining = None
        if self.pretrain is not None:  # last, for it may take minutes
            self.pretraining = open_pretraining(self.pretrain, self.datamodule)

    def fit(
        self,
        data: ClipDataModule,
        on_epoch: OnEpoch,
        logger: Logger | Literal[False] = False,
        max_epochs: int | None = None,
        unseen: Int[np.ndarray, " unseen"] | None = None,
    ) -> tuple[Finetune, pl.Trainer, Epochs]:
        """Train a fresh network on `data.train_rows`, watching `data.test_rows`.

        `weights` to start from must not have seen the subjects of `unseen`: those watched, unless
        told otherwise. What it is pretrained on shows neither them nor those watched.
        """
        backbone = self._start(data, data.test_rows if unseen is None else unseen)
        others = self._hold_out_others(data, unseen)
        if others is not None:
            self._train(backbone, others, on_epoch, max_epochs=self.pretrain_epochs)
        return self._train(backbone, data, on_epoch, logger, max_epochs)

    def _start(self, data: ClipDataModule, unseen: Int[np.ndarray, " unseen"]) -> nn.Module:
        """A fresh backbone, at random or with `weights`."""
        classes = len(self.datamodule.corpus.protocol.classes)
        torch.manual_seed(derive_seed(self.seed, data.held_out, "weights"))
        backbone = self.backbone(in_channels=data.in_channels, num_classes=classes)
        if self.weights:
            self._load_weights(backbone, unseen)
        return backbone

    def _hold_out_others(
        self, data: ClipDataModule, unseen: Int[np.ndarray, " unseen"] | None = None
    ) -> ClipDataModule | None:
        """What is pretrained on before `data`, if anything: nobody watched there, nor of `unseen`."""
        if self.pretraining is None:
            return None
        rows = data.test_rows if unseen is None else np.union1d(data.test_rows, unseen)
        subjects = np.unique(data.subject[rows]).tolist()
        return hold_out_others(self.pretraining, subjects, data.held_out)

    def _train(
        self,
        backbone: nn.Module,
        data: ClipDataModule,
        on_epoch: OnEpoch,
        logger: Logger | Literal[False] = False,
        max_epochs: int | None = None,
    ) -> tuple[Finetune, pl.Trainer, Epochs]:
        """Train a backbone on the classes of `data`, as long as the trainer does unless told otherwise."""
        classes = len(data.corpus.protocol.classes)
        task = self.finetune(
            backbone=backbone,
            class_counts=torch.bincount(data.label[data.train_rows], minlength=classes),
            seed=self.seed,
            held_out=data.held_out,
        )
        record = RecordEpochs(list(data.predict_dataloader()), on_epoch)
        # Callbacks from the config have state: each fold gets its own.
        given = copy.deepcopy(getattr(self.trainer, "keywords", {}).get("callbacks") or [])
        overrides: dict[str, Any] = {"max_epochs": max_epochs} if max_epochs else {}
        trainer = self.trainer(callbacks=[*given, record], logger=logger, **overrides)
        trainer.fit(task, datamodule=data)
        if trainer.interrupted:  # some versions swallow Ctrl-C; half a fold must not be written
            raise KeyboardInterrupt
        return task, trainer, record.to_epochs()

    def _read_weights(self) -> dict[str, Any]:
        path = Path(str(self.weights))
        if not path.is_file():
            raise InputError(f"task.weights={path} does not exist; give a checkpoint.ckpt of merec")
        try:
            return torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:  # damage shows in the zip reader, the unpickler or beyond
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(
                f"task.weights={path} cannot be read ({reason}); give a checkpoint.ckpt of merec"
            ) from error

    def _load_weights(self, backbone: nn.Module, unseen: Int[np.ndarray, " unseen"]) -> None:
        checkpoint = self._read_weights()
        held_out = set(self.datamodule.subject[unseen].tolist())
        assert_never_saw(checkpoint, held_out, self.transductive, str(self.weights))
        load_weights(backbone, checkpoint["state_dict"], str(self.weights))

    def pack(self, task: Finetune, data: ClipDataModule, folder: Path) -> dict[str, Any]:
        """A checkpoint of a network that `fit` trained on `data`."""
        others = self._hold_out_others(data)
        return self._pack(task, [data] if others is None else [others, data], folder)

    def _pack(
        self, task: Finetune, trained: Sequence[ClipDataModule], folder: Path
    ) -> dict[str, Any]:
        """A checkpoint: weights, the resolved config, whom they saw and whom they never saw."""
        saw = {str(name) for data in trained for name in data.subject[data.train_rows]}
        if self.weights:  # what the starting weights saw, these have seen too
            saw |= set(self._read_weights()["merec"]["saw"])
        everyone = set(self.datamodule.subject.tolist())
        return {
            "state_dict": task.state_dict(),
            "merec": {
                "config": (folder / "config.yaml").read_text(encoding="utf-8"),
                "saw": sorted(saw),
                "never_saw": sorted(everyone - saw),
            },
        }

    def train_fold(
        self, data: ClipDataModule, folder: Path, on_epoch: OnEpoch, **options: Any
    ) -> Outcome:
        """Train one fold and predict its held-out samples."""
        task, trainer, epochs = self.fit(data, on_epoch, **options)
        said = trainer.predict(task, dataloaders=data.predict_dataloader())
        assert said is not None
        return Outcome(
            sample_id=np.concatenate([ids for ids, _ in said]).tolist(),
            probability=torch.cat([probability for _, probability in said]).double().numpy(),
            epochs=epochs,
            checkpoint=self.pack(task, data, folder),
            tables=explain(task.backbone, trainer, data) if data.representation == "points" else {},
        )
