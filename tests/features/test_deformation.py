"""Deformation is what is left of motion once the head is forgotten."""

import numpy as np
import pytest

from merec.errors import InputError
from merec.features.deformation import FIELDS, describe_deformation
from merec.features.flow_map import mirror

CHANNELS = ("u", "v", "strain")
CELLS = 4


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, size=(3, 3, 28, 28), dtype=np.uint8)


def measure(maps: np.ndarray, keep=("u", "v")) -> np.ndarray:
    """By sample, as shown or mirrored, field, row and column."""
    found = describe_deformation(maps, CHANNELS, keep, cells=CELLS, spread=0.5)
    return found.reshape(len(maps), 2, len(FIELDS), CELLS, CELLS)


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
        (found, _), *_ = measure(flow.astype(np.uint8))
        wanted = np.broadcast_to(np.array(expected)[:, None, None] * 3 / 255, found.shape)
        np.testing.assert_allclose(found, wanted, atol=1e-12)


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
