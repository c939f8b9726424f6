"""Test the displacement by action units: region, side, lip, and size as planned."""

import numpy as np
import pytest

from merec.synthetic.clip_renderer import CROP_WIDTH, MAX_STRENGTH, Nuisance
from merec.synthetic.movement import FACE_UNITS, compute_displacement, measure_peak
from merec.synthetic.sensor import choose_sensor
from merec.types import ActionUnit

IDEAL = choose_sensor("ideal", None, 1, 640)

LIPS, MIDLINE = 661.0, 9.0  # mm: height between the lips, half width of the blend between sides
SIDED = sorted(number for number, units in FACE_UNITS.items() if any("*" in u for u in units))
BOTH_LIPS = (23, 24, 28)


def lengths(displacement) -> np.ndarray:
    return np.linalg.norm(displacement, axis=1)


@pytest.fixture
def displace(head, people):
    """Return a function that computes the displacement by one action unit at full strength."""
    return lambda *unit: compute_displacement({ActionUnit(*unit): 1.0}, people[0], head)


def test_every_action_unit_that_can_be_drawn_moves_every_face(head, people, drawable):
    numbers = {unit.number for unit in drawable}
    assert len(numbers) == 24
    assert numbers <= FACE_UNITS.keys()
    assert {unit.side for unit in drawable} == {"", "L", "R"}
    assert {unit.part for unit in drawable} == {"", "T", "B"}
    for person in people[:3]:
        for unit in drawable:
            assert lengths(compute_displacement({unit: 1.0}, person, head)).max() > 0.8, unit  # mm


@pytest.mark.parametrize("number", sorted(FACE_UNITS))
def test_every_known_action_unit_finds_its_targets(displace, number):
    assert lengths(displace(number)).max() > 0.5  # mm


def test_an_action_unit_without_face_units_moves_nothing(displace):
    assert not displace(51).any()  # AU 51: head turned left


@pytest.mark.parametrize("number", SIDED)
def test_a_one_sided_action_unit_moves_one_side_only(head, displace, number):
    lateral = head.vertices[:, 0]
    left, right, both = displace(number, "L"), displace(number, "R"), displace(number)
    assert not left[lateral < -MIDLINE].any()
    assert not right[lateral > MIDLINE].any()
    assert lengths(left)[lateral > MIDLINE].max() > 0
    np.testing.assert_allclose(left + right, both, atol=1e-4)


@pytest.mark.parametrize("number", BOTH_LIPS)
def test_an_action_unit_of_one_lip_leaves_the_other_still(head, displace, number):
    height = head.vertices[:, 1]
    top, bottom = displace(number, "", "T"), displace(number, "", "B")
    assert not top[height < LIPS - 2].any()
    assert not bottom[height > LIPS + 2].any()
    assert lengths(top)[height > LIPS + 2].max() > 0.5  # mm
    assert lengths(bottom)[height < LIPS - 2].max() > 0.5


def test_a_smile_lifts_the_corners_of_the_mouth_and_brows_go_up_and_down(head, displace):
    for number, direction in ((12, 1), (15, -1), (1, 1), (2, 1), (4, -1), (26, -1)):
        displacement = displace(number)
        assert np.sign(displacement[lengths(displacement).argmax(), 1]) == direction, number


def test_displacements_add_up(head, people):
    one, two = ActionUnit(4), ActionUnit(12, "R")
    joint = compute_displacement({one: 0.5, two: 0.25}, people[0], head)
    total = 0.5 * compute_displacement({one: 1.0}, people[0], head) + 0.25 * compute_displacement(
        {two: 1.0}, people[0], head
    )
    np.testing.assert_allclose(joint, total, atol=1e-5)
    assert not compute_displacement({}, people[0], head).any()


def test_the_peak_is_in_px_of_the_crop_and_ignores_depth_and_one_stray_vertex():
    field = np.zeros((1000, 3))
    assert measure_peak(field, 180.0) == 0
    field[:600, 0] = 1.8  # mm, 1 % of the crop
    field[:600, 2] = 50
    assert measure_peak(field, 180.0) == pytest.approx(2.24)
    field[0] = 9
    assert measure_peak(field, 180.0) == pytest.approx(2.24)


@pytest.mark.parametrize("units", [((4,),), ((12, "R"),), ((1,), (2,)), ((14,), (24,), (9,))])
@pytest.mark.parametrize("peak", [0.5, 2.5])
def test_a_clip_reaches_the_planned_peak_at_the_apex_and_rests_at_onset_and_offset(
    make_clip, make_expression, face_renderer, units, peak
):
    expression = make_expression(*(ActionUnit(*unit) for unit in units), peak=peak)
    clip = make_clip(expression)
    rest = face_renderer.rest
    for number in (1, expression.onset, expression.offset, expression.offset + 50):
        np.testing.assert_array_equal(clip.compute_state(number).vertices, rest.astype(np.float64))
    change = clip.compute_state(expression.apex).vertices - rest
    assert measure_peak(change, CROP_WIDTH) == pytest.approx(peak, rel=0.02)
    between = clip.compute_state(expression.onset + 2).vertices - rest
    assert 0 < measure_peak(between, CROP_WIDTH) < peak


def test_a_muscle_too_small_for_the_planned_peak_moves_with_the_maximum_strength(
    make_clip, make_expression, face_renderer
):
    expression = make_expression(ActionUnit(38), peak=30.0)
    clip = make_clip(expression)
    assert clip.movements[0][1] == MAX_STRENGTH
    change = clip.compute_state(expression.apex).vertices - face_renderer.rest
    assert 0 < measure_peak(change, CROP_WIDTH) < 10


def test_an_expression_that_moves_nothing_is_still(make_clip, make_expression, face_renderer):
    clip = make_clip(make_expression(ActionUnit(51)))
    np.testing.assert_array_equal(
        clip.compute_state(16).vertices, face_renderer.rest.astype(np.float64)
    )


def test_head_gaze_and_lids_are_still_when_switched_off_and_move_otherwise(
    make_clip, make_expression
):
    expression = make_expression(ActionUnit(4))
    still = make_clip(expression)
    lively = make_clip(expression, nuisance=Nuisance(0, IDEAL, head=1, gaze=1, blinks=30))
    states = [[clip.compute_state(number) for number in range(1, 200)] for clip in (still, lively)]
    assert not any(s.pose.any() or s.gaze.any() or s.blink for s in states[0])
    for movement_range in (
        np.ptp([s.pose for s in states[1]], axis=0),
        np.ptp([s.gaze for s in states[1]], axis=0),
        np.ptp([s.blink for s in states[1]]),
    ):
        assert np.all(movement_range > 0.1)


def test_a_blink_brings_the_lids_together(make_clip, make_expression, face_renderer):
    clip = make_clip(make_expression(ActionUnit(4)), nuisance=Nuisance(0, IDEAL, 0, 0, blinks=30))
    number = max(range(30, 400), key=lambda number: clip.compute_state(number).blink)
    state = clip.compute_state(number)
    assert state.blink > 0.8
    change = (
        state.vertices[: len(face_renderer.head.vertices)]
        - face_renderer.rest[: len(clip.lid_closure)]
    )
    np.testing.assert_allclose(change, state.blink * clip.lid_closure, atol=1e-4)
    assert change[:, 1].min() < -3  # mm, the upper lid moves down


def test_r12_moves_the_right_side_of_the_subject_which_is_left_in_the_image(
    make_clip, make_expression, face_renderer
):
    expression = make_expression(ActionUnit(12, "R"))
    clip = make_clip(expression)
    at_rest, smiling = (
        face_renderer.project(clip.compute_positions(number))
        for number in (expression.onset, expression.apex)
    )
    flow = lengths(smiling - at_rest)
    nose = at_rest[face_renderer.head.vertices[:, 2].argmax(), 0]
    assert np.average(at_rest[:, 0], weights=flow) < nose - 10  # px
    assert (smiling - at_rest)[flow.argmax(), 1] < 0  # upwards: rows count down the image
