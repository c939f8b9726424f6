"""Batches of samples in memory: their order, augmentation and scaling."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from merec.datamodules.ranks import count_ranks, deal
from merec.features.augmentation import Augmentation
from merec.features.representations import Channels, Representation
from merec.features.representations.clip import MASKS
from merec.seeding import derive_seed
from merec.types import Batch

Rows = Int[np.ndarray, " rows"]


class Draw(NamedTuple):
    """Rows of a batch, and the epoch that seeds its augmentation; `None` for no augmentation."""

    rows: Rows
    epoch: int | None


class Scale(NamedTuple):
    """Scale of a view: values become (value - `zero`) / `one`; both broadcast to a batch."""

    zero: Tensor
    one: Tensor


class Augmenter(NamedTuple):
    """Augmentation of training samples, seeded by (seed, held-out subject, epoch, sample id)."""

    settings: Augmentation
    representation: Representation
    channels: Channels
    seed: int
    held_out: str

    def apply(
        self, views: tuple[Tensor, ...], sample_id: np.ndarray, epoch: int
    ) -> tuple[Tensor, ...]:
        """Apply the augmentation of the epoch to a batch."""
        generators = self._seed(sample_id, epoch, "augment")
        return self.representation.augment(views, self.channels, self.settings, generators)

    def drop(
        self, views: tuple[Tensor, ...], sample_id: np.ndarray, epoch: int
    ) -> tuple[Tensor, ...]:
        """Mark the points of a batch that are dropped in the epoch."""
        generators = self._seed(sample_id, epoch, "dropout")
        return self.representation.drop(views, self.settings, generators)

    def _seed(self, sample_id: np.ndarray, epoch: int, purpose: str) -> list[torch.Generator]:
        seeds = [derive_seed(self.seed, self.held_out, epoch, name, purpose) for name in sample_id]
        return [torch.Generator().manual_seed(seed) for seed in seeds]


class Clips(Dataset):
    """Dataset of samples in memory, indexed by whole batches (one indexing operation instead of 256)."""

    def __init__(
        self,
        views: tuple[Tensor, ...],
        label: Int[Tensor, " samples"] | Float[Tensor, "samples units"],
        sample_id: np.ndarray,
        scales: tuple[Scale, ...] | None,
        augmenter: Augmenter | None,
    ):
        self.views, self.label, self.sample_id = views, label, sample_id
        self.scales, self.augmenter = scales, augmenter

    def __getitem__(self, draw: Draw) -> Batch:
        rows, epoch = draw
        views, sample_id = tuple(_take(view, rows) for view in self.views), self.sample_id[rows]
        if self.augmenter is not None and epoch is not None:
            views = self.augmenter.apply(views, sample_id, epoch)
        if self.scales is not None:  # after augmentation: a mirrored u is not a mirrored scaled u
            views = rescale(views, self.scales)
        if (
            self.augmenter is not None and epoch is not None
        ):  # after scaling, for marks have no scale
            views = self.augmenter.drop(views, sample_id, epoch)
        return Batch(pack(views), self.label[rows], sample_id)


def _take(view: Tensor, rows: Rows) -> Tensor:
    """Return samples of a view, copied in memory order, which is nine times as fast."""
    last = view.ndim == 4 and view.is_contiguous(memory_format=torch.channels_last)
    lying = view.permute(0, 2, 3, 1) if last else view
    taken = lying.flatten(1).index_select(0, torch.from_numpy(rows)).unflatten(1, lying.shape[1:])
    return taken.permute(0, 3, 1, 2) if last else taken


def rescale(views: tuple[Tensor, ...], scales: tuple[Scale, ...]) -> tuple[Tensor, ...]:
    """Rescale each view."""
    pairs = zip(views, scales, strict=True)
    return tuple((view - scale.zero) / scale.one for view, scale in pairs)


def pack(views: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, Tensor]:
    """Return the input of a backbone: one view, or a tuple of two."""
    if len(views) == 1:
        return views[0]
    first, second = views
    return first, second


class Sums(NamedTuple):
    """Sums over each sample and channel of a view, from which the scale of a fold is computed quickly.

    The sums are float64. Each depends on one sample only, so held-out samples cannot affect a scale.

    Attributes:
        total: Sum of the values.
        squares: Sum of their squares.
        values: Number of values in a channel of one sample.
        shape: Shape of one number per channel, to broadcast to a batch.
    """

    total: Float[Tensor, "samples channels"]
    squares: Float[Tensor, "samples channels"]
    values: int
    shape: tuple[int, ...]


def sum_up(view: Float[Tensor, "samples *shape"], channel: int) -> Sums:
    """Add up the values of each sample and channel.

    Args:
        view: All samples.
        channel: Axis of the channels.
    """
    axis = channel % view.ndim
    other_axes = [number for number in range(1, view.ndim) if number != axis]
    shape = tuple(view.shape[axis] if number == axis else 1 for number in range(view.ndim))
    total, squares = [], []
    for some in view.split(64):  # a copy of all would be as large as all
        exact = some.double()
        total.append(exact.sum(other_axes))
        squares.append(exact.square().sum(other_axes))
    values = view[:1].numel() // view.shape[axis]
    return Sums(torch.cat(total), torch.cat(squares), values, shape)


def measure_scale(sums: Sums, rows: Rows, channels: Sequence[str] = ()) -> Scale:
    """Compute mean and standard deviation of each channel over some samples.

    Args:
        sums: Sums of all samples.
        rows: Rows of the samples to use.
        channels: Names of the channels, if some may be masks. Masks are not scaled, since a mask that is
            constant in training would get an arbitrarily large scale.
    """
    count = len(rows) * sums.values
    mean = sums.total[rows].sum(0) / count
    variance = (sums.squares[rows].sum(0) - count * mean**2).clamp_min(0) / (count - 1)
    one = variance.sqrt().clamp_min(1e-6)
    for at, name in enumerate(channels):
        if name in MASKS:
            mean[at], one[at] = 0, 1
    return Scale(mean.float().view(sums.shape), one.float().view(sums.shape))


class SeededBatches(Sampler):
    """Shuffled batches of rows, drawn anew each epoch from (seed, held-out subject, epoch).

    The draw does not depend on earlier epochs or on the number of workers. If several processes train
    jointly, each gets a part of every batch.

    Args:
        rows: Rows to draw from.
        batch_size: Samples per batch, summed over processes.
        seed: Seed of the run.
        held_out: Name of the held-out subject.
        balanced: Class of each row, to draw equally many samples of each class, some repeatedly; `None` draws
            every sample once.
        even: Whether the sizes of the batches of an epoch differ by at most one; no batch is larger than
            `batch_size`, unless a batch of one sample would remain. For contrastive learning, where a small
            last batch is too easy.
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        seed: int,
        held_out: str,
        balanced: Int[np.ndarray, " rows"] | None,
        even: bool = False,
    ):
        self.rows, self.batch_size, self.balanced, self.even = rows, batch_size, balanced, even
        self.seed, self.held_out, self.epoch = seed, held_out, 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls it before each one."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng(derive_seed(self.seed, self.held_out, self.epoch, "batches"))
        rows = self.rows if self.balanced is None else _balance(self.rows, self.balanced, rng)
        order, epoch = rng.permutation(rows), self.epoch
        starts = range(self.batch_size, self.batch_size * len(self), self.batch_size)
        batches = np.array_split(order, len(self)) if self.even else np.split(order, starts)
        for batch in batches:
            yield Draw(deal(batch), epoch)

    def __len__(self) -> int:
        """Return the number of batches; a single remaining sample joins the last batch (norms need two)."""
        least = 2 * count_ranks()
        if self.even:
            return max(1, min(-(-len(self.rows) // self.batch_size), len(self.rows) // least))
        whole, rest = divmod(len(self.rows), self.batch_size)
        return whole + (rest >= least or (rest > 0 and whole == 0))


def _balance(rows: Rows, label: Int[np.ndarray, " rows"], rng: np.random.Generator) -> Rows:
    """Draw the same number of rows, balanced by class except for a remainder, with the fewest repeats."""
    classes = rng.permutation(np.unique(label))
    shares = np.full(len(classes), len(rows) // max(1, len(classes)))
    shares[: len(rows) - shares.sum()] += 1
    drawn = []
    for number, share in zip(classes, shares, strict=True):
        class_rows = rows[label == number]
        whole, rest = divmod(int(share), len(class_rows))
        drawn += [class_rows] * whole + [rng.permutation(class_rows)[:rest]]
    return np.concatenate([rows[:0], *drawn])


class OrderedBatches(Sampler):
    """Batches of rows in the given order, without augmentation."""

    def __init__(self, rows: Rows, batch_size: int):
        self.rows, self.batch_size = rows, batch_size

    def __iter__(self) -> Iterator[Draw]:
        for start in range(0, len(self.rows), self.batch_size):
            yield Draw(self.rows[start : start + self.batch_size], None)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)


def load_batches(clips: Clips, batches: Sampler, num_workers: int) -> DataLoader:
    """Return a loader that fetches whole batches in the order of a sampler."""
    return DataLoader(
        clips,
        sampler=batches,
        batch_size=None,
        num_workers=num_workers,
        collate_fn=_keep,  # the default makes lists of tuples
    )


def _keep(batch: Any) -> Any:
    return batch
