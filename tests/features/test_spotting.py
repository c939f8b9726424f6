"""An expression that comes and goes is found where it is; what stays, drifts or is not seen is not."""

import numpy as np
import pytest

from merec.features.displacement_curve import Course
from merec.features.spotting import smooth, spot

CELLS = 40
WEIGHTS = np.full(CELLS, 1 / CELLS)


def rise_and_fall(seconds: np.ndarray, onset: float, apex: float, offset: float) -> np.ndarray:
    up = np.clip((seconds - onset) / (apex - onset), 0, 1)
    down = np.clip((seconds - apex) / (offset - apex), 0, 1)
    return (3 * up**2 - 2 * up**3) * (1 - (3 * down**2 - 2 * down**3))


def make_course(
    seconds: np.ndarray, *moves: tuple[np.ndarray, float], noise: float = 0.15
) -> Course:
    """Each move in a direction and place of its own, in noise of every cell."""
    rng = np.random.default_rng(0)
    cells = noise * rng.standard_normal((len(seconds), CELLS, 2))
    for number, (along, size) in enumerate(moves):
        pattern = np.zeros((CELLS, 2))
        pattern[8 * number : 8 * number + 8] = rng.normal(size=2)
        cells += size * along[:, None, None] * pattern / np.abs(pattern).max()
    seen = np.ones(len(seconds), bool)
    return Course(np.arange(len(seconds)), seconds, cells, WEIGHTS, seen, 200.0)


@pytest.mark.parametrize("fps", [30, 100, 200])
def test_the_same_movement_is_found_at_every_frame_rate(fps):
    seconds = np.arange(round(2 * fps)) / fps
    actual = spot(make_course(seconds, (rise_and_fall(seconds, 0.6, 0.8, 1.3), 1.0)))
    assert abs(seconds[actual.apex] - 0.8) <= 0.05
    assert abs(seconds[actual.onset] - 0.6) <= 0.1
    assert actual.onset < actual.apex < actual.offset
    assert actual.movement > 7 * actual.noise


def test_a_larger_drift_and_a_larger_smile_that_stays_do_not_win():
    seconds = np.arange(90) / 30
    expression = rise_and_fall(seconds, 1.5, 1.7, 2.1)
    smile = np.clip((seconds - 0.3) / 0.8, 0, 1)
    course = make_course(seconds, (expression, 1.0), (seconds, 1.5), (smile, 1.4))
    assert abs(seconds[spot(course).apex] - 1.7) <= 0.1


def test_a_clip_cut_at_onset_and_offset_will_do():
    seconds = np.arange(12) / 30
    actual = spot(make_course(seconds, (rise_and_fall(seconds, 0, 0.2, 0.37), 1.0)))
    assert abs(actual.apex - 6) <= 1
    assert actual.onset <= 2


def test_a_clip_that_ends_at_its_apex_will_do():
    seconds = np.arange(24) / 30
    actual = spot(make_course(seconds, (rise_and_fall(seconds, 0.5, 0.76, 9.0), 1.0)))
    assert actual.apex >= 21


def test_of_two_movements_the_larger_is_the_apex():
    seconds = np.arange(75) / 30
    one, other = (rise_and_fall(seconds, start, start + 0.2, start + 0.5) for start in (0.4, 1.6))
    assert abs(seconds[spot(make_course(seconds, (one, 1.0), (other, 2.0))).apex] - 1.8) <= 0.1
    assert abs(seconds[spot(make_course(seconds, (one, 2.0), (other, 1.0))).apex] - 0.6) <= 0.1


def test_frames_that_are_missing_move_nothing():
    every = np.arange(60) / 30
    kept = np.delete(every, [3, 4, 5, 22, 25, 40, 41, 42, 43])
    actual = spot(make_course(kept, (rise_and_fall(kept, 0.6, 0.8, 1.3), 1.0)))
    assert abs(kept[actual.apex] - 0.8) <= 0.1


def test_what_is_measured_while_the_face_is_not_seen_is_no_movement():
    seconds = np.arange(90) / 30
    course = make_course(seconds, (rise_and_fall(seconds, 1.5, 1.7, 2.1), 1.0))
    course.cells[10:14] += 20.0  # a hand
    course.seen[10:14] = False
    assert abs(seconds[spot(course).apex] - 1.7) <= 0.1


def test_a_peak_keeps_its_place_and_height():
    """Local parabolas give a parabola back, also between uneven frames and at the ends."""
    rng = np.random.default_rng(0)
    seconds = np.sort(rng.uniform(0, 2, 60))
    values = 3 - 4 * (seconds - 0.9) ** 2
    at = np.linspace(seconds[0], seconds[-1], 41)
    smoothed = smooth(seconds, values[:, None], at, 0.2)[:, 0]
    np.testing.assert_allclose(smoothed, 3 - 4 * (at - 0.9) ** 2, atol=2e-3)


def test_smoothing_equals_a_weighted_fit():
    rng = np.random.default_rng(1)
    seconds = np.arange(40) / 30
    values = rng.normal(size=40)
    for at in (0.01, 0.61, 1.29):
        weight = np.exp(-((seconds - at) ** 2) / (2 * 0.1**2))
        near = np.abs(seconds - at) < 0.4
        fit = np.polynomial.Polynomial.fit(
            seconds[near] - at, values[near], 2, w=np.sqrt(weight[near])
        )
        smoothed = smooth(seconds, values[:, None], np.array([at]), 0.1)
        assert smoothed[0, 0] == pytest.approx(float(fit(0)), abs=2e-3)


def test_where_no_frame_is_near_the_line_between_neighbours_is_taken():
    seconds = np.array([0.0, 0.03, 0.06, 1.0, 1.03, 1.06])
    values = np.array([0.0, 0, 0, 1, 1, 1])[:, None]
    assert smooth(seconds, values, np.array([0.53]), 0.05)[0, 0] == pytest.approx(0.5)


def test_a_slow_drift_before_the_rise_does_not_pull_the_onset_back():
    seconds = np.arange(60) / 30
    sway = 0.06 * np.sin(2 * np.pi * 0.6 * seconds - 2.0)
    course = make_course(seconds, (rise_and_fall(seconds, 1.0, 1.2, 1.5) + sway, 1.0), noise=0.02)
    assert abs(seconds[spot(course).onset] - 1.0) <= 0.1


def test_what_only_flickers_has_little_contrast():
    seconds = np.arange(90) / 30
    still = spot(make_course(seconds))
    moved = spot(make_course(seconds, (rise_and_fall(seconds, 1.0, 1.2, 1.6), 1.0)))
    assert still.contrast < 1.8 < moved.contrast
