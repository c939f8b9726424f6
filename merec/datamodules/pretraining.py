"""What may be pretrained on inside a fold: pairs of frames of anyone but the held-out subject."""

import logging
import re

import numpy as np
from jaxtyping import Int

from merec.types import Corpus, InputError

log = logging.getLogger(__name__)


def choose_pairs(
    pool: Corpus, held_out: str | None, least: float | int
) -> Int[np.ndarray, " pairs"]:
    """Rows of a pool of pairs that a fold may pretrain on.

    A clip of unknown subject may show the held-out one, so it is left out with them; names are compared
    without regard to case and leading zeros, as folders spell them in several ways.

    Args:
        pool: Of pairs, as `FeatureStore.make_pool` gives it.
        held_out: The held-out subject, or `None` if nobody is.
        least: Intensity below which a pair shows too little, in units of the pool's estimator.

    Raises:
        InputError: If none is left.
    """
    name, index = pool.protocol.name, pool.index
    allowed = np.ones(len(index), bool)
    if held_out is not None:
        subjects = index["subject"].map(_spell)
        unknown = (subjects == "").to_numpy()
        if unknown.any():
            log.warning(
                "%d of %d pairs of %s name no subject and are left out: they may show %s",
                *(int(unknown.sum()), len(index), name, held_out),
            )
        allowed = ~unknown & (subjects != _spell(held_out)).to_numpy()
        if not allowed.any():
            raise InputError(
                f"all {len(index)} pairs of {name} show {held_out}, who is held out, or nobody knows whom; "
                "add clips of other subjects below folders that name them (spNO.1)"
            )
    intensity = index["intensity"].to_numpy()
    rows = np.flatnonzero(allowed & (intensity >= least))
    if not len(rows):
        raise InputError(
            f"no pair of {name} has an intensity of {least}; the strongest has "
            f"{intensity[allowed].max():.2f}: lower the threshold"
        )
    return rows


def _spell(subject: str) -> str:
    """A subject's name in the one spelling that names are compared in."""
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), subject.strip().casefold())
