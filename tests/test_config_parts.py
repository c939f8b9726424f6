"""Parts take their settings out of those of the class that takes them."""

from dataclasses import dataclass

import pytest

from merec.config_parts import Part, assemble, list_all_parts, list_parameters


@dataclass
class Wheel(Part):
    radius: int


@dataclass
class Axle(Part):
    length: int
    wheel: Wheel


@dataclass
class Cart:
    axle: Axle
    name: str = "cart"


def test_a_class_is_built_with_its_parts_from_settings_side_by_side():
    built = assemble(Cart, {"length": 3, "radius": 2})
    assert built == Cart(Axle(3, Wheel(2)))
    assert assemble(Cart, {"length": 3, "radius": 2, "name": "dray"}).name == "dray"


def test_keys_are_those_of_all_parts():
    assert list(list_parameters(Cart)) == ["length", "radius", "name"]
    assert list_all_parts(Cart) == [Axle, Wheel]


def test_settings_that_nothing_takes_or_that_are_missing_are_errors():
    with pytest.raises(TypeError, match="wood"):
        assemble(Cart, {"length": 3, "radius": 2, "wood": "oak"})
    with pytest.raises(TypeError, match="radius"):
        assemble(Cart, {"length": 3})
