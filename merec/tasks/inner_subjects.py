"""Inner subjects: training subjects of a fold that are held out of training."""

from dataclasses import replace

import numpy as np

from merec.datamodules import ClipDataModule
from merec.evaluation.splits import Fold, split_inner_subjects
from merec.seeding import derive_seed
from merec.targets import Target


def hold_out_inner(
    data: ClipDataModule, fold: Fold, parts: int, purpose: str, seed: int, target: Target
) -> ClipDataModule:
    """Divide the training subjects of a fold into parts and hold out one part.

    Samples that are not trained on belong to no part.

    Args:
        data: Samples of all subjects.
        fold: Fold whose training subjects are divided, stratified by label.
        parts: Number of parts.
        purpose: Text that becomes part of the seed of the division and of the name of the samples.
        seed: Seed of the run.
        target: Target of the labels, which defines the strata.

    Raises:
        InputError: If there are too few subjects or classes.
    """
    every = data.annotated
    fold = replace(fold, train=every.drop_still(fold.train))
    every = every.choose_trained_classes(fold.train)
    labels = every.label.numpy()
    stratum = np.zeros(len(labels), np.int64)
    stratum[fold.train] = target.stratify(labels[fold.train])
    inner_seed = derive_seed(seed, fold.held_out, purpose) % 2**32
    train, inner = split_inner_subjects(fold, every.subject, stratum, parts, inner_seed)
    return every.hold_out(train, inner, f"{fold.held_out}, {purpose}")
