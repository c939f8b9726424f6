"""The two views of each sample of a corpus: at what size, of which clip, and whether they show any change."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from merec.types import InputError

_FEW = 256  # samples that are resized at once


def resize_views(
    views: Sequence[Tensor], channels: Sequence[Sequence[str]], size: int
) -> tuple[Tensor, ...]:
    """Views at another size, each pixel the mean of what it covers; flow in px of that size.

    Args:
        views: Each (samples, channels, side, side).
        channels: Names of the channels of each.
        size: px, up to `side`.

    Raises:
        InputError: If they would have to grow.
    """
    side = views[0].shape[-1]
    if not 0 < size <= side:
        raise InputError(
            f"datamodule.size={size}, but the crops are of {side} px; give 1 to {side}, or a larger "
            "features.crops.size"
        )
    if size == side:
        return tuple(views)
    resized = []
    for view, names in zip(views, channels, strict=True):
        small = torch.cat(
            [interpolate(some, (size, size), mode="area") for some in view.split(_FEW)]
        )
        for at, name in enumerate(names):
            if name in ("u", "v"):
                small[:, at] *= size / side
        resized.append(small)
    return tuple(resized)


def find_still(views: Sequence[Float[Tensor, "samples ..."]]) -> Bool[np.ndarray, " samples"]:
    """Samples of which a view is zero all over: onset and apex are one frame, or depth is unknown.

    Raises:
        InputError: If a view is zero in every sample.
    """
    still = [(view.flatten(1) == 0).all(1).numpy() for view in views]
    for number, each in enumerate(still, start=1):
        if len(each) and each.all():
            raise InputError(
                f"view {number} is zero in all {len(each)} samples, so there is nothing to learn from it; "
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
