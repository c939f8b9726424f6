"""Settings of pretraining inside each fold: data, length and method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from merec.config_parts import Part
from merec.datamodules import PairPool
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.contrastive_module import Contrastive
from merec.tasks.trainer_factory import Length
from merec.types import InputError


@dataclass(frozen=True)
class PretrainingSettings(Part):
    """Hyperparameters of pretraining.

    Attributes:
        pretrain: Pretraining inside each fold: `macro` (supervised, on macro-expressions), `contrastive`;
            `None` for none.
        pretrain_epochs: Number of epochs; `None` for `pretrain_steps`, or the trainer's number of epochs.
        pretrain_steps: Number of optimiser steps of contrastive pretraining, in place of epochs; the schedule
            then also counts steps.
        pretrain_groups: Number of groups of subjects. The folds of a group share an encoder that has not seen
            the group; `None` for one encoder per fold.
        monitor_steps: Steps between two measurements of contrastive pretraining: accuracy on pairs of
            held-out subjects, and a linear probe on training subjects. They are not used for any selection.
            `None` measures only the accuracy, at the end.
        least_intensity: Smallest intensity of a pair (τ of Li et al. 2025, whose value is not published), in
            units of the pool's estimator.
        pool: Settings of the pairs of contrastive pretraining.
        contrast: Settings of the contrastive loss.
        contrastive: Factory of the LightningModule of contrastive pretraining.
        legacy: Defects of released code, which `contrast` refers to by interpolation.
    """

    pretrain: str | None
    pretrain_epochs: int | None
    pretrain_steps: int | None
    pretrain_groups: int | None
    monitor_steps: int | None
    least_intensity: float | int
    pool: PairPool
    contrast: ContrastSettings
    contrastive: Callable[..., Contrastive]
    legacy: Mapping[str, bool]

    def check(self) -> None:
        """Refuse a length that is not a positive number, and epochs and steps given together.

        Raises:
            InputError: If so; the message names the key.
        """
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

    @property
    def length(self) -> Length:
        """Length of pretraining; for supervised pretraining always in epochs."""
        steps = self.pretrain_steps if self.pretrain == "contrastive" else None
        return Length(self.pretrain_epochs, steps)
