"""A flow map shows where the face moved and in which direction, in the form of the MEGC2019 maps."""

import cv2
import numpy as np
import pytest

from merec.corpora.megc2019_flow import CHANNELS, SIZE
from merec.features.flow_map import compute_strain, measure_flow_map
from merec.features.landmarks import FaceBox, draw_face_box

HEIGHT, WIDTH = 200, 260
BOX = FaceBox(left=60, top=30, size=140)
CENTRE = (100, 60)  # x, y of what moves, in the upper left of the box


@pytest.fixture
def onset() -> np.ndarray:
    """A textured frame."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def move(frame: np.ndarray, right: float, down: float, everywhere: bool = False) -> np.ndarray:
    """Move what is around CENTRE by so many px."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    weight = np.exp(-((x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2) / (2 * 12**2))
    if everywhere:
        weight = np.ones_like(weight)
    return cv2.remap(
        frame,
        (x - right * weight).astype(np.float32),
        (y - down * weight).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def peak(field: np.ndarray) -> tuple[int, int]:
    """Column and row of the value furthest from the median."""
    row, column = np.unravel_index(
        np.abs(field.astype(int) - np.median(field)).argmax(), field.shape
    )
    return int(column), int(row)


@pytest.mark.parametrize(("right", "down"), [(2, 1), (-2, 1), (1, -2), (-1, -1.5), (0.5, 0.5)])
def test_u_and_v_have_the_sign_and_place_of_the_movement(onset, right, down):
    u, v, _ = measure_flow_map(onset, move(onset, right, down), BOX).astype(int)
    expected = [(at - edge) * 28 / BOX.size for at, edge in zip(CENTRE, BOX[:2], strict=True)]
    for field, component in ((u, right), (v, down)):
        assert np.abs(np.subtract(peak(field), expected)).max() <= 2
        # Most of the face rests at one grey value; what moves right or down is brighter than it.
        column, row = peak(field)
        assert np.sign(field[row, column] - np.median(field)) == np.sign(component)
        assert {field.min(), field.max()} == {0, 255}


def test_strain_is_a_ring_where_motion_changes_and_nothing_where_it_is_even(onset):
    _, _, strain = measure_flow_map(onset, move(onset, 2, 0), BOX).astype(int)
    column, row = (round((at - edge) / 5) for at, edge in zip(CENTRE, BOX[:2], strict=True))
    # A Gaussian's slope is greatest at its standard deviation (12 px, 2.4 of the map), none at its top.
    assert strain[row, column] < strain[row, column + 2]
    assert strain[row, column] < strain[row, column - 3]
    assert np.median(strain[16:, 16:]) < 30


@pytest.mark.parametrize(
    ("gradient", "strain"),
    [
        ([[0, 0], [0, 0]], 0),  # a shift
        ([[0, -0.1], [0.1, 0]], 0),  # a rotation
        ([[0.1, 0], [0, 0]], 0.1),  # a stretch along x
        ([[0, 0], [0, 0.1]], 0.1),  # along y
        ([[0.1, 0], [0, 0.1]], 0.1 * 2**0.5),
        ([[0, 0.1], [0, 0]], 0.1 / 2**0.5),  # a shear
        ([[0, 0], [0.1, 0]], 0.1 / 2**0.5),
    ],
)
def test_strain_is_the_norm_of_the_symmetric_gradient(gradient, strain):
    y, x = np.mgrid[:8, :9]
    u, v = (a * x + b * y + 3.0 for a, b in gradient)
    np.testing.assert_allclose(compute_strain(u, v), strain, atol=1e-12)


def test_a_shift_of_everything_changes_little(onset):
    local = move(onset, 2, 1)
    shifted = move(local, 1, -1, everywhere=True)
    a, b = (measure_flow_map(onset, apex, BOX).astype(float) for apex in (local, shifted))
    for channel in (0, 1):
        assert np.corrcoef(a[channel].ravel(), b[channel].ravel())[0, 1] > 0.9


def test_maps_have_the_channels_size_and_range_of_the_published_ones(onset):
    flow_map = measure_flow_map(onset, move(onset, 1, 1), BOX)
    assert (flow_map.shape, flow_map.dtype) == ((len(CHANNELS), *SIZE), np.uint8)
    assert (flow_map.min(axis=(1, 2)) == 0).all()
    assert (flow_map.max(axis=(1, 2)) == 255).all()


def test_channels_come_in_the_published_order(onset):
    u, _, strain = measure_flow_map(onset, move(onset, 2, 0), BOX).astype(float)
    expected = measure_flow_map(
        onset.swapaxes(0, 1).copy(),
        move(onset, 2, 0).swapaxes(0, 1).copy(),
        FaceBox(BOX.top, BOX.left, BOX.size),
    ).swapaxes(1, 2)
    # In the transposed picture u is v; strain stays itself.
    for one, other in ((u, expected[1]), (strain, expected[2])):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95
    assert strain[0, 0] < 50


def test_two_equal_frames_give_a_grey_map(onset):
    assert (measure_flow_map(onset, onset, BOX) == 128).all()


@pytest.mark.parametrize(
    "box", [FaceBox(-30, -20, 150), FaceBox(180, 120, 120), FaceBox(70, 40, 50)]
)
def test_a_box_may_leave_the_frame_or_be_small(onset, box):
    flow_map = measure_flow_map(onset, move(onset, 1, 1), box)
    assert flow_map.shape == (3, 28, 28)


def test_what_moves_outside_the_box_does_not_show(onset):
    elsewhere = FaceBox(150, 100, 90)
    still = measure_flow_map(onset, move(onset, 2, 1), elsewhere)
    assert (still == measure_flow_map(onset, onset, elsewhere)).all()


def test_a_face_box_is_a_square_around_the_landmarks():
    points = np.array([[100.0, 50, 7], [180, 150, -7], [120, 90, 0]])
    box = draw_face_box(points)
    assert box == FaceBox(left=80, top=40, size=120)
    assert draw_face_box(points + np.array([10, 20, 99])) == FaceBox(left=90, top=60, size=120)
