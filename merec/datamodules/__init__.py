"""One LightningDataModule for every corpus, modality and representation."""

from merec.datamodules.clips import ClipDataModule
from merec.datamodules.jitter import Jitter
from merec.datamodules.pretraining import (
    PairPool,
    choose_pairs,
    hold_out_others,
    hold_out_pairs,
    open_pretraining,
)
from merec.features.augmentation import Augmentation

__all__ = [
    "Augmentation",
    "ClipDataModule",
    "Jitter",
    "PairPool",
    "choose_pairs",
    "hold_out_others",
    "hold_out_pairs",
    "open_pretraining",
]
