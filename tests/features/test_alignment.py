"""Colour and depth are turned, scaled and cut alike, and no depth is made up."""

import numpy as np
import pytest

from merec.features.alignment import LEFT_EYE, RIGHT_EYE, Alignment, align_face


def turn_face(degrees: float, size: int = 100) -> np.ndarray:
    """478 landmarks of a face at (300, 200) px that leans."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (478, 3)) * (0.8 * size, size, 10)
    for eye, x in ((LEFT_EYE, -35), (RIGHT_EYE, 35)):
        points[list(eye)] = [(x - 10, -20, 0), (x + 10, -20, 0)]
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points[:, :2] = points[:, :2] @ turn.T + (300, 200)
    return points


@pytest.mark.parametrize("degrees", [0, 20, -35])
def test_eyes_are_level_and_all_landmarks_inside_the_margin(degrees):
    points = turn_face(degrees)
    alignment = align_face(points, 224, 0.05)
    at = alignment.to_crop(points[:, :2])
    left, right = (at[list(eye)].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE))
    assert left[1] == pytest.approx(right[1])
    assert left[0] < right[0]
    low, high = at.min(axis=0), at.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, 111.5)  # the crop's middle
    assert (high - low).max() == pytest.approx(223 / 1.1)


def test_a_leaning_face_gives_the_crop_of_an_upright_one():
    upright, leaning = (align_face(turn_face(degrees), 224, 0.05) for degrees in (0, 20))
    np.testing.assert_allclose(
        leaning.to_crop(turn_face(20)[:, :2]), upright.to_crop(turn_face(0)[:, :2]), atol=1e-9
    )
    assert leaning.scale == pytest.approx(upright.scale)


def test_to_frame_undoes_to_crop():
    alignment = align_face(turn_face(17), 96, 0.1)
    points = np.random.default_rng(1).uniform(-50, 900, (40, 2))
    np.testing.assert_allclose(alignment.to_frame(alignment.to_crop(points)), points)
    np.testing.assert_allclose(alignment.to_crop(alignment.to_frame(points)), points)


def test_no_depth_is_made_up():
    rng = np.random.default_rng(0)
    depth = rng.choice(np.array([0, 500, 731, 65000], np.uint16), (400, 600))
    alignment = align_face(turn_face(20), 224, 0.05)
    crop, valid = alignment.crop_depth(depth)
    assert set(np.unique(crop)) <= {0.0, 500.0, 731.0, 65000.0}
    np.testing.assert_array_equal(valid, crop > 0)
    assert 0.6 < valid.mean() < 0.9  # a quarter of it is 0


@pytest.mark.parametrize("degrees", [0, 17])
def test_depth_of_a_slope_is_exact_between_pixels(degrees):
    row, column = np.indices((400, 600), np.float32)
    depth = 500 + 0.9 * column - 0.4 * row
    alignment = align_face(turn_face(degrees), 224, 0.05)
    crop, valid = alignment.crop_depth(depth)
    places = alignment.to_frame(np.argwhere(valid)[:, ::-1].astype(float))
    expected = 500 + 0.9 * places[:, 0] - 0.4 * places[:, 1]
    inside = ((places > 1) & (places < (598, 398))).all(axis=1)
    # The nearest pixel would be up to .65 mm off. OpenCV looks up at 32nds of a pixel.
    assert np.abs(crop[valid] - expected)[inside].max() < 0.03


def test_beyond_the_frame_colour_goes_on_and_depth_is_unknown():
    alignment = Alignment(np.array([[1.0, 0, 10], [0, 1.0, 0]]), 20)
    _, valid = alignment.crop_depth(np.full((20, 20), 600, np.uint16))
    assert not valid[:, :10].any()
    assert valid[:, 10:].all()
    assert (alignment.crop_color(np.full((20, 20, 3), 7, np.uint8)) == 7).all()


@pytest.mark.parametrize("degrees", [0, 20])
def test_colour_depth_and_landmarks_stay_together(degrees):
    points = turn_face(degrees)
    color, depth = np.zeros((400, 600, 3), np.uint8), np.full((400, 600), 900, np.uint16)
    column, row = np.rint(points[300, :2]).astype(int)
    color[row - 3 : row + 4, column - 3 : column + 4] = 255
    depth[row - 3 : row + 4, column - 3 : column + 4] = 500
    alignment = align_face(points, 224, 0.05)
    bright = np.argwhere(alignment.crop_color(color)[..., 0] > 127).mean(axis=0)
    near = np.argwhere(alignment.crop_depth(depth)[0] == 500).mean(axis=0)
    at = alignment.to_crop(np.array([[column, row]], dtype=float))[0, ::-1]
    np.testing.assert_allclose(bright, at, atol=0.3)
    np.testing.assert_allclose(near, at, atol=0.6)  # nearest: to half a px
