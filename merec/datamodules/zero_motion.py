"""Samples without motion: onset and apex are the same frame, so the class is not visible."""

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from merec.datamodules.views import find_still
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)


def find_zero_motion(
    corpus: Corpus, views: Sequence[Float[Tensor, "samples ..."]]
) -> Bool[np.ndarray, " samples"]:
    """Find the samples whose onset and apex are the same frame, or that have an all-zero view.

    Flow maps without frame numbers are scaled to 0..255 by channel; a map without motion is constant in every
    channel. MEGC2019 contains no such map.

    Args:
        corpus: Corpus of the samples.
        views: One or two inputs of a backbone.

    Raises:
        InputError: If one of two views is zero in every sample.
    """
    if "onset" in corpus.index:
        still = (corpus.index["onset"] == corpus.index["apex"]).to_numpy(bool)
    elif corpus.flow_maps is not None:
        still = (corpus.flow_maps.max((2, 3)) == corpus.flow_maps.min((2, 3))).all(1)
    else:
        still = np.zeros(len(corpus.index), bool)
    return still | find_still(views) if len(views) > 1 else still


def warn_of_still(still: Bool[np.ndarray, " samples"], name: str) -> None:
    """Warn of samples that are predicted, but not trained on; `name` is the name of the protocol."""
    if still.any():
        log.warning(
            "%d of %d samples of %s show no motion; they are predicted, but not trained on; "
            "datamodule.drop_zero_motion=false trains on them",
            *(int(still.sum()), len(still), name),
        )


def drop_still(
    rows: Int[np.ndarray, " rows"], still: Bool[np.ndarray, " samples"], name: str
) -> Int[np.ndarray, " moving"]:
    """Return the rows of samples that show motion.

    Args:
        rows: Training rows.
        still: Mask of the samples without motion.
        name: Name of the protocol, for messages.

    Raises:
        InputError: If none is left.
    """
    moving = rows[~still[rows]]
    if len(rows) and not len(moving):
        raise InputError(
            f"none of {len(rows)} training samples of {name} shows motion: onset "
            "and apex are one frame, or the maps are constant; correct the annotation, or set "
            "datamodule.drop_zero_motion=false to train on them"
        )
    return moving
