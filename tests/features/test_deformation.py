"""Deformation is what is left of motion once the head is forgotten."""

import numpy as np
import pytest

from merec.errors import InputError
from merec.features.deformation import (
    FIELDS,
    SCALES,
    describe_deformation,
    describe_half_faces,
)
from merec.features.representations.flow_map import mirror

CHANNELS = ("u", "v", "strain")
CELLS = 4


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, size=(3, 3, 28, 28), dtype=np.uint8)


def measure(maps: np.ndarray, keep=("u", "v")) -> np.ndarray:
    """By sample, as shown or mirrored, field, row and column."""
    actual = describe_deformation(maps, CHANNELS, keep, cells=CELLS, spread=0.5)
    return actual.reshape(len(maps), 2, len(FIELDS), CELLS, CELLS)


def test_a_shift_of_the_head_does_not_show(maps):
    moved = maps.copy()
    moved[:, 0] += 17
    moved[:, 1] -= 30
    np.testing.assert_allclose(measure(moved), measure(maps), atol=1e-12)


def test_each_field_is_known_of_a_linear_flow():
    rows, columns = np.indices((28, 28))
    for across, down, expected in [
        (columns, rows, [2, 0, 0, 0]),  # it grows
        (columns, -rows, [0, 2, 0, 0]),  # it is stretched
        (rows, columns, [0, 0, 2, 0]),  # it is sheared
        (-rows, columns, [0, 0, 0, 2]),  # it turns
    ]:
        flow = np.stack([across, down, 0 * rows])[None] * 3 + 100
        (actual, _), *_ = measure(flow.astype(np.uint8))
        wanted = np.broadcast_to(np.array(expected)[:, None, None] * 3 / 255, actual.shape)
        np.testing.assert_allclose(actual, wanted, atol=1e-12)


def test_a_row_holds_the_mirror_image_too(maps):
    once, twice = measure(maps), measure(mirror(maps, CHANNELS))
    np.testing.assert_allclose(twice, once[:, ::-1], atol=1e-12)
    # Which comes to the fields in reversed columns, shear and curl turned round.
    signs = np.array([1, 1, -1, -1])[:, None, None]
    np.testing.assert_allclose(once[:, 1], signs * once[:, 0, ..., ::-1], atol=1e-12)


def test_a_sample_is_described_on_its_own(maps):
    np.testing.assert_array_equal(measure(maps)[1:2], measure(maps[1:2]))


@pytest.mark.parametrize("keep", [("u",), ("u", "dz"), ("u", "v", "strain")])
def test_only_two_components_have_a_deformation(maps, keep):
    with pytest.raises(InputError, match="two components"):
        measure(maps, keep)


GRIDS = [{"cells": 4, "spread": 0.5}, {"cells": 6, "spread": 0.8}]


def halve(maps: np.ndarray) -> list[np.ndarray]:
    """By scale and grid: samples, halves, and what is known of each half."""
    actual = describe_half_faces(maps, CHANNELS, ("u", "v"), GRIDS)
    sizes = [4 * grid["cells"] ** 2 for grid in GRIDS] * len(SCALES)
    parts = np.split(actual, np.cumsum(sizes)[:-1], axis=1)
    return [part.reshape(len(maps), 2, -1) for part in parts]


def test_a_mirrored_face_has_the_same_halves_the_other_way_round(maps):
    for once, turned in zip(halve(maps), halve(mirror(maps, CHANNELS)), strict=True):
        np.testing.assert_allclose(turned, once[:, ::-1], atol=1e-12)


def test_a_symmetric_face_has_equal_halves(maps):
    both = np.concatenate([maps[..., :14], mirror(maps, CHANNELS)[..., 14:]], axis=-1)
    for halves in halve(both):
        np.testing.assert_allclose(halves[:, 0], halves[:, 1], atol=1e-12)


def test_the_halves_are_those_of_the_whole_face_at_norm_one(maps):
    whole = measure(maps)[:, 0]
    norm = np.sqrt((whole**2).sum((1, 2, 3), keepdims=True))
    left = halve(maps)[0][:, 0].reshape(len(maps), len(FIELDS), CELLS, CELLS // 2)
    np.testing.assert_allclose(left, (whole / norm)[..., : CELLS // 2], atol=1e-12)


def test_the_strength_of_one_component_does_not_show_where_they_are_apart(maps):
    even = maps // 2 * 2  # so that halving is exact
    weak = even.copy()
    weak[:, 1] //= 2
    common, apart = (slice(0, 2), slice(2, 4))
    for one, other in zip(halve(even)[apart], halve(weak)[apart], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    assert not np.allclose(halve(even)[common][0], halve(weak)[common][0], atol=1e-3)


def test_a_face_at_rest_is_described_by_zeros(maps):
    assert all((halves == 0).all() for halves in halve(np.full_like(maps, 128)))


def test_a_grid_without_halves_is_refused(maps):
    with pytest.raises(InputError, match="5 cells"):
        describe_half_faces(maps, CHANNELS, ("u", "v"), [{"cells": 5, "spread": 0.5}])
