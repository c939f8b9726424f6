"""Selection of the number of epochs of a fold on inner subjects."""

import logging

import numpy as np

from merec.evaluation.splits import Fold
from merec.run_folder.checkpoint import assert_finite
from merec.tasks.fold_trainer import FoldTrainer
from merec.tasks.inner_subjects import hold_out_inner
from merec.tasks.progress import OnEpoch

log = logging.getLogger(__name__)


def choose_epochs(trainer: FoldTrainer, fold: Fold, parts: int, on_epoch: OnEpoch) -> int:
    """Return the number of epochs with the highest score on inner subjects; the smallest of equal ones.

    The score is UF1, or the mean F1 of action units, of all pooled inner samples. If it is 0 after every
    epoch, all epochs are trained.

    Args:
        trainer: Trains the fold.
        fold: The fold; its held-out subject is not used.
        parts: Number of parts into which the training subjects are divided; one part is used for the
            selection.
        on_epoch: Called after each epoch.
    """
    networks = trainer.networks
    seed, target = networks.seed, networks.target
    data = hold_out_inner(trainer.datamodule, fold, parts, "inner", seed, target)
    # Starting weights may have seen the inner subjects, but never the held-out one.
    task, _, epochs = trainer.fit(data, on_epoch, unseen=fold.test)
    assert_finite(task.state_dict(), f"the network of {data.held_out}")
    position = {sample_id: row for row, sample_id in enumerate(data.sample_id)}
    truth = data.label.numpy()[[position[sample_id] for sample_id in epochs.sample_id]]
    scores = [target.score(truth, predicted) for predicted in epochs.predicted.swapaxes(0, 1)]
    if not any(scores):
        log.warning(
            "%s: nothing of its inner subjects is told rightly after any of %d epochs; all are trained",
            *(fold.held_out, len(scores)),
        )
        return len(scores)
    return int(np.argmax(scores)) + 1
