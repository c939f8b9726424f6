"""Choice of the engine that trains the folds: `task.engine` and its settings."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from merec.config_parts import Part
from merec.evaluation.splits import Fold
from merec.tasks.engines.chunks import choose_size, cut_each, deal, in_stacks, interleave_folds
from merec.tasks.engines.processes import in_workers
from merec.tasks.fold_runner import Engine, one_by_one
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.outcome import Outcome
from merec.tasks.progress import OnEpoch
from merec.types import InputError

log = logging.getLogger(__name__)

ENGINES = ("loop", "processes", "stacked", "auto")


@dataclass(frozen=True)
class EngineChoice(Part):
    """Settings of the engine that runs folds. All engines give the same predictions.

    Attributes:
        engine: `loop` trains folds sequentially, `processes` several folds at once, each in a process with
            one thread, `stacked` several folds as one network with stacked weights; `auto` chooses the
            fastest for device and backbone.
        workers: Number of worker processes; `None` for the number of cores.
        chunk: For `stacked`: number of folds per stack, `None` for as many as fit into memory. For
            `processes`: number of folds per task of a process, `None` for 1, or `INTERLEAVED_FOLDS` if the
            steps of the network are short.
        compiled: Whether steps of stacked folds go through `torch.compile`.
    """

    engine: str
    workers: int | None
    chunk: int | None
    compiled: bool

    def check(self, selection: str) -> None:
        """Refuse settings that are unknown, out of range, or incompatible with the selection of epochs.

        Args:
            selection: Rule that chooses the number of epochs.

        Raises:
            InputError: If so; the message names the key.
        """
        if self.engine not in ENGINES:
            raise InputError(
                f"task.engine={self.engine} is unknown; there are {', '.join(ENGINES)}"
            )
        for name, number in (("workers", self.workers), ("chunk", self.chunk)):
            if number is not None and number < 1:
                raise InputError(
                    f"task.{name}={number}; give 1 or more, or null for what fits this machine"
                )
        if self.engine == "stacked" and selection == "inner":
            raise InputError(
                "task.engine=stacked trains all folds for as long, but task.selection=inner chooses for how "
                "long; set task.engine=auto"
            )

    def open(
        self,
        trainer: FoldTrainer,
        train_alone: Callable[[Fold, OnEpoch], Outcome],
        folds: int,
        selection: str,
    ) -> Engine:
        """Open the engine that runs the folds.

        Args:
            trainer: Trains folds together.
            train_alone: Trains a single fold.
            folds: Number of folds to train.
            selection: Rule that chooses the number of epochs.

        Raises:
            InputError: If `stacked` is set but the folds cannot be stacked.
        """
        workers, engine = self.workers or torch.get_num_threads(), self.engine
        if engine == "auto":
            engine, why = choose_engine(trainer.device.type, folds, workers, selection)
            log.info("task.engine=auto takes %s: %s", engine, why)
        if engine == "processes":
            return self._open_workers(trainer, train_alone, workers, selection)
        if engine == "stacked":
            try:
                return in_stacks(trainer, self.chunk, self.compiled)
            except InputError as error:
                if self.engine == "stacked":
                    raise
                log.warning("they cannot be stacked, so task.engine=loop: %s", error)
        return one_by_one(train_alone)

    def _open_workers(
        self,
        trainer: FoldTrainer,
        train_alone: Callable[[Fold, OnEpoch], Outcome],
        workers: int,
        selection: str,
    ) -> Engine:
        size = choose_size(trainer) if self.chunk is None else self.chunk
        if size > 1 and selection == "last":
            try:
                together = interleave_folds(trainer)
                return in_workers(together, partial(deal, trainer, size, workers), workers)
            except InputError as error:
                log.info("each fold is trained alone: %s", error)
        return in_workers(one_by_one(train_alone), cut_each, workers)


def choose_engine(device: str, folds: int, workers: int, selection: str) -> tuple[str, str]:
    """Return the fastest engine and the reason; see benchmarks/README.md.

    Args:
        device: Device on which a network is trained, e.g. `cpu`.
        folds: Number of folds to train.
        workers: Number of worker processes: cores of this process, or `task.workers`.
        selection: Rule that chooses the number of epochs.

    Returns:
        `loop`, `processes` or `stacked`, and the reason as a clause.
    """
    if device != "cpu":
        if selection == "inner":
            return "loop", "each fold chooses its own number of epochs, so folds cannot be stacked"
        return "stacked", f"one small network at a time leaves {device} idle"
    if folds < 2:
        return "loop", "there is one fold to train" if folds else "no fold is left to train"
    if workers < 2:
        return "loop", f"this process has one thread, or one worker process, for {folds} folds"
    used = min(folds, workers)
    return "processes", f"{used} folds on a core each are faster than one on {used} cores"
