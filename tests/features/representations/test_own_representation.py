"""A representation of somebody else is found by its path, and its check finds the fault it is there for."""

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from merec.errors import InputError
from merec.features.representations import Representation, open_representation
from merec.features.sample import Stage
from merec.testing import check_representation


def measure_length(flow: np.ndarray) -> np.ndarray:
    return np.linalg.norm(flow.astype(np.float32), axis=-1)[None, ::28, ::28]


class HeatMap(Representation):
    """Settings of the representation, and no others."""

    name = "heat.HeatMap"
    arrays: ClassVar[Mapping[str, str]] = {"heat": "heat"}
    makers = (measure_length,)

    def channels(self, modality, views=None):
        return (("length",),)

    def example_shape(self, modality):
        return (1, 8, 8)

    def make(self, parts):
        return {"heat": measure_length(parts.motion["flow"])}


class Shifted(HeatMap):
    name = "heat.Shifted"

    def augment(self, inputs, channels, settings, generators):
        return tuple(tensor + 1 for tensor in inputs)


class Mixed(HeatMap):
    name = "heat.Mixed"

    def augment(self, inputs, channels, settings, generators):
        (heat,) = super().augment(inputs, channels, settings, generators)
        return (heat if settings.flip == 1 else heat - heat.mean(0),)


class Deep(HeatMap):
    name = "heat.Deep"

    def channels(self, modality, views=None):
        return (("length", "angle"),)


class Unmade(HeatMap):
    name = "heat.Unmade"
    arrays: ClassVar[Mapping[str, str]] = {"heat": "warmth"}


class Endless(HeatMap):
    name = "heat.Endless"

    def make(self, parts):
        return {"heat": measure_length(parts.motion["flow"]) / np.float32(0)}


class Chance(HeatMap):
    name = "heat.Chance"

    def make(self, parts):
        return {"heat": np.random.default_rng().random((1, 8, 8), np.float32)}


@pytest.fixture(autouse=True)
def heat(monkeypatch) -> None:
    """A module of somebody else's."""
    module = ModuleType("heat")
    for kind in (HeatMap, Shifted, Mixed, Deep, Unmade, Endless, Chance):
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "heat", module)


def test_a_representation_of_ones_own_keeps_the_contract_and_has_a_folder_of_its_own():
    check_representation(HeatMap())
    actual = open_representation("heat.HeatMap")
    assert Stage(actual.name, actual, "rgb").folder == "heat.HeatMap-rgb"


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (Shifted, "mirrored twice is not as it was"),
        (Mixed, "alone is another than among others"),
        (Deep, "has 1 channels; expected length, angle"),
        (Unmade, "makes heat; expected warmth"),
        (Endless, "is not finite"),
        (Chance, "is another if made again"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_fault_is_found(kind, fault):
    with pytest.raises(AssertionError, match=fault):
        check_representation(kind())


def test_a_name_that_is_not_that_of_the_class_is_refused(monkeypatch):
    monkeypatch.setattr(HeatMap, "name", "heat")
    open_representation.cache_clear()
    with pytest.raises(InputError, match=r"calls itself heat; set HeatMap\.name to the path"):
        open_representation("heat.HeatMap")
    open_representation.cache_clear()
