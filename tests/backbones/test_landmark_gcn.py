"""The landmark network: its size, its edges, naive convolutions, stackable, settings that are refused."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state
from torch.nn.functional import cross_entropy

from merec.backbones.kernels.acceleration import accelerate
from merec.backbones.kernels.dropout import draw_from
from merec.backbones.landmark_gcn import LandmarkGCN, MeshBlock
from merec.config import build, compose_node
from merec.errors import InputError
from merec.features.face_mesh import list_edges
from merec.testing import check_backbone

LAYERS = ("graph_conv", "gatv2")


def make(layer: str, num_classes: int = 7, seed: int = 0) -> LandmarkGCN:
    torch.manual_seed(seed)
    factory = build(compose_node("backbone", ["backbone=landmark_gcn", f"backbone.layer={layer}"]))
    return factory(in_channels=8, num_classes=num_classes)


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize(("layer", "parameters"), [("graph_conv", 40_207), ("gatv2", 40_639)])
def test_the_size_is_that_of_the_config(layer, parameters):
    assert sum(value.numel() for value in make(layer).parameters()) == parameters


@pytest.mark.parametrize("layer", LAYERS)
def test_it_keeps_the_contract_of_a_backbone(layer):
    check_backbone(
        build(compose_node("backbone", ["backbone=landmark_gcn", f"backbone.layer={layer}"]))
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_other_names_of_the_landmarks_change_nothing(layer):
    network, nodes = make(layer).eval(), draw(3, 468, 8)
    order = torch.randperm(468, generator=torch.Generator().manual_seed(1))
    expected = network(nodes)
    network.edges = order.argsort()[network.edges]
    torch.testing.assert_close(network(nodes[:, order]), expected, rtol=0, atol=1e-5)
    assert (network(nodes) - expected).abs().max() > 1e-3


def test_a_graph_convolution_is_a_loop_over_neighbours():
    block, nodes = MeshBlock("graph_conv", 4).double().eval(), draw(2, 468, 4, dtype=torch.float64)
    edges = torch.from_numpy(list_edges())
    near = [edges[0][edges[1] == node].tolist() for node in range(468)]
    layer, rows = block.convolution, []
    for sample in nodes:
        for node in range(468):
            mean = sum(sample[other] for other in near[node]) / len(near[node])
            rows.append(layer.lin_rel(mean) + layer.lin_root(sample[node]))
    expected = nodes + block.norm(torch.stack(rows)).relu().view_as(nodes)
    torch.testing.assert_close(block(nodes, edges), expected)


@pytest.mark.parametrize("layer", LAYERS)
def test_samples_of_a_batch_do_not_mix(layer):
    network, nodes = make(layer).eval(), draw(4, 468, 8)
    alone = torch.cat([network(nodes[[row]]) for row in range(4)])
    torch.testing.assert_close(network(nodes), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_stacked_folds_get_what_each_gets_alone(layer):
    seeds, label = (3, 4), torch.arange(4) % 3
    alone, stack = ([accelerate(make(layer, 3, seed).double()) for seed in seeds] for _ in range(2))
    nodes = draw(2, 4, 468, 8, dtype=torch.float64)
    losses = []
    for network, rows, seed in zip(alone, nodes, seeds, strict=True):
        torch.manual_seed(seed)
        losses.append(cross_entropy(network(rows), label))
        losses[-1].backward()
    parameters, buffers = stack_module_state(stack)  # type: ignore[arg-type]

    def learn(parameters: dict, buffers: dict, rows: Tensor) -> Tensor:
        return cross_entropy(functional_call(stack[0], (parameters, buffers), (rows,)), label)

    with draw_from([torch.Generator().manual_seed(seed) for seed in seeds]):
        actual = torch.vmap(learn)(parameters, buffers, nodes)
    torch.testing.assert_close(actual, torch.stack(losses), rtol=0, atol=1e-6)
    actual.sum().backward()
    for key, value in parameters.items():
        rows = torch.stack([network.get_parameter(key).grad for network in alone])
        torch.testing.assert_close(value.grad, rows, rtol=0, atol=1e-6, msg=key)


def test_features_that_are_not_chosen_have_no_say():
    network, nodes = make("graph_conv").eval(), draw(2, 468, 8)
    changed = nodes.clone()
    changed[..., 6:] += 1  # the tracks
    assert torch.equal(network(changed), network(nodes))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"features": ["x", "w"]}, "expected some of x, y, z"),
        ({"features": []}, "expected some of x, y, z"),
        ({"layer": "gcn"}, "graph_conv or gatv2"),
        ({"layer": "gatv2", "width": 30}, "multiple of its 4 heads"),
        ({"in_channels": 6}, "nodes have 6 features"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(overrides, message):
    factory = build(compose_node("backbone", ["backbone=landmark_gcn"]))
    with pytest.raises(InputError, match=message) as caught:
        factory(**{"in_channels": 8, "num_classes": 3} | overrides)
    assert "\n" not in str(caught.value)
