"""Pretraining data of a fold: samples of all subjects but the held-out one."""

import logging
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from merec.corpora.macro import make_macro_corpus, respell_subjects
from merec.corpora.reading.subjects import spell_subject
from merec.datamodules.clips import ClipDataModule
from merec.evaluation.protocol import describe_protocol
from merec.features.augmentation import Augmentation
from merec.features.prepare import FeatureStore
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)

KINDS = ("macro", "contrastive")
SOURCES = ("unlabelled", "samples", "both")


@dataclass(frozen=True)
class PairPool:
    """Hyperparameters of the pairs of frames for contrastive pretraining, without labels.

    Attributes:
        source: `unlabelled`: pairs of frames of unlabelled clips; `samples`: onset and apex of the labelled
            samples; `both`.
        batch_size: Pairs per batch; `None` if not set.
        augment: Augmentation of the pairs.
    """

    source: str
    batch_size: int | None
    augment: Augmentation | None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(
                f"task.pool.source={self.source} is unknown; there is {', '.join(SOURCES)}"
            )


def open_pretraining(kind: str, data: ClipDataModule, pool: PairPool) -> ClipDataModule:
    """Open the samples that `task.pretrain` names, with the settings of `data`.

    Raises:
        InputError: If the name is unknown, or the corpus has no such samples.
    """
    if kind not in KINDS:
        raise InputError(f"task.pretrain={kind} is unknown; there is {', '.join(KINDS)}")
    if kind == "macro":
        return data.of(make_macro_corpus(data.corpus))
    if data.features is None:
        raise InputError(
            "task.pretrain=contrastive contrasts two views of frames, but "
            f"{data.corpus.protocol.name} holds flow maps alone; choose a corpus of frames"
        )
    if len(data.names) != 2 or pool.batch_size is None:
        raise InputError(
            f"task.pretrain=contrastive contrasts two views, but {data.representation.name} are read here; "
            "use backbone=dual_view"
        )
    pairs = _collect_pairs(data.corpus, data.features, pool.source)
    augment = pool.augment
    if augment is not None and data.names[0] == data.names[1]:
        augment = replace(augment, apart=True)  # of one image, else both views were equal
    batches = {"batch_size": pool.batch_size, "even_batches": True, "balanced": False}
    return data.of(pairs, augment=augment, **batches)


def _collect_pairs(corpus: Corpus, features: FeatureStore, source: str) -> Corpus:
    """Return the pairs of frames of a source as samples without labels, with their `intensity`.

    Labelled samples have infinite intensity, so that no threshold leaves them out.
    """
    tables = []
    if source != "samples":
        unlabelled = features.make_pool(corpus).index
        tables.append(respell_subjects(unlabelled, corpus))
    if source != "unlabelled":
        needed = ["sample_id", "corpus", "subject", "clip", "color", "depth", "onset", "apex"]
        there = [name for name in needed if name in corpus.index]
        tables.append(corpus.index[there].assign(label=0, intensity=np.inf))
    index = pd.concat(tables, ignore_index=True)
    protocol = describe_protocol(f"{corpus.protocol.name}-pool", index, ["unlabelled"])
    return Corpus(protocol, index, None, (), corpus.camera)


def hold_out_others(pretraining: ClipDataModule, held_out: list[str], name: str) -> ClipDataModule:
    """Return the pretraining data of this fold, without the subjects in `held_out`.

    Raises:
        InputError: If nothing is left.
    """
    rows = np.flatnonzero(mark_others(pretraining.corpus, held_out))
    return pretraining.hold_out(rows, rows[:0], f"{name}, pretraining")


def hold_out_pairs(pool: ClipDataModule, held_out: list[str], least: float | int) -> ClipDataModule:
    """Return the pairs of a fold: pairs of `held_out` are tested, all other pairs are trained on.

    Random draws depend on the held-out subjects that have pairs, so folds of subjects without pairs draw the
    same.

    Raises:
        InputError: As `choose_pairs`.
    """
    rows = choose_pairs(pool.corpus, held_out, least)
    missing = sorted(set(pool.subject.tolist()) & set(held_out))
    name = f"pairs without {', '.join(missing)}" if missing else "pairs of everyone"
    tested = np.flatnonzero(
        pool.corpus.index["subject"].map(spell_subject).isin([spell_subject(s) for s in held_out])
        & (pool.corpus.index["intensity"] >= least)
    )
    return pool.hold_out(rows, pool.drop_still(tested), name)


def choose_pairs(
    pool: Corpus, held_out: list[str], least: float | int
) -> Int[np.ndarray, " pairs"]:
    """Choose the rows of a pool of pairs that a fold may pretrain on.

    Args:
        pool: Pool of pairs, as `FeatureStore.make_pool` gives it.
        held_out: Held-out subjects; empty if there are none.
        least: Smallest intensity of a pair, in units of the pool's estimator.

    Raises:
        InputError: If none is left.
    """
    allowed = mark_others(pool, held_out)
    intensity = pool.index["intensity"].to_numpy()
    rows = np.flatnonzero(allowed & (intensity >= least))
    if not len(rows):
        raise InputError(
            f"no pair of {pool.protocol.name} has an intensity of {least}; the strongest has "
            f"{intensity[allowed].max():.2f}: lower the threshold"
        )
    return rows


def mark_others(corpus: Corpus, held_out: list[str]) -> Bool[np.ndarray, " samples"]:
    """Mark the samples that show none of the subjects in `held_out`.

    A sample of an unknown subject may show them, so it is not marked. Names are compared without case and
    leading zeros, since folder names vary.

    Raises:
        InputError: If no sample is left.
    """
    name, index = corpus.protocol.name, corpus.index
    if not held_out:
        return np.ones(len(index), bool)
    who = ", ".join(held_out)
    subjects = index["subject"].map(spell_subject)
    unknown = (subjects == "").to_numpy()
    if unknown.any():
        log.warning(
            "%d of %d samples of %s name no subject and are left out: they may show %s",
            *(int(unknown.sum()), len(index), name, who),
        )
    other_subjects = (
        ~unknown & ~subjects.isin([spell_subject(subject) for subject in held_out]).to_numpy()
    )
    if not other_subjects.any():
        raise InputError(
            f"all {len(index)} samples of {name} show {who}, who is held out, or nobody knows whom; add "
            "some of other subjects, in folders that name them (spNO.1)"
        )
    return other_subjects
