"""Checks and misalignment of the two views of samples."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import Tensor

from merec.types import InputError


def find_still(views: Sequence[Float[Tensor, "samples ..."]]) -> Bool[np.ndarray, " samples"]:
    """Find samples with an all-zero view: onset and apex are the same frame, or depth is unknown.

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
    """Return for each sample the row of its second view: another row of the same subject and class, if any.

    The released DVSCL code joins colour and depth by row of two lists in different orders, so that three of
    four pairs show two different clips. The pairs are not known; here each sample takes the view of the next
    one.
    """
    second = np.arange(len(index))
    for rows in index.groupby(["subject", "label"]).indices.values():
        second[rows] = np.roll(rows, -1)
    return second
