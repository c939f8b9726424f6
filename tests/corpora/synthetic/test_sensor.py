"""Without noise the sensors are functions of the light alone; with it they are functions of the seed."""

import numpy as np
import pytest

from merec.corpora.synthetic.sensor import develop, measure_depth

SHAPE = (120, 160)


@pytest.fixture
def light() -> np.ndarray:
    ramp = np.linspace(0, 1.5, SHAPE[1], dtype=np.float32)
    return np.repeat(np.repeat(ramp[None, :, None], SHAPE[0], 0), 3, 2)


@pytest.fixture
def depth() -> np.ndarray:
    """A ball before a wall, mm; some of it is nothing."""
    row, column = np.indices(SHAPE)
    away = np.hypot(row - 60, column - 80)
    made = np.where(away < 40, 500 + 0.01 * away**2 + 0.3, 1200.0).astype(np.float32)
    made[:4, :4] = 0
    return made


def test_without_noise_a_picture_depends_on_the_light_alone(light):
    picture = develop(light, 0, 1)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, develop(light, 0, 2))
    assert (np.diff(picture[60, :, 0].astype(int)) >= 0).all()
    assert picture[60, 0, 0] < 16
    assert 200 < picture[60, -1, 0] < 256


def test_pictures_have_the_noise_of_their_seed_and_strength(light):
    clean = develop(light, 0, 1).astype(float)
    noisy = {seed: develop(light, 1.0, seed) for seed in (1, 2)}
    np.testing.assert_array_equal(noisy[1], develop(light, 1.0, 1))
    assert (noisy[1] != noisy[2]).mean() > 0.3
    spread = [(develop(light, noise, 1) - clean).std() for noise in (0.5, 1.0, 2.0)]
    assert 0.3 < spread[0] < spread[1] < spread[2]
    assert spread[1] < 3  # grey levels, a webcam in good light
    assert abs((noisy[1] - clean).mean()) < 0.2


def test_the_light_given_to_a_sensor_stays_as_it_is(light, depth):
    before = light.copy(), depth.copy()
    develop(light, 1.0, 0)
    measure_depth(depth, 1.0, 0)
    np.testing.assert_array_equal(light, before[0])
    np.testing.assert_array_equal(depth, before[1])


def test_without_noise_depth_is_rounded_to_mm_and_nothing_else(depth):
    measured = measure_depth(depth, 0, 1)
    assert measured.dtype == np.uint16
    np.testing.assert_array_equal(measured, np.rint(depth))
    np.testing.assert_array_equal(measured, measure_depth(depth, 0, 2))


def test_depth_has_the_noise_of_its_seed_and_holes_that_are_0_at_edges(depth):
    measured = measure_depth(depth, 1.0, 1)
    np.testing.assert_array_equal(measured, measure_depth(depth, 1.0, 1))
    assert (measured != measure_depth(depth, 1.0, 2)).any()
    hole = measured == 0
    error = measured.astype(float) - depth
    assert 0.4 < error[~hole & (depth < 600)].std() < 1.2  # mm
    assert error[~hole & (depth > 600)].std() > 2 * error[~hole & (depth < 600)].std()
    assert np.abs(error[~hole]).max() < 30  # nothing but 0 stands for no depth
    row, column = np.indices(SHAPE)
    edge = np.abs(np.hypot(row - 60, column - 80) - 40) < 1
    assert hole[edge].mean() > 0.6
    assert hole[~edge].mean() < 0.1
    assert hole[:4, :4].all()  # where there is nothing


def test_depth_noise_and_holes_grow_with_its_strength():
    flat = np.full((480, 640), 550, np.float32)
    measured = [measure_depth(flat, noise, 1) for noise in (1.0, 4.0)]
    spread = [each[each > 0].std() for each in measured]
    assert 3 < spread[1] / spread[0] < 5
    assert 0 < (measured[0] == 0).sum() < (measured[1] == 0).sum()
