"""Choice of folds: the split of a corpus, and the folds that are run."""

from collections.abc import Sequence
from dataclasses import dataclass

from merec.config_parts import Part
from merec.evaluation.splits import Fold, select_folds, split
from merec.subject_groups import check_groups
from merec.types import Corpus, Protocol


@dataclass(frozen=True)
class FoldChoice(Part):
    """Rule of the split into training and held-out samples.

    Attributes:
        folds: Folds to run: `None` for all, or e.g. `"0-9"`.
        hold_out: Held-out unit of each fold: a `subject`, one of several `groups` of subjects, or a whole
            data set (`corpus`).
        groups: Number of groups, with `hold_out=groups`; see `merec.subject_groups.balance_groups`.
        train_on: With `hold_out=corpus`: data sets to train on in every fold; `None` for all except the
            held-out one.
        train_subjects: Number of training subjects per fold, see `limit_training_subjects`; `None` for all.

    Raises:
        InputError: If `hold_out=groups` is set without `groups`, or the reverse.
    """

    folds: str | int | None
    hold_out: str
    groups: int | None
    train_on: Sequence[str] | None
    train_subjects: int | None

    def __post_init__(self) -> None:
        check_groups(self.hold_out, self.groups)

    def split(self, corpus: Corpus) -> tuple[list[Fold], Protocol]:
        """Return the folds to run, and the protocol of the predictions of all folds.

        Raises:
            InputError: If the settings contradict each other or the corpus.
        """
        given = self.hold_out, self.train_on, self.groups, self.train_subjects
        folds, protocol = split(corpus, *given)
        return select_folds(folds, self.folds), protocol
