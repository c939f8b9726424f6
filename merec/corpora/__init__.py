"""Data sets as they lie on disk: one file each, giving an index of samples."""

from merec.corpora.megc2019_flow import read_megc2019_flow

__all__ = ["read_megc2019_flow"]
