"""What may be pretrained on inside a fold: clips without labels, of anyone but the held-out subject."""

import logging
import re

import pandas as pd

from merec.types import Corpus, InputError

log = logging.getLogger(__name__)


def pretraining_pairs(corpus: Corpus, held_out: str | None) -> pd.DataFrame:
    """The unlabelled clips that pairs of frames may be taken from.

    A clip of unknown subject may show the held-out one, so it is left out with them; names are compared
    without regard to case and leading zeros, as folders spell them in several ways.

    Args:
        corpus: A corpus with unlabelled clips.
        held_out: The held-out subject, or `None` if nobody is.

    Returns:
        Rows of `corpus.unlabelled`, numbered anew.

    Raises:
        InputError: If there are no such clips.
    """
    clips = corpus.unlabelled
    if clips is None or clips.empty:
        raise InputError(
            f"{corpus.protocol.name} has no unlabelled clips to pretrain on; set corpus.unlabelled to the "
            "folders that hold them"
        )
    if held_out is None:
        return clips.reset_index(drop=True)
    names = clips["subject"].map(_spell)
    unknown = names == ""
    if unknown.any():
        log.warning(
            "%d of %d unlabelled clips name no subject and are left out: they may show %s",
            *(int(unknown.sum()), len(clips), held_out),
        )
    kept = clips[~unknown & (names != _spell(held_out))]
    if kept.empty:
        raise InputError(
            f"all {len(clips)} unlabelled clips of {corpus.protocol.name} show {held_out}, who is held "
            "out, or nobody knows whom; add clips of other subjects below folders that name them (spNO.1)"
        )
    return kept.reset_index(drop=True)


def _spell(subject: str) -> str:
    """A subject's name in the one spelling that names are compared in."""
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), subject.strip().casefold())
