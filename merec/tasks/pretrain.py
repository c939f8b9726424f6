"""Train what other runs start from."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger

from merec.files import atomic
from merec.tasks.loso import FinetuneOnce
from merec.tasks.progress import FoldProgress
from merec.types import InputError


@dataclass
class Pretrain(FinetuneOnce):
    """Pretrain one network as `FinetuneOnce` does before it finetunes, and keep it for `task.weights`."""

    def __post_init__(self) -> None:
        if self.pretrain is None:
            raise InputError(
                "task=pretrain needs something to pretrain on; set task.pretrain=macro"
            )
        super().__post_init__()

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train, and write the checkpoint, unless it is there already."""
        file = folder / "checkpoint.ckpt"
        if file.exists():
            return
        data = self.hold_out()
        others = self._hold_out_others(data)
        assert others is not None
        with FoldProgress("pretrain", 1, 0) as progress:
            progress.start_fold(data.held_out)
            backbone = self._start(data, data.test_rows)
            task, _, _ = self._train(
                backbone, others, progress.finish_epoch, logger or False, self.pretrain_epochs
            )
        with atomic(file) as part:
            torch.save(self._pack(task, [others], folder), part)
