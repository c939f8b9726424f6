"""Which points decided what a network predicts: a mask over their motion, by torch_geometric.explain."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from merec.features.representations import Representation
from merec.targets import Target
from merec.types import InputError

METHODS = ("integrated_gradients", "gnn_explainer")
_STEPS = 32  # of the integral
_EPOCHS = 200  # of the mask


def choose_method(method: str | None) -> str:
    """Return the method that is asked for, or the best one that is installed.

    Raises:
        InputError: If it is unknown, or needs captum, which is not installed.
    """
    installed = find_spec("captum") is not None
    if method is None:
        return METHODS[0] if installed else METHODS[1]
    if method not in METHODS:
        raise InputError(f"method={method} is unknown; choose {' or '.join(METHODS)}")
    if method == METHODS[0] and not installed:
        raise InputError(
            f"method={method} needs captum: pip install captum, or set method={METHODS[1]}"
        )
    return method


def list_motion(representation: Representation) -> list[int]:
    """List the numbers of the features that describe the motion of a point.

    Raises:
        InputError: If the representation consists of no points.
    """
    names = list(representation.channels("fused")[0])
    motion = [names.index(name) for name in representation.motion]
    if not motion:
        raise InputError(
            f"the network reads {representation.name}, of which no points can be explained; give a "
            "checkpoint of a network that reads points or landmark_graph"
        )
    return motion


def explain(
    backbone: nn.Module,
    target: Target,
    representation: Representation,
    inputs: Float[Tensor, "1 *points features"],
    method: str,
) -> Float[np.ndarray, "*points"]:
    """Explain one prediction by the motion of the points.

    Places stay as they are; only motion is masked, and motion of 0 is a face at rest.

    Args:
        backbone: Trained network in evaluation mode that reads points or landmarks.
        target: Target that reads its logits.
        representation: Representation that the network reads.
        inputs: One sample.
        method: `integrated_gradients` (Sundararajan et al. 2017; how much of the answer is due to the motion
            of each point, absolute values) or `gnn_explainer` (Ying et al. 2019; a mask that keeps the answer
            and as few points as possible).

    Returns:
        Importance of each point, at least 0.

    Raises:
        InputError: If the network reads neither points nor landmarks.
    """
    motion = list_motion(representation)
    from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer

    algorithm = (
        CaptumExplainer("IntegratedGradients", n_steps=_STEPS)
        if method == METHODS[0]
        else GNNExplainer(epochs=_EPOCHS, lr=0.05)
    )
    # In evaluation mode itself: Explainer puts a model back into the mode that it found.
    model = _Answer(backbone, target, inputs, motion).eval()
    explainer = Explainer(
        model,
        algorithm,
        explanation_type="model",
        node_mask_type="attributes",
        model_config={"mode": "regression", "task_level": "graph", "return_type": "raw"},
    )
    rows = inputs[0][..., motion].flatten(0, -2)
    nodes = torch.arange(len(rows))
    weights = [value.requires_grad for value in backbone.parameters()]
    # GNNExplainer draws from the global generator and leaves gradients in the weights.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone.requires_grad_(False)
        mask = explainer(rows, torch.stack([nodes, nodes])).node_mask
    for value, needed in zip(backbone.parameters(), weights, strict=True):
        value.requires_grad_(needed)
    return mask.detach().abs().sum(-1).double().numpy().reshape(inputs.shape[1:-1])


class _Answer(nn.Module):
    """From the motion of the points to the logit of what is predicted, as torch_geometric explains it."""

    def __init__(self, backbone: nn.Module, target: Target, inputs: Tensor, motion: list[int]):
        super().__init__()
        self.backbone, self.inputs, self.motion = backbone, inputs, motion
        with torch.no_grad():
            logits = backbone(inputs)
        self.predicted = _list_predicted(target, logits)

    def forward(self, rows: Tensor, edges: Any) -> Tensor:
        """Return the mean logit of the predicted class or action units, shape (1, 1)."""
        given = self.inputs.clone()
        given[..., self.motion] = rows.view(*given.shape[:-1], len(self.motion))
        return self.backbone(given)[:, self.predicted].mean(1, keepdim=True)


def _list_predicted(target: Target, logits: Float[Tensor, "1 classes"]) -> list[int]:
    """List the predicted class, or the predicted action units; the likeliest one if there are none."""
    decided = target.decide(logits)[0]
    if decided.ndim:
        present = decided.nonzero().flatten().tolist()
        return present or [int(logits[0].argmax())]
    return [int(decided)]
