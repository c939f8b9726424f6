"""Samples of a corpus in one modality, split into training and held-out samples and scaled."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader

from merec.datamodules.batches import (
    Augmenter,
    Clips,
    OrderedBatches,
    Scale,
    SeededBatches,
    load_batches,
    measure_scale,
    pack,
    rescale,
)
from merec.datamodules.feature_loading import load_features
from merec.datamodules.jitter import Jitter
from merec.datamodules.labels import assert_one_label, read_labels
from merec.datamodules.modality_channels import (
    check_augmentation,
    check_scaling,
    choose_channels,
)
from merec.datamodules.sample_inputs import make_inputs
from merec.datamodules.zero_motion import drop_still, find_zero_motion, warn_of_still
from merec.evaluation.leakage import assert_subjects_disjoint
from merec.features.augmentation import Augmentation
from merec.features.prepare import FeatureStore
from merec.features.representations import open_representation
from merec.targets import open_target
from merec.types import Batch, Corpus

# Arguments that another corpus is shown with, too; see `ClipDataModule.of`.
_KEPT_BY_NAME = (
    *(
        "modality",
        "scaling",
        "balanced",
        "batch_size",
        "num_workers",
        "seed",
        "features",
        "augment",
    ),
    *("size", "drop_zero_motion", "legacy", "require_depth", "even_batches"),
)


class ClipDataModule(pl.LightningDataModule):
    """LightningDataModule of a corpus in one modality and representation.

    `hold_out` returns the samples of one fold; all folds share the arrays in memory.

    Args:
        corpus: Corpus of the samples.
        modality: `rgb`, `depth` or `fused`.
        representation: Representation that the backbone reads, see `open_representation`.
        channels: Channels of the flow maps, in this order; `None` for all.
        scaling: `raw` unchanged, `unit` flow maps divided by 255, or `standard`: zero mean and unit variance
            per channel, computed on the training samples of the fold.
        batch_size: Samples per training batch.
        num_workers: Loader processes; 0 is fastest for samples in memory.
        seed: Seed of the order of samples and of augmentation.
        features: Feature store; not needed for a corpus of flow maps.
        augment: Augmentation of training samples; `None` for no augmentation.
        balanced: Draw equally many training samples of each class, some repeatedly and some not at all.
        size: Size of views, px; `None` for the size of the crops.
        views: See `Representation.choose_views`.
        drop_zero_motion: Do not train on samples without motion, see `find_zero_motion`; they are predicted
            all the same.
        legacy: `misaligned_pairs` joins views as the released DVSCL code does, see `misalign`.
        require_depth: Leave samples without usable depth out of `rgb` too, so that modalities are compared
            on the same samples.
        even_batches: Training batches of equal size, see `SeededBatches`.
        jitter: Shift of onset and apex when samples are predicted; `None` for no shift.

    Attributes:
        sample_inputs: Inputs of all samples in memory.
        shifts: Key-frame shifts, see `shift_key_frames`; `None` without jitter.

    Raises:
        InputError: If the corpus does not have the modality or representation, or no sample is ready.
    """

    def __init__(
        self,
        corpus: Corpus,
        modality: str,
        representation: str,
        channels: Sequence[str] | None,
        scaling: str,
        batch_size: int,
        num_workers: int,
        seed: int,
        features: FeatureStore | None = None,
        augment: Augmentation | None = None,
        balanced: bool = False,
        size: int | None = None,
        views: Sequence[str] | None = None,
        drop_zero_motion: bool = True,
        legacy: Mapping[str, bool] | None = None,
        require_depth: bool = False,
        even_batches: bool = False,
        jitter: Jitter | None = None,
    ):
        super().__init__()
        opened = open_representation(representation)
        self.chosen_views = opened.choose_views(modality, views)
        self.names = choose_channels(corpus, modality, opened, channels, self.chosen_views)
        check_scaling(scaling, opened)
        check_augmentation(augment, opened)
        self.modality, self.representation = modality, opened
        self.scaling, self.balanced = scaling, balanced
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.features, self.augment = features, augment
        self.size, self.drop_zero_motion, self.legacy = size, drop_zero_motion, legacy or {}
        self.require_depth, self.even_batches = require_depth, even_batches
        loaded = load_features(
            corpus, features, opened, modality, require_depth, self.chosen_views, jitter
        )
        self.corpus, self.shifts = loaded.corpus, loaded.shifts
        index, self.classes = self.corpus.index, self.corpus.protocol.classes
        self.label = read_labels(self.corpus, self.classes)
        # See `relabel`; `None` where all folds learn all classes.
        self.min_subjects: int | None = None
        self.sample_id = index["sample_id"].to_numpy(object)
        self.subject = index["subject"].to_numpy(str)
        misaligned = self.legacy.get("misaligned_pairs", False)
        self.sample_inputs = make_inputs(
            loaded, opened, self.names, size, misaligned, standard=scaling == "standard"
        )
        self.still = find_zero_motion(self.corpus, self.sample_inputs.views) & drop_zero_motion
        warn_of_still(self.still, self.corpus.protocol.name)
        unit = (Scale(torch.tensor(0.0), torch.tensor(255.0)),)
        self.scales: tuple[Scale, ...] | None = unit if scaling == "unit" else None
        rows = np.arange(len(index))
        self.train_rows, self.test_rows, self.held_out = rows, rows[:0], "nobody"

    @property
    def annotated(self) -> "ClipDataModule":
        """Datamodule without jitter, for training."""
        plain = copy.copy(self)
        plain.sample_inputs = self.sample_inputs.drop_shifts()
        return plain

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels; those of two views are concatenated."""
        return tuple(name for names in self.names for name in names)

    @property
    def in_channels(self) -> int | tuple[int, int]:
        """Number of channels of a map or clip, or of features of a point; a pair of numbers for two views."""
        if len(self.names) == 1:
            return len(self.names[0])
        first, second = self.names
        return len(first), len(second)

    @property
    def inputs(self) -> Tensor | tuple[Tensor, Tensor]:
        """Inputs of all samples for prediction."""
        tested = self.sample_inputs.tested
        return pack(tested if self.scales is None else rescale(tested, self.scales))

    def of(self, corpus: Corpus, **changes: Any) -> "ClipDataModule":
        """Return a datamodule of another corpus with the same settings, without jitter.

        Args:
            corpus: Corpus of the samples.
            **changes: Other arguments of the constructor.

        Raises:
            InputError: As the constructor.
        """
        settings = {name: getattr(self, name) for name in _KEPT_BY_NAME} | {
            "representation": self.representation.name,
            "channels": self.names[0],
            "views": self.chosen_views,
        }
        return ClipDataModule(corpus, **(settings | changes))

    def relabel(self, corpus: Corpus, min_subjects: int) -> "ClipDataModule":
        """Return the datamodule with other labels, without samples that have no such label.

        Args:
            corpus: `self.corpus` with another target, see `set_target`.
            min_subjects: Number of training subjects that must show an action unit for a fold to learn it.

        Raises:
            InputError: If `balanced` is set and the new labels are not classes.
        """
        target = open_target(corpus.protocol)
        if self.balanced:
            assert_one_label(target)
        relabelled = self.keep_samples(corpus)
        relabelled.min_subjects = min_subjects
        return relabelled.choose_classes(target.classes)

    def choose_classes(self, classes: tuple[str, ...]) -> "ClipDataModule":
        """Return the datamodule with labels of the given classes or action units, scored or not."""
        chosen = copy.copy(self)
        chosen.classes, chosen.label = classes, read_labels(self.corpus, classes)
        return chosen

    def choose_trained_classes(self, train: Int[np.ndarray, " train"]) -> "ClipDataModule":
        """Return the datamodule with the labels that a fold learns, chosen by its training rows only.

        Raises:
            InputError: If too few training subjects show any action unit.
        """
        if self.min_subjects is None:
            return self
        target, rows = open_target(self.corpus.protocol), self.corpus.index.iloc[train]
        trained = target.find_trained(rows, self.min_subjects)
        return self if trained == self.classes else self.choose_classes(trained)

    def keep_samples(self, corpus: Corpus) -> "ClipDataModule":
        """Return the datamodule with only those samples that are in another corpus, in unchanged order.

        Args:
            corpus: `self.corpus`, with fewer rows or other labels.
        """
        kept = copy.copy(self)
        kept.corpus = corpus
        here = np.isin(self.sample_id.astype(str), corpus.index["sample_id"].to_numpy(str))
        if here.all():
            return kept
        rows = np.flatnonzero(here)
        kept.sample_inputs = self.sample_inputs.take(rows)
        kept.sample_id, kept.subject = self.sample_id[rows], self.subject[rows]
        kept.still, kept.label = self.still[rows], self.label[rows]
        if self.shifts is not None:
            kept.shifts = self.shifts[self.shifts["sample_id"].isin(kept.sample_id)]
        kept.train_rows, kept.test_rows = np.arange(len(rows)), np.arange(0)
        return kept

    def hold_out(
        self, train: Int[np.ndarray, " train"], test: Int[np.ndarray, " test"], held_out: str
    ) -> "ClipDataModule":
        """Return the datamodule of one fold.

        Args:
            train: Rows to train on; those without motion are left out.
            test: Rows to predict.
            held_out: Name of the held-out subject, part of the seed of all random draws.

        Raises:
            InputError: If a subject is on both sides, or no training sample shows motion.
        """
        assert_subjects_disjoint(self.subject, train=train, test=test)
        train = self.drop_still(train)
        fold = copy.copy(self.choose_trained_classes(train) if len(train) else self)
        fold.train_rows, fold.test_rows, fold.held_out = train, test, held_out
        if self.scaling == "standard":
            named = zip(self.sample_inputs.sums, self.names, strict=True)
            fold.scales = tuple(measure_scale(sums, train, names) for sums, names in named)
        return fold

    def drop_still(self, rows: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " moving"]:
        """Return the rows to train on: samples with motion, or all if `drop_zero_motion` is off.

        Raises:
            InputError: If none is left.
        """
        return drop_still(rows, self.still, self.corpus.protocol.name)

    def train_dataloader(self) -> DataLoader:
        """Return a loader of shuffled batches of the training samples."""
        augmenter = None
        if self.augment is not None and self.augment.active:
            augmenter = Augmenter(
                self.augment, self.representation, self.names, self.seed, self.held_out
            )
        classes = self.label[self.train_rows].numpy() if self.balanced else None
        drawn = self.batch_size, self.seed, self.held_out, classes, self.even_batches
        views, batches = self.sample_inputs.views, SeededBatches(self.train_rows, *drawn)
        clips = Clips(views, self.label, self.sample_id, self.scales, augmenter)
        return load_batches(clips, batches, self.num_workers)

    def predict_dataloader(self) -> DataLoader:
        """Return a loader of the held-out samples in the order of the index."""
        views, batches = self.sample_inputs.tested, OrderedBatches(self.test_rows, self.batch_size)
        clips = Clips(views, self.label, self.sample_id, self.scales, None)
        return load_batches(clips, batches, self.num_workers)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Move only the tensors to the device; Lightning would also traverse all sample ids."""
        return batch.to(device)
