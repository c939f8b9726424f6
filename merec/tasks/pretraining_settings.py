"""Settings of pretraining inside each fold: on what, for how long, and how."""

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
        pretrain: What the network is first trained on inside each fold: `macro`, `contrastive`; `None` for
            nothing.
        pretrain_epochs: Number of epochs; `None` for `pretrain_steps`, or the trainer's number of epochs.
        pretrain_steps: Number of optimiser steps of contrastive pretraining, in place of epochs; its schedule
            then counts steps, too.
        pretrain_groups: Number of groups of subjects whose folds share an encoder, which saw none of the
            group; `None` for one encoder per fold.
        monitor_steps: Steps between two measurements of contrastive pretraining: accuracy on pairs of
            held-out subjects, and a linear probe among training subjects, which choose nothing; `None`
            measures the accuracy at the end.
        least_intensity: Pairs of less intensity are not contrasted (τ of Li et al. 2025, whose value is not
            published); in units of the pool's estimator.
        pool: How contrastive pretraining draws pairs.
        contrast: Settings of the contrast.
        contrastive: Factory of the LightningModule that contrasts them.
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
        """Refuse lengths that are no lengths, or two at once.

        Raises:
            InputError: Naming the key.
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
        """Length of pretraining; of pretraining by labels always in epochs, which its schedule counts."""
        steps = self.pretrain_steps if self.pretrain == "contrastive" else None
        return Length(self.pretrain_epochs, steps)
