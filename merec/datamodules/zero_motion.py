"""Samples without motion: onset and apex are one frame, so nothing shows the class they are labelled with."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from merec.datamodules.views import find_still


def find_zero_motion(
    index: pd.DataFrame,
    maps: UInt8[np.ndarray, "samples channels height width"] | None,
    views: Sequence[Float[Tensor, "samples ..."]],
) -> Bool[np.ndarray, " samples"]:
    """Find the samples whose onset and apex are one frame, or of which a view is zero all over.

    Flow maps that circulate without frame numbers are stretched to 0..255 by channel; one without motion is
    constant in every channel. No map of MEGC2019 is.

    Args:
        index: As `Corpus.index`; with `onset` and `apex` if the corpus has frames.
        maps: Flow maps of a corpus that has no frames.
        views: The two views of backbones that read such; empty for others.

    Raises:
        InputError: If a view is zero in every sample.
    """
    if "onset" in index:
        still = (index["onset"] == index["apex"]).to_numpy(bool)
    elif maps is not None:
        still = (maps.max((2, 3)) == maps.min((2, 3))).all(1)
    else:
        still = np.zeros(len(index), bool)
    return still | find_still(views) if views else still
