"""Learning curve over the number of training subjects."""

from collections.abc import Sequence

from merec.evaluation.results import Result
from merec.studies.answer import Answer
from merec.studies.setting_study import Setting, answer_setting


def count_training_subjects(result: Result) -> float | None:
    """Return the number of training subjects per fold: the limit, or the mean over folds."""
    limit = result.settings.get("train_subjects")
    if limit is not None:
        return float(limit)
    by_fold = result.predictions.groupby("fold")["subject"].nunique()
    return float(result.protocol.subjects - by_fold.mean())


TRAIN_SUBJECTS = Setting(
    "train_subjects",
    "How many training subjects it takes",
    "training subjects",
    " subjects",
    ("train_subjects",),
    count_training_subjects,
    of_depth=False,
)


def answer(results: Sequence[Result]) -> Answer:
    """Show the score against the number of training subjects; see `answer_setting`."""
    return answer_setting(results, TRAIN_SUBJECTS)
