"""Points in space lie where the mesh is, seen through the frame's camera."""

import numpy as np
import pytest

from merec.features.alignment import Alignment, align_face
from merec.features.structure import (
    back_project,
    find_outliers,
    is_mirrored,
    measure_outer_eyes,
    read_depth_at,
    shape_from_landmarks,
)
from merec.synthetic.ground_truth import is_visible, project
from merec.types import Camera

CAMERA = Camera(600.0, 620.0, 310.0, 255.0, 640, 480)


def sample(field: np.ndarray, px: np.ndarray) -> np.ndarray:
    import cv2

    column, row = px.astype(np.float32).T[:, None]
    return cv2.remap(np.ascontiguousarray(field, np.float32), column, row, cv2.INTER_LINEAR)[0]


def test_outer_eyes_are_as_far_apart_as_the_camera_says():
    camera = Camera(800.0, 400.0, 320.0, 240.0, 640, 480)
    corners = np.array([[-40.0, 10.0, 700.0], [50.0, -5.0, 700.0]])  # mm
    seen = corners[:, :2] / corners[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    actual = measure_outer_eyes(np.column_stack([seen, corners[:, 2]]), camera)
    assert actual == pytest.approx(np.linalg.norm(corners[1] - corners[0]))


def test_depth_is_read_where_it_is_known():
    depth = np.full((9, 9), 700, np.uint16)
    depth[4, 4], depth[:3, :3] = 0, 0
    actual = read_depth_at(np.array([[4.2, 3.9], [1.0, 1.0], [-3.0, 5.0], [7.0, 7.0]]), depth)
    np.testing.assert_array_equal(actual, [700, np.nan, np.nan, 700])


@pytest.mark.parametrize("name", ["brow", "smile", "head"])
def test_a_map_is_called_mirrored_only_if_it_is(takes, name):
    take = takes[name]
    for landmarks, depth in zip(take.landmarks, take.depth, strict=True):
        assert not is_mirrored(landmarks, depth)
        assert is_mirrored(landmarks, depth[:, ::-1])
        assert is_mirrored(landmarks, depth[::-1, ::-1])


@pytest.mark.parametrize("name", ["brow", "smile", "head"])
def test_points_of_a_crop_are_on_the_mesh(takes, name):
    take = takes[name]
    alignment = align_face(take.landmarks[0], 224, 0.05)
    depth, valid = alignment.crop_depth(take.depth[0])
    points = back_project(depth, alignment, take.camera)
    px = alignment.to_crop(project(take.onset, take.camera))
    seen = is_visible(take.onset, take.depth[0], take.camera, 10.0)
    seen &= ((px > 0) & (px < 223)).all(axis=1)
    column, row = np.rint(px[seen]).astype(int).T
    assert valid[row, column].mean() > 0.9
    away = np.linalg.norm(points[row, column] - take.onset[seen], axis=1)
    assert np.median(away[valid[row, column]]) < 2  # mm


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_a_crop_is_looked_at_through_the_frames_camera(angle):
    turn = 1.3 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    alignment = Alignment(np.column_stack([turn, [-250.0, -120.0]]), 96)
    rng = np.random.default_rng(0)
    depth = rng.uniform(500, 900, (96, 96)).astype(np.float32)
    points = back_project(depth, alignment, CAMERA).reshape(-1, 3).astype(float)
    column, row = np.meshgrid(np.arange(96.0), np.arange(96.0))
    crop = np.stack([column, row], axis=-1).reshape(-1, 2)
    frame = project(points, CAMERA)
    np.testing.assert_allclose(alignment.to_crop(frame), crop, atol=1e-3)
    np.testing.assert_array_equal(points[:, 2], depth.ravel())


def test_only_the_principal_point_lies_on_the_axis():
    alignment = Alignment(np.array([[1.0, 0, -CAMERA.cx + 3], [0, 1.0, -CAMERA.cy + 7]]), 16)
    points = back_project(np.full((16, 16), 700, np.float32), alignment, CAMERA)
    np.testing.assert_allclose(points[7, 3], (0, 0, 700), atol=1e-3)
    assert (np.linalg.norm(points[..., :2], axis=-1) < 1e-3).sum() == 1


def test_the_shape_of_landmarks_goes_through_them(takes):
    take = takes["brow"]
    alignment = align_face(take.landmarks[0], 224, 0.05)
    landmarks = np.column_stack(
        [alignment.to_crop(take.landmarks[0][:, :2]), alignment.scale * take.landmarks[0][:, 2]]
    )
    points, valid = shape_from_landmarks(landmarks, 224)
    column, row = np.meshgrid(np.arange(224), np.arange(224))
    np.testing.assert_array_equal(points[..., 0], column)
    np.testing.assert_array_equal(points[..., 1], row)
    inside = sample(valid, landmarks[:, :2]) > 0.99
    assert inside.mean() > 0.85  # all but the outline
    off = np.abs(sample(points[..., 2], landmarks[:, :2]) - landmarks[:, 2])[inside]
    assert np.median(off) < 1  # px
    assert not points[~valid, 2].any()
    assert np.isfinite(points).all()
    # Towards the camera is smaller: the nose's tip lies before the temples.
    assert points[*np.rint(landmarks[1, 1::-1]).astype(int), 2] < points[valid, 2].mean() - 20


def test_a_wall_beside_the_face_is_an_outlier_and_the_face_is_not():
    column, row = np.meshgrid(np.arange(40.0), np.arange(40.0))
    points = np.stack([2 * column, 2 * row, 600 + 0 * row], axis=-1).astype(np.float32)
    points[:, :3, 2] = 1500
    valid = np.ones((40, 40), bool)
    valid[0, 0] = False
    actual = find_outliers(points, valid)
    assert actual[1:, :3].all()
    assert not actual[0, 0]
    assert not actual[:, 3:].any()


def test_outliers_are_those_a_loop_finds():
    rng = np.random.default_rng(0)
    points = rng.normal(0, (20, 20, 60), (12, 12, 3)).astype(np.float32)
    valid = rng.random((12, 12)) < 0.8
    centre = np.median(points[valid], axis=0)
    away = {
        at: float(np.linalg.norm(points[at] - centre)) for at in np.ndindex(12, 12) if valid[at]
    }
    mean = sum(away.values()) / len(away)
    expected = np.zeros((12, 12), bool)
    for at, distance in away.items():
        expected[at] = distance > 1.5 * mean
    assert 0 < expected.sum() < 72
    np.testing.assert_array_equal(find_outliers(points, valid), expected)


def test_where_nothing_is_known_nothing_is_an_outlier():
    assert not find_outliers(np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), bool)).any()
