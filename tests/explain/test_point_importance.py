"""Importance lies on the points that a known network reads, and on no others."""

import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from merec.backbones import LitePointGCN
from merec.config import build, compose_node
from merec.errors import InputError
from merec.explain.point_importance import METHODS, choose_method, explain
from merec.features.representations import open_representation
from merec.targets import TARGETS


class Reader(nn.Module):
    """Reads the motion of some points of a region, and the place of another."""

    def __init__(self, region: int, points: list[int]):
        super().__init__()
        self.region, self.points = region, points
        self.weight = nn.Parameter(torch.tensor([2.0, -1.0]))

    def forward(self, points: Tensor) -> Tensor:
        read = points[:, self.region, self.points, 3].sum(1) + points[:, 0, 0, 0]
        return read[:, None] * self.weight


def draw(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((1, 8, 6, 6), generator=generator).abs() + 0.5


@pytest.mark.parametrize("method", METHODS)
def test_importance_lies_on_what_is_read(method):
    importance = explain(
        Reader(3, [1, 4]).eval(), TARGETS["emotion"](("a", "b")), open_representation("points"),
        draw(), method,
    )  # fmt: skip
    assert importance.shape == (8, 6)
    chosen = np.zeros((8, 6), bool)
    chosen[3, [1, 4]] = True
    assert importance[chosen].min() > 1.2 * importance[~chosen].max()


def test_integrated_gradients_of_a_linear_network_are_its_products():
    points = draw()
    importance = explain(
        Reader(3, [1, 4]).eval(), TARGETS["emotion"](("a", "b")), open_representation("points"),
        points, "integrated_gradients",
    )  # fmt: skip
    for point in (1, 4):  # weight of the predicted class times the motion
        assert importance[3, point] == pytest.approx(2 * float(points[0, 3, point, 3]), rel=1e-4)
    assert importance.sum() == pytest.approx(importance[3, [1, 4]].sum())


def test_of_action_units_the_predicted_ones_are_explained():
    class Two(nn.Module):
        def forward(self, points: Tensor) -> Tensor:
            return torch.stack([points[:, 1, 0, 4] + 9, points[:, 2, 0, 4] - 9], 1)

    importance = explain(
        Two().eval(), TARGETS["action_units"](("AU1", "AU2")), open_representation("points"),
        draw(), "integrated_gradients",
    )  # fmt: skip
    assert importance[1, 0] > 0
    assert importance.sum() == pytest.approx(importance[1, 0])


@pytest.mark.parametrize("method", METHODS)
def test_a_network_is_left_as_it_was(method):
    torch.manual_seed(0)
    factory = build(compose_node("backbone", ["backbone=lite_point_gcn_tuned"]))
    network: LitePointGCN = factory(in_channels=6, num_classes=3).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    explain(
        network, TARGETS["emotion"](("a", "b", "c")), open_representation("points"), draw(), method
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(value.requires_grad and value.grad is None for value in network.parameters())


def test_networks_of_images_are_refused():
    with pytest.raises(InputError, match="reads flow_map, of which no points can be explained"):
        explain(
            nn.Identity(), TARGETS["emotion"](("a", "b")), open_representation("flow_map"),
            torch.zeros(1, 3, 28, 28), METHODS[1],
        )  # fmt: skip


def test_a_method_is_chosen_by_what_is_installed(monkeypatch):
    assert choose_method("gnn_explainer") == "gnn_explainer"
    with pytest.raises(InputError, match="method=shap is unknown; choose integrated_gradients or"):
        choose_method("shap")
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setattr("merec.explain.point_importance.find_spec", lambda name: None)
    assert choose_method(None) == "gnn_explainer"
    with pytest.raises(InputError, match="needs captum: pip install"):
        choose_method("integrated_gradients")
