"""Processes of Lightning that train one network jointly, each on its own device (`trainer=ddp`)."""

import signal
import subprocess
import sys
import time

import pytorch_lightning as pl
from pytorch_lightning.plugins.layer_sync import TorchSyncBatchNorm
from torch import nn

from merec.types import InputError

_MOMENT = 3.0  # seconds that a process takes to end after it lost its connection


class SyncNorms(TorchSyncBatchNorm):
    """Synchronised batch norms on GPUs; torch has none for CPUs."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Replace the norms of a LightningModule during training."""
        return super().apply(model) if model.device.type == "cuda" else model  # type: ignore[union-attr]


class EndTogether(pl.Callback):
    """Callback that ends the other processes if this one fails; they would wait for minutes."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Exit on SIGTERM at once; Lightning would first synchronise all processes, which can hang."""

        def leave(*_: object) -> None:
            _end(_take_others(trainer))
            sys.exit()

        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, leave)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """End the other processes before this one waits for them.

        Raises:
            InputError: If another process failed first; it has reported why.
        """
        refused = isinstance(exception, InputError)
        if refused and not trainer.is_global_zero:
            time.sleep(
                _MOMENT
            )  # the main process mostly fails likewise, reports it and ends this one
        other_processes = _take_others(trainer)
        broken = isinstance(exception, Exception) and not refused
        lost = broken and any(_has_failed(other) for other in other_processes)
        _end(other_processes)
        if lost:
            raise InputError(
                "the process of another device failed, for the reason that it says above; mend that and "
                "give the same command again"
            ) from exception


def _take_others(trainer: pl.Trainer) -> list[subprocess.Popen]:
    """Take over the processes that Lightning started; Lightning would also end this process."""
    started: list[subprocess.Popen] = getattr(trainer.strategy.launcher, "procs", [])
    other_processes = [*started]
    started.clear()
    return other_processes


def _has_failed(process: subprocess.Popen) -> bool:
    try:
        return process.wait(_MOMENT) != 0
    except subprocess.TimeoutExpired:
        return False


def _end(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        process.kill()
