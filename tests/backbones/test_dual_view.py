"""Dual view: the published sizes, both encoders alive, embeddings of unit norm, samples judged alone."""

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from merec.backbones import DualView
from merec.backbones.half_encoders import ENCODERS, MAPS
from merec.config import build, compose_node
from merec.errors import InputError

SIZE = 64


def make(
    encoder: str = "resnet18",
    size: int = SIZE,
    channels: int | tuple[int, int] = (3, 1),
    attention: bool = False,
    num_classes: int = 4,
) -> DualView:
    torch.manual_seed(0)
    return DualView(channels, num_classes, encoder, size, embedding=128, attention=attention)


def draw(
    batch: int,
    size: int = SIZE,
    channels: tuple[int, int] = (3, 1),
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    first, second = (
        torch.randn((batch, entry, size, size), generator=rng, dtype=dtype) for entry in channels
    )
    return first, second


def silence(network: nn.Module) -> nn.Module:
    """Without dropout."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def count(*modules: nn.Module) -> int:
    return sum(value.numel() for module in modules for value in module.parameters())


@pytest.mark.parametrize(
    ("encoder", "millions", "maps", "vectors"),
    [
        ("alexnet", "29.69", [(48, 27), (128, 13), (192, 13), (192, 13), (128, 6)], [2048, 2048]),
        ("resnet18", "5.689", [(64, 56), (32, 56), (64, 28), (128, 14), (256, 7)], [256]),
        ("resnet50", "12.06", [(64, 56), (128, 56), (256, 28), (512, 14), (1024, 7)], [1024]),
        ("resnet101", "21.58", [(64, 56), (128, 56), (256, 28), (512, 14), (1024, 7)], [1024]),
    ],
)
def test_encoders_have_the_published_layers_and_parameters(encoder, millions, maps, vectors):
    network = make(encoder, 224).eval()
    digits = len(millions.partition(".")[2])
    assert f"{count(network.first, network.second) / 1e6:.{digits}f}" == millions
    view = actual = draw(1, 224)[1]
    shapes = []
    for layer in network.second.layers:
        actual = layer(actual)
        shapes.append(tuple(actual.shape[1:]))
    expected = [(channels, side, side) for channels, side in maps]
    assert shapes == [*expected, *((size,) for size in vectors), (128,)]
    assert network.second.map(view).shape[1:] == expected[MAPS - 1]


def test_the_head_has_the_published_parameters():
    plain, gated = (
        build(compose_node("backbone", ["backbone=dual_view", "backbone.size=224", attention]))(
            in_channels=(3, 1), num_classes=4
        )
        for attention in ("backbone.attention=false", "backbone.attention=true")
    )
    assert count(plain.attention, plain.head) == 100_356
    assert count(gated.attention, gated.head) == 102_423
    assert count(gated) - count(gated.first, gated.second) == 102_423


def test_the_head_starts_small_and_without_bias():
    head = make().head
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not head.bias.any()


def test_what_a_pretrained_encoder_does_not_bring_is_all_but_the_encoders():
    network = make(attention=True)
    parts = {name for name, _ in network.named_children()}
    assert set(network.fresh) == parts - {"first", "second"}


@pytest.mark.parametrize(
    ("encoder", "size", "channels"),
    [
        *(("resnet18", size, (3, 1)) for size in (28, 32, 33, 65, 96)),
        *(("resnet18", 32, channels) for channels in ((3, 3), (1, 1))),
        *(("alexnet", size, (3, 1)) for size in (63, 64, 70, 71, 95, 96, 97, 127)),
        ("alexnet", 64, (1, 1)),
    ],
)
def test_other_sizes_and_channels_work(encoder, size, channels):
    network = make(encoder, size, channels, attention=True, num_classes=3).eval()
    views = draw(2, size, channels)
    assert network(views).shape == (2, 3)
    assert [entry.shape for entry in network.encode(views)] == [(2, 128)] * 2


@pytest.mark.parametrize(
    ("encoder", "attention"), [("alexnet", False), ("resnet18", True), ("resnet50", False)]
)
def test_every_weight_that_the_logits_need_gets_a_gradient(encoder, attention):
    network = silence(make(encoder, attention=attention).double())
    cross_entropy(network(draw(4, dtype=torch.float64)), torch.arange(4)).backward()
    seen = tuple(f"layers.{number}." for number in range(1, MAPS + 1))
    for name, value in network.named_parameters():
        part, _, rest = name.partition(".")
        if part in ("first", "second") and not rest.startswith(seen):
            assert value.grad is None, name  # it gives embeddings
        else:
            assert value.grad is not None, name
            assert value.grad.abs().max() > 1e-10, name


@pytest.mark.parametrize("encoder", ["alexnet", "resnet18"])
def test_each_embedding_reaches_all_of_its_own_encoder_and_nothing_else(encoder):
    network = silence(make(encoder).double())
    for number, rows in enumerate(("first", "second")):
        network.zero_grad()
        actual = network.encode(draw(4, dtype=torch.float64))[number]
        (actual * torch.arange(actual.numel()).view_as(actual).sin()).sum().backward()
        for name, value in network.named_parameters():
            assert (value.grad is not None) == name.startswith(rows), name
        # What adds the same to all before a norm is taken away by it: biases, among them that of a norm whose
        # every largest response is above 0.
        dead = [
            name
            for name, value in getattr(network, rows).named_parameters()
            if value.grad.abs().max() < 1e-10
        ]
        cancelled = ["layers.5.1.bias", "layers.6.1.bias", "layers.7.0.bias"]
        assert dead == (cancelled if encoder == "alexnet" else [])


@pytest.mark.parametrize("encoder", ["alexnet", "resnet18"])
@pytest.mark.parametrize("train", [True, False])
def test_embeddings_have_unit_norm_even_of_nothing(encoder, train):
    network = make(encoder).train(train)
    first, second = draw(3)
    first[0] = 0
    for views in ((first, second), (torch.zeros_like(first), torch.zeros_like(second))):
        for actual in network.encode(views):
            torch.testing.assert_close(actual.norm(dim=1), torch.ones(3))
            assert actual.isfinite().all()
            actual.sum().backward()
    gradients = (value.grad for value in network.parameters() if value.grad is not None)
    assert all(entry.isfinite().all() for entry in gradients)


@pytest.mark.parametrize("encoder", ["alexnet", "resnet18"])
def test_a_sample_is_judged_alone_and_alike_when_evaluated(encoder):
    network = make(encoder, attention=True)
    network(draw(4, seed=1))  # statistics that are not those of a new network
    network.double().eval()
    first, second = draw(4, dtype=torch.float64)
    together = network((first, second))
    alone = torch.cat([network((first[row : row + 1], second[row : row + 1])) for row in range(4)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-12)
    assert torch.equal(network((first, second)), together)
    assert together.std(0).min() > 1e-6  # not all the same


def test_each_view_has_a_say_and_its_own_encoder():
    network = make(channels=(1, 1)).eval()
    one, other = draw(2, channels=(1, 1))
    logits = network((one, other))
    for views in ((one, one), (other, other), (other, one)):
        assert (network(views) - logits).abs().max() > 1e-4
    first, second = network.encode((one, one))
    assert (first - second).abs().max() > 1e-3


def test_attention_gates_channels_then_places_and_adds_the_maps():
    gate = make(attention=True).attention.double()
    maps = torch.randn(2, 512, 4, 4, dtype=torch.float64)
    into, _, out = gate.weigh_channels
    where = gate.weigh_places
    for sample, actual in zip(maps, gate(maps), strict=True):
        weight = torch.zeros(512, dtype=torch.float64)
        for summary in (sample.flatten(1).max(1).values, sample.flatten(1).mean(1)):
            weight += out.weight @ (into.weight @ summary).clamp_min(0)
        gated = sample / (1 + torch.exp(-weight))[:, None, None]
        padded = torch.zeros(2, 6, 6, dtype=torch.float64)
        padded[:, 1:5, 1:5] = torch.stack([gated.max(0).values, gated.mean(0)])
        for row in range(4):
            for column in range(4):
                window = padded[:, row : row + 3, column : column + 3]
                place = (where.weight[0] * window).sum() + where.bias[0]
                expected = sample[:, row, column] + gated[:, row, column] / (1 + torch.exp(-place))
                torch.testing.assert_close(actual[:, row, column], expected)


def test_folds_can_be_stacked():
    """One call for two networks of their own weights gives what each gives alone, and learns the same."""
    networks = [make(size=33, attention=True).double() for _ in range(2)]
    for number, network in enumerate(networks):
        torch.manual_seed(number)
        for value in network.parameters():
            nn.init.normal_(value, std=0.1)
    drawn = [draw(3, 33, seed=seed, dtype=torch.float64) for seed in range(2)]
    alone = torch.stack([network(entry) for network, entry in zip(networks, drawn, strict=True)])
    # Stacked after the call alone, whose statistics the buffers would otherwise share.
    values, buffers = torch.func.stack_module_state(networks)
    views = tuple(torch.stack(entry) for entry in zip(*drawn, strict=True))

    def call(values: dict, buffers: dict, views: tuple[Tensor, Tensor]) -> Tensor:
        return torch.func.functional_call(networks[0], (values, buffers), (views,))

    stacked = torch.vmap(call, randomness="different")(values, buffers, views)
    torch.testing.assert_close(stacked, alone, atol=1e-9, rtol=1e-9)
    stacked.square().sum().backward()
    alone.square().sum().backward()
    for number, network in enumerate(networks):
        for name, value in network.named_parameters():
            if value.grad is not None:
                torch.testing.assert_close(
                    values[name].grad[number], value.grad, atol=1e-7, rtol=1e-7
                )


@pytest.mark.slow
def test_it_compiles_to_the_same_function(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks cannot be traced
    views = draw(4)
    network, encoder = make("alexnet", attention=True), make().first.eval()
    for module, inputs in ((network, views), (encoder, views[0])):
        compiled = torch.compile(module, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(inputs), module(inputs))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 3}, "one view of 3 channels; DualView takes two"),
        ({"encoder": "vgg"}, f"backbone.encoder=vgg; expected one of {', '.join(ENCODERS)}"),
        ({"encoder": "alexnet", "size": 62}, "backbone.size=62, .* 63 px at least"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)
