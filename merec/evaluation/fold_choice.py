"""Choice of folds: what each holds out, and which of them are run."""

from collections.abc import Sequence
from dataclasses import dataclass

from merec.config_parts import Part
from merec.evaluation.splits import Fold, select_folds, split
from merec.subject_groups import check_groups
from merec.types import Corpus, Protocol


@dataclass(frozen=True)
class FoldChoice(Part):
    """Rule of the split: what each fold holds out and trains on.

    Attributes:
        folds: Which folds are run: `None` for all, or e.g. `"0-9"`.
        hold_out: What each fold holds out: a `subject`, one of several `groups` of subjects, or all of a data
            set (`corpus`).
        groups: With `groups`: how many; see `merec.subject_groups.balance_groups`.
        train_on: With `corpus`: data sets to train on, always these alone; `None` for all but the held-out.
        train_subjects: How many subjects each fold trains on, see `limit_training_subjects`; `None` for all.

    Raises:
        InputError: If there are groups without a number of groups, or the reverse.
    """

    folds: str | int | None
    hold_out: str
    groups: int | None
    train_on: Sequence[str] | None
    train_subjects: int | None

    def __post_init__(self) -> None:
        check_groups(self.hold_out, self.groups)

    def split(self, corpus: Corpus) -> tuple[list[Fold], Protocol]:
        """Return the folds of a corpus that are run, and the protocol of what all folds predict.

        Raises:
            InputError: If the settings do not go together, or with the corpus.
        """
        given = self.hold_out, self.train_on, self.groups, self.train_subjects
        folds, protocol = split(corpus, *given)
        return select_folds(folds, self.folds), protocol
