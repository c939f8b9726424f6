"""Emotion as the target: one of several classes; the most probable class is predicted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Num

from merec.errors import InputError
from merec.metrics import METRICS, confusion, confusion_by_subject, uar, uf1
from merec.targets.absent_classes import describe_untrained_classes, find_absent_classes
from merec.targets.check import Check

if TYPE_CHECKING:  # torch takes seconds to import, and a report needs none
    from torch import Tensor
else:
    Tensor = Any

TOLERANCE = 0.01  # of a sum of probabilities in half precision


@dataclass(frozen=True)
class Emotion:
    """One of several emotions.

    Attributes:
        classes: Names of emotions (or action units), in the order of logits and probabilities.
        name: Name as in `task.target`, in protocols and in checkpoints.
        title: Name for tables and messages.
        class_name: Word for one of `classes`, in messages.
        class_names: Word for several of `classes`, in messages.
        multilabel: Whether a sample may have several labels or none.
        metrics: Names of the scores that summarise a result; the first is used for selection and ranking.
        metrics_of_decisions: Names of the `metrics` that are computed from decisions only, as recorded after
            each epoch.
        scorers: Functions that compute scores from the confusion matrices of `count`, by name.
        unused_settings: Keys of a task that have no effect for this target.
    """

    classes: tuple[str, ...]

    name: ClassVar = "emotion"
    title: ClassVar = "emotion"
    class_name: ClassVar = "class"
    class_names: ClassVar = "classes"
    multilabel: ClassVar = False
    metrics: ClassVar[tuple[str, ...]] = ("uf1", "uar")
    metrics_of_decisions: ClassVar[tuple[str, ...]] = ("uf1", "uar")
    scorers: ClassVar = METRICS
    # Runs older than the choice of a target lack them.
    unused_settings: ClassVar = ("target", "min_subjects", "least_subjects")

    @classmethod
    def label(
        cls,
        index: pd.DataFrame,
        classes: tuple[str, ...],
        name: str,
        min_subjects: int,
        groups: int | None,
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Return samples with labels, and the classes. For emotions both are returned unchanged.

        Args:
            index: Samples of a corpus, labelled with emotions.
            classes: Names of the emotions.
            name: Name of the corpus, for messages.
            min_subjects: Number of training subjects that must show an action unit for a fold to learn it.
            groups: Number of groups of subjects that are held out together; `None` holds out one subject at a
                time.
        """
        return index, classes

    def label_others(self, index: pd.DataFrame, name: str) -> pd.DataFrame:
        """Label samples of another corpus with these classes; leave out samples with other emotions."""
        return index[index["label"] >= 0].reset_index(drop=True)

    def mark_groups(self, index: pd.DataFrame) -> Bool[np.ndarray, "samples classes"]:
        """Return a one-hot matrix of the classes, by which groups of subjects are balanced."""
        return index["label"].to_numpy()[:, None] == np.arange(len(self.classes))

    def read(self, labels: Iterable[Any]) -> Int[np.ndarray, " samples"]:
        """Read the labels of a table."""
        return np.array(labels, dtype=np.int64)

    def encode(self, index: pd.DataFrame) -> Int[np.ndarray, " samples"]:
        """Return the labels of samples in the form that losses need."""
        return self.read(index["label"])

    def list_labels(self) -> range:
        """Return all labels that a sample can have; empty if there are too many to list."""
        return range(len(self.classes))

    def find_absent(self, labels: Any) -> list[str]:
        """Return the classes without samples."""
        return find_absent_classes(labels, self.classes)

    def find_trained(self, index: pd.DataFrame, min_subjects: int) -> tuple[str, ...]:
        """Return the classes that a fold learns: all classes, also those without training samples."""
        return self.classes

    def describe_untrained(
        self,
        index: pd.DataFrame,
        training: Mapping[str, Int[np.ndarray, " rows"]],
        min_subjects: int,
    ) -> str:
        """Describe folds that lack training samples of a class of the corpus; empty if there are none.

        Args:
            index: Samples of the corpus.
            training: Training rows of each fold, by the name of its held-out group.
            min_subjects: Number of training subjects that must show an action unit.
        """
        return describe_untrained_classes(training, self.read(index["label"]), self.classes)

    def spread(
        self, values: Num[np.ndarray, "samples ..."], trained: Sequence[str]
    ) -> Num[np.ndarray, "samples ..."]:
        """Map values of the trained classes to `classes`. For emotions all classes are trained."""
        return values

    def fits_head(self, name: str, classes: Sequence[str] | None) -> bool:
        """Return whether a network's head that was trained on another target can be reused."""
        return name == self.name

    def stratify(self, label: Int[np.ndarray, " samples"]) -> Int[np.ndarray, " samples"]:
        """Return the stratum of each sample for stratified splits: its class."""
        return label

    def check_loss(self, name: str, multilabel: bool) -> None:
        """Refuse a loss that learns several classes at once.

        Raises:
            InputError: If so; the message names a loss that fits.
        """
        if multilabel:
            raise InputError(
                f"{name} learns action units, but task.target=emotion; set loss=cross_entropy, or "
                "task.target=action_units"
            )

    def weigh(self, label: Int[Tensor, " samples"]) -> Float[Tensor, " classes"]:
        """Return the inverse frequency of each class as loss weight; 1 if classes are equally frequent."""
        counts = label.bincount(minlength=len(self.classes)).float().clamp_min(1)
        return counts.sum() / (len(self.classes) * counts)

    def decide(self, logits: Float[Tensor, "batch classes"]) -> Int[Tensor, " batch"]:
        """Return the most probable class."""
        return logits.argmax(1)

    def count_hits(
        self, logits: Float[Tensor, "batch classes"], label: Int[Tensor, " batch"]
    ) -> Int[Tensor, ""]:
        """Count the samples whose class is predicted."""
        return (self.decide(logits) == label).sum()

    def to_probability(
        self, logits: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Return probabilities that sum to 1."""
        return logits.softmax(1)

    def to_log_probability(
        self, logits: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logarithms of probabilities that sum to 1."""
        return logits.log_softmax(1)

    def trust(
        self, logits: Float[Tensor, "cases batch classes"], decided: Int[Tensor, " batch"]
    ) -> Float[Tensor, "cases batch"]:
        """Return the probability of each decision under the given logits."""
        which = decided.expand(len(logits), -1)[..., None]
        return logits.softmax(-1).gather(2, which)[..., 0]

    def predict(
        self, probability: Float[np.ndarray, "samples classes"]
    ) -> Int[np.ndarray, " samples"]:
        """Return the column `predicted` of a table: the number of the most probable class."""
        return probability.argmax(1)

    def list_predicted(self, probability: Float[np.ndarray, " classes"]) -> list[str]:
        """Return the name of the most probable class."""
        return [self.classes[int(probability.argmax())]]

    def to_answer(self, predicted: list[str]) -> str:
        """Return the name of the class, for the JSON file of a prediction."""
        return predicted[0]

    def check_labels(self, column: str, labels: pd.Series) -> Check:
        """Return the test that each label is the number of a class."""
        most = len(self.classes) - 1
        return Check(~labels.between(0, most), column, labels, f"a class from 0 to {most}")

    def check_predicted(
        self, probability: Float[np.ndarray, "rows classes"], predicted: np.ndarray
    ) -> Iterator[Check]:
        """Yield the tests that probabilities sum to 1, and that the most probable class is predicted."""
        total = probability.sum(1)
        wrong = np.abs(total - 1) > TOLERANCE
        yield Check(wrong, "the sum of its probabilities", total, "1")
        below = probability[np.arange(len(predicted)), predicted] < probability.max(1)
        yield Check(below, "predicted", predicted, "the class of the largest probability")

    def assert_labels(self, table: pd.DataFrame, column: str, protocol: str) -> None:
        """Refuse labels that the protocol does not have.

        Raises:
            ValueError: If there are such labels; the message names the first.
        """
        outside = ~table[column].between(0, len(self.classes) - 1)
        if outside.any():
            row = table[outside].iloc[0]
            raise ValueError(
                f"{column} of sample {row['sample_id']} is {row[column]}, but {protocol} has classes 0 to "
                f"{len(self.classes) - 1}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the decision about one sample."""
        return ()

    @property
    def highest(self) -> int:
        """Highest number in a decision; the lowest is 0."""
        return len(self.classes) - 1

    def count(
        self, table: pd.DataFrame
    ) -> tuple[list[str], Int[np.ndarray, "seeds subjects classes classes"]]:
        """Count predictions by true and predicted class; see `confusion_by_subject`."""
        return confusion_by_subject(table, len(self.classes))

    def select_classes(self, values: Num[np.ndarray, "*draws classes"]) -> np.ndarray:
        """Select the scores of `classes` from the scores of all rows: all of them."""
        return values

    def score_decisions(self, truth: np.ndarray, predicted: np.ndarray) -> tuple[float, ...]:
        """Compute `metrics_of_decisions` of all pooled samples, 0 to 1."""
        counts = confusion(truth, predicted, len(self.classes))
        return float(uf1(counts)), float(uar(counts))

    def score(self, truth: np.ndarray, predicted: np.ndarray) -> float:
        """Compute the selection score of all pooled samples."""
        return self.score_decisions(truth, predicted)[0]

    def read_scores(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return UF1 and UAR of all samples from the scores that a run wrote."""
        full = metrics["scores"]["Full"]
        return {name: full[name]["value"] for name in self.metrics_of_decisions}
