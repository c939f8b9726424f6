"""Shared objects arrive as they were, and lie in memory once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from merec.tasks.engines.shared_memory import LEAST, receive, share

SIDE = 128  # of maps larger than `LEAST` bytes


@pytest.fixture
def pass_on(tmp_path: Path) -> Callable[[object], tuple[object, int]]:
    """Return the object that arrives, and how many bytes of arrays were written."""

    def run(value: object) -> tuple[object, int]:
        file = share(value, tmp_path)
        return receive(file), sum(piece.stat().st_size for piece in tmp_path.glob("*.bin"))

    return run


@pytest.mark.parametrize(
    "tensor",
    [
        torch.rand(8, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last),
        torch.rand(SIDE, SIDE, 2, dtype=torch.float64)[:, 5:, 1].t(),
        torch.arange(SIDE * SIDE * 8),
        torch.rand(3),
    ],
    ids=["channels last", "a part, turned", "whole numbers", "small"],
)
def test_a_tensor_arrives_with_its_values_type_and_layout(pass_on, tensor):
    actual, _ = pass_on({"inside": [tensor]})
    (arrived,) = actual["inside"]
    assert torch.equal(arrived, tensor)
    assert (arrived.dtype, arrived.stride()) == (tensor.dtype, tensor.stride())


@pytest.mark.parametrize(
    "array",
    [
        np.arange(LEAST, dtype=np.uint8).reshape(2, -1),
        np.asfortranarray(np.random.default_rng(0).random((SIDE, SIDE))),
        np.array(["s01", "s02"] * LEAST),
        np.array([{"a": 1}, None] * LEAST, dtype=object),
    ],
    ids=["bytes", "columns first", "text", "objects"],
)
def test_an_array_arrives_with_its_values_and_type(pass_on, array):
    actual, _ = pass_on(array)
    np.testing.assert_array_equal(actual, array)
    assert actual.dtype == array.dtype


def test_memory_that_several_look_at_is_written_once(pass_on):
    array = np.random.default_rng(0).random((4, SIDE, SIDE), np.float32)
    _, size = pass_on([array, torch.from_numpy(array), torch.from_numpy(array)[1:], array])
    assert size == array.nbytes


def test_what_is_written_to_stays_with_the_writer(pass_on, tmp_path):
    tensor, array = torch.zeros(SIDE, SIDE, 2), np.zeros((SIDE, SIDE, 2))
    (first_tensor, first_array), _ = pass_on((tensor, array))
    first_tensor += 1
    first_array += 1
    second_tensor, second_array = receive(tmp_path / "shared.pickle")
    assert not second_tensor.any()
    assert not second_array.any()


def test_what_has_a_gradient_to_keep_arrives_as_it_is(pass_on):
    weight = torch.nn.Parameter(torch.rand(SIDE, SIDE, 2))
    actual, _ = pass_on(weight)
    assert actual.requires_grad
    assert torch.equal(actual, weight)


def test_arrays_that_are_copied_to_be_written_are_not_taken_for_each_other(pass_on):
    first = np.random.default_rng(0).random((SIDE, SIDE, 2))[::2].transpose(1, 0, 2)
    actual, _ = pass_on([first + number for number in range(4)] + [first, first[::-1]])
    for number in range(4):
        np.testing.assert_array_equal(actual[number], first + number)
    np.testing.assert_array_equal(actual[5], first[::-1])


def test_who_shares_keeps_no_copy(tmp_path):
    tensor = torch.rand(4, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    before, stride = tensor.clone(), tensor.stride()
    share({"inside": tensor}, tmp_path)
    assert torch.equal(tensor, before)
    assert tensor.stride() == stride
    places = Path("/proc/self/maps")
    if not places.exists():
        pytest.skip("where memory lies is told by Linux only")
    lines = [line.split() for line in places.read_text().splitlines() if str(tmp_path) in line]
    ranges = [[int(end, 16) for end in line[0].split("-")] for line in lines]
    assert any(start <= tensor.data_ptr() < end for start, end in ranges)
