"""The contract of a target: how its labels are read, learnt, decided, scored and named."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Num, Shaped

if TYPE_CHECKING:  # torch takes seconds to import, and a report needs none
    from torch import Tensor
else:
    Tensor = Any


class Check(NamedTuple):
    """A test of every row of a table of predictions.

    Attributes:
        wrong: Rows that fail it.
        name: Of the value, for messages.
        value: Of each row.
        expected: What every row should have, in words.
    """

    wrong: Bool[np.ndarray, " rows"] | pd.Series
    name: str
    value: Shaped[np.ndarray, " rows"] | pd.Series
    expected: str


@dataclass(frozen=True)
class Target(ABC):
    """What is predicted of a sample.

    Attributes:
        classes: Names of emotions or action units, in the order of logits and probabilities.
        name: As in `task.target`, in protocols and in checkpoints.
        title: In words.
        class_name: One of `classes`, in words.
        class_names: Several of `classes`, in words.
        multilabel: Whether a sample may be of several classes at once, or of none.
        metrics: Names of the scores that sum a result up, the first of which decides.
        metrics_of_decisions: Those of `metrics` that follow from decisions alone, as recorded each epoch.
        scorers: Scores of confusion matrices as `count` makes them, by name.
        unused_settings: Keys of a task that change nothing for this target.
    """

    classes: tuple[str, ...]

    name: ClassVar[str]
    title: ClassVar[str]
    class_name: ClassVar[str]
    class_names: ClassVar[str]
    multilabel: ClassVar[bool]
    metrics: ClassVar[tuple[str, ...]]
    metrics_of_decisions: ClassVar[tuple[str, ...]]
    scorers: ClassVar[Mapping[str, Callable[[np.ndarray], np.ndarray]]]
    unused_settings: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def label(
        cls,
        index: pd.DataFrame,
        classes: tuple[str, ...],
        name: str,
        min_subjects: int,
        groups: int | None,
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Label samples, without those that cannot be labelled.

        Args:
            index: Samples of a corpus, labelled with emotions.
            classes: Names of the emotions.
            name: Of the corpus, for messages.
            min_subjects: How many training subjects must show an action unit for a fold to learn it.
            groups: Number of groups of subjects that are held out at once; `None` for one by one.

        Returns:
            Samples with their `label`, and the classes.

        Raises:
            InputError: If there is nothing to label, or too little.
        """

    @abstractmethod
    def label_others(self, index: pd.DataFrame, name: str) -> pd.DataFrame:
        """Label samples of another corpus with these classes, without those that cannot be labelled.

        Args:
            index: Samples with an emotion's number in `label`, or -1, and coded `action_units`.
            name: Of the corpus, for messages.

        Raises:
            InputError: If a data set has no coded action units.
        """

    @abstractmethod
    def mark_groups(self, index: pd.DataFrame) -> Bool[np.ndarray, "samples columns"]:
        """Mark what groups of subjects that are held out together should hold in like numbers."""

    @abstractmethod
    def read(self, labels: Iterable[Any]) -> Num[np.ndarray, "samples ..."]:
        """Read labels of a table: the number of each class, or whether each action unit is present.

        Raises:
            ValueError: If a label is none of these classes.
        """

    @abstractmethod
    def encode(self, index: pd.DataFrame) -> Num[np.ndarray, "samples ..."]:
        """Return the labels of samples as losses take them."""

    @abstractmethod
    def list_labels(self) -> Sequence[int]:
        """Return all labels that a sample can have, in order; empty where they are too many to list."""

    @abstractmethod
    def find_absent(self, labels: Any) -> list[str]:
        """Return the classes without samples, where those lower the highest score that is possible."""

    @abstractmethod
    def find_trained(self, index: pd.DataFrame, min_subjects: int) -> tuple[str, ...]:
        """Return the classes that a fold learns.

        Args:
            index: The training samples of the fold, and nobody else's.
            min_subjects: How many subjects must show an action unit.

        Raises:
            InputError: If there are none.
        """

    @abstractmethod
    def describe_untrained(
        self,
        index: pd.DataFrame,
        training: Mapping[str, Int[np.ndarray, " rows"]],
        min_subjects: int,
    ) -> str:
        """Say which folds cannot learn some class; empty if there are none.

        Args:
            index: Samples of the corpus.
            training: Training rows of each fold, by the name of what it holds out.
            min_subjects: How many training subjects must show an action unit.
        """

    @abstractmethod
    def spread(
        self, values: Shaped[np.ndarray, "*samples trained"], trained: Sequence[str]
    ) -> np.ndarray:
        """Put what a fold predicts of its trained classes in the place of `classes`; 0 elsewhere."""

    @abstractmethod
    def fits_head(self, name: str, classes: Sequence[str] | None) -> bool:
        """Return whether the head of a network that was trained on another target can be kept.

        Args:
            name: Of the other target.
            classes: Of the other target; `None` if they are not known.
        """

    @abstractmethod
    def stratify(self, label: Num[np.ndarray, "samples ..."]) -> Int[np.ndarray, " samples"]:
        """Return a stratum of each sample; parts of samples should hold all strata in like frequencies."""

    @abstractmethod
    def check_loss(self, name: str, multilabel: bool) -> None:
        """Refuse a loss that learns another target.

        Args:
            name: Of the loss, for messages.
            multilabel: Whether it learns several classes at once.

        Raises:
            InputError: With a loss that fits.
        """

    @abstractmethod
    def weigh(self, label: Num[Tensor, "samples ..."]) -> Float[Tensor, " classes"]:
        """Return the `weight` of a loss by which rare classes count as much as frequent ones.

        Args:
            label: Of the training samples, as `encode` returns them.
        """

    @abstractmethod
    def decide(self, logits: Float[Tensor, "batch classes"]) -> Num[Tensor, "batch ..."]:
        """Return what is predicted of each sample."""

    @abstractmethod
    def count_hits(self, logits: Float[Tensor, "batch classes"], label: Tensor) -> Num[Tensor, ""]:
        """Count correct samples; a sample that is correct in part counts as that part."""

    @abstractmethod
    def to_probability(
        self, logits: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the probability of each class."""

    @abstractmethod
    def to_log_probability(
        self, logits: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logarithm of the probability of each class."""

    @abstractmethod
    def trust(
        self, logits: Float[Tensor, "cases batch classes"], decided: Num[Tensor, "batch ..."]
    ) -> Float[Tensor, "cases batch"]:
        """Return how probable a decision about each sample is by the logits of several cases."""

    @abstractmethod
    def predict(
        self, probability: Float[np.ndarray, "samples classes"]
    ) -> Sequence[Any] | np.ndarray:
        """Return the column `predicted`: what probabilities decide, as `label` is written."""

    @abstractmethod
    def list_predicted(self, probability: Float[np.ndarray, " classes"]) -> list[str]:
        """Return the names of the classes that the probabilities of one sample decide."""

    @abstractmethod
    def to_answer(self, predicted: list[str]) -> str | list[str]:
        """Return what `list_predicted` gives as a file of one prediction holds it."""

    @abstractmethod
    def check_labels(self, column: str, labels: pd.Series) -> Check:
        """Return the test that each entry of a column is a label."""

    @abstractmethod
    def check_predicted(
        self, probability: Float[np.ndarray, "rows classes"], predicted: np.ndarray
    ) -> Iterator[Check]:
        """Yield tests of probabilities, and that predictions follow from them."""

    @abstractmethod
    def assert_labels(self, table: pd.DataFrame, column: str, protocol: str) -> None:
        """Refuse labels that the protocol of this name does not have.

        Raises:
            ValueError: Naming the first.
        """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the decision about one sample."""

    @property
    @abstractmethod
    def highest(self) -> int:
        """Highest number in a decision; the lowest is 0."""

    @abstractmethod
    def count(
        self, table: pd.DataFrame
    ) -> tuple[list[str], Int[np.ndarray, "seeds subjects *units classes classes"]]:
        """Count predictions by true and predicted class, for each seed and subject.

        Returns:
            The sorted subjects, and confusion matrices (rows true, columns predicted) in the order of the
            sorted seeds and subjects; for action units one of absent and present each.
        """

    @abstractmethod
    def select_classes(
        self, values: Num[np.ndarray, "*draws rows"]
    ) -> Num[np.ndarray, "*draws classes"]:
        """Select the scores of `classes` from those of each row of the confusion matrices."""

    @abstractmethod
    def score_decisions(self, truth: np.ndarray, predicted: np.ndarray) -> tuple[float, ...]:
        """Compute `metrics_of_decisions`, 0 to 1, of all samples pooled.

        Args:
            truth: Labels, samples or samples × units.
            predicted: Decisions, likewise.
        """

    def score(self, truth: np.ndarray, predicted: np.ndarray) -> float:
        """Compute the score to choose by, 0 to 1, of all samples pooled; see `score_decisions`."""
        return self.score_decisions(truth, predicted)[0]

    @abstractmethod
    def read_scores(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return `metrics_of_decisions` of all samples from what a run writes as its scores."""
