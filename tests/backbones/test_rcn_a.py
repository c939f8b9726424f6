"""RCN-A is of the published size, attends by its last layer's weights, and all of it learns."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from merec.backbones import RCNA
from merec.backbones.rcn_a import Average
from merec.errors import InputError

# A norm follows, which takes them away again.
CANCELLED = {"see.0.bias", "feed.0.bias", "recur.0.bias"}


def make(in_channels=3, num_classes=3, pooled=5, dropout=0.5, size=28) -> RCNA:
    torch.manual_seed(0)
    return RCNA(in_channels, num_classes, 32, pooled, dropout, size).double()


def test_it_has_15331_parameters_as_the_authors_instructions_have_it():
    """32 filters, 5×5 pooled: 5×5, 1×1 and 3×3 convolutions with norms, and one linear layer."""
    assert sum(parameter.numel() for parameter in make().parameters()) == 15_331


def test_every_weight_gets_a_gradient_but_biases_that_a_norm_cancels():
    network, maps = make(), torch.randn(16, 3, 28, 28, dtype=torch.float64)
    cross_entropy(network(maps), torch.arange(16) % 3).backward()
    for name, parameter in network.named_parameters():
        if name in CANCELLED:
            assert (parameter.grad.abs() < 1e-10).all(), name
        else:
            assert (parameter.grad.abs() > 1e-10).all(), name


def test_attention_is_the_mean_of_each_class_activation_map_scaled_to_one():
    network, seen = make(), torch.randn(2, 32, 5, 5, dtype=torch.float64)
    maps = []
    for weight in network.classify.weight.view(3, 32, 5, 5):
        actual = (seen * weight).mean(1)
        actual = actual - actual.amin((1, 2), keepdim=True)
        maps.append(actual / actual.amax((1, 2), keepdim=True))
    attention = network.attend(seen)
    torch.testing.assert_close(attention[:, 0], torch.stack(maps).mean(0), rtol=0, atol=1e-3)
    assert 0 <= attention.min() < attention.max() <= 1


def test_attention_to_maps_without_any_difference_is_finite():
    assert make().attend(torch.ones(1, 32, 5, 5, dtype=torch.float64) * 0).isfinite().all()


@pytest.mark.parametrize(("before", "after"), [(12, 5), (6, 5), (12, 12), (7, 1)])
def test_pooling_equals_that_of_torch(before, after):
    maps = torch.randn(2, 3, before, before, dtype=torch.float64)
    expected = adaptive_avg_pool2d(maps, after)
    torch.testing.assert_close(Average(before, after).double()(maps), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("channels", "classes", "size", "pooled"), [(1, 2, 28, 3), (2, 7, 60, 5)])
def test_other_channels_classes_and_sizes_are_taken(channels, classes, size, pooled):
    network = make(channels, classes, pooled, size=size)
    assert network(torch.randn(2, channels, size, size, dtype=torch.float64)).shape == (2, classes)


def test_maps_of_another_size_are_refused():
    with pytest.raises(InputError, match="30×28 px; set backbone.size"):
        make()(torch.rand(1, 3, 30, 28, dtype=torch.float64))


def test_maps_that_are_too_small_are_refused():
    with pytest.raises(InputError, match="14 px leave 2 px to be pooled to 5; set backbone.pooled"):
        make(size=14)
