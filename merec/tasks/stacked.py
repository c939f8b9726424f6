"""Folds trained at once: their parameters are stacked, and a step is one step of each (torch.func)."""

import copy
import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.utils.rnn import pad_sequence

from merec.backbones.dropout import draw_from
from merec.datamodules import ClipDataModule
from merec.datamodules.batches import pack
from merec.evaluation.runs import Epochs
from merec.tasks.finetune import Finetune, pair_up
from merec.tasks.recording import RecordEpochs
from merec.types import Batch, InputError

log = logging.getLogger(__name__)

Inputs = Tensor | tuple[Tensor, Tensor]

# Those that treat a number of a stack as they would treat it alone.
ELEMENTWISE = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")


class Stack(NamedTuple):
    """Batches of one size, of folds that follow each other.

    Attributes:
        inputs: As those of a `Batch`, with an axis of folds before the others.
        label: Folds × samples.
    """

    inputs: Inputs
    label: Int[Tensor, "folds batch"]


class StackedFinetune(pl.LightningModule):
    """Folds that are finetuned together, each as `Finetune` would alone.

    Each draws its own batches and dropout masks. Neighbours whose batches have one size take a step as one
    (a norm must not see padding): all with full batches, and some with the last ones of an epoch. One
    optimiser takes the step of all, so it must be an elementwise one.

    Args:
        tasks: Of the folds, fresh; what they learn is put back by `unstack`.
        views: Their samples; all of as many steps per epoch.
        compiled: Whether the step is compiled by `torch.compile`, where it can be.
    """

    def __init__(self, tasks: Sequence[Finetune], views: Sequence[ClipDataModule], compiled: bool):
        super().__init__()
        self.folds, self.views = [_Fold(task) for task in tasks], views
        self.optimizer, self.scheduler = tasks[0].optimizer, tasks[0].scheduler
        parameters, buffers = stack_module_state(self.folds)  # type: ignore[arg-type]
        stacked = parameters | buffers
        self.names = list(stacked)
        self.leaves = nn.ParameterList(
            nn.Parameter(value, requires_grad=value.requires_grad) for value in stacked.values()
        )
        self.learn, self.name = (_stack_calls(self.folds[0], mode) for mode in (True, False))
        self.compiled = torch.compile(self.learn) if compiled else None

    def on_fit_start(self) -> None:
        """Move the watched samples, and have dropout drawn where the data are."""
        self.generators = [torch.Generator(self.device) for _ in self.folds]
        watched = [[batch.inputs for batch in view.predict_dataloader()] for view in self.views]
        each = [_join(batches, torch.cat, self.device) for batches in watched]
        self.watched = _join(each, partial(pad_sequence, batch_first=True), self.device)

    def train_dataloader(self) -> list[Any]:
        """The batches of each fold."""
        loaders = [view.train_dataloader() for view in self.views]
        assert len({len(loader) for loader in loaders}) == 1
        if self.device.type == "cpu":
            # A loader takes a number per epoch from the default generator, from which dropout alone is drawn.
            for loader, generator in zip(loaders, self.generators, strict=True):
                loader.generator = generator
        return loaders

    def transfer_batch_to_device(
        self, batch: list[Batch], device: torch.device, dataloader_idx: int
    ) -> list[Stack]:
        """Stack batches of the same size; it is faster to move a stack."""
        alike = [list(some) for _, some in groupby(batch, lambda one: len(one.label))]
        return [
            Stack(
                _join([one.inputs for one in some], torch.stack, device),
                torch.stack([one.label for one in some]).to(device),
            )
            for some in alike
        ]

    def on_train_epoch_start(self) -> None:
        """Seed dropout as each fold does alone."""
        for fold, generator in zip(self.folds, self.generators, strict=True):
            generator.manual_seed(fold.task.seed_dropout(self.current_epoch))

    def training_step(self, batch: list[Stack], _: int) -> dict[str, Tensor]:
        """The sum of the folds' losses; and of each its loss, and how many samples were named rightly."""
        sizes = [len(stack.label) for stack in batch]
        said, start = [], 0
        for stack, state in zip(batch, self._split(sizes), strict=True):
            with draw_from(self.generators[start : start + len(stack.label)]):
                said.append(self._learn(state, stack))
            start += len(stack.label)
        loss, hits = (torch.cat([each[key] for each in said]) for key in ("loss", "hits"))
        return {"loss": loss.sum(), "losses": loss.detach(), "hits": hits}

    def _split(self, sizes: list[int]) -> list[dict[str, Tensor]]:
        """The state of each of these numbers of folds; what is written into it is written into the stack."""
        if len(sizes) == 1:
            return [dict(zip(self.names, self.leaves, strict=True))]
        parts = zip(*(leaf.split(sizes) for leaf in self.leaves), strict=True)
        return [dict(zip(self.names, part, strict=True)) for part in parts]

    def _learn(self, state: dict[str, Tensor], stack: Stack) -> dict[str, Tensor]:
        if self.compiled is not None:
            try:
                return self.compiled(state, tuple(stack))
            except Exception as error:  # no compiler, or what it does not know: there are many ways
                if is_out_of_memory(error):
                    raise
                reason = (str(error) or type(error).__name__).splitlines()[0]
                log.warning("torch.compile fails (%s); going on without", reason)
                self.compiled = None
        return self.learn(state, tuple(stack))

    @torch.no_grad()
    def predict_watched(self) -> Int[np.ndarray, "folds samples"]:
        """The class of each watched sample, a batch at a time; folds that have fewer are padded."""
        (state,) = self._split([len(self.folds)])
        precision, said = self.trainer.precision_plugin, []
        views = self.watched if isinstance(self.watched, tuple) else (self.watched,)
        with precision.forward_context():
            for part in zip(
                *(view.split(self.views[0].batch_size, 1) for view in views), strict=True
            ):
                said.append(self.name(state, (precision.convert_input(pack(part)),)).cpu())
        return torch.cat(said, 1).numpy().astype(np.int8)

    def configure_optimizers(self) -> Any:
        """One optimiser of all folds, with its schedule if there is one."""
        made = pair_up(self.optimizer, self.scheduler, self.leaves)
        check_stackable(made["optimizer"] if isinstance(made, dict) else made, self.trainer)
        return made

    @torch.no_grad()
    def unstack(self) -> None:
        """Put what the folds learnt back into their tasks."""
        for number, fold in enumerate(self.folds):
            own = dict(fold.named_parameters()) | dict(fold.named_buffers())
            for name, leaf in zip(self.names, self.leaves, strict=True):
                fresh = torch.empty_like(own[name], dtype=leaf.dtype, requires_grad=False)
                own[name].data = fresh.copy_(leaf[number])


class _Fold(nn.Module):
    """What a fold does with a batch, as a module, for `functional_call` calls one."""

    def __init__(self, task: Finetune):
        super().__init__()
        self.task = task

    def forward(self, inputs: Any, label: Tensor | None = None) -> Any:
        """A step while training, classes while not."""
        if label is None:
            return self.task.backbone(inputs).argmax(1)
        return self.task.training_step(Batch(inputs, label, np.empty(0)), 0)


def _stack_calls(fold: _Fold, training: bool) -> Callable[..., Any]:
    """What a fold does, as a function of stacked states and batches."""
    skeleton = copy.deepcopy(fold).to("meta").train(training)
    for module in skeleton.task.frozen:
        module.eval()
    return torch.vmap(partial(functional_call, skeleton))


def _join(
    inputs: Sequence[Inputs], join: Callable[[list[Tensor]], Tensor], device: torch.device
) -> Inputs:
    """Each view joined with the same of the others, and moved."""
    views = zip(*(each if isinstance(each, tuple) else (each,) for each in inputs), strict=True)
    return pack(tuple(join(list(view)).to(device) for view in views))


def is_out_of_memory(error: Exception) -> bool:
    """Whether less would have fitted; torch has no class of its own for the memory of a processor."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "DefaultCPUAllocator" in str(error)


def check_stackable(optimizer: torch.optim.Optimizer, trainer: pl.Trainer) -> None:
    """Refuse what would let folds that are stacked see each other.

    Raises:
        InputError: If the optimiser does not treat each number for itself, or gradients are clipped.
    """
    kind = type(optimizer)
    if kind not in (getattr(torch.optim, name) for name in ELEMENTWISE):
        raise InputError(
            f"{kind.__name__} cannot train stacked folds, for it may mix them; set task.engine=loop, or "
            f"recipe.optimizer to one of {', '.join(ELEMENTWISE)}"
        )
    if trainer.gradient_clip_val:
        raise InputError(
            f"trainer.gradient_clip_val={trainer.gradient_clip_val} would clip stacked folds as one; set "
            "task.engine=loop, or the value to null"
        )


class RecordFolds(pl.Callback):
    """Record of each fold what `RecordEpochs` does.

    Unlike there a loss may be anything: one fold that diverges does not stop the others.

    Args:
        views: The folds' samples.
        on_epoch: Called with (epoch from 1, epochs) after each.
    """

    def __init__(self, views: Sequence[ClipDataModule], on_epoch: Callable[[int, int], None]):
        self.records = [RecordEpochs(list(view.predict_dataloader()), on_epoch) for view in views]
        self.on_epoch = on_epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start anew."""
        self.losses: list[Tensor] = []
        self.hits: list[Tensor] = []
        self.sizes: list[list[int]] = []

    def on_train_batch_end(  # type: ignore[override]
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: dict[str, Tensor],
        batch: list[Stack],
        batch_idx: int,
    ) -> None:
        """Keep what a step gave, where it is: to read it is to wait for it."""
        self.losses.append(outputs["losses"])
        self.hits.append(outputs["hits"])
        self.sizes.append([stack.label.shape[1] for stack in batch for _ in stack.label])

    def on_train_epoch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, pl_module: StackedFinetune
    ) -> None:
        """Write the epoch of each fold down."""
        sizes = np.array(self.sizes)
        loss = torch.stack(self.losses).cpu().double().numpy()
        hits = torch.stack(self.hits).cpu().numpy().sum(0)
        said = pl_module.predict_watched()
        for fold, record in enumerate(self.records):
            samples = sizes[:, fold].sum()
            record.loss.append(float((loss[:, fold] * sizes[:, fold]).sum() / samples))
            record.accuracy.append(float(hits[fold] / samples))
            watched = sum(len(batch.label) for batch in record.watched)
            record.predicted.append(said[fold, :watched])
        self.on_epoch(trainer.current_epoch + 1, trainer.max_epochs or 0)

    def to_epochs(self) -> list[Epochs]:
        """What was written down, fold by fold."""
        return [record.to_epochs() for record in self.records]
