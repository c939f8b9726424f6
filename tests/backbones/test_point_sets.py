"""Networks of point sets: sizes, blind to the order of points, equal to torch_geometric, stackable."""

import copy
from functools import cache

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.functional import cross_entropy

from merec.backbones.kernels.acceleration import accelerate
from merec.backbones.kernels.dropout import draw_from
from merec.backbones.point_sets import find_neighbours, replace_dropped
from merec.backbones.point_stages import SharedLayer, make_pool
from merec.config import build, compose_node
from merec.errors import InputError
from merec.testing import check_backbone

NETWORKS = {
    "pointnet2": ["backbone=pointnet2"],
    "pointnet2_mean": ["backbone=pointnet2", "backbone.graph=dense_graph_conv"],
    "pointnet2_learned": ["backbone=pointnet2", "backbone.graph=learned"],
    "edgeconv": ["backbone=edgeconv"],
    "point_transformer": ["backbone=point_transformer"],
}
SMALL = ["backbone=lite_point_gcn_tuned", "backbone.widths=[[8,8],[8,12],[12,16,20]]"]
ABLATIONS = {
    "graph_mean": [*SMALL, "backbone.graph=dense_graph_conv"],
    "graph_attention": [*SMALL, "backbone.graph=gatv2"],
    "pool_softmax": [*SMALL, "backbone.pool=softmax"],
    "pool_set_transformer": [*SMALL, "backbone.pool=set_transformer"],
}


@cache  # composing takes longer than most tests
def compose(*overrides: str) -> DictConfig:
    return compose_node("backbone", list(overrides))


def make(name: str, seed: int = 0, num_classes: int = 7) -> nn.Module:
    torch.manual_seed(seed)
    factory = build(compose(*(NETWORKS | ABLATIONS)[name]))
    return factory(in_channels=6, num_classes=num_classes)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def silence(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def list_gradients(network: nn.Module, points: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    logits = network(points)
    cross_entropy(logits, torch.arange(len(points)) % logits.shape[1]).backward()
    return logits.detach(), {name: value.grad for name, value in network.named_parameters()}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("pointnet2", 96_871), ("edgeconv", 69_287), ("point_transformer", 34_535)],
)
def test_the_sizes_are_those_that_the_configs_state(name, parameters):
    assert sum(value.numel() for value in make(name).parameters()) == parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_each_keeps_the_contract_of_a_backbone(name):
    check_backbone(build(compose(*NETWORKS[name])))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("fast", [False, True])
def test_the_order_of_the_points_changes_nothing(name, fast):
    network = make(name).eval()
    if fast:
        accelerate(network)
    points = draw(4, 8, 24, 6)
    shuffled = points.clone()
    for region in range(8):
        shuffled[:, region] = points[:, region, torch.randperm(24)]
    torch.testing.assert_close(network(shuffled), network(points), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_order_of_the_regions_matters(name):
    network, points = make(name).eval(), draw(4, 8, 24, 6)
    assert (network(points.flip(1)) - network(points)).abs().max() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_faster_layers_compute_what_torch_geometric_computes(name, training):
    plain = silence(make(name)).double()
    points = draw(5, 8, 12, 6, dtype=torch.float64)
    plain.train()
    for _ in range(2):  # so that running statistics are no longer those of the start
        plain(points + 1)
    with torch.no_grad():  # a negative scale turns a maximum into a minimum
        for module in plain.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.weight[::3] *= -1
    fast = accelerate(copy.deepcopy(plain))
    plain.train(training)
    fast.train(training)
    expected, actual = list_gradients(plain, points), list_gradients(fast, points)
    torch.testing.assert_close(actual[0], expected[0], rtol=0, atol=1e-10)
    for key, gradient in expected[1].items():
        torch.testing.assert_close(actual[1][key], gradient, rtol=0, atol=1e-10, msg=key)
    for key, value in plain.named_buffers():
        torch.testing.assert_close(fast.get_buffer(key), value, rtol=0, atol=1e-10, msg=key)


@pytest.mark.parametrize("name", [*NETWORKS, *ABLATIONS])
def test_stacked_folds_get_what_each_gets_alone(name):
    seeds, label = (3, 4), torch.arange(6) % 3
    alone, stack = ([accelerate(make(name, seed, 3).double()) for seed in seeds] for _ in range(2))
    points = draw(2, 6, 8, 10, 6, dtype=torch.float64)
    losses = []
    for network, rows, seed in zip(alone, points, seeds, strict=True):
        torch.manual_seed(seed)
        losses.append(cross_entropy(network(rows), label))
        losses[-1].backward()
    parameters, buffers = stack_module_state(stack)  # type: ignore[arg-type]

    def learn(parameters, buffers, rows):
        return cross_entropy(functional_call(stack[0], (parameters, buffers), (rows,)), label)

    with draw_from([torch.Generator().manual_seed(seed) for seed in seeds]):
        actual = torch.vmap(learn)(parameters, buffers, points)
    torch.testing.assert_close(actual, torch.stack(losses), rtol=0, atol=1e-6)
    actual.sum().backward()
    for key, value in parameters.items():
        rows = torch.stack([network.get_parameter(key).grad for network in alone])
        torch.testing.assert_close(value.grad, rows, rtol=0, atol=1e-6, msg=key)
    for key, value in buffers.items():
        rows = torch.stack([network.get_buffer(key) for network in alone])
        torch.testing.assert_close(value, rows, rtol=0, atol=1e-6, msg=key)


@pytest.mark.parametrize("name", NETWORKS)
def test_dropped_points_have_no_say(name):
    network, points = make(name).eval(), draw(3, 8, 16, 6)
    marks = torch.ones(3, 8, 16, 1)
    marks[:, :, 5:9] = 0
    changed_points = points.clone()
    changed_points[:, :, 5:9] = draw(3, 8, 4, 6, seed=1)
    given, changed = (network(torch.cat([some, marks], -1)) for some in (points, changed_points))
    torch.testing.assert_close(changed, given, rtol=0, atol=0)
    assert (network(changed_points) - network(points)).abs().max() > 1e-4


def test_a_dropped_point_becomes_the_strongest_that_is_kept():
    points = torch.zeros(1, 1, 3, 7)
    points[0, 0, :, 0] = torch.arange(3)
    points[0, 0, :, 3] = torch.tensor([1.0, 5.0, 3.0])
    points[0, 0, :, 6] = torch.tensor([1.0, 0.0, 1.0])
    assert replace_dropped(points)[0, 0, :, 0].tolist() == [0, 2, 2]


def test_neighbours_are_the_nearest_by_a_naive_search():
    places = draw(2, 3, 15, 3)
    neighbours = find_neighbours(places, 4)
    for sample in range(2):
        for region in range(3):
            rows = places[sample, region].double()
            for point in range(15):
                distance = [float(((row - rows[point]) ** 2).sum()) for row in rows]
                nearest = sorted(range(15), key=distance.__getitem__)[:4]
                assert set(neighbours[sample, region, point].tolist()) == set(nearest)
                assert neighbours[sample, region, point, 0] == point


@pytest.mark.parametrize("name", NETWORKS)
def test_a_region_of_one_point_is_enough(name):
    network = accelerate(make(name))
    assert network(draw(4, 8, 1, 6)).isfinite().all()


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("edgeconv", {"neighbours": 0}, "backbone.neighbours=0"),
        ("point_transformer", {"neighbours": -1}, "backbone.neighbours=-1"),
        ("pointnet2", {"graph": "gcn"}, "learned, dense_graph_conv, gatv2"),
        ("pointnet2", {"widths": [8, 30]}, "multiple of 4"),
        ("pointnet2", {"in_channels": 3}, "points have 3 features"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(name, overrides, message):
    factory = build(compose(*NETWORKS[name]))
    with pytest.raises(InputError, match=message) as caught:
        factory(**{"in_channels": 6, "num_classes": 3} | overrides)
    assert "\n" not in str(caught.value)


def test_a_set_transformer_is_that_of_torch_geometric():
    layer, points = make_pool("set_transformer", 5, 8).eval(), draw(3, 7, 5)
    rows = SharedLayer.forward(layer, points).flatten(0, 1)
    expected = layer.transformer(rows, torch.arange(3).repeat_interleave(7))
    torch.testing.assert_close(layer(points), expected)
