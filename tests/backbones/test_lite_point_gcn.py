"""Lite point GCN: the published sizes, every weight alive, blind to the order of points, not of regions."""

from functools import cache

import jaxtyping
import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from merec.backbones import LitePointGCN
from merec.backbones.lite_point_gcn import FEATURES
from merec.backbones.region_graph import GraphConvolution
from merec.config import build, compose_node
from merec.errors import InputError
from merec.features.regions import REGIONS
from merec.features.representations import points as point_features

SMALL = (
    *("backbone.widths=[[8,8],[8,12],[12,16,20]]", "backbone.graph_width=10"),
    *("backbone.head_width=10",),
)


@cache  # composing takes longer than most tests
def compose(*overrides: str) -> DictConfig:
    return compose_node("backbone", ["backbone=lite_point_gcn", *overrides])


def make(*overrides: str, num_classes: int = 4, in_channels: int = 6) -> LitePointGCN:
    torch.manual_seed(0)
    return build(compose(*overrides))(in_channels=in_channels, num_classes=num_classes)


def draw(batch: int, k: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((batch, 8, k, 6), generator=generator, dtype=dtype)


def silence(network: nn.Module) -> nn.Module:
    """Without dropout."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def list_cancelled(network: LitePointGCN) -> dict[str, int]:
    """Biases that a norm takes away again: those before a norm, and what is added to all regions alike."""
    alike = ("graph.leave.bias", "head.0.bias")
    before = ("enter.bias", "layers.2.bias", "layers.5.bias", "linear.bias", "convolution.bias")
    return {
        name: value.numel()
        for name, value in network.named_parameters()
        if name in alike or name.endswith(before)
    }


def test_the_published_size_has_the_published_parameters():
    network = make()
    assert sum(value.numel() for value in network.parameters()) == 3_477_892
    parts = {
        name: sum(value.numel() for value in getattr(network, name).parameters())
        for name in ("first", "second", "graph", "head")
    }
    assert parts == {"first": 13_440, "second": 67_456, "graph": 2_142_080, "head": 527_876}
    third = (*network.third.parameters(), *network.pool.parameters())
    assert sum(value.numel() for value in third) == 727_040
    cancelled = list_cancelled(network)
    assert (len(cancelled), sum(cancelled.values())) == (16, 6_656)


def test_regions_and_features_are_those_of_the_store():
    assert point_features.FEATURES == FEATURES
    assert len(REGIONS) == make(*SMALL).adjacency.shape[-1]


def find_gradients(*overrides: str) -> tuple[LitePointGCN, dict[str, Tensor | None]]:
    """Points of a batch, in double precision, at the paper's widths."""
    network = silence(make(*overrides).double())
    loss = cross_entropy(network(draw(4, 32, dtype=torch.float64)), torch.arange(4))
    names, values = zip(*network.named_parameters(), strict=True)
    return network, dict(
        zip(names, torch.autograd.grad(loss, values, allow_unused=True), strict=True)
    )


def test_every_weight_gets_a_gradient():
    network, gradients = find_gradients()
    cancelled = list_cancelled(network)
    for name, gradient in gradients.items():
        assert gradient is not None, name
        if name in cancelled:
            assert gradient.abs().max() < 1e-8, name
        else:
            assert gradient.abs().max() > 1e-8, name


def test_detached_stages_cut_exactly_the_published_number_of_parameters():
    _, gradients = find_gradients("backbone.legacy.detach_stages=true")
    network = make()
    values = dict(network.named_parameters())
    assert (
        sum(values[name].numel() for name, actual in gradients.items() if actual is None) == 80_896
    )
    assert {name.partition(".")[0] for name, actual in gradients.items() if actual is None} == {
        "first",
        "second",
    }


@pytest.mark.parametrize("train", [True, False])
def test_the_order_of_points_in_a_region_changes_nothing(train):
    network = silence(make(*SMALL)).train(train)
    points = draw(6, 32)
    order = torch.rand(6, 8, 32).argsort(-1)[..., None].expand(-1, -1, -1, 6)
    torch.testing.assert_close(network(points), network(points.gather(2, order)), rtol=0, atol=1e-5)


def test_the_order_of_regions_matters_once_it_was_trained():
    network = make(*SMALL)
    points, label = draw(16, 32), torch.arange(16) % 4
    order = torch.tensor([3, 0, 5, 1, 7, 2, 6, 4])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(10):
        optimizer.zero_grad()
        cross_entropy(network(points), label).backward()
        optimizer.step()
    network.eval()
    assert (network(points) - network(points[:, order])).abs().max() > 0.01


def test_the_graph_convolution_is_the_formula():
    layer = GraphConvolution(3, 4, 5).double()
    nn.init.normal_(layer.adjacency)
    nn.init.normal_(layer.bias)
    regions = torch.randn(2, 3, 4, dtype=torch.float64)
    a, w, b = (value.detach().numpy() for value in layer.parameters())
    expected = np.stack([a @ entry @ w + b for entry in regions.numpy()])
    np.testing.assert_allclose(layer(regions).detach().numpy(), expected, atol=1e-12)


def test_a_new_adjacency_leaves_regions_nearly_to_themselves():
    adjacency = make(*SMALL).adjacency
    assert adjacency.shape == (6, 8, 8)
    torch.testing.assert_close(adjacency[0], 0.99 * torch.eye(8) + 0.01)


def spot(network: LitePointGCN) -> Tensor:
    """Which points of a sample have a say: those whose gradient is not zero."""
    points = draw(3, 40).requires_grad_()
    network.eval()
    network(points).sum().backward()
    assert points.grad is not None
    return points.grad.abs().sum(-1) > 0


def test_only_points_that_move_most_have_a_say():
    network = make(*SMALL, "backbone.centre_motion=false")
    used = spot(network)
    length = draw(3, 40)[..., 3:].norm(dim=-1)
    for region in range(8):
        rank = length[0, region].argsort(descending=True)
        assert not used[0, region, rank[5:]].any()  # an eighth of 40 goes on
        assert used[0, region].any()


def test_points_are_ranked_by_their_true_motion_unless_told_otherwise():
    """All move by one vector and a little more: the true motion is not the one less the mean."""
    points = draw(2, 16)
    points[..., 3:] = 0.1 * points[..., 3:] + torch.tensor([1.0, 0.0, 0.0])
    true, centred = make(*SMALL), make(*SMALL, "backbone.legacy.rank_centred=true")
    length = points[..., 3:].norm(dim=-1)
    off = (points[..., 3:] - points[..., 3:].mean((1, 2), keepdim=True)).norm(dim=-1)
    for network, measure in ((true, length), (centred, off)):
        ranked = network._rank(points)
        order = measure.argsort(dim=-1, descending=True)[..., :8]
        expected = points[..., :3].gather(2, order[..., None].expand(-1, -1, -1, 3))
        torch.testing.assert_close(ranked[..., :3], expected)


def test_motion_is_centred_and_scaled_after_it_was_ranked():
    points = draw(2, 16) + torch.tensor([0, 0, 0, 3.0, 0, 0])
    whole = make(*SMALL, "backbone.keep=[1.0,0.5]")._rank(points)[..., 3:]
    torch.testing.assert_close(whole.mean((1, 2)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(whole.norm(dim=-1).amax((1, 2)), torch.ones(2))


def mark(points: Tensor, kept: Tensor) -> Tensor:
    return torch.cat([points, kept[..., None].to(points.dtype)], -1)


def count_distinct(points: Tensor) -> Tensor:
    """Distinct points of each region of each sample."""
    return torch.tensor([[len(region.unique(dim=0)) for region in sample] for sample in points])


def test_stages_see_the_strongest_points_that_are_kept_and_repeat_them_where_too_few_are():
    network, points = make(*SMALL), draw(4, 16)  # 8 and 2 of 16 go on
    kept = torch.rand(4, 8, 16, generator=torch.Generator().manual_seed(3)) < 0.3
    kept[..., 5] = True
    ranked = network._rank(mark(points, kept))[..., :3]
    length = points[..., 3:].norm(dim=-1)
    for sample in range(4):
        for region in range(8):
            left = [p for p in range(16) if kept[sample, region, p]]
            left.sort(key=lambda p: -length[sample, region, p])
            expected = [left[number % len(left)] for number in range(8)]
            assert torch.equal(ranked[sample, region], points[sample, region, expected, :3])
    assert torch.equal(count_distinct(ranked[:, :, :2]), kept.sum(2).clamp(max=2))


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_region_that_was_filled_with_its_own_points_shows_distinct_ones_first(rows):
    network, points = make(*SMALL), draw(4, 16)
    order = points[..., 3:].norm(dim=-1).argsort(2, descending=True)[..., None]
    points = points.gather(2, order.expand_as(points))
    again = torch.cat([torch.arange(rows), torch.arange(16 - rows) % rows]).sort().values
    ranked = network._rank(points[:, :, again])[..., :3]
    assert torch.equal(ranked, points[:, :, torch.arange(8) % rows, :3])


def test_views_of_96_samples_show_the_last_stage_as_many_distinct_points_as_at_test():
    """Or as many as were kept, if fewer; at the strongest dropping, with regions that were filled."""
    network, points = make(*SMALL), draw(96, 32)
    order = points[..., 3:].norm(dim=-1).argsort(2, descending=True)[..., None]
    points = points.gather(2, order.expand_as(points))
    points[:, 3] = points[:, 3, (torch.arange(32) // 5)]  # a region of seven points
    kept = torch.rand(96, 8, 32, generator=torch.Generator().manual_seed(3)) >= 0.875
    kept[..., 9] = True
    at_test = count_distinct(network._rank(points)[:, :, :4])
    in_training = count_distinct(network._rank(mark(points, kept))[:, :, :4])
    left = torch.tensor(
        [
            [len(p[k].unique(dim=0)) for p, k in zip(*entry, strict=True)]
            for entry in zip(points, kept, strict=True)
        ]
    )
    assert (at_test == 4).all()
    assert torch.equal(in_training, at_test.minimum(left))
    assert (in_training[:, :3] < 4).any()


def test_all_regions_as_one_leave_dropped_points_out_too():
    network, points = make(*SMALL, "backbone.apart=false"), draw(2, 16)
    kept = torch.rand(2, 8, 16, generator=torch.Generator().manual_seed(3)) < 0.3
    places = points[..., :3].flatten(1, 2)
    ranked = network._rank(mark(points, kept))[:, 0, :, :3]
    for sample in range(2):
        left = places[sample][kept[sample].flatten()]
        assert (ranked[sample][:, None] == left[None]).all(-1).any(1).all()
        assert len(ranked[sample].unique(dim=0)) == min(len(left), 64)


def test_motion_is_centred_before_points_are_dropped():
    """The motion of a point that is kept does not depend on which others are."""
    network, points = make(*SMALL, "backbone.keep=[1.0,0.5]"), draw(3, 16) + 0.5
    kept = torch.rand(3, 8, 16, generator=torch.Generator().manual_seed(3)) < 0.3
    kept[..., 5] = True
    whole, some = network._rank(points), network._rank(mark(points, kept))
    same = (some[:, :, :, None] == whole[:, :, None]).all(-1)
    assert same.any(-1).all()


def test_where_the_release_is_reproduced_dropped_points_become_the_first_of_their_region():
    network, points = make(*SMALL, "backbone.legacy.drop_to_first=true"), draw(4, 16)
    order = points[..., 3:].norm(dim=-1).argsort(2, descending=True)[..., None]
    points = points.gather(2, order.expand_as(points))  # as the feature store sorts them
    kept = torch.arange(16) >= 13
    ranked = network._rank(mark(points, kept.expand(4, 8, 16)))[..., :3]
    assert torch.equal(ranked, points[:, :, :1, :3].expand(4, 8, 8, 3))


def test_marks_of_points_that_are_all_kept_change_nothing():
    network, points = silence(make(*SMALL)), draw(4, 16)
    marked = mark(points, torch.ones(4, 8, 16))
    assert torch.equal(network(points), network(marked))


@pytest.mark.parametrize(
    ("features", "blind"),
    [(["u", "v", "dz"], [0, 1, 2]), (["x", "y", "z", "u", "v"], [5])],
)
def test_features_left_out_have_no_say(features, blind):
    network = make(*SMALL, f"backbone.features=[{','.join(features)}]").eval()
    points = draw(4, 16)
    changed = points.clone()
    if blind == [5]:  # it is centred with the others, which scales them
        network.centre_motion = False
    changed[..., blind] = torch.randn(4, 8, 16, len(blind))
    torch.testing.assert_close(network(points), network(changed))


@pytest.mark.parametrize(
    "ablation",
    [
        *("backbone.graph=none", "backbone.graph=dense_graph_conv", "backbone.graph=gatv2"),
        *("backbone.pool=softmax", "backbone.pool=set_transformer"),
        *("backbone.apart=false", "backbone.features=[u,v,dz]"),
    ],
)
def test_an_ablation_learns(ablation):
    network = make(*SMALL, "backbone.graph_width=12", ablation)
    points, label = draw(8, 16), torch.arange(8) % 4
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = cross_entropy(network(points), label)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert (network.adjacency is None) == ("backbone.graph=" in ablation)


def test_a_sample_at_rest_gives_finite_logits():
    points = draw(4, 16)
    points[..., 3:] = 0
    assert make(*SMALL)(points).isfinite().all()


@pytest.mark.parametrize(
    ("overrides", "channels", "message"),
    [
        ((), 3, "points have 3 features; LitePointGCN takes 6"),
        (("backbone.features=[x,y,w]",), 6, r"features=\['x', 'y', 'w'\]"),
        (("backbone.features=[x,y,z]",), 6, "one of u, v, dz"),
        (("backbone.keep=[0.1,0.5]",), 6, "expected two shares"),
        (("backbone.widths=[[8],[8],[8]]",), 6, "expected the widths of three stages"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(overrides, channels, message):
    with pytest.raises(InputError, match=message):
        make(*overrides, in_channels=channels)


def test_folds_can_be_stacked():
    """One call for three networks of their own weights gives what each gives alone."""
    networks = [silence(make(*SMALL)) for _ in range(3)]
    for number, network in enumerate(networks):
        torch.manual_seed(number)
        for value in network.parameters():
            nn.init.normal_(value, std=0.3)
    points = torch.stack([draw(6, 16, seed) for seed in range(3)])
    alone = torch.stack([network(entry) for network, entry in zip(networks, points, strict=True)])
    values, buffers = torch.func.stack_module_state(networks)

    def call(values: dict, buffers: dict, points: Tensor) -> Tensor:
        return torch.func.functional_call(networks[0], (values, buffers), (points,))

    stacked = torch.vmap(call, randomness="different")(values, buffers, points)
    torch.testing.assert_close(stacked, alone, atol=1e-4, rtol=1e-4)
    stacked.square().sum().backward()
    alone.square().sum().backward()
    for name, value in networks[1].named_parameters():
        assert values[name].grad is not None
        torch.testing.assert_close(values[name].grad[1], value.grad, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("train", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_it_compiles_to_the_same_function(train, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks cannot be traced
    network = silence(make(*SMALL)).train(train)
    points = draw(4, 16)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(points), network(points))
