"""Points are those of largest motion, in order, whichever way they are found."""

import numpy as np
import pytest

from merec.features.point_selection import (
    choose_points,
    normalise,
    scale_motion,
    smooth_depth_change,
)

SIZE, K = 12, 10


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Structure, motion, 8 regions (the last but one empty, the last short) and where all is known."""
    rng = np.random.default_rng(0)
    structure, motion = rng.normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    regions = rng.random((8, SIZE, SIZE)) < 0.4
    regions[6] = False
    valid = rng.random((SIZE, SIZE)) < 0.9
    regions[7] = False
    regions[7, 2, 2:6] = valid[2, 2:6] = True
    return structure, motion, regions, valid


@pytest.mark.parametrize("powers", [(2, 2, 3.33), (1, 1, 1)])
def test_sharpening_is_what_a_loop_computes(scene, powers):
    _, motion, _, where = scene
    actual = scale_motion(motion, where, "max", powers)
    for axis in range(3):
        most = max(abs(value) for value in motion[where][:, axis])
        for at in np.ndindex(SIZE, SIZE):
            share = motion[at][axis] / most
            expected = np.sign(share) * abs(share) ** powers[axis]
            assert actual[at][axis] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", ["max", "rms"])
def test_scaling_nothing_gives_nothing(scene, scale):
    _, motion, _, where = scene
    assert not scale_motion(motion, np.zeros_like(where), scale, (2, 2, 3.33)).any()
    motion[..., 2] = 0  # no depth: not a division by it
    actual = scale_motion(motion, where, scale, (2, 2, 3.33))
    assert not actual[..., 2].any()
    assert np.isfinite(actual).all()


def test_points_are_those_a_loop_chooses(scene):
    structure, motion, regions, valid = scene
    actual, short = choose_points(structure, motion, regions, valid, K, "motion", 0)
    for number in range(6):
        inside = [at for at in np.ndindex(SIZE, SIZE) if regions[number][at] and valid[at]]
        inside.sort(key=lambda at: -np.linalg.norm(motion[at]))
        expected = [np.concatenate([structure[at], motion[at]]) for at in inside[:K]]
        assert len(expected) == K
        np.testing.assert_array_equal(actual[number], expected)
    assert short.tolist() == [0, 0, 0, 0, 0, 0, K, K - 4]


def test_an_empty_region_holds_zeros(scene):
    assert not choose_points(*scene, K, "motion", 0).points[6].any()


def test_a_short_region_holds_all_of_its_own_and_draws_again_among_them(scene):
    structure, motion, _, _ = scene
    actual = choose_points(*scene, K, "motion", 0).points[7]
    rows = {tuple(np.concatenate([structure[2, at], motion[2, at]])) for at in range(2, 6)}
    assert {tuple(point) for point in actual} == rows
    length = np.linalg.norm(actual[:, 3:], axis=1)
    assert (np.diff(length) <= 1e-6).all()
    again = choose_points(*scene, K, "motion", 0).points[7]
    np.testing.assert_array_equal(actual, again)
    other = [choose_points(*scene, K, "motion", seed).points[7] for seed in range(1, 5)]
    assert any((actual != entry).any() for entry in other)


def test_the_order_of_regions_changes_only_the_order_of_points(scene):
    structure, motion, regions, valid = scene
    regions = regions[:6]  # what is filled depends on the order
    order = np.array([3, 0, 5, 1, 4, 2])
    one = choose_points(structure, motion, regions, valid, K, "motion", 0).points
    other = choose_points(structure, motion, regions[order], valid, K, "motion", 0).points
    np.testing.assert_array_equal(one[order], other)


def test_equal_motion_is_ordered_by_place(scene):
    structure, motion, regions, valid = scene
    actual = choose_points(
        structure, np.ones_like(motion), regions[7:], valid, 4, "motion", 0
    ).points[0]
    np.testing.assert_array_equal(actual[:, :3], structure[2, 2:6])


def test_points_are_normalised_as_a_loop_does_and_motion_keeps_its_zero():
    points = np.random.default_rng(0).normal(3, 2, (2, 5, 6)).astype(np.float32)
    actual = normalise(points, "max")
    rows = [list(map(float, point)) for region in points for point in region]
    for part, subtract in ((range(3), True), (range(3, 6), False)):
        mean = [sum(row[axis] for row in rows) / len(rows) * subtract for axis in part]
        moved = [[row[axis] - mean[axis - part[0]] for axis in part] for row in rows]
        radius = max(sum(value**2 for value in row) ** 0.5 for row in moved)
        expected = np.array(moved) / radius
        np.testing.assert_allclose(actual.reshape(-1, 6)[:, list(part)], expected, atol=1e-5)


def test_points_without_motion_stay_finite():
    assert not normalise(np.zeros((8, K, 6), np.float32), "max").any()


def test_rms_scaling_is_what_a_loop_computes(scene):
    _, motion, _, where = scene
    actual = scale_motion(motion, where, "rms", (1, 1, 1))
    flow = np.mean([u**2 + v**2 for u, v, _ in motion[where].tolist()]) ** 0.5
    depth = np.mean([dz**2 for *_, dz in motion[where].tolist()]) ** 0.5
    np.testing.assert_allclose(actual, motion / flow, rtol=1e-5)
    alone = scale_motion(motion * np.float32([0, 0, 1]), where, "rms", (1, 1, 1))
    np.testing.assert_allclose(alone[..., 2], motion[..., 2] / depth, rtol=1e-5)
    points = np.concatenate([motion, actual], axis=-1)[:2]
    np.testing.assert_array_equal(normalise(points, "rms")[..., 3:], points[..., 3:])


def test_uniform_points_are_distinct_and_stand_for_their_region():
    rng = np.random.default_rng(0)
    motion = rng.normal(size=(40, 40, 3)).astype(np.float32)
    row, column = np.mgrid[:40, :40].astype(np.float32)
    structure = np.stack([column, row, 0 * row], axis=-1)
    mask = (column < 20) & (row % 3 > 0)
    valid = np.ones_like(mask)
    chosen = [
        choose_points(structure, motion, mask[None], valid, 100, "uniform", seed).points[0]
        for seed in range(40)
    ]
    for points in chosen:
        assert len({tuple(point[:2]) for point in points}) == 100
        assert all(mask[int(y), int(x)] for x, y in points[:, :2])
        assert (np.diff(np.linalg.norm(points[:, 3:], axis=1)) <= 1e-6).all()
    # Of 4,000 draws the mean place and motion are those of the region, within four standard errors.
    drawn = np.concatenate(chosen)
    whole = np.concatenate([structure[mask], motion[mask]], axis=-1)
    error = np.abs(drawn.mean(0) - whole.mean(0))
    assert (error <= 4 * whole.std(0) / np.sqrt(len(drawn)) + 1e-6).all()


def test_smoothing_depth_equals_a_loop_over_known_pixels():
    rng = np.random.default_rng(0)
    change, valid = rng.normal(size=(24, 24)).astype(np.float32), rng.random((24, 24)) < 0.6
    valid[:, :6] = False
    actual = smooth_depth_change(change, valid, 1.5)
    for at in [(12, 12), (8, 7), (15, 16), (12, 3)]:
        if not valid[at]:
            assert actual[at] == 0
            continue
        weight = {
            to: np.exp(-((to[0] - at[0]) ** 2 + (to[1] - at[1]) ** 2) / (2 * 1.5**2))
            for to in np.ndindex(24, 24)
            if valid[to]
        }
        expected = sum(weight[to] * change[to] for to in weight) / sum(weight.values())
        assert actual[at] == pytest.approx(expected, abs=2e-3)
    np.testing.assert_array_equal(smooth_depth_change(change, valid, 0), change)
    lost = np.where(valid, change, 1e6).astype(np.float32)  # what is unknown has no say
    np.testing.assert_array_equal(smooth_depth_change(lost, valid, 1.5), actual)
