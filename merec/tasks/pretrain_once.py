"""Task that pretrains one network, from which other runs can start."""

from dataclasses import dataclass
from pathlib import Path

from pytorch_lightning.loggers import Logger

from merec.run_folder import RunFolder
from merec.run_folder.checkpoint import add_config, write_checkpoint
from merec.tasks.finetune_once import FinetuneOnce
from merec.tasks.progress import FoldProgress
from merec.types import InputError


@dataclass
class Pretrain(FinetuneOnce):
    """Task that pretrains one network as `FinetuneOnce` does and writes it for use in `task.weights`."""

    takes_devices = True

    def __post_init__(self) -> None:
        if self.training.pretraining.pretrain is None:
            raise InputError(
                "task=pretrain needs something to pretrain on; set task.pretrain=macro or contrastive"
            )
        super().__post_init__()

    def run(self, folder: Path, logger: Logger | None) -> None:
        """Train and write the checkpoint, unless it exists."""
        file = RunFolder(folder).checkpoint
        if file.exists():
            return
        data = self.hold_out()
        trainer = self.fold_trainer
        assert trainer.pretrainer is not None
        if self.is_main_process:
            trainer.write_pairs(folder)
        with FoldProgress("pretrain", 1, 0) as progress:
            report = progress.start_fold(data.held_out)
            held_out = trainer.list_subjects(data.test_rows)
            checkpoint = trainer.pretrainer.make_checkpoint(data, held_out, report, logger or False)
        if self.is_main_process:
            write_checkpoint(file, add_config(checkpoint, folder))
