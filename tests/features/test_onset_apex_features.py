"""Stages of a sample: the modality asked for, less the head, blind to holes."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from merec.errors import InputError
from merec.features.head_motion import remove_head_depth
from merec.features.onset_apex_features import Pair
from merec.features.representations.flow_map import make_flow_map
from merec.features.representations.views import DEFAULT_VIEWS, make_views

SIZE = 112
PAIR = Pair("a", (Path("1.jpg"), Path("2.jpg")), None, None)
COLUMN, ROW = np.meshgrid(*(np.arange(SIZE, dtype=np.float32),) * 2)
BUMP = 5 * np.exp(-((COLUMN - 30) ** 2 + (ROW - 70) ** 2) / 200)


@pytest.fixture
def crops() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {name: rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8) for name in ("onset", "apex")}
    return made | {"depth": np.full((2, SIZE, SIZE), 800, np.float32)}


@pytest.fixture
def motion() -> dict[str, np.ndarray]:
    flow = np.stack([0.1 * BUMP, -0.2 * BUMP], axis=-1).astype(np.float16)
    return {
        "flow": flow,
        "dz": BUMP.astype(np.float16),
        "known": np.ones((SIZE, SIZE), bool),
    }


def test_a_flow_map_has_its_peak_where_the_motion_is(crops, motion):
    u, v, dz = make_flow_map(PAIR, crops, motion, "fused")["map"].astype(int)
    for channel in (u, 255 - v, dz):
        row, column = np.unravel_index(channel.argmax(), channel.shape)
        assert abs(row - 70 // 4) <= 1
        assert abs(column - 30 // 4) <= 1


def test_slopes_of_depth_have_their_direction(crops, motion):
    motion["dz"] = (0.01 * COLUMN**2).astype(np.float16)
    _, right, down = make_flow_map(PAIR, crops, motion, "depth")["map"].astype(int)
    assert (np.diff(right[14]) >= 0).all()
    assert right[14, -1] == 255
    assert np.ptp(down) == 0 or np.abs(np.diff(down, axis=1)).max() == 0


def test_a_hole_in_depth_takes_nothing_from_its_surroundings(crops, motion):
    motion["dz"] = (COLUMN / 20).astype(np.float16)
    whole = make_flow_map(PAIR, crops, motion, "fused")["map"][2].astype(int)
    motion["known"][:, 50:53] = False
    motion["dz"][:, 50:53] = 0
    holed = make_flow_map(PAIR, crops, motion, "fused")["map"][2].astype(int)
    assert np.abs(whole - holed).max() <= 5  # of 255


@pytest.mark.parametrize(("modality", "blind"), [("rgb", "dz"), ("depth", "flow")])
@pytest.mark.parametrize("kind", ["map", "views"])
def test_a_modality_is_blind_to_the_other(crops, motion, modality, blind, kind):
    def make() -> list[np.ndarray]:
        if kind == "map":
            return [*make_flow_map(PAIR, crops, motion, modality).values()]
        return [
            *make_views(PAIR, crops, motion, "signed", 8, "crop", DEFAULT_VIEWS[modality]).values()
        ]

    before = make()
    motion[blind] = motion[blind][::-1].copy()
    for one, other in zip(before, make(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_views_of_depth_are_one(crops, motion):
    views = make_views(PAIR, crops, motion, "signed", 8, "crop", ("depth", "depth"))
    np.testing.assert_array_equal(views["first"], views["second"])
    np.testing.assert_allclose(views["first"][0], BUMP / 8, atol=2e-3)


def test_any_pair_shows_its_views_in_its_order(crops, motion):
    def make(*views: str) -> list[np.ndarray]:
        return [*make_views(PAIR, crops, motion, "signed", 8, "crop", views).values()]

    (color, flow), (depth, _) = make("rgb", "flow"), make("depth", "depth")
    alone = {"rgb": color, "flow": flow, "depth": depth}
    assert {name: len(view) for name, view in alone.items()} == {"rgb": 3, "flow": 3, "depth": 1}
    np.testing.assert_allclose(flow[1], -0.2 * BUMP, atol=2e-3)
    for pair in itertools.permutations(alone, 2):
        for name, view in zip(pair, make(*pair), strict=True):
            np.testing.assert_array_equal(view, alone[name])


@pytest.mark.parametrize("pair", [("rgb", "flow"), ("flow", "depth"), ("depth", "depth")])
def test_views_of_the_face_show_its_skin_and_nothing_else(crops, motion, pair):
    motion["face"] = (COLUMN - 40) ** 2 + (ROW - 60) ** 2 < 900
    whole, face = (
        make_views(PAIR, crops, motion, "signed", 8, region, pair) for region in ("crop", "face")
    )
    for name, view in face.items():
        np.testing.assert_array_equal(view[:, motion["face"]], whole[name][:, motion["face"]])
        assert not view[:, ~motion["face"]].any()
        assert whole[name][:, ~motion["face"]].any()


@pytest.mark.parametrize("modality", ["depth", "fused"])
def test_what_needs_depth_says_so(crops, motion, modality):
    del crops["depth"]
    for make in (
        lambda: make_flow_map(PAIR, crops, motion, modality),
        lambda: make_views(PAIR, crops, motion, "signed", 8, "crop", DEFAULT_VIEWS[modality]),
    ):
        with pytest.raises(InputError, match=r"has no depth, .*datamodule=rgb"):
            make()


def test_a_head_that_turns_and_nears_leaves_the_expression_alone():
    rigid = ROW < 40
    valid = np.ones((SIZE, SIZE), bool)
    head = 0.05 * COLUMN - 0.02 * ROW - 6
    sensed = np.rint(head + BUMP).astype(np.float32)
    sensed[5:9, 5:60] = 25.0  # a strand of hair in the rigid mask
    left = remove_head_depth(sensed, valid, rigid)
    calm = ROW >= 10
    np.testing.assert_allclose(left[calm], BUMP[calm], atol=0.8)


def test_without_rigid_skin_nothing_is_taken_off():
    change = BUMP.astype(np.float32)
    nowhere = np.zeros((SIZE, SIZE), bool)
    np.testing.assert_array_equal(remove_head_depth(change, ~nowhere, nowhere), change)
