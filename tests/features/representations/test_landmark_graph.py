"""Nodes of the landmark graph move as the skin at their landmarks truly does."""

import numpy as np
import pytest
import torch

from merec.config import build, compose_node
from merec.features.augmentation import Augmentation
from merec.features.drawn_sample import draw_parts
from merec.features.face_mesh import list_mirrored
from merec.features.representations.landmark_graph import FEATURES, LandmarkGraph
from merec.testing import check_representation
from merec.types import InputError

OFF = {"crop": 1, "jitter": 0, "grey": 0, "dropout": 0, "scale": 1, "shift": 0, "apart": False}


@pytest.fixture(scope="module")
def settings():
    return build(compose_node("features", [])).settings


def make(parts) -> np.ndarray:
    return LandmarkGraph().make(parts)["nodes"]


def test_it_keeps_the_contract_of_a_representation():
    check_representation(LandmarkGraph())


def test_a_uniform_shift_of_the_skin_is_the_motion_of_every_node(settings):
    parts = draw_parts(0, settings, "fused")
    parts.motion["flow"][:] = (3, -4)
    parts.motion["known"][:] = True
    parts.motion["dz"][:] = -2
    parts.motion["head"][:] = 0
    parts.crops["landmarks"][1] = parts.crops["landmarks"][0] + (1, 0, 0)
    nodes = make(parts)
    # In units of the flow's length, 5 px, and of the tracks' length, 1 px.
    expected = np.tile([0.6, -0.8, -0.4, 1, 0], (468, 1))
    np.testing.assert_allclose(nodes[:, 3:], expected, atol=2e-3)


def test_the_movement_of_the_head_is_no_track(settings):
    parts = draw_parts(0, settings, "rgb")
    parts.motion["head"][:] = (2, 1)
    parts.crops["landmarks"][1] = parts.crops["landmarks"][0] + (2, 1, 0)
    np.testing.assert_allclose(make(parts)[:, 6:], 0, atol=0.02)


@pytest.mark.parametrize(
    ("modality", "still"), [("rgb", ["dz"]), ("depth", ["u", "v", "track_x", "track_y"])]
)
def test_a_modality_shows_its_own_motion_alone(settings, modality, still):
    nodes = make(draw_parts(0, settings, modality))
    for name in FEATURES[3:]:
        assert nodes[:, FEATURES.index(name)].any() == (name not in still)


def test_places_are_centred_and_within_one_radius(settings):
    place = make(draw_parts(0, settings, "rgb"))[:, :3]
    np.testing.assert_allclose(place.mean(axis=0), 0, atol=1e-6)
    assert np.linalg.norm(place, axis=1).max() == pytest.approx(1)


def test_a_face_at_rest_is_at_rest(settings):
    parts = draw_parts(0, settings, "rgb")
    parts.motion["flow"][:] = 0
    parts.motion["head"][:] = 0
    parts.crops["landmarks"][1] = parts.crops["landmarks"][0]
    assert not make(parts)[:, 3:].any()


def test_a_mirror_swaps_sides_and_turns_sideways_motion(settings):
    nodes = torch.from_numpy(make(draw_parts(0, settings, "fused")))[None]
    flipped = LandmarkGraph().augment(
        (nodes,), (FEATURES,), Augmentation(flip=1, **OFF), [torch.Generator()]
    )[0]
    for node, twin in enumerate(list_mirrored()):
        expected = nodes[0, twin] * torch.tensor([-1, 1, 1, -1, 1, 1, -1, 1.0])
        assert torch.equal(flipped[0, node], expected)


def test_depth_that_is_not_there_is_named(settings):
    parts = draw_parts(0, settings, "rgb")._replace(modality="fused")
    with pytest.raises(InputError, match="drawn_0 has no depth"):
        make(parts)


def test_landmarks_that_are_no_numbers_are_refused(settings):
    parts = draw_parts(0, settings, "rgb")
    parts.crops["landmarks"][1, 5, 0] = np.nan
    with pytest.raises(InputError, match="drawn_0 has landmarks that are no finite numbers"):
        make(parts)
