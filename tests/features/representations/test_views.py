"""Difference images are what their names say."""

from itertools import product

import numpy as np
import pytest

from merec.errors import InputError
from merec.features.representations.views import subtract_colors, subtract_depths
from merec.features.settings import DIFFERENCES


@pytest.mark.parametrize("mode", DIFFERENCES)
def test_colours_are_subtracted_as_a_loop_does(mode):
    onset, apex = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
    actual = subtract_colors(onset, apex, mode)
    assert actual.dtype == np.float32
    for row, column, channel in product(range(5), range(5), range(3)):
        change = int(apex[row, column, channel]) - int(onset[row, column, channel])
        expected = {"signed": change, "abs": abs(change), "wrap_uint8": change % 256}[mode]
        assert actual[channel, row, column] == pytest.approx(expected / 255)


@pytest.mark.parametrize("mode", DIFFERENCES)
def test_depths_are_subtracted_as_a_loop_does(mode):
    rng = np.random.default_rng(0)
    change = rng.uniform(-8, 8, (6, 6)).astype(np.float32)
    valid = rng.random((6, 6)) > 0.3
    actual = subtract_depths(change, valid, mode, 8)
    assert actual.shape == (1, 6, 6)
    assert actual.dtype == np.float32
    for row, column in product(range(6), range(6)):
        mm = float(change[row, column]) if valid[row, column] else 0.0
        expected = {"signed": mm / 8, "abs": abs(mm) / 8, "wrap_uint8": round(mm) % 256 / 255}[mode]
        assert actual[0, row, column] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("mode", DIFFERENCES)
def test_equal_frames_differ_by_nothing(mode):
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    assert not subtract_colors(image, image, mode).any()
    assert not subtract_depths(np.zeros((4, 4)), np.ones((4, 4), bool), mode, 8).any()


def test_an_unknown_mode_is_refused():
    image, change = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4))
    with pytest.raises(InputError, match="difference=xor is unknown; choose signed"):
        subtract_colors(image, image, "xor")
    with pytest.raises(InputError, match="difference=xor is unknown; choose signed"):
        subtract_depths(change, change == 0, "xor", 8)
