"""An action unit moves regions of its own side, which in the image is the other one."""

import pytest

from merec.evaluation.facs import find_moved_regions
from merec.features.regions import MIRRORED, REGIONS
from merec.types import ActionUnit

UNITS = range(1, 70)


def test_only_regions_that_there_are_are_moved_and_each_by_some_unit() -> None:
    moved = set().union(*(find_moved_regions(ActionUnit(number)) for number in UNITS))
    assert moved == set(REGIONS)


def test_the_subjects_right_is_the_images_left() -> None:
    assert find_moved_regions(ActionUnit(12, "R")) == {"left cheek", "left mouth corner", "mouth"}
    assert find_moved_regions(ActionUnit(4, "L")) == {"right eye and brow"}


@pytest.mark.parametrize("number", UNITS)
def test_both_sides_together_are_the_unit_without_a_side(number: int) -> None:
    left, right = (find_moved_regions(ActionUnit(number, side)) for side in "LR")
    assert left | right == find_moved_regions(ActionUnit(number))
    assert {REGIONS[MIRRORED[REGIONS.index(name)]] for name in left} == right


def test_brows_cheeks_corners_mouth_and_chin_are_moved_by_the_units_named_after_them() -> None:
    for number, word in ((2, "brow"), (6, "cheek"), (12, "corner"), (18, "mouth"), (17, "chin")):
        assert any(word in name for name in find_moved_regions(ActionUnit(number))), number


def test_a_unit_that_no_region_shows_moves_none() -> None:
    assert find_moved_regions(ActionUnit(61)) == set()
    assert find_moved_regions(ActionUnit(45)) == set()
