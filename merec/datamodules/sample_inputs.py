"""Inputs of all samples of a corpus in memory, for training and for prediction."""

import logging
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from merec.datamodules.batches import Sums, sum_up
from merec.datamodules.feature_loading import Arrays, LoadedFeatures
from merec.datamodules.views import misalign
from merec.features.representations import Channels, Representation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SampleInputs:
    """Inputs of all samples.

    Attributes:
        arrays: Unscaled features in all channels, also of shifted key frames; their hash identifies a run.
        maps: Flow maps of the feature store; empty for other representations.
        tested_maps: Flow maps of samples that are predicted.
        views: The one or two inputs of a backbone.
        tested: Inputs of samples that are predicted; `views` itself without jitter.
        sums: Sums of each view, from which the scale of a fold is computed; empty if all folds have the same
            scale.
    """

    arrays: Arrays
    maps: np.ndarray
    tested_maps: np.ndarray
    views: tuple[Tensor, ...]
    tested: tuple[Tensor, ...]
    sums: tuple[Sums, ...]

    def drop_shifts(self) -> "SampleInputs":
        """Return the inputs with annotated key frames."""
        return replace(self, tested=self.views, tested_maps=self.maps)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "SampleInputs":
        """Return the inputs of some samples."""
        views = _take_rows(self.views, rows)
        return SampleInputs(
            tuple(array[rows] for array in self.arrays),
            self.maps[rows] if len(self.maps) else self.maps,
            self.tested_maps[rows] if len(self.maps) else self.maps,
            views,
            views if self.tested is self.views else _take_rows(self.tested, rows),
            tuple(
                sums._replace(total=sums.total[rows], squares=sums.squares[rows])
                for sums in self.sums
            ),
        )


def make_inputs(
    loaded: LoadedFeatures,
    representation: Representation,
    names: Channels,
    size: int | None,
    misaligned: bool,
    standard: bool,
) -> SampleInputs:
    """Compute the inputs of a backbone from loaded features.

    Args:
        loaded: Loaded features.
        representation: Representation that the backbone reads.
        names: Channels of each view.
        size: Size of views, px; `None` for that of the crops.
        misaligned: Join views as the released DVSCL code does, see `misalign`.
        standard: Whether each fold computes its scale.
    """
    arrays, shifted = loaded.arrays, loaded.shifted
    maps = tested_maps = np.empty((0, 0, 0, 0), np.uint8)
    if representation.stretched:
        chosen = [loaded.corpus.channels.index(channel) for channel in names[0]]
        maps = arrays[0][:, chosen]
        tested_maps = shifted[0][:, chosen] if shifted else maps
        arrays, shifted = (maps,), (tested_maps,) if shifted else ()
    views = representation.show(arrays, names, size)
    tested = representation.show(shifted, names, size) if shifted else views
    if len(views) > 1 and misaligned:
        partner = _misalign(loaded.corpus.index, loaded.corpus.protocol.name)
        both = (views[0], views[1][partner])
        tested = (tested[0], tested[1][partner]) if shifted else both
        views = both
    sums = tuple(sum_up(view, representation.channel_axis) for view in views if standard)
    return SampleInputs(loaded.arrays + loaded.shifted, maps, tested_maps, views, tested, sums)


def _misalign(index: pd.DataFrame, name: str) -> Int[np.ndarray, " samples"]:
    partner = misalign(index)
    log.warning(
        "legacy.misaligned_pairs: %d of %d samples of %s show two clips",
        *(int((partner != np.arange(len(partner))).sum()), len(partner), name),
    )
    return partner


def _take_rows(views: tuple[Tensor, ...], rows: Int[np.ndarray, " rows"]) -> tuple[Tensor, ...]:
    """Return some samples of each view, in the memory layout of the view."""
    taken = []
    for view in views:
        copied = torch.empty_like(view[: len(rows)])
        copied.copy_(view[torch.from_numpy(rows)])
        taken.append(copied)
    return tuple(taken)
