"""STSTNet is the three streams of its paper, computed as one convolution."""

import pytest
import torch
from torch import Tensor, nn

from merec.backbones import STSTNet
from merec.errors import InputError

STREAMS = (3, 5, 8)


def make(in_channels=3, num_classes=3, streams=STREAMS, dropout=0.0, size=28, padding=1) -> STSTNet:
    torch.manual_seed(0)
    network = STSTNet(in_channels, num_classes, list(streams), dropout, size, padding, True)
    network = network.double()
    # As initialised, all norms are alike and would hide a stream given another's.
    for tensor in (network.norm.weight, network.norm.bias):
        nn.init.uniform_(tensor, 0.5, 1.5)
    network.norm.running_mean.uniform_(0, 1)
    network.norm.running_var.uniform_(0.5, 1.5)
    return network


class ThreeStreams(nn.Module):
    """The network as it is drawn in the paper: three separate streams, side by side."""

    def __init__(self, like: STSTNet, streams: tuple[int, ...]):
        super().__init__()
        self.streams = nn.ModuleList()
        start = 0
        for filters in streams:
            rows = slice(start, start + filters)
            channels, padding = like.convolution.in_channels, like.convolution.padding
            convolution = nn.Conv2d(channels, filters, 3, padding=padding).double()
            norm = nn.BatchNorm2d(filters).double()
            for part, shared in ((convolution, like.convolution), (norm, like.norm)):
                state = shared.state_dict()
                part.load_state_dict(
                    {k: v[rows].clone() if v.ndim else v.clone() for k, v in state.items()}
                )
            stream = [convolution, nn.ReLU(), norm, nn.MaxPool2d(3, stride=3, padding=1)]
            self.streams.append(nn.Sequential(*stream))
            start += filters
        self.classify = nn.Linear(like.classify.in_features, like.classify.out_features).double()
        self.classify.load_state_dict(like.classify.state_dict())

    def forward(self, inputs: Tensor) -> Tensor:
        side_by_side = torch.cat([stream(inputs) for stream in self.streams], dim=1)
        return self.classify(nn.functional.avg_pool2d(side_by_side, 2).flatten(1))

    def join(self, layer: int, name: str) -> Tensor:
        """A parameter's gradient, or a buffer, of all streams, one after the other."""
        actual = [getattr(stream[layer], name) for stream in self.streams]
        return torch.cat([t.grad if isinstance(t, nn.Parameter) else t for t in actual])


def test_the_paper_network_has_1683_parameters_at_three_classes():
    network = STSTNet(3, 3, [3, 5, 8], 0.5, 28, 1, True)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1683
    assert network.convolution.out_channels == 16


@pytest.mark.parametrize("padding", [1, 2])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("in_channels", "num_classes", "streams", "size"),
    [(3, 3, (3, 5, 8), 28), (1, 2, (2, 4), 20), (2, 7, (1, 1, 1, 5), 33)],
)
def test_outputs_and_gradients_equal_three_separate_streams(
    padding, training, in_channels, num_classes, streams, size
):
    network = make(in_channels, num_classes, streams, size=size, padding=padding).train(training)
    naive = ThreeStreams(network, streams).train(training)
    torch.manual_seed(1)
    inputs = torch.randn(6, in_channels, size, size, dtype=torch.float64)
    label = torch.arange(6) % num_classes
    ours, theirs = network(inputs), naive(inputs)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert ours.std() > 1e-3  # not all the same number
    for logits in (ours, theirs):
        nn.functional.cross_entropy(logits, label).backward()
    pairs = [
        (network.convolution.weight.grad, naive.join(0, "weight")),
        (network.convolution.bias.grad, naive.join(0, "bias")),
        (network.norm.weight.grad, naive.join(2, "weight")),
        (network.norm.bias.grad, naive.join(2, "bias")),
        (network.norm.running_mean, naive.join(2, "running_mean")),
        (network.norm.running_var, naive.join(2, "running_var")),
        (network.classify.weight.grad, naive.classify.weight.grad),
        (network.classify.bias.grad, naive.classify.bias.grad),
    ]
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_padding_moves_the_borders_and_leaves_the_number_of_weights():
    one, two = make(padding=1).eval(), make(padding=2).eval()
    assert [p.shape for p in one.parameters()] == [p.shape for p in two.parameters()]
    inputs = torch.randn(2, 3, 28, 28, dtype=torch.float64)
    assert (one(inputs) - two(inputs)).abs().max() > 1e-3


@pytest.mark.parametrize("padding", [0, 3])
def test_another_padding_is_refused(padding):
    with pytest.raises(InputError, match=rf"backbone\.padding={padding}; choose 1, .* or 2"):
        make(padding=padding)


class Port(nn.Module):
    """The network under the names of the authors' PyTorch code, from its configuration.

    Each stream: convolution (3×3, padding 2), ReLU, norm, maximum (3×3, stride 3, padding 1), dropout; then
    joined, averaged (2×2) and classified.
    """

    def __init__(self) -> None:
        super().__init__()
        for number, filters in enumerate(STREAMS, start=1):
            self.add_module(f"conv{number}", nn.Conv2d(3, filters, 3, padding=2))
            self.add_module(f"bn{number}", nn.BatchNorm2d(filters))
        self.fc = nn.Linear(400, 3)

    def forward(self, image: Tensor) -> Tensor:
        streams = []
        for number in (1, 2, 3):
            seen = torch.relu(self.get_submodule(f"conv{number}")(image))
            seen = self.get_submodule(f"bn{number}")(seen)
            streams.append(nn.functional.max_pool2d(seen, 3, stride=3, padding=1))
        return self.fc(nn.functional.avg_pool2d(torch.cat(streams, 1), 2).flatten(1))


def test_weights_under_the_names_of_the_released_code_give_its_outputs():
    torch.manual_seed(3)
    port = Port().double().eval()
    for number in (1, 2, 3):
        norm = port.get_submodule(f"bn{number}")
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            nn.init.uniform_(tensor, 0.5, 1.5)
    released = port.state_dict()
    assert sum(p.numel() for p in port.parameters()) == 1683
    state = {
        f"{ours}.{name}": torch.cat([released[f"{theirs}{n}.{name}"] for n in (1, 2, 3)])
        for ours, theirs, names in (
            ("convolution", "conv", ("weight", "bias")),
            ("norm", "bn", ("weight", "bias", "running_mean", "running_var")),
        )
        for name in names
    }
    state["norm.num_batches_tracked"] = released["bn1.num_batches_tracked"]
    state |= {f"classify.{name}": released[f"fc.{name}"] for name in ("weight", "bias")}
    network = make(padding=2).eval()
    network.load_state_dict(state)
    # As OpenCV reads a map whose red, green and blue are u, v and strain.
    maps = torch.randint(256, (5, 3, 28, 28)).double()
    torch.testing.assert_close(network(maps), port(maps), rtol=0, atol=1e-9)


def test_the_comparison_tells_a_misplaced_filter():
    network = make().eval()
    naive = ThreeStreams(network, STREAMS).eval()
    with torch.no_grad():
        network.convolution.weight[[2, 3]] = network.convolution.weight[[3, 2]]
    inputs = torch.randn(2, 3, 28, 28, dtype=torch.float64)
    assert (network(inputs) - naive(inputs)).abs().max() > 1e-6


def test_every_weight_gets_a_gradient():
    network = make(dropout=0.5).train()
    inputs = torch.randn(8, 3, 28, 28, dtype=torch.float64)
    nn.functional.cross_entropy(network(inputs), torch.arange(8) % 3).backward()
    # None is exempt: the norm comes after the ReLU, so even the convolution's bias matters.
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad.abs() > 1e-8).all(), name


@pytest.mark.parametrize("size", [6, 14, 28, 29, 56])
@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 2), (3, 3), (4, 7)])
def test_other_sizes_channels_and_classes_work(size, in_channels, num_classes):
    network = make(in_channels, num_classes, size=size).eval()
    logits = network(torch.randn(5, in_channels, size, size, dtype=torch.float64))
    assert logits.shape == (5, num_classes)
    assert torch.isfinite(logits).all()


def test_dropout_acts_in_training_only():
    network = make(dropout=0.5)
    inputs = torch.randn(4, 3, 28, 28, dtype=torch.float64)
    assert not torch.equal(network.train()(inputs), network(inputs))
    assert torch.equal(network.eval()(inputs), network(inputs))


@pytest.mark.parametrize("size", [20, 36])
def test_maps_of_another_size_are_refused(size):
    with pytest.raises(InputError, match=rf"maps of {size}×{size} px; set backbone\.size"):
        make()(torch.zeros(2, 3, size, size, dtype=torch.float64))
