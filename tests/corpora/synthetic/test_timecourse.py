"""Test that time courses are smooth, exact at onset, apex and offset, and independent of frame order."""

from dataclasses import replace

import numpy as np
import pytest

from merec.synthetic.plan import Expression, plan_corpus
from merec.synthetic.timecourse import (
    au_intensities,
    au_weights,
    blinks,
    gaze,
    head_pose,
)
from merec.types import ActionUnit

UNITS = (ActionUnit(4), ActionUnit(12, "R"), ActionUnit(18, "", "T"))
CLIP = ("spNO.3", "b")


def make_expression(onset=20, apex=60, offset=140, units=UNITS) -> Expression:
    return Expression(onset, apex, offset, units, "disgust", 1.234)


def activation(expression: Expression, number: int) -> float:
    """Compute the strength of the expression with one action unit, whose weight is 1."""
    (strength,) = au_intensities(replace(expression, action_units=UNITS[:1]), number, 0)
    return strength


def course(expression: Expression, numbers=range(160)) -> np.ndarray:
    return np.array([activation(expression, number) for number in numbers])


@pytest.fixture(scope="module")
def poses() -> np.ndarray:
    """Compute head poses of six clips of a minute each: clips × frames × 6."""
    return np.array(
        [
            [head_pose(0, subject, "a", number, 1) for number in range(1, 1800)]
            for subject in ("spNO.1", "spNO.2", "spNO.3", "spNO.4", "spNO.5", "spNO.6")
        ]
    )


@pytest.fixture(scope="module")
def closed() -> np.ndarray:
    """Compute the closure of the eyes for five minutes."""
    return np.array([blinks(0, *CLIP, number, 15) for number in range(9000)])


@pytest.mark.parametrize("times", [(20, 60, 140), (2, 3, 4), (2, 10, 11), (355, 359, 360)])
def test_activation_is_exactly_0_at_the_ends_and_1_at_the_apex(times):
    expression = make_expression(*times)
    assert activation(expression, times[0]) == 0
    assert activation(expression, times[1]) == 1
    assert activation(expression, times[2]) == 0
    assert not course(expression, range(times[0])).any()
    assert not course(expression, range(times[2], times[2] + 50)).any()


def test_activation_rises_to_the_apex_and_falls_after_it():
    steps = np.diff(course(make_expression()))
    assert (steps[20:60] > 0).all()
    assert (steps[60:140] < 0).all()


def test_activation_starts_turns_and_ends_without_a_jump_in_speed():
    speed = np.diff(course(make_expression(200, 1200, 3200), range(3400)))
    assert np.abs(np.diff(speed)).max() < 1e-5  # a corner at an end would be 5e-4 or more
    assert np.abs(speed[[200, 1199, 1200, 3199]]).max() < 1e-5


def test_activation_rises_more_steeply_than_it_falls_in_equal_time():
    steps = np.diff(course(make_expression(20, 60, 100)))
    assert steps.max() > 1.2 * -steps.min()


def test_an_expression_whose_apex_is_its_onset_does_not_move():
    still = make_expression(20, 20, 40)
    assert not course(still).any()
    assert all(au_intensities(still, number, 0) == (0, 0, 0) for number in range(15, 45))


@pytest.mark.parametrize("seed", range(20))
def test_weights_are_relative_to_the_strongest_action_unit(seed):
    weights = au_weights(make_expression(), seed)
    assert len(weights) == 3
    assert max(weights) == 1
    assert min(weights) >= 0.6


def test_weights_differ_between_seeds_and_expressions():
    drawn = {au_weights(make_expression(), seed) for seed in range(20)}
    assert len(drawn) == 20
    assert len({weights.index(1) for weights in drawn}) > 1
    assert au_weights(make_expression(apex=61), 0) != au_weights(make_expression(), 0)
    assert au_weights(make_expression(units=UNITS[:1]), 5) == (1,)


@pytest.mark.parametrize("seed", range(5))
def test_action_units_reach_their_weights_together_at_the_apex(seed):
    expression = make_expression()
    assert au_intensities(expression, 60, seed) == au_weights(expression, seed)
    assert au_intensities(expression, 20, seed) == (0, 0, 0)
    assert au_intensities(expression, 140, seed) == (0, 0, 0)


def test_action_units_start_and_end_a_little_apart():
    expression = make_expression()
    strengths = np.array([au_intensities(expression, number, 0) for number in range(20, 141)])
    moving = strengths > 0
    first = 20 + moving.argmax(axis=0)
    last = 140 - moving[::-1].argmax(axis=0)
    assert len(set(first)) > 1
    assert len(set(last)) > 1
    assert first.min() == 21
    assert first.max() <= 20 + 0.25 * 40 + 1
    assert last.max() == 139
    assert last.min() >= 140 - 0.25 * 80 - 1
    assert (strengths.max(axis=0) == strengths[40]).all()


def test_poses_have_the_stated_spread_about_zero(poses):
    spread = poses.std(axis=(0, 1))
    assert np.allclose(spread[:3], 0.25, atol=0.06)
    assert np.allclose(spread[3:], 1, atol=0.2)
    assert np.abs(poses.mean(axis=(0, 1))).max() < 0.4


def test_the_head_moves_a_crop_by_a_third_to_one_pixel_between_onset_and_apex(poses):
    shift = poses[:, 6:, 3:5] - poses[:, :-6, 3:5]  # mm in 6 frames, the median rise
    pixels = 1.2 * np.hypot(*np.moveaxis(shift, -1, 0))  # a crop of 224 px shows about 190 mm
    assert 0.3 < pixels.mean() < 1
    assert np.quantile(pixels, 0.99) < 1.5


def test_the_head_never_jumps(poses):
    steps = np.abs(np.diff(poses, axis=1)).max(axis=(0, 1))
    assert (steps[:3] < 0.06).all()
    assert (steps[3:] < 0.25).all()


def test_breathing_alone_lifts_and_tips_the_head_once_in_three_to_five_seconds(monkeypatch):
    monkeypatch.setattr("merec.synthetic.timecourse.POSE_STD", np.zeros(6))
    breath = np.array([head_pose(0, *CLIP, number, 1) for number in range(1800)])
    assert np.flatnonzero(breath.any(axis=0)).tolist() == [1, 4, 5]  # pitch, y, z
    assert 0.2 < breath[:, 4].max() <= 0.25
    turns = np.count_nonzero(np.diff(np.sign(breath[:, 4]))) / 2
    assert 11 <= turns <= 19  # in a minute


def test_sway_is_slow(poses):
    spectrum = np.abs(np.fft.rfft(poses - poses.mean(axis=1, keepdims=True), axis=1)) ** 2
    quick = np.fft.rfftfreq(poses.shape[1], 1 / 30) > 0.7
    assert spectrum[:, quick].sum() < 0.05 * spectrum.sum()


def test_blinks_have_the_frequency_and_duration_of_real_ones(closed):
    starts = np.flatnonzero((closed[1:] > 0) & (closed[:-1] == 0)) + 1
    ends = np.flatnonzero((closed[1:] == 0) & (closed[:-1] > 0)) + 1
    assert 50 < len(starts) < 100  # in five minutes
    lengths = ends - starts
    assert lengths.min() >= 5
    assert lengths.max() <= 9
    tops = [closed[a:b].max() for a, b in zip(starts, ends, strict=True)]
    assert min(tops) > 0.85
    assert max(tops) <= 1
    assert closed.min() == 0


def test_eyes_close_faster_than_they_open(closed):
    steps = np.diff(closed)
    assert (steps < 0).sum() > 1.2 * (steps > 0).sum()


def test_gaze_rests_and_jumps_within_a_few_degrees():
    angles = np.array([gaze(0, *CLIP, number, 1) for number in range(3000)])
    assert np.allclose(angles.std(axis=0), [1.5, 1], rtol=0.25)
    still = (np.diff(angles, axis=0) == 0).all(axis=1)
    assert 0.8 < still.mean() < 0.95
    assert np.abs(angles).max() < 7


def test_nuisance_that_is_switched_off_is_exactly_nothing():
    for number in range(0, 600, 7):
        assert not head_pose(0, *CLIP, number, 0).any()
        assert not gaze(0, *CLIP, number, 0).any()
        assert blinks(0, *CLIP, number, 0) == 0


def test_scale_is_a_factor():
    assert np.allclose(head_pose(0, *CLIP, 77, 0.5), head_pose(0, *CLIP, 77, 1) / 2)
    assert np.allclose(gaze(0, *CLIP, 77, 2), gaze(0, *CLIP, 77, 1) * 2)


@pytest.mark.parametrize("function", [head_pose, gaze, blinks])
def test_movement_does_not_depend_on_frame_order_but_on_seed_subject_and_clip(function):
    strength = 15 if function is blinks else 1

    def trace(seed, subject, clip, numbers):
        return {n: np.array(function(seed, subject, clip, n, strength)) for n in numbers}

    forward = trace(0, *CLIP, range(3000, 3300))
    backward = trace(0, *CLIP, range(3299, 2999, -1))
    assert all(np.array_equal(forward[number], backward[number]) for number in forward)
    for other in ((1, *CLIP), (0, "spNO.4", "b"), (0, "spNO.3", "c")):
        changed = trace(*other, range(3000, 3300))
        assert any(not np.array_equal(forward[number], changed[number]) for number in forward)


def test_every_expression_of_a_planned_corpus_has_its_full_strength_at_its_apex():
    for clip in plan_corpus(3, 6, 3, 2, 0, 0, "key"):
        for expression in clip.expressions:
            strengths = au_intensities(expression, expression.apex, 0)
            assert max(strengths) == 1
            assert len(strengths) == len(expression.action_units)
