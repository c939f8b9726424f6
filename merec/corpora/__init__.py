"""Readers of data sets; each reader returns an index of samples."""

from merec.corpora.casme2 import read_casme2
from merec.corpora.casme3 import read_casme3
from merec.corpora.megc2019 import read_megc2019
from merec.corpora.megc2019_flow import read_megc2019_flow
from merec.corpora.samm import read_samm
from merec.corpora.smic import read_smic

__all__ = [
    "read_casme2",
    "read_casme3",
    "read_megc2019",
    "read_megc2019_flow",
    "read_samm",
    "read_smic",
]
