"""The samples of a corpus for training: who is trained on, who is held out, in which modality and scale."""

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from merec.datamodules.batches import (
    Augmenter,
    Clips,
    OrderedBatches,
    Scale,
    SeededBatches,
    measure_scale,
    pack,
    rescale,
    sum_up,
)
from merec.datamodules.feature_loading import load_ready, load_shifted
from merec.datamodules.jitter import Jitter, check_jitter, shift_key_frames
from merec.datamodules.modality_channels import (
    check_augmentation,
    check_scaling,
    choose_channels,
)
from merec.datamodules.views import misalign
from merec.datamodules.zero_motion import find_zero_motion
from merec.evaluation.leakage import assert_subjects_disjoint
from merec.features.augmentation import Augmentation
from merec.features.prepare import FeatureStore
from merec.features.representations import open_representation
from merec.targets import open_target
from merec.types import Batch, Corpus, InputError

log = logging.getLogger(__name__)


class ClipDataModule(pl.LightningDataModule):
    """The samples of a corpus in one modality and representation.

    `hold_out` gives the view of one fold; all views share the samples in memory.

    Args:
        corpus: Whose faces.
        modality: `rgb`, `depth` or `fused`.
        representation: What the backbone reads, see `open_representation`.
        channels: Which channels of the flow maps, in which order; `None` for all.
        scaling: `raw` as they are, `unit` flow maps over 255, or `standard`: zero mean and unit variance per
            channel, by the statistics of the fold's training subjects.
        batch_size: Samples per training batch.
        num_workers: Loader processes; 0 is fastest for samples that lie in memory.
        seed: Seed of the order of samples and of what happens to them.
        features: The feature store; a corpus of flow maps needs none.
        augment: What happens to training samples; `None` for nothing.
        balanced: Draw as many training samples of each class, some of them twice, some never.
        size: Of views, px; `None` for that of the crops.
        views: See `Representation.choose_views`.
        drop_zero_motion: Do not train on samples without motion, see `find_zero_motion`; they are predicted.
        legacy: `misaligned_pairs` joins views as the released DVSCL code does, see `misalign`.
        require_depth: Leave samples without usable depth out of `rgb` too, so that modalities are compared
            on the same samples.
        even_batches: Training batches of equal size, see `SeededBatches`.
        jitter: By how much onset and apex are off when samples are predicted; `None` for not at all.

    Attributes:
        shifts: What became of the key frames, see `shift_key_frames`; `None` without jitter.

    Raises:
        InputError: If the corpus cannot show what is asked for, or no sample of it is ready.
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
        shown = open_representation(representation)
        self.chosen_views = shown.choose_views(modality, views)
        self.names = choose_channels(corpus, modality, shown, channels, self.chosen_views)
        check_scaling(scaling, shown)
        check_augmentation(augment, shown)
        if jitter is not None:
            check_jitter(jitter, corpus)
        self.modality, self.representation = modality, shown
        self.scaling, self.balanced = scaling, balanced
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.features, self.augment = features, augment
        self.size, self.drop_zero_motion, self.legacy = size, drop_zero_motion, legacy or {}
        self.require_depth, self.even_batches = require_depth, even_batches
        self.shifts: pd.DataFrame | None = None
        off: tuple[np.ndarray, ...] = ()  # features of shifted key frames
        if corpus.flow_maps is None:  # last, for it may take minutes
            if features is None:
                raise InputError(
                    f"{corpus.protocol.name} has frames, whose features need a store; set "
                    "datamodule.features to one, as conf/features does"
                )
            corpus, arrays = load_ready(
                corpus, features, shown, modality, require_depth, self.chosen_views
            )
            if jitter is not None and jitter.active:
                moved, self.shifts = shift_key_frames(corpus, jitter)
                off = load_shifted(moved, features, shown, modality, self.chosen_views)
        else:
            arrays = (corpus.flow_maps,)
        self.arrays = arrays + off  # what a run was made of: all channels, in no scale
        self.corpus = corpus
        self.classes = corpus.protocol.classes
        self.label = read_labels(corpus, self.classes)
        self.min_subjects: int | None = (
            None  # see `relabel`; `None` where all folds learn all classes
        )
        self.sample_id = corpus.index["sample_id"].to_numpy(object)
        self.subject = corpus.index["subject"].to_numpy(str)
        # Maps as they lie in the store; there are some in one representation only.
        self.maps = self.tested_maps = np.empty((0, 0, 0, 0), np.uint8)
        if shown.stretched:
            chosen = [corpus.channels.index(channel) for channel in self.names[0]]
            self.maps = arrays[0][:, chosen]
            self.tested_maps = off[0][:, chosen] if off else self.maps
            arrays, off = (self.maps,), (self.tested_maps,) if off else ()
        self.views = self._show(arrays)
        self.shifted = self._show(off) if off else None
        both = self.views if len(self.views) > 1 else ()
        self.still = find_zero_motion(corpus.index, corpus.flow_maps, both) & drop_zero_motion
        if self.still.any():
            log.warning(
                "%d of %d samples of %s show no motion; they are predicted, but not trained on; "
                "datamodule.drop_zero_motion=false trains on them",
                *(int(self.still.sum()), len(self.still), corpus.protocol.name),
            )
        self.scales: tuple[Scale, ...] | None = None
        if scaling == "unit":
            self.scales = (Scale(torch.tensor(0.0), torch.tensor(255.0)),)
        axis = shown.channel_axis
        self.sums = tuple(sum_up(view, axis) for view in self.views if scaling == "standard")
        everyone = np.arange(len(corpus.index))
        self.train_rows, self.test_rows, self.held_out = everyone, everyone[:0], "nobody"

    def _show(self, arrays: tuple[np.ndarray, ...]) -> tuple[Tensor, ...]:
        """Return features as they lie in memory; of two views, which goes with which."""
        views = self.representation.show(arrays, self.names, self.size)
        if len(views) > 1 and self.legacy.get("misaligned_pairs", False):
            first, second = views
            partner = misalign(self.corpus.index)
            views = (first, second[partner])
            every = len(partner)
            log.warning(
                "legacy.misaligned_pairs: %d of %d samples of %s show two clips",
                *(int((partner != np.arange(every)).sum()), every, self.corpus.protocol.name),
            )
        return views

    @property
    def tested(self) -> tuple[Tensor, ...]:
        """What is seen of samples that are predicted."""
        return self.views if self.shifted is None else self.shifted

    @property
    def annotated(self) -> "ClipDataModule":
        """The same without jitter, for what belongs to training."""
        plain = copy.copy(self)
        plain.shifted, plain.tested_maps = None, self.maps
        return plain

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, of both views one after the other."""
        return tuple(name for names in self.names for name in names)

    @property
    def in_channels(self) -> int | tuple[int, int]:
        """Channels of a map or clip, features of a point; of two views both numbers of channels."""
        if len(self.names) == 1:
            return len(self.names[0])
        first, second = self.names
        return len(first), len(second)

    @property
    def inputs(self) -> Tensor | tuple[Tensor, Tensor]:
        """All samples as a backbone sees them when it predicts."""
        return pack(self.tested if self.scales is None else rescale(self.tested, self.scales))

    def of(self, corpus: Corpus, **changes: Any) -> "ClipDataModule":
        """The samples of another corpus, shown like these, with its key frames as annotated.

        Args:
            corpus: Whose faces.
            **changes: Other arguments of the constructor.

        Raises:
            InputError: As the constructor.
        """
        settings: dict[str, Any] = {
            "modality": self.modality,
            "representation": self.representation.name,
            "channels": self.names[0],
            "scaling": self.scaling,
            "batch_size": self.batch_size,
            "num_workers": self.num_workers,
            "seed": self.seed,
            "features": self.features,
            "augment": self.augment,
            "balanced": self.balanced,
            "size": self.size,
            "views": self.chosen_views,
            "drop_zero_motion": self.drop_zero_motion,
            "legacy": self.legacy,
            "require_depth": self.require_depth,
            "even_batches": self.even_batches,
        }
        return ClipDataModule(corpus, **(settings | changes))

    def relabel(self, corpus: Corpus, min_subjects: int) -> "ClipDataModule":
        """The same samples with other labels, without those that cannot be labelled.

        Args:
            corpus: `self.corpus` with another target, see `set_target`.
            min_subjects: How many training subjects must show an action unit for a fold to learn it.

        Raises:
            InputError: If samples are to be drawn by a class that they no longer have.
        """
        target = open_target(corpus.protocol)
        if self.balanced and target.multilabel:
            raise InputError(
                "datamodule.balanced=true draws as many samples of each class, but action units come "
                "together; set datamodule.balanced=false and recipe.class_balanced=true, which weighs each"
            )
        relabelled = self.keep_samples(corpus)
        relabelled.min_subjects = min_subjects
        return relabelled.choose_classes(target.classes)

    def choose_classes(self, classes: tuple[str, ...]) -> "ClipDataModule":
        """Return the same samples with labels of these classes or action units, scored or not."""
        chosen = copy.copy(self)
        chosen.classes, chosen.label = classes, read_labels(self.corpus, classes)
        return chosen

    def choose_trained_classes(self, train: Int[np.ndarray, " train"]) -> "ClipDataModule":
        """Return the same samples with the labels that a fold learns, chosen by its training rows alone.

        Raises:
            InputError: If too few training subjects show any action unit.
        """
        if self.min_subjects is None:
            return self
        target, rows = open_target(self.corpus.protocol), self.corpus.index.iloc[train]
        trained = target.find_trained(rows, self.min_subjects)
        return self if trained == self.classes else self.choose_classes(trained)

    def keep_samples(self, corpus: Corpus) -> "ClipDataModule":
        """Return these samples as far as they are in another corpus, in the order of this one.

        Args:
            corpus: `self.corpus`, with fewer rows or other labels.
        """
        kept = copy.copy(self)
        kept.corpus = corpus
        here = np.isin(self.sample_id.astype(str), corpus.index["sample_id"].to_numpy(str))
        if here.all():
            return kept
        rows = np.flatnonzero(here)
        kept.arrays = tuple(array[rows] for array in self.arrays)
        kept.sample_id, kept.subject, kept.still = (
            values[rows] for values in (self.sample_id, self.subject, self.still)
        )
        kept.label = self.label[rows]
        if self.representation.stretched:
            kept.maps, kept.tested_maps = self.maps[rows], self.tested_maps[rows]
        kept.views = _take_rows(self.views, rows)
        kept.shifted = None if self.shifted is None else _take_rows(self.shifted, rows)
        if self.shifts is not None:
            kept.shifts = self.shifts[self.shifts["sample_id"].isin(kept.sample_id)]
        kept.sums = tuple(
            sums._replace(total=sums.total[rows], squares=sums.squares[rows]) for sums in self.sums
        )
        kept.train_rows, kept.test_rows = np.arange(len(rows)), np.arange(0)
        return kept

    def hold_out(
        self, train: Int[np.ndarray, " train"], test: Int[np.ndarray, " test"], held_out: str
    ) -> "ClipDataModule":
        """The view of one fold.

        Args:
            train: Rows to train on, but for those without motion.
            test: Rows to predict.
            held_out: Name of the held-out subject, part of the seed of what is drawn.

        Raises:
            InputError: If a subject is on both sides, or no training sample shows motion.
        """
        assert_subjects_disjoint(self.subject, train=train, test=test)
        train = self.drop_still(train)
        fold = copy.copy(self.choose_trained_classes(train) if len(train) else self)
        fold.train_rows, fold.test_rows, fold.held_out = train, test, held_out
        if self.scaling == "standard":
            named = zip(self.sums, self.names, strict=True)
            fold.scales = tuple(measure_scale(sums, train, names) for sums, names in named)
        return fold

    def drop_still(self, rows: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " moving"]:
        """Return those rows that may be trained on: samples that show motion, or all.

        Raises:
            InputError: If none is left.
        """
        moving = rows[~self.still[rows]]
        if len(rows) and not len(moving):
            raise InputError(
                f"none of {len(rows)} training samples of {self.corpus.protocol.name} shows motion: onset "
                "and apex are one frame, or the maps are constant; correct the annotation, or set "
                "datamodule.drop_zero_motion=false to train on them"
            )
        return moving

    def _load(
        self, views: tuple[Tensor, ...], batches: Sampler, augmenter: Augmenter | None
    ) -> DataLoader:
        clips = Clips(views, self.label, self.sample_id, self.scales, augmenter)
        return DataLoader(
            clips,
            sampler=batches,
            batch_size=None,
            num_workers=self.num_workers,
            collate_fn=_keep,  # the default makes lists of tuples
        )

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches of the training subjects."""
        augmenter = None
        if self.augment is not None and self.augment.active:
            augmenter = Augmenter(
                self.augment, self.representation, self.names, self.seed, self.held_out
            )
        classes = self.label[self.train_rows].numpy() if self.balanced else None
        drawn = self.batch_size, self.seed, self.held_out, classes, self.even_batches
        return self._load(self.views, SeededBatches(self.train_rows, *drawn), augmenter)

    def predict_dataloader(self) -> DataLoader:
        """The held-out samples, in the order of the index."""
        return self._load(self.tested, OrderedBatches(self.test_rows, self.batch_size), None)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Move tensors only; Lightning would look into every sample id."""
        return batch.to(device)


def _take_rows(views: tuple[Tensor, ...], rows: Int[np.ndarray, " rows"]) -> tuple[Tensor, ...]:
    """Some samples of each view, in the memory layout of the view."""
    taken = []
    for view in views:
        copied = torch.empty_like(view[: len(rows)])
        copied.copy_(view[torch.from_numpy(rows)])
        taken.append(copied)
    return tuple(taken)


def read_labels(
    corpus: Corpus, classes: tuple[str, ...]
) -> Int[Tensor, " samples"] | Float[Tensor, "samples units"]:
    """Return the class of each sample, or for each action unit 1 if it is present, else 0."""
    target = replace(open_target(corpus.protocol), classes=classes)
    return torch.from_numpy(target.encode(corpus.index))


def _keep(batch: Any) -> Any:
    """A batch is fetched whole."""
    return batch
