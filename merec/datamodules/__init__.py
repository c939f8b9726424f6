"""One LightningDataModule for every corpus, modality and representation."""

from merec.datamodules.augment import Augmentation
from merec.datamodules.clips import ClipDataModule
from merec.datamodules.pretraining import choose_pairs, hold_out_others, open_pretraining

__all__ = [
    "Augmentation",
    "ClipDataModule",
    "choose_pairs",
    "hold_out_others",
    "open_pretraining",
]
