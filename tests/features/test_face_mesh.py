"""The mesh of the landmarks: an undirected graph, and mirror images that lie where a mirror puts them."""

import numpy as np

from merec.features.face_mesh import LANDMARKS, list_edges, list_mirrored, list_triangles
from merec.features.regions import MIRRORED, POINTS_68


def test_every_edge_has_its_reverse_and_comes_once():
    edges = set(map(tuple, list_edges().T.tolist()))
    assert len(edges) == list_edges().shape[1]
    assert {(b, a) for a, b in edges} == edges
    assert {a for a, _ in edges} == set(range(LANDMARKS))


def test_the_mesh_is_a_disc_with_holes_for_eyes_and_mouth():
    # Euler's characteristic of a surface: vertices less edges plus faces; a disc has 1, each hole takes one.
    edges = list_edges().shape[1] // 2
    assert LANDMARKS - edges + len(list_triangles()) == 1 - 3


def test_two_mirrors_are_none():
    mirrored = list_mirrored()
    assert [mirrored[place] for place in mirrored] == list(range(LANDMARKS))


def test_the_mirror_agrees_with_the_regions_numbering():
    # Corners of eyes and mouth, tips of nose and chin in the usual 68 points.
    pairs = {36: 45, 39: 42, 48: 54, 17: 26, 21: 22, 8: 8, 30: 30, 0: 16}
    mirrored = list_mirrored()
    for left, right in pairs.items():
        assert mirrored[POINTS_68[left]] == POINTS_68[right]
    assert len(MIRRORED) == 8


def test_a_mirrored_landmark_lies_where_the_mirror_puts_it(takes):
    face = takes["head"].landmarks[0][:LANDMARKS, :2]
    eyes = face[133] - face[33] + face[263] - face[362]
    turn = np.arctan2(eyes[1], eyes[0])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    upright = (face - face.mean(axis=0)) @ rotation
    image = upright * (-1, 1)
    apart = np.linalg.norm(upright[33] - upright[263])
    error = np.linalg.norm(image - upright[list(list_mirrored())], axis=1) / apart
    assert np.median(error) < 0.1
    nearest = np.linalg.norm(image[:, None] - upright[None], axis=2).min(axis=1) / apart
    assert np.median(error - nearest) < 0.05
