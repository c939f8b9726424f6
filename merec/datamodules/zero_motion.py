"""Samples without motion: onset and apex are one frame, so nothing shows the class they are labelled with."""

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
    """Find the samples whose onset and apex are one frame, or of which one of two views is zero all over.

    Flow maps that circulate without frame numbers are stretched to 0..255 by channel; one without motion is
    constant in every channel. No map of MEGC2019 is.

    Args:
        corpus: The samples.
        views: The one or two inputs of a backbone.

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
    """Warn of samples that are predicted, but not trained on; `name` is that of the protocol."""
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
        still: Whether a sample shows no motion to train on, for each sample.
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
