"""Flow maps: the mirror is a mirror, and the description is what a loop would compute."""

import numpy as np
import pytest

from merec.features.representations.flow_map import describe, mirror
from merec.types import InputError

CHANNELS = ("u", "v", "strain")


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(5, 3, 28, 28), dtype=np.uint8)


def stretch(flow: np.ndarray) -> np.ndarray:
    """Min-max stretch one component to 0..255, as the maps were made."""
    return np.round(255 * (flow - flow.min()) / (flow.max() - flow.min())).astype(np.uint8)


def test_mirroring_twice_changes_nothing(maps):
    assert (mirror(mirror(maps, CHANNELS), CHANNELS) == maps).all()
    assert (mirror(maps, CHANNELS) != maps).any()


def test_mirroring_leaves_its_input_alone(maps):
    before = maps.copy()
    mirror(maps, CHANNELS)
    assert (maps == before).all()


def test_the_mirror_of_a_stretched_flow_is_the_stretched_mirrored_flow():
    u, v = np.random.default_rng(1).normal(size=(2, 28, 28))
    maps = np.stack([stretch(u), stretch(v)])[None]
    mirrored = np.stack([stretch(-u[:, ::-1]), stretch(v[:, ::-1])])[None]
    assert np.abs(mirror(maps, ("u", "v")).astype(int) - mirrored).max() <= 1  # of rounding


def test_the_mirror_turns_median_centred_u_round_and_keeps_the_others(maps):
    def centred(some: np.ndarray) -> np.ndarray:
        return some - np.median(some, axis=(2, 3), keepdims=True)

    sign = np.array([-1, 1, 1])[:, None, None]
    assert (centred(mirror(maps, CHANNELS)) == sign * centred(maps)[..., ::-1]).all()


def test_the_channel_that_turns_round_is_found_by_name(maps):
    reordered = mirror(maps[:, ::-1].copy(), CHANNELS[::-1])
    assert (reordered[:, ::-1] == mirror(maps, CHANNELS)).all()


def test_the_description_equals_a_naive_loop(maps):
    expected = [
        (sample[channel, row : row + 4, column : column + 4] - np.median(sample[channel])).mean()
        / 255
        for sample in maps
        for channel in (1, 0)
        for row in range(0, 28, 4)
        for column in range(0, 28, 4)
    ]
    actual = describe(maps, CHANNELS, keep=["v", "u"], cells=7)
    np.testing.assert_allclose(actual, np.reshape(expected, (5, 2 * 49)), rtol=0, atol=1e-12)


def test_the_description_of_the_mirror_is_the_mirrored_description(maps):
    grid = describe(maps, CHANNELS, keep=CHANNELS, cells=7).reshape(5, 3, 7, 7)
    mirrored = describe(mirror(maps, CHANNELS), CHANNELS, keep=CHANNELS, cells=7)
    sign = np.array([-1, 1, 1])[:, None, None]
    np.testing.assert_allclose(mirrored.reshape(5, 3, 7, 7), sign * grid[..., ::-1], atol=1e-12)


def test_a_sample_is_described_on_its_own_and_a_flat_map_is_zero(maps):
    maps[2] = 77
    actual = describe(maps, CHANNELS, keep=["u", "v"], cells=7)
    np.testing.assert_array_equal(actual[3:4], describe(maps[3:4], CHANNELS, ["u", "v"], 7))
    assert (actual[2] == 0).all()


@pytest.mark.parametrize(
    ("channels", "keep", "cells", "message"),
    [
        (("u", "v"), ["u"], 7, "3 channels, but 2 names"),
        (CHANNELS, ["u", "dz"], 7, "dz"),
        (CHANNELS, [], 7, "keep some"),
        (CHANNELS, ["u"], 5, "cells=5 does not divide maps of 28x28"),
    ],
)
def test_what_cannot_be_described_is_an_error(maps, channels, keep, cells, message):
    with pytest.raises(InputError, match=message):
        describe(maps, channels, keep=keep, cells=cells)
