"""Landmarks are in px of the image that was given, padded or not, and MediaPipe is silent."""

import os
from collections.abc import Iterator
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from merec.features.landmarks import FaceLandmarker, FaceLandmarks


@pytest.fixture(scope="module")
def landmarker(find_local) -> Iterator[FaceLandmarker]:
    find_local("face_landmarker")
    with FaceLandmarker() as made:
        yield made


def pretend(detect) -> FaceLandmarker:
    """A landmarker whose model is the function `detect` of an image."""
    made = FaceLandmarker.__new__(FaceLandmarker)
    made._landmarker = SimpleNamespace(detect=lambda image: detect(image.numpy_view()))
    return made


def mark(image: np.ndarray) -> SimpleNamespace:
    """Landmarks at the brightest pixel, the way MediaPipe gives them: as shares of the image's size."""
    row, column = np.unravel_index(image.sum(axis=2).argmax(), image.shape[:2])
    height, width = image.shape[:2]
    point = SimpleNamespace(x=column / width, y=row / height, z=1 / width)
    return SimpleNamespace(
        face_landmarks=[[point] * 478],
        face_blendshapes=[[SimpleNamespace(category_name="jawOpen", score=0.5)]],
        facial_transformation_matrixes=[np.eye(4)],
    )


@pytest.mark.parametrize("only_if_padded", [False, True])
def test_points_are_in_px_of_the_given_image_padded_or_not(only_if_padded):
    image = np.zeros((40, 60, 3), np.uint8)
    image[10, 50] = 255
    looked_at = []

    def detect(seen: np.ndarray) -> SimpleNamespace:
        looked_at.append(seen.shape[:2])
        if only_if_padded and len(looked_at) == 1:
            return SimpleNamespace(face_landmarks=[])
        return mark(seen)

    face = pretend(detect).find(image)
    assert isinstance(face, FaceLandmarks)
    np.testing.assert_allclose(face.points, np.tile([49.5, 9.5, 1], (478, 1)), atol=1e-9)
    assert face.blendshapes == {"jawOpen": 0.5}
    assert looked_at == [(40, 60), (60, 90)][: 1 + only_if_padded]


def test_a_blank_image_has_no_face(landmarker):
    for grey in (0, 128, 255):
        assert landmarker.find(np.full((240, 320, 3), grey, np.uint8)) is None


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ((8, 8, 3), np.float32, "float32"),
        ((8, 8), np.uint8, r"\(8, 8\)"),
        ((8, 8, 4), np.uint8, r"\(8, 8, 4\)"),
        ((2, 8, 8, 3), np.uint8, r"\(2, 8, 8, 3\)"),
        ((0, 8, 3), np.uint8, r"\(0, 8, 3\)"),
    ],
)
def test_what_is_no_rgb_image_is_refused_by_dtype_and_shape(shape, kind, message):
    with pytest.raises(ValueError, match=f"{message}.*expected RGB of uint8"):
        pretend(mark).find(np.zeros(shape, kind))


def test_nothing_appears_on_the_screen(landmarker, capfd):
    with FaceLandmarker() as another:
        another.find(np.zeros((64, 64, 3), np.uint8))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_errors_are_seen_again_after_the_model_was_built(landmarker, capfd):
    FaceLandmarker().close()
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_a_face_is_found_within_the_image_and_moves_with_it(landmarker, rendered_faces):
    for image in rendered_faces[:4]:
        face = landmarker.find(image)
        assert face is not None
        assert len(face.blendshapes) == 52
        height, width = image.shape[:2]
        assert (face.points[:, :2] > 0).all()
        assert (face.points[:, :2] < (width, height)).all()
        shifted = landmarker.find(np.pad(image, ((8, 0), (16, 0), (0, 0)), mode="edge"))
        assert shifted is not None
        moved = np.median(shifted.points - face.points, axis=0)
        np.testing.assert_allclose(moved[:2], (16, 8), atol=1)


def test_a_small_face_in_a_large_frame_is_found_in_tiles(landmarker, rendered_faces):
    """A face of 181 px in 1920×1080, which the detector misses, as where the same pixels are cropped."""
    image = rendered_faces[0]
    whole = landmarker.find(image)
    scale = 181 / np.ptp(whole.points[:, :2], axis=0).max()
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    frame = np.full((1080, 1920, 3), 90, np.uint8)
    frame[600 : 600 + small.shape[0], 1100 : 1100 + small.shape[1]] = small
    assert landmarker._find(frame, 0, 0) is None
    face = landmarker.find(frame)
    assert face is not None
    assert face.other_faces == 0
    expected = (whole.points[:, :2] + 0.5) * scale - 0.5 + (1100, 600)
    off = np.linalg.norm(face.points[:, :2] - expected, axis=1)
    assert np.median(off) < 2
    frame[100 : 100 + small.shape[0], 200 : 200 + small.shape[1]] = small
    assert landmarker.find(frame).other_faces == 1


def test_an_upside_down_face_is_told_from_an_upright_one(landmarker, rendered_faces):
    noticed = []
    for image in rendered_faces:
        assert not landmarker.is_upside_down(image, landmarker.find(image))
        turned = np.ascontiguousarray(image[::-1, ::-1])
        noticed.append(landmarker.is_upside_down(turned, landmarker.find(turned)))
    assert sum(noticed) >= len(noticed) - 1


def test_the_same_image_gives_the_same_points_again(landmarker, rendered_faces):
    first, second = (landmarker.find(rendered_faces[0]) for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.points, second.points)
