"""Folds trained at once: their parameters are stacked, and a step is one step of each (torch.func)."""

import copy
import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.utils.rnn import pad_sequence

from merec.backbones.kernels.dropout import draw_from
from merec.datamodules import ClipDataModule
from merec.datamodules.batches import pack
from merec.tasks.engines.together import Together, is_out_of_memory
from merec.tasks.finetune import Finetune
from merec.tracebacks import describe_mistake, format_traceback, tracebacks
from merec.types import Batch

log = logging.getLogger(__name__)

Inputs = Tensor | tuple[Tensor, Tensor]


class Stack(NamedTuple):
    """Batches of one size, of folds that follow each other.

    Attributes:
        inputs: As those of a `Batch`, with an axis of folds before the others.
        label: Folds × samples, of action units × those.
    """

    inputs: Inputs
    label: Int[Tensor, "folds batch"] | Float[Tensor, "folds batch units"]


class StackedFinetune(Together):
    """Folds as one network: a step is one step of each, on stacked weights.

    Neighbours whose batches have one size take a step as one (a norm must not see padding): all with full
    batches, and some with the last ones of an epoch.

    Args:
        tasks: Of the folds, fresh; what they learn they hold after `give_back`.
        views: Their samples; all of as many steps per epoch.
        compiled: Whether the step is compiled by `torch.compile`, where it can be.
    """

    def __init__(self, tasks: Sequence[Finetune], views: Sequence[ClipDataModule], compiled: bool):
        super().__init__(tasks, views)
        self.folds = [_Fold(task) for task in tasks]
        parameters, buffers = stack_module_state(self.folds)  # type: ignore[arg-type]
        stacked = parameters | buffers
        self.names = list(stacked)
        self.leaves = nn.ParameterList(
            nn.Parameter(value, requires_grad=value.requires_grad) for value in stacked.values()
        )
        self.learn, self.name = (_stack_calls(self.folds[0], mode) for mode in (True, False))
        self.compiled = torch.compile(self.learn) if compiled else None

    def on_fit_start(self) -> None:
        """Move the watched samples, too."""
        super().on_fit_start()
        watched = [[batch.inputs for batch in view.predict_dataloader()] for view in self.views]
        each = [_join(batches, torch.cat, self.device) for batches in watched]
        self.watched = _join(each, partial(pad_sequence, batch_first=True), self.device)

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

    def training_step(self, batch: list[Stack], _: int) -> dict[str, Any]:
        """The sum of the folds' losses, and what `RecordFolds` writes down of each."""
        sizes = [len(stack.label) for stack in batch]
        said, start = [], 0
        for stack, state in zip(batch, self._split(sizes), strict=True):
            with draw_from(self.generators[start : start + len(stack.label)]):
                said.append(self._learn(state, stack))
            start += len(stack.label)
        loss, hits = (torch.cat([each[key] for each in said]) for key in ("loss", "hits"))
        each = [stack.label.shape[1] for stack in batch for _ in stack.label]
        return {"loss": loss.sum(), "losses": loss.detach(), "hits": hits, "sizes": each}

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
                reason = describe_mistake(error)[:300]
                log.warning("torch.compile fails (%s); going on without", reason)
                tracebacks.warning("torch.compile:\n%s", format_traceback(error))
                self.compiled = None
        return self.learn(state, tuple(stack))

    @torch.no_grad()
    def predict_watched(self) -> Int[np.ndarray, "folds samples *units"]:
        """What is said of each watched sample, a batch at a time; folds that have fewer are padded."""
        (state,) = self._split([len(self.folds)])
        precision, said = self.trainer.precision_plugin, []
        views = self.watched if isinstance(self.watched, tuple) else (self.watched,)
        with precision.forward_context():
            for part in zip(
                *(view.split(self.views[0].batch_size, 1) for view in views), strict=True
            ):
                said.append(self.name(state, (precision.convert_input(pack(part)),)).cpu())
        return torch.cat(said, 1).numpy().astype(np.int8)

    def list_parameters(self) -> Sequence[nn.Parameter]:
        """Those of all folds, stacked."""
        return list(self.leaves)

    @torch.no_grad()
    def give_back(self) -> None:
        """Take the stacks apart."""
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
        """A step while training, what is said while not."""
        if label is None:
            return self.task.target.decide(self.task.backbone(inputs))
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
