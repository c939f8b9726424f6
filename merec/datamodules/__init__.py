"""One LightningDataModule for every corpus, modality and representation."""

from merec.datamodules.clips import ClipDataModule

__all__ = ["ClipDataModule"]
