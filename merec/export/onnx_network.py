"""Export of a trained network to ONNX, with a check of onnxruntime against torch.

The network takes scaled inputs as in `merec train` and returns logits. The metadata of the file describe how
to compute these inputs and the order of the logits.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxscript
import torch
from torch import Tensor, nn

from merec import __version__
from merec.datamodules import ClipDataModule
from merec.datamodules.batches import Scale
from merec.errors import InputError, quote_error
from merec.restore import Network

TOLERANCE = 1e-4
_CHECKED = 64  # samples that both runtimes see


class _Inputs(nn.Module):
    """Backbone with one argument per input, for ONNX."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.backbone(inputs if len(inputs) > 1 else inputs[0])


def write_onnx(network: Network, data: ClipDataModule, folder: Path) -> str:
    """Write a network as `network.onnx` and compare its logits with torch's.

    Args:
        network: Network with plain torch layers.
        data: Samples as `network.show` returns them.
        folder: Folder to write to.

    Returns:
        Summary of the export, with the largest difference.

    Raises:
        InputError: If the network cannot be converted, or a logit differs by more than `TOLERANCE`.
    """
    views = data.inputs if isinstance(data.inputs, tuple) else (data.inputs,)
    inputs = tuple(values[:_CHECKED].contiguous() for values in views)
    names = tuple(data.representation.arrays)
    file = folder / "network.onnx"
    model = _Inputs(network.backbone).eval()
    program = _convert(model, inputs, names)
    program.model.metadata_props.update(_describe(network, data, names))
    program.save(file)
    difference = _measure_difference(model, inputs, names, file)
    if not difference <= TOLERANCE:
        raise InputError(
            f"the logits of {network.file} as ONNX differ by up to {difference:.1e} from those of torch; "
            f"expected at most {TOLERANCE:.0e}, so the file is not kept; use merec predict on the checkpoint"
        )
    shapes = "; ".join(
        f"{name} (batch, {', '.join(map(str, values.shape[1:]))})"
        for name, values in zip(names, inputs, strict=True)
    )
    return (
        f"{type(network.backbone).__name__} as ONNX; inputs: {shapes}, {data.scaling}; logits of "
        f"{', '.join(network.target.classes)}; largest difference from torch on {len(inputs[0])} samples: "
        f"{difference:.1e}"
    )


def _convert(model: _Inputs, inputs: tuple[Tensor, ...], names: tuple[str, ...]) -> Any:
    """Convert a network with variable batch size."""
    # A dimension of 1 would be taken for a constant.
    example = tuple(torch.cat([values[:1], values[-1:]]) for values in inputs)
    batch = torch.export.Dim("batch")
    name, remedy = type(model.backbone).__name__, "use the checkpoint with merec predict"
    with _silence():
        try:
            program: Any = torch.onnx.export(
                model,
                example,
                input_names=list(names),
                output_names=["logits"],
                dynamic_shapes=(tuple({0: batch} for _ in names),),
                custom_translation_table=_TRANSLATIONS,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # the converter fails in many ways
            reason = quote_error(error.__cause__ or error)
            raise InputError(f"{name} cannot be exported as ONNX: {reason}; {remedy}") from error
    if isinstance(program.model.graph.inputs[0].shape[0], int):
        raise InputError(
            f"{name} cannot be exported as ONNX, as its code fixes the size of a batch; {remedy}"
        )
    return program


def _sort(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
    """Translate a stable sort, which torch's converter lacks; TopK keeps the order of equal values."""
    op: Any = onnxscript.opset18
    numbers = op.Cast(values, to=onnx.TensorProto.FLOAT)
    size = op.Gather(op.Shape(values), op.Constant(value_ints=[dim]))
    ranked, order = op.TopK(numbers, size, axis=dim, largest=int(descending), sorted=1)
    return op.CastLike(ranked, values), order


def _measure_distances(first: Any, second: Any, p: float = 2.0, compute_mode: Any = None) -> Any:
    """Translate the Euclidean distances between two sets of points, which torch's converter lacks."""
    op: Any = onnxscript.opset18
    rows, columns = (op.Constant(value_ints=[axis]) for axis in (-2, -3))
    apart = op.Sub(op.Unsqueeze(first, rows), op.Unsqueeze(second, columns))
    return op.ReduceL2(apart, op.Constant(value_ints=[-1]), keepdims=0)


_TRANSLATIONS: dict[Callable, Callable] = {
    torch.ops.aten.sort.stable: _sort,
    torch.ops.aten._cdist_forward.default: _measure_distances,
}


def _measure_difference(
    model: nn.Module, inputs: tuple[Tensor, ...], names: tuple[str, ...], file: Path
) -> float:
    """Return the largest difference between the logits of both runtimes, for one sample and for all."""
    onnxruntime.disable_telemetry_events()  # of Windows
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    largest = 0.0
    for samples in (1, len(inputs[0])):
        chosen = tuple(values[:samples] for values in inputs)
        with torch.inference_mode():
            expected = model(*chosen).numpy()
        feed = {name: values.numpy() for name, values in zip(names, chosen, strict=True)}
        (logits,) = session.run(["logits"], feed)
        # Not max: NaN must not be lost.
        largest = float(np.maximum(largest, np.abs(logits - expected).max()))
    return largest


def _describe(network: Network, data: ClipDataModule, names: tuple[str, ...]) -> dict[str, str]:
    """Return the metadata of the file as text; lists are JSON."""
    features = network.config["features"]
    facts: dict[str, Any] = {
        "merec": __version__,
        "protocol": network.protocol,
        "target": network.target.name,
        "classes": network.target.classes,
        "representation": data.representation.name,
        "modality": data.modality,
        "inputs": names,
        "channels": data.names,
        "views": data.chosen_views or (),
        "features": {key: features[key] for key in features if key not in ("_target_", "root")},
        "scaling": data.scaling,
        # Each input, less zero and divided by one.
        "scales": [_list_scale(scale) for scale in data.scales or ()],
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()
    }


def _list_scale(scale: Scale) -> dict[str, list[float]]:
    return {name: values.flatten().tolist() for name, values in scale._asdict().items()}


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress logs, output and warnings of the converter."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            redirect_stdout(StringIO()),
            redirect_stderr(StringIO()),
        ):
            yield
    finally:
        logging.disable(before)
