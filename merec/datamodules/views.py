"""The two views of each sample of a corpus: of which clip, and whether they show any change."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import Tensor

from merec.types import InputError


def find_still(views: Sequence[Float[Tensor, "samples ..."]]) -> Bool[np.ndarray, " samples"]:
    """Return samples of which a view is zero all over: onset and apex are one frame, or depth is unknown.

    Raises:
        InputError: If a view is zero in every sample.
    """
    still = [(view.flatten(1) == 0).all(1).numpy() for view in views]
    for number, image in enumerate(still, start=1):
        if len(image) and image.all():
            raise InputError(
                f"view {number} is zero in all {len(image)} samples, so there is nothing to learn from it; "
                "look at some with merec inspect, and use datamodule=rgb if there is no depth"
            )
    return np.logical_or.reduce(still)


def misalign(index: pd.DataFrame) -> Int[np.ndarray, " samples"]:
    """For each sample the row whose second view it gets: another of the same subject and class, if any.

    The released DVSCL code joins colour and depth by row of lists in different orders, so that three of four
    pairs show two clips in the released code. Which ones is not known; here each takes the next one's.
    """
    second = np.arange(len(index))
    for rows in index.groupby(["subject", "label"]).indices.values():
        second[rows] = np.roll(rows, -1)
    return second
