"""The samples of a corpus as batches: who is trained on, who is held out, in what order and scale."""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from merec.evaluation.leakage import assert_subjects_disjoint
from merec.features.flow_map import CHANNELS
from merec.features.measured import add_flow_maps
from merec.seeding import derive_seed
from merec.types import Batch, Corpus, InputError

Rows = Int[np.ndarray, " rows"]


class Clips(Dataset):
    """All samples in memory, fetched a whole batch at a time (one indexing instead of 256)."""

    def __init__(
        self,
        inputs: Float[Tensor, "samples channels height width"],
        label: Int[Tensor, " samples"],
        sample_id: np.ndarray,
    ):
        self.inputs, self.label, self.sample_id = inputs, label, sample_id

    def __getitem__(self, rows: Rows) -> Batch:
        return Batch(self.inputs[rows], self.label[rows], self.sample_id[rows])


class SeededBatches(Sampler):
    """Shuffled batches of rows, drawn anew each epoch from (seed, held-out subject, epoch).

    The draw depends on nothing else: not on the epochs drawn before, nor on the number of workers.
    """

    def __init__(self, rows: Rows, batch_size: int, seed: int, held_out: str):
        self.rows, self.batch_size = rows, batch_size
        self.seed, self.held_out, self.epoch = seed, held_out, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Rows]:
        rng = np.random.default_rng(derive_seed(self.seed, self.held_out, self.epoch, "batches"))
        order = rng.permutation(self.rows)
        yield from np.split(order, range(self.batch_size, len(order), self.batch_size))

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)


class OrderedBatches(Sampler):
    """Batches of rows in their given order."""

    def __init__(self, rows: Rows, batch_size: int):
        self.rows, self.batch_size = rows, batch_size

    def __iter__(self) -> Iterator[Rows]:
        for start in range(0, len(self.rows), self.batch_size):
            yield self.rows[start : start + self.batch_size]

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)


class ClipDataModule(pl.LightningDataModule):
    """The samples of a corpus in one modality and representation.

    `hold_out` gives the view of one fold; all views share the samples in memory.

    Args:
        corpus: Whose faces; of a corpus of frames the flow maps are measured first (or read from the cache).
        modality: `rgb`, `depth` or `fused`.
        representation: What the backbone reads; of flow maps there is `flow_map`.
        channels: Which channels of the maps, in which order.
        scaling: `raw` 0..255, `unit` 0..1, or `standard`: zero mean and unit variance per channel, by the
            statistics of the fold's training subjects.
        batch_size: Samples per training batch.
        num_workers: Loader processes; 0 is fastest for samples that lie in memory.
        seed: Seed of the order of samples.

    Raises:
        InputError: If the corpus has no such modality, representation or channel, or no flow can be measured.
    """

    def __init__(
        self,
        corpus: Corpus,
        modality: str,
        representation: str,
        channels: Sequence[str],
        scaling: str,
        batch_size: int,
        num_workers: int,
        seed: int,
    ):
        super().__init__()
        if (modality, representation) != ("rgb", "flow_map"):
            measured = "of whose frames merec measures the flow of colour only"
            has = measured if corpus.flow_maps is None else "which has flow maps only"
            raise InputError(
                f"datamodule={modality} with representation {representation} does not go with "
                f"{corpus.protocol.name}, {has}; use datamodule=rgb and a backbone that reads flow_map "
                "(ststnet), or task=baseline"
            )
        there = CHANNELS if corpus.flow_maps is None else corpus.channels
        unknown = sorted(set(channels) - set(there))
        if unknown:
            raise InputError(
                f"datamodule.channels has {', '.join(unknown)}; {corpus.protocol.name} has "
                f"{', '.join(there)}"
            )
        if scaling not in ("raw", "unit", "standard"):
            raise InputError(
                f"datamodule.scaling={scaling} is unknown; choose raw, unit or standard"
            )
        if corpus.flow_maps is None:  # last, for it may take minutes
            corpus = add_flow_maps(corpus)
        assert corpus.flow_maps is not None
        self.corpus = corpus
        self.channels, self.scaling = tuple(channels), scaling
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        chosen = [corpus.channels.index(channel) for channel in channels]
        self.maps = corpus.flow_maps[:, chosen]
        maps = torch.from_numpy(self.maps).float()
        if scaling == "unit":
            maps /= 255
        # Channels last is the layout in which CPU convolutions of few channels are fastest.
        self.inputs = maps.contiguous(memory_format=torch.channels_last)
        self.label = torch.tensor(corpus.index["label"].to_numpy(np.int64, copy=True))
        self.sample_id = corpus.index["sample_id"].to_numpy(object)
        self.subject = corpus.index["subject"].to_numpy(str)
        everyone = np.arange(len(corpus.index))
        self.train_rows, self.test_rows, self.held_out = everyone, everyone[:0], "nobody"

    @property
    def in_channels(self) -> int:
        """Number of channels of an input."""
        return len(self.channels)

    def hold_out(
        self, train: Int[np.ndarray, " train"], test: Int[np.ndarray, " test"], held_out: str
    ) -> "ClipDataModule":
        """The view of one fold.

        Args:
            train: Rows to train on.
            test: Rows to predict.
            held_out: Name of the held-out subject, part of the seed of what is drawn.

        Raises:
            InputError: If a subject is on both sides.
        """
        assert_subjects_disjoint(self.subject, train=train, test=test)
        fold = copy.copy(self)
        fold.train_rows, fold.test_rows, fold.held_out = train, test, held_out
        if self.scaling == "standard":
            seen = self.inputs[train]
            mean = seen.mean((0, 2, 3), keepdim=True)
            spread = seen.std((0, 2, 3), keepdim=True).clamp_min(1e-6)
            fold.inputs = (self.inputs - mean) / spread
        return fold

    def _load(self, batches: Sampler) -> DataLoader:
        clips = Clips(self.inputs, self.label, self.sample_id)
        return DataLoader(clips, sampler=batches, batch_size=None, num_workers=self.num_workers)

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches of the training subjects."""
        return self._load(SeededBatches(self.train_rows, self.batch_size, self.seed, self.held_out))

    def predict_dataloader(self) -> DataLoader:
        """The held-out samples, in the order of the index."""
        return self._load(OrderedBatches(self.test_rows, self.batch_size))

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Move tensors only; Lightning would look into every sample id."""
        return batch._replace(inputs=batch.inputs.to(device), label=batch.label.to(device))
