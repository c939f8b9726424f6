"""Supervised pretraining of a network on labelled macro-expressions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from merec.datamodules import ClipDataModule, hold_out_others
from merec.tasks.network_trainer import Logging, NetworkTrainer
from merec.tasks.progress import OnEpoch
from merec.tasks.trainer_factory import Length


@dataclass
class MacroPretraining:
    """Supervised pretraining without held-out and recorded subjects of a fold.

    Attributes:
        data: All macro-expressions.
        networks: Builds and trains networks.
        length: Length of pretraining.
        subjects: All subjects of the corpus.
    """

    data: ClipDataModule
    networks: NetworkTrainer
    length: Length
    subjects: Collection[str]

    def check(self, folds: Sequence[Collection[str]]) -> None:
        """Accept all folds; any number of remaining macro-expressions can be trained on."""

    def hold_out(self, data: ClipDataModule, held_out: Collection[str]) -> ClipDataModule:
        """Return the macro-expressions of a fold, without held-out and recorded subjects.

        Args:
            data: Samples of the fold: `train_rows` for finetuning, `test_rows` are recorded.
            held_out: Held-out subjects; while the number of epochs is selected they differ from the recorded
                ones.
        """
        unseen = {*held_out, *data.subject[data.test_rows].tolist()}
        remaining = hold_out_others(self.data, sorted(unseen), data.held_out)
        return remaining.choose_classes(data.classes)

    def pretrain(
        self,
        backbone: nn.Module,
        data: ClipDataModule,
        held_out: Collection[str],
        on_epoch: OnEpoch,
    ) -> list[dict[str, float]]:
        """Pretrain the backbone of a fold and return no measurements."""
        remaining = self.hold_out(data, held_out)
        self.networks.train(backbone, remaining, "none", on_epoch, length=self.length)
        return []

    def make_checkpoint(
        self,
        data: ClipDataModule,
        held_out: Collection[str],
        on_epoch: OnEpoch,
        logger: Logging = False,
    ) -> dict[str, Any]:
        """Pretrain a new network and return its checkpoint."""
        remaining = self.hold_out(data, held_out)
        backbone = self.networks.start(data, held_out, data.classes)
        task, _, _ = self.networks.train(backbone, remaining, "none", on_epoch, logger, self.length)
        return self.networks.pack(task, [remaining], self.subjects)

    def write_pairs(self, folder: Path) -> None:
        """Write nothing: there are no pairs of frames."""
