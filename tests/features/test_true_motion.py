"""True motion is that of the skin, whatever the head does."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from merec.synthetic.true_motion import find_moving, measure_expression
from merec.types import Camera


def move_head(points: np.ndarray) -> np.ndarray:
    turn = Rotation.from_euler("yxz", (3, -2, 4), degrees=True).as_matrix()
    return points @ turn.T + (5, -3, 12)


@pytest.fixture
def face() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform((-70, -100, 500), (70, 100, 560), (2000, 3))


def test_a_head_that_moves_as_a_whole_shows_no_expression(face):
    np.testing.assert_allclose(measure_expression(face, move_head(face)), 0, atol=1e-9)


def test_the_skin_is_measured_below_a_movement_of_the_head(face):
    moved = face.copy()
    mouth = face[:, 1] > 60
    moved[mouth, 1] -= 1.5
    actual = measure_expression(face, move_head(moved))
    np.testing.assert_allclose(actual[mouth], 1.5, atol=1e-6)
    np.testing.assert_allclose(actual[~mouth], 0, atol=1e-6)


def test_what_moves_in_a_rendered_smile_lies_around_the_mouth(takes):
    take = takes["smile"]
    onset, apex = take.onset.astype(np.float64), take.apex.astype(np.float64)
    face = take.landmarks[0][:468, :2].astype(np.float64)
    moving = find_moving(onset, apex, take.camera, face)
    assert moving[[61, 291]].all()  # corners of the mouth
    assert not moving[[10, 151, 9, 107, 336]].any()  # forehead and brows
    assert 0.05 < moving.mean() < 0.7


def test_a_face_at_rest_moves_nowhere(face):
    camera = Camera(500, 500, 240, 180, 480, 360)
    assert not find_moving(face, face, camera, np.array([[240.0, 180.0], [250, 190]])).any()
