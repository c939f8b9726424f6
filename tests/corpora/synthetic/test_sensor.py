"""Test the colour and depth sensors: exact without noise, reproducible and correctly scaled with noise."""

from dataclasses import replace

import numpy as np
import pytest

from merec.synthetic.sensor import choose_sensor, measure_color, measure_depth

SHAPE = (120, 160)


@pytest.fixture
def light() -> np.ndarray:
    ramp = np.linspace(0, 1.5, SHAPE[1], dtype=np.float32)
    return np.repeat(np.repeat(ramp[None, :, None], SHAPE[0], 0), 3, 2)


@pytest.fixture
def depth() -> np.ndarray:
    """Return the depth of a ball in front of a wall, mm, with an invalid corner."""
    row, column = np.indices(SHAPE)
    radius = np.hypot(row - 60, column - 80)
    image = np.where(radius < 40, 500 + 0.01 * radius**2 + 0.3, 1200.0).astype(np.float32)
    image[:4, :4] = 0
    return image


def test_without_noise_an_image_depends_on_the_light_alone(light):
    image = measure_color(light, 0, 1)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, measure_color(light, 0, 2))
    assert (np.diff(image[60, :, 0].astype(int)) >= 0).all()
    assert image[60, 0, 0] < 16
    assert 200 < image[60, -1, 0] < 256


def test_images_have_the_noise_of_their_seed_and_strength(light):
    clean = measure_color(light, 0, 1).astype(float)
    noisy = {seed: measure_color(light, 1.0, seed) for seed in (1, 2)}
    np.testing.assert_array_equal(noisy[1], measure_color(light, 1.0, 1))
    assert (noisy[1] != noisy[2]).mean() > 0.3
    spread = [(measure_color(light, noise, 1) - clean).std() for noise in (0.5, 1.0, 2.0)]
    assert 0.3 < spread[0] < spread[1] < spread[2]
    assert spread[1] < 3  # grey levels, a webcam in good light
    assert abs((noisy[1] - clean).mean()) < 0.2


def test_sensors_do_not_change_their_input(light, depth):
    before = light.copy(), depth.copy()
    measure_color(light, 1.0, 0)
    measure_depth(depth, D415, 0)
    np.testing.assert_array_equal(light, before[0])
    np.testing.assert_array_equal(depth, before[1])


D415 = choose_sensor("d415", 0.7, 1.0, 640)


@pytest.mark.parametrize("step", [1.0, 0.1])
def test_an_ideal_camera_rounds_to_its_step_and_does_nothing_else(depth, step):
    ideal = choose_sensor("ideal", None, step, 640)
    measured = measure_depth(depth, ideal, 1)
    assert measured.dtype == np.uint16
    np.testing.assert_array_equal(measured, measure_depth(depth, ideal, 2))
    assert np.abs(measured * step - depth).max() <= step / 2 + 1e-3
    assert len(np.unique(measured)) > (80 if step < 1 else 15)


@pytest.mark.parametrize("width", [480, 1280])
@pytest.mark.parametrize("distance", [400.0, 550.0, 900.0])
def test_noise_of_stereo_follows_from_its_subpixel_error(width, distance):
    # σ = Z²·δ/(f·B) is the change of Z, by triangulation, if the disparity f·B/Z changes by δ.
    focal, baseline, subpixel = 0.5 * width / np.tan(np.deg2rad(32.5)), 55.0, 0.08
    disparity = focal * baseline / distance
    nearer, further = (focal * baseline / (disparity + off * subpixel) for off in (1, -1))
    assert spread_of(choose_sensor("d415", None, 0.1, width), distance) == pytest.approx(
        (further - nearer) / 2, rel=0.05
    )


def test_noise_of_time_of_flight_is_that_of_the_manufacturer():
    sensor = choose_sensor("l515", None, 1.0, 640)
    for distance, expected in ((1000.0, 2.5), (9000.0, 15.5)):
        assert spread_of(sensor, distance) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("noise", [0.1, 0.25, 1])
@pytest.mark.parametrize("step", [1.0, 0.1])
def test_noise_that_is_asked_for_is_in_mm_at_550_mm_and_grows_with_the_square(noise, step):
    for camera in ("d415", "ideal"):
        sensor = choose_sensor(camera, noise, step, 640)
        for distance in (550.37, 1100.37):
            rounding = step**2 / 12  # variance of a uniform error, valid if the step is small
            expected = np.sqrt((noise * (distance / 550) ** 2) ** 2 + rounding)
            if step < 2 * noise:
                assert spread_of(sensor, distance) == pytest.approx(expected, rel=0.08)


def spread_of(sensor, distance: float) -> float:
    """Measure the standard deviation of the depth of a plane, mm."""
    plane = np.full((480, 640), distance, np.float32)
    measured = measure_depth(plane, sensor, 1)
    return float(measured[measured > 0].std()) * sensor.step


def test_depth_has_the_noise_of_its_seed_and_holes_that_are_0_at_edges(depth):
    measured = measure_depth(depth, D415, 1)
    np.testing.assert_array_equal(measured, measure_depth(depth, D415, 1))
    assert (measured != measure_depth(depth, D415, 2)).any()
    hole = measured == 0
    assert np.abs((measured - depth)[~hole]).max() < 30  # no invalid value other than 0
    row, column = np.indices(SHAPE)
    edge = np.abs(np.hypot(row - 60, column - 80) - 40) < 1
    assert hole[edge].mean() > 0.6
    assert 0 < hole[~edge].mean() < 0.1
    assert hole[:4, :4].all()  # the invalid corner


def test_holes_are_the_cameras_and_not_of_the_noise(depth):
    def holes(camera: str, noise: float) -> np.ndarray:
        return measure_depth(depth, choose_sensor(camera, noise, 0.1, 640), 1) == 0

    np.testing.assert_array_equal(holes("d415", 0), holes("d415", 2))
    np.testing.assert_array_equal(holes("ideal", 2), depth == 0)
    assert (depth == 0).sum() < holes("l515", 0).sum() < holes("d415", 0).sum()


def test_the_step_changes_how_noise_is_stored_and_not_the_noise(depth):
    fine = measure_depth(depth, replace(D415, step=0.1), 1)
    coarse = measure_depth(depth, D415, 1)
    np.testing.assert_array_equal(fine == 0, coarse == 0)
    assert np.abs(fine * 0.1 - coarse).max() <= 0.55
