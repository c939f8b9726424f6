"""Training of folds as one network with stacked parameters (torch.func)."""

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
from merec.tasks.engines.joint_training import JointTraining, is_out_of_memory
from merec.tasks.finetune import Finetune
from merec.tracebacks import describe_mistake, format_traceback, tracebacks
from merec.types import Batch

log = logging.getLogger(__name__)

Inputs = Tensor | tuple[Tensor, Tensor]


class Stack(NamedTuple):
    """Batches of equal size of neighbouring folds.

    Attributes:
        inputs: Inputs as in a `Batch`, with a leading axis of folds.
        label: Labels with a leading axis of folds.
    """

    inputs: Inputs
    label: Int[Tensor, "folds batch"] | Float[Tensor, "folds batch units"]


class StackedFinetune(JointTraining):
    """Folds as one network with stacked weights: one step is a step of each fold.

    Neighbouring folds with batches of equal size take a step together, since a norm must not see padding.
    With full batches these are all folds, in the last batch of an epoch only some.

    Args:
        tasks: Untrained module of each fold; contains the trained weights after `give_back`.
        views: Samples of each fold; all have the same number of steps per epoch.
        compiled: Whether the step is compiled by `torch.compile`, if possible.
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
        """Also move the recorded samples to the device."""
        super().on_fit_start()
        watched = [[batch.inputs for batch in view.predict_dataloader()] for view in self.views]
        joined = [_join(batches, torch.cat, self.device) for batches in watched]
        self.watched = _join(joined, partial(pad_sequence, batch_first=True), self.device)

    def transfer_batch_to_device(
        self, batch: list[Batch], device: torch.device, dataloader_idx: int
    ) -> list[Stack]:
        """Stack batches of equal size before moving them, which is faster."""
        alike = [list(some) for _, some in groupby(batch, lambda one: len(one.label))]
        return [
            Stack(
                _join([one.inputs for one in some], torch.stack, device),
                torch.stack([one.label for one in some]).to(device),
            )
            for some in alike
        ]

    def training_step(self, batch: list[Stack], _: int) -> dict[str, Any]:
        """Return the sum of the losses of all folds, and the values that `RecordFolds` records."""
        sizes = [len(stack.label) for stack in batch]
        steps, start = [], 0
        for stack, state in zip(batch, self._split(sizes), strict=True):
            with draw_from(self.generators[start : start + len(stack.label)]):
                steps.append(self._learn(state, stack))
            start += len(stack.label)
        loss, hits = (torch.cat([step[key] for step in steps]) for key in ("loss", "hits"))
        unit_counts = [stack.label.shape[1] for stack in batch for _ in stack.label]
        return {"loss": loss.sum(), "losses": loss.detach(), "hits": hits, "sizes": unit_counts}

    def _split(self, sizes: list[int]) -> list[dict[str, Tensor]]:
        """Split the stacked state into slices of the given sizes, which share memory with the stack."""
        if len(sizes) == 1:
            return [dict(zip(self.names, self.leaves, strict=True))]
        parts = zip(*(leaf.split(sizes) for leaf in self.leaves), strict=True)
        return [dict(zip(self.names, part, strict=True)) for part in parts]

    def _learn(self, state: dict[str, Tensor], stack: Stack) -> dict[str, Tensor]:
        if self.compiled is not None:
            try:
                return self.compiled(state, tuple(stack))
            except (
                Exception
            ) as error:  # no compiler, or an unsupported operation: there are many errors
                if is_out_of_memory(error):
                    raise
                reason = describe_mistake(error)[:300]
                log.warning("torch.compile fails (%s); going on without", reason)
                tracebacks.warning("torch.compile:\n%s", format_traceback(error))
                self.compiled = None
        return self.learn(state, tuple(stack))

    @torch.no_grad()
    def predict_watched(self) -> Int[np.ndarray, "folds samples *units"]:
        """Predict the recorded samples batch by batch; folds that have fewer are padded."""
        (state,) = self._split([len(self.folds)])
        precision, predicted = self.trainer.precision_plugin, []
        views = self.watched if isinstance(self.watched, tuple) else (self.watched,)
        with precision.forward_context():
            for part in zip(
                *(view.split(self.views[0].batch_size, 1) for view in views), strict=True
            ):
                predicted.append(self.name(state, (precision.convert_input(pack(part)),)).cpu())
        return torch.cat(predicted, 1).numpy().astype(np.int8)

    def list_parameters(self) -> Sequence[nn.Parameter]:
        """Return the stacked parameters of all folds."""
        return list(self.leaves)

    @torch.no_grad()
    def give_back(self) -> None:
        """Copy the weights of each fold out of the stack into its module."""
        for number, fold in enumerate(self.folds):
            weights = dict(fold.named_parameters()) | dict(fold.named_buffers())
            for name, leaf in zip(self.names, self.leaves, strict=True):
                fresh = torch.empty_like(weights[name], dtype=leaf.dtype, requires_grad=False)
                weights[name].data = fresh.copy_(leaf[number])


class _Fold(nn.Module):
    """Module with the training step and the prediction of a fold, for `functional_call`."""

    def __init__(self, task: Finetune):
        super().__init__()
        self.task = task

    def forward(self, inputs: Any, label: Tensor | None = None) -> Any:
        """Take a training step if there are labels, predict if there are none."""
        if label is None:
            return self.task.target.decide(self.task.backbone(inputs))
        return self.task.training_step(Batch(inputs, label, np.empty(0)), 0)


def _stack_calls(fold: _Fold, training: bool) -> Callable[..., Any]:
    """Return the vectorised step of a fold as a function of stacked states and batches."""
    skeleton = copy.deepcopy(fold).to("meta").train(training)
    for module in skeleton.task.frozen:
        module.eval()
    return torch.vmap(partial(functional_call, skeleton))


def _join(
    inputs: Sequence[Inputs], join: Callable[[list[Tensor]], Tensor], device: torch.device
) -> Inputs:
    """Join corresponding input tensors of several batches, and move them to the device."""
    views = zip(
        *(tensor if isinstance(tensor, tuple) else (tensor,) for tensor in inputs), strict=True
    )
    return pack(tuple(join(list(view)).to(device) for view in views))
