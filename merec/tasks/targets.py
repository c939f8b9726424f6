"""What a network is to tell: one of several emotions, or which action units there are."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from merec.evaluation.action_units import (
    THRESHOLD,
    confusion_of_marks,
    find_rarest,
    mean_f1,
)
from merec.evaluation.metrics import confusion, uf1
from merec.tasks.losses import OF_UNITS
from merec.types import InputError, Protocol


@dataclass(frozen=True)
class Target(ABC):
    """How logits are learnt from, read and scored.

    Attributes:
        classes: How many emotions or action units there are.
    """

    classes: int

    @abstractmethod
    def weigh(self, label: Num[Tensor, "samples ..."]) -> Float[Tensor, " classes"]:
        """What a loss is given as `weight` so that rare classes count as much as frequent ones.

        Args:
            label: Of the training samples, as `ClipDataModule.label`.
        """

    @abstractmethod
    def decide(self, logits: Float[Tensor, "batch classes"]) -> Num[Tensor, "batch ..."]:
        """What is said of each sample."""

    @abstractmethod
    def count_hits(self, logits: Float[Tensor, "batch classes"], label: Tensor) -> Num[Tensor, ""]:
        """How many samples are told rightly; one of which a part is counts as that part."""

    @abstractmethod
    def to_probability(self, logits: Float[Tensor, "batch classes"]) -> Tensor:
        """The probability of each class."""

    @abstractmethod
    def trust(
        self, logits: Float[Tensor, "cases batch classes"], said: Num[Tensor, "batch ..."]
    ) -> Float[Tensor, "cases batch"]:
        """How probable it is by logits, in each of several cases, what was said of each sample."""

    @abstractmethod
    def stratify(self, label: Num[np.ndarray, "samples ..."]) -> Int[np.ndarray, " samples"]:
        """A number for each sample that parts of samples should hold in like frequencies."""

    @abstractmethod
    def score(self, truth: np.ndarray, said: np.ndarray) -> float:
        """The metric to choose by, 0 to 1, of all samples pooled.

        Args:
            truth: Labels, samples or samples × units.
            said: What was decided of them, likewise.
        """

    @abstractmethod
    def check_loss(self, loss: Callable[..., Tensor] | None) -> None:
        """Refuse a loss that learns something else.

        Raises:
            InputError: With one that can be taken.
        """


class Emotion(Target):
    """One of several classes: the likeliest is said."""

    def weigh(self, label: Int[Tensor, " samples"]) -> Float[Tensor, " classes"]:
        """The inverse of the frequency of each class, 1 where all are alike."""
        counts = label.bincount(minlength=self.classes).float().clamp_min(1)
        return counts.sum() / (self.classes * counts)

    def decide(self, logits: Float[Tensor, "batch classes"]) -> Int[Tensor, " batch"]:
        """The likeliest class."""
        return logits.argmax(1)

    def count_hits(
        self, logits: Float[Tensor, "batch classes"], label: Int[Tensor, " batch"]
    ) -> Int[Tensor, ""]:
        """Samples whose class is said."""
        return (self.decide(logits) == label).sum()

    def to_probability(
        self, logits: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Of each class; they sum to 1."""
        return logits.softmax(1)

    def trust(
        self, logits: Float[Tensor, "cases batch classes"], said: Int[Tensor, " batch"]
    ) -> Float[Tensor, "cases batch"]:
        """The probability of the class that was said."""
        which = said.expand(len(logits), -1)[..., None]
        return logits.softmax(-1).gather(2, which)[..., 0]

    def stratify(self, label: Int[np.ndarray, " samples"]) -> Int[np.ndarray, " samples"]:
        """The class."""
        return label

    def score(self, truth: np.ndarray, said: np.ndarray) -> float:
        """UF1."""
        return float(uf1(confusion(truth, said, self.classes)))

    def check_loss(self, loss: Callable[..., Tensor] | None) -> None:
        """Any that names classes."""
        if _unwrap(loss) in OF_UNITS:
            raise InputError(
                f"{_name(loss)} learns action units, but task.target=emotion; set loss=cross_entropy, or "
                "task.target=action_units"
            )


class ActionUnits(Target):
    """Any of several, each by itself: those of a probability of one half or more are said."""

    def weigh(self, label: Float[Tensor, "samples units"]) -> Float[Tensor, " units"]:
        """Samples without each action unit for one with it."""
        present = label.sum(0)
        return (len(label) - present).clamp_min(1) / present.clamp_min(1)

    def decide(self, logits: Float[Tensor, "batch units"]) -> Bool[Tensor, "batch units"]:
        """Whether each is there."""
        return logits.sigmoid() >= THRESHOLD

    def count_hits(
        self, logits: Float[Tensor, "batch units"], label: Float[Tensor, "batch units"]
    ) -> Float[Tensor, ""]:
        """Action units that are told rightly, there or not, as a part of all."""
        return (self.decide(logits) == label.bool()).float().mean(1).sum()

    def to_probability(self, logits: Float[Tensor, "batch units"]) -> Float[Tensor, "batch units"]:
        """Of each being there."""
        return logits.sigmoid()

    def trust(
        self, logits: Float[Tensor, "cases batch units"], said: Bool[Tensor, "batch units"]
    ) -> Float[Tensor, "cases batch"]:
        """The mean over action units of the probability of what was said of each, there or not."""
        return logits.where(said, -logits).sigmoid().mean(-1)

    def stratify(self, label: Float[np.ndarray, "samples units"]) -> Int[np.ndarray, " samples"]:
        """The rarest action unit of each sample."""
        return find_rarest(label.astype(bool))

    def score(self, truth: np.ndarray, said: np.ndarray) -> float:
        """The mean F1 of the action units."""
        return float(mean_f1(confusion_of_marks(truth.astype(bool), said.astype(bool))))

    def check_loss(self, loss: Callable[..., Tensor] | None) -> None:
        """One that learns each by itself."""
        if _unwrap(loss) not in OF_UNITS:
            raise InputError(
                f"{_name(loss)} learns one of several classes, but task.target=action_units tells any of "
                "them; set loss=binary_cross_entropy"
            )


def open_target(protocol: Protocol) -> Target:
    """How what a protocol asks for is told."""
    kinds = {"emotion": Emotion, "action_units": ActionUnits}
    return kinds[protocol.target](len(protocol.classes))


def _unwrap(loss: Any) -> Any:
    """The function of a config's partial."""
    return getattr(loss, "func", loss)


def _name(loss: Any) -> str:
    return getattr(_unwrap(loss), "__name__", str(loss))
