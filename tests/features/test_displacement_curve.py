"""The skin's course: what moves is measured, what the head does or blinks do is not."""

import cv2
import numpy as np
import pytest

from merec.errors import InputError
from merec.features.alignment import LEFT_EYE, RIGHT_EYE
from merec.features.displacement_curve import follow_face
from merec.features.landmarks import FaceLandmarker
from merec.features.spotting import spot

FPS = 30


@pytest.fixture(scope="module")
def landmarker(find_local):
    find_local("face_landmarker")
    with FaceLandmarker() as opened:
        yield opened


@pytest.fixture(scope="module")
def portrait_of(rendered_faces) -> np.ndarray:
    """A rendered face at twice its size, for a camera that is nearer."""
    return cv2.resize(rendered_faces[0], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)


def move(
    image: np.ndarray, centre: np.ndarray, by: tuple[float, float], width: float, shift=(0.0, 0.0)
) -> np.ndarray:
    """A picture of which the skin around a point has moved, and all of it by a shift."""
    height, breadth = image.shape[:2]
    column, row = np.meshgrid(
        np.arange(breadth, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    near = np.exp(-((column - centre[0]) ** 2 + (row - centre[1]) ** 2) / (2 * width**2))
    return cv2.remap(
        image,
        (column - by[0] * near - shift[0]).astype(np.float32),
        (row - by[1] * near - shift[1]).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def film(image: np.ndarray, centre, by, width, course, head=0.0):
    """Frames in which the movement follows a course while the head wanders, in noise."""
    rng = np.random.default_rng(0)
    for number, much in enumerate(course):
        wander = (head * number, 0.5 * head * number)
        moved = move(image, centre, (much * by[0], much * by[1]), width, wander)
        noisy = moved + rng.normal(0, 2, moved.shape)
        yield number, noisy.clip(0, 255).astype(np.uint8)


def follow(frames, count, landmarker):
    return follow_face(frames, lambda position: position / FPS, count / FPS, landmarker)


COURSE = np.concatenate([np.zeros(8), np.linspace(0, 1, 6), np.linspace(0.9, 0, 9), np.zeros(7)])


def test_a_mouth_corner_that_comes_and_goes_is_found_though_the_head_wanders(
    portrait_of, landmarker
):
    face = landmarker.find(portrait_of).points
    eyes = [face[list(eye), :2].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE)]
    apart = float(np.linalg.norm(eyes[0] - eyes[1]))
    corner, by = face[61, :2], (-0.012 * apart, -0.016 * apart)  # 2 % in all
    frames = film(portrait_of, corner, by, 0.2 * apart, COURSE, head=0.15)
    course = follow(frames, len(COURSE), landmarker)
    actual = spot(course)
    assert abs(actual.apex - 13) <= 2
    assert abs(actual.onset - 8) <= 3
    # The tenth of the face that moves most goes less far than the corner itself.
    assert 0.3 < actual.movement < 2.0
    assert course.seen.all()


def test_closing_eyes_move_less_than_a_mouth_corner_a_fifth_as_far(portrait_of, landmarker):
    face = landmarker.find(portrait_of).points
    eyes = [face[list(eye), :2].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE)]
    apart = float(np.linalg.norm(eyes[0] - eyes[1]))
    blink = film(portrait_of, eyes[0], (0, 0.1 * apart), 0.08 * apart, COURSE)
    smile = film(portrait_of, face[61, :2], (0, -0.02 * apart), 0.2 * apart, COURSE)
    blinked, smiled = (spot(follow(entry, len(COURSE), landmarker)) for entry in (blink, smile))
    assert blinked.curve.transience.max() < smiled.curve.transience.max()


def test_a_hand_before_the_face_is_not_taken_for_it(portrait_of, landmarker):
    frames = [frame for _, frame in film(portrait_of, (0, 0), (0, 0), 1, np.zeros(12))]
    for number in (5, 6):
        frames[number] = np.random.default_rng(number).integers(0, 255, portrait_of.shape, np.uint8)
    course = follow(enumerate(frames), len(frames), landmarker)
    assert np.flatnonzero(~course.seen).tolist() == [5, 6]
    assert np.abs(course.cells[7] - course.cells[4]).max() < 2


def test_frames_before_the_face_comes_are_left_out(portrait_of, landmarker):
    frames = [np.full_like(portrait_of, 90)] * 4 + [portrait_of] * 4
    course = follow(enumerate(frames), len(frames), landmarker)
    assert course.positions.tolist() == [4, 5, 6, 7]


def test_no_face_and_a_small_face_are_refused(portrait_of, landmarker):
    grey = np.full_like(portrait_of, 90)
    with pytest.raises(InputError, match=r"no face is found in any of the 4 frames .*640×480 px"):
        follow(enumerate([grey] * 4), 4, landmarker)
    far = cv2.resize(portrait_of, (96, 72), interpolation=cv2.INTER_AREA)
    with pytest.raises(InputError, match=r"the face in frame 0 is \d+ px wide, .*expected 48 px"):
        follow(enumerate([far] * 4), 4, landmarker)
