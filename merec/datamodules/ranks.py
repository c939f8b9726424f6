"""Processes that train one network jointly (`trainer=ddp`); each gets a part of every batch."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch import distributed as dist

from merec.types import InputError


def count_ranks() -> int:
    """Return the number of processes that train jointly; 1 without DDP."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def name_rank() -> tuple[int, ...]:
    """Return the part of a seed that distinguishes this process; empty without DDP."""
    return (dist.get_rank(),) if count_ranks() > 1 else ()


def deal(batch: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " share"]:
    """Return this process's part of a batch; a remainder is left out.

    Raises:
        InputError: If there are fewer samples than processes.
    """
    ranks = count_ranks()
    if ranks == 1:
        return batch
    if len(batch) < ranks:
        raise InputError(
            f"a batch of {len(batch)} samples cannot be dealt to {ranks} devices; lower trainer.devices, or "
            "raise datamodule.batch_size (while contrasting recipe.pretrain.batch_size)"
        )
    return batch[: len(batch) - len(batch) % ranks][dist.get_rank() :: ranks]


def gather(rows: Tensor) -> Tensor:
    """Gather the rows of a whole batch from all processes, in the order of the batch.

    Use it for a loss of the whole batch, which all processes compute. The gradient of this process's rows is
    multiplied by the number of processes, since DDP averages gradients. So the step equals that of one
    process on the whole batch.
    """
    ranks = count_ranks()
    if ranks == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(ranks)]
    dist.all_gather(parts, rows.detach().contiguous())
    parts[dist.get_rank()] = local_rows = rows.clone()
    if local_rows.requires_grad:
        local_rows.register_hook(lambda gradient: gradient * ranks)
    return torch.stack(parts, 1).flatten(0, 1)
