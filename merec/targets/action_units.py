"""Action units as the target: several may be present; those with probability ≥ .5 are predicted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Num, Shaped

from merec.errors import InputError
from merec.targets.check import Check
from merec.targets.unit_labels import (
    NOTHING,
    choose_scored_units,
    drop_uncoded,
    find_trained_units,
    mark_all_units,
    mark_coded,
    mark_units,
    spell_coded,
    spell_units,
)
from merec.targets.unit_scores import confusion_by_unit, confusion_of_marks, mean_f1

if TYPE_CHECKING:  # torch takes seconds to import, and a report needs none
    from torch import Tensor
else:
    Tensor = Any

THRESHOLD = 0.5  # of a probability; fixed, since the held-out subject chooses nothing


@dataclass(frozen=True)
class ActionUnits:
    """Target of several action units, each present or absent; attributes as in `Emotion`."""

    classes: tuple[str, ...]

    name: ClassVar = "action_units"
    title: ClassVar = "action units"
    class_name: ClassVar = "action unit"
    class_names: ClassVar = "action units"
    multilabel: ClassVar = True
    metrics: ClassVar[tuple[str, ...]] = ("f1", "auc")
    metrics_of_decisions: ClassVar[tuple[str, ...]] = ("f1",)
    scorers: ClassVar = {"f1": mean_f1}
    unused_settings: ClassVar = ()

    @classmethod
    def label(
        cls,
        index: pd.DataFrame,
        classes: tuple[str, ...],
        name: str,
        min_subjects: int,
        groups: int | None,
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Label samples with the action units that are scored; see `choose_scored_units`.

        An action unit is identified by its number, without side or lip. Samples whose action units were not
        coded or cannot be read are left out, since they must not count as absent.
        """
        if min_subjects < 1:
            raise InputError(
                f"task.min_subjects={min_subjects}, but nobody learns an action unit that no training "
                "subject shows; give 1 or more"
            )
        coded = drop_uncoded(index, name)
        units = choose_scored_units(coded, name, min_subjects, groups)
        return coded.assign(label=spell_coded(coded, units)), units

    def label_others(self, index: pd.DataFrame, name: str) -> pd.DataFrame:
        """Leave out samples whose action units are unknown."""
        coded = drop_uncoded(index, name)
        return coded.assign(label=spell_coded(coded, self.classes))

    def mark_groups(self, index: pd.DataFrame) -> Bool[np.ndarray, "samples units"]:
        """Mark all coded action units of each sample, scored or not."""
        return mark_all_units(index)

    def read(self, labels: Iterable[Any]) -> Bool[np.ndarray, "samples units"]:
        """Return whether each action unit is present."""
        return mark_units(labels, self.classes)

    def encode(self, index: pd.DataFrame) -> Float[np.ndarray, "samples units"]:
        """Return 1 for each action unit that is present, else 0."""
        return mark_coded(index, self.classes).astype(np.float32)

    def list_labels(self) -> tuple[int, ...]:
        """Return an empty list: any combination of action units is a label."""
        return ()

    def find_absent(self, labels: Any) -> list[str]:
        """Return an empty list: an action unit is only scored if samples show it."""
        return []

    def find_trained(self, index: pd.DataFrame, min_subjects: int) -> tuple[str, ...]:
        """Return the action units that enough training subjects show; see `find_trained_units`."""
        return find_trained_units(index, min_subjects)

    def describe_untrained(
        self,
        index: pd.DataFrame,
        training: Mapping[str, Int[np.ndarray, " rows"]],
        min_subjects: int,
    ) -> str:
        """Describe folds that predict action units as absent because too few training subjects show them."""
        lacking = []
        for held_out, rows in training.items():
            trained = find_trained_units(index.iloc[rows], min_subjects)
            units = sorted({*self.classes} - {*trained})
            if units:
                lacking.append(f"{held_out} ({', '.join(units)})")
        if not lacking:
            return ""
        return (
            f"{len(lacking)} of {len(training)} folds predict some action units as absent, since fewer than "
            f"{min_subjects} of their training subjects show them; held out: {'; '.join(lacking)}"
        )

    def spread(
        self, values: Shaped[np.ndarray, "*samples trained"], trained: Sequence[str]
    ) -> Shaped[np.ndarray, "*samples units"]:
        """Mark untrained action units as absent, and leave out trained ones that are not scored."""
        spread = np.zeros((*values.shape[:-1], len(self.classes)), values.dtype)
        for place, name in enumerate(self.classes):
            if name in trained:
                spread[..., place] = values[..., list(trained).index(name)]
        return spread

    def fits_head(self, name: str, classes: Sequence[str] | None) -> bool:
        """Return whether the other target has the same action units; they differ between folds."""
        return name == self.name and classes is not None and [*classes] == [*self.classes]

    def stratify(self, label: Float[np.ndarray, "samples units"]) -> Int[np.ndarray, " samples"]:
        """Return the rarest action unit of each sample, -1 if it has none.

        Every part of a split needs samples of rare action units.
        """
        marks = label.astype(bool)
        rarity = np.where(marks, marks.sum(0), len(marks) + 1)
        return np.where(marks.any(1), rarity.argmin(1), -1)

    def check_loss(self, name: str, multilabel: bool) -> None:
        """Refuse a single-label loss, since several action units can be present at once.

        Raises:
            InputError: If the loss is single-label; the message names a loss that fits.
        """
        if not multilabel:
            raise InputError(
                f"{name} learns one of several classes, but task.target=action_units tells any of them; set "
                "loss=binary_cross_entropy"
            )

    def weigh(self, label: Float[Tensor, "samples units"]) -> Float[Tensor, " units"]:
        """Return, for each action unit, (samples without it) / (samples with it)."""
        present = label.sum(0)
        return (len(label) - present).clamp_min(1) / present.clamp_min(1)

    def decide(self, logits: Float[Tensor, "batch units"]) -> Bool[Tensor, "batch units"]:
        """Return whether each action unit is present."""
        return logits.sigmoid() >= THRESHOLD

    def count_hits(
        self, logits: Float[Tensor, "batch units"], label: Float[Tensor, "batch units"]
    ) -> Float[Tensor, ""]:
        """Return the sum over samples of the share of action units that are predicted correctly."""
        return (self.decide(logits) == label.bool()).float().mean(1).sum()

    def to_probability(self, logits: Float[Tensor, "batch units"]) -> Float[Tensor, "batch units"]:
        """Return the probability that each action unit is present."""
        return logits.sigmoid()

    def to_log_probability(
        self, logits: Float[Tensor, "batch units"]
    ) -> Float[Tensor, "batch units"]:
        """Return the log-probability that each action unit is present."""
        from torch.nn.functional import logsigmoid

        return logsigmoid(logits)

    def trust(
        self, logits: Float[Tensor, "cases batch units"], decided: Bool[Tensor, "batch units"]
    ) -> Float[Tensor, "cases batch"]:
        """Return the mean over action units of the probability of the decisions."""
        return logits.where(decided, -logits).sigmoid().mean(-1)

    def predict(self, probability: Float[np.ndarray, "samples units"]) -> list[str]:
        """Return the names of the action units that are present, as one text."""
        return spell_units(probability >= THRESHOLD, self.classes)

    def list_predicted(self, probability: Float[np.ndarray, " units"]) -> list[str]:
        """Return the names of the action units that are present."""
        present = probability >= THRESHOLD
        return [name for name, is_present in zip(self.classes, present, strict=True) if is_present]

    def to_answer(self, predicted: list[str]) -> list[str]:
        """Return the names of the action units."""
        return predicted

    def check_labels(self, column: str, labels: pd.Series) -> Check:
        """Return the test that each label contains only these action units."""
        allowed = {*self.classes, NOTHING}
        wrong = np.array([not allowed.issuperset(str(text).split("+")) for text in labels])
        return Check(wrong, column, labels, f"units of {', '.join(self.classes)}")

    def check_predicted(
        self, probability: Float[np.ndarray, "rows units"], predicted: np.ndarray
    ) -> Iterator[Check]:
        """Yield the test that action units with probability ≥ .5 are predicted."""
        wrong = predicted != np.array(self.predict(probability), dtype=object)
        expected = f"the action units of a probability of {THRESHOLD:g} or more"
        yield Check(wrong, "predicted", predicted, expected)

    def assert_labels(self, table: pd.DataFrame, column: str, protocol: str) -> None:
        """Refuse texts that are not a list of these action units."""
        try:
            self.read(table[column])
        except ValueError as error:
            raise ValueError(f"{column}: {error}") from error

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a decision: one number per action unit."""
        return (len(self.classes),)

    @property
    def highest(self) -> int:
        """Value of a present action unit."""
        return 1

    def count(
        self, table: pd.DataFrame
    ) -> tuple[list[str], Int[np.ndarray, "seeds subjects units 2 2"]]:
        """Count predictions by absent and present, true and predicted; see `confusion_by_unit`."""
        return confusion_by_unit(table, self.classes)

    def select_classes(self, values: Num[np.ndarray, "*draws units 2"]) -> np.ndarray:
        """Return the scores of the class "present" of each action unit."""
        return values[..., 1]

    def score_decisions(self, truth: np.ndarray, predicted: np.ndarray) -> tuple[float, ...]:
        """Compute the mean F1 of the action units."""
        counts = confusion_of_marks(truth.astype(bool), predicted.astype(bool))
        return (float(mean_f1(counts)),)

    def score(self, truth: np.ndarray, predicted: np.ndarray) -> float:
        """Compute the selection score of all pooled samples."""
        return self.score_decisions(truth, predicted)[0]

    def read_scores(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return the mean F1 of the action units."""
        return {"f1": {row["unit"]: row["f1"] for row in metrics["action_units"]}["mean"]}
