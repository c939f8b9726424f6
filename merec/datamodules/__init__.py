"""One LightningDataModule for every corpus, modality and representation."""

from merec.datamodules.augment import Augmentation
from merec.datamodules.clips import ClipDataModule
from merec.datamodules.pretraining import pretraining_pairs

__all__ = ["Augmentation", "ClipDataModule", "pretraining_pairs"]
