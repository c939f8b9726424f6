"""The regions hold the parts of the face they are named after; left is the image's left."""

import numpy as np
import pytest

from merec.features.alignment import align_face
from merec.features.regions import MIRRORED, REGIONS, Masks, draw_regions
from merec.synthetic.ground_truth import is_visible, project

SIZE = 224
# Boxes around parts of the reference head, mm: x towards the subject's left, which is the image's right, and
# y up; and the region that holds them.
PARTS = {
    "brow on the image's left": ((-60, -12), (742, 750), 0),
    "brow on the image's right": ((12, 60), (742, 750), 1),
    "cheek on the image's left": ((-50, -35), (684, 700), 2),
    "cheek on the image's right": ((35, 50), (684, 700), 3),
    "beside the mouth, image's left": ((-36, -26), (649, 665), 4),
    "beside the mouth, image's right": ((26, 36), (649, 665), 5),
    "chin": ((-10, 10), (622, 638), 6),
    "lips": ((-12, 12), (655, 667), 7),
}
# Landmarks and those that take their place in a mirror: eyes, mouth, brow, jaw, nose.
PAIRS = {33: 263, 133: 362, 61: 291, 70: 300, 234: 454, 172: 397, 148: 377, 84: 314, 98: 327}


def crop(take) -> tuple[np.ndarray, Masks]:
    alignment = align_face(take.landmarks[0], SIZE, 0.05)
    points = alignment.to_crop(take.landmarks[0][:, :2])
    return points, draw_regions(points, SIZE, True)


@pytest.mark.parametrize("part", PARTS)
def test_a_region_holds_the_vertices_it_is_named_after(takes, head, part):
    take = takes["brow"]
    (left, right), (low, high), region = PARTS[part]
    x, y, z = head.vertices.T
    chosen = (x > left) & (x < right) & (y > low) & (y < high) & (z > 100)  # not the back
    chosen &= is_visible(take.onset, take.depth[0], take.camera, 3.0)
    assert chosen.sum() >= 5
    px = align_face(take.landmarks[0], SIZE, 0.05).to_crop(project(take.onset, take.camera)[chosen])
    column, row = np.rint(px).astype(int).T
    _, masks = crop(take)
    inside = masks.regions[:, row, column].mean(axis=1)
    assert inside[region] > 0.9, dict(zip(REGIONS, inside, strict=True))
    rest = [number for number in range(8) if number != region]
    assert inside[rest].max() < 0.5


def test_the_regions_of_a_mirrored_face_are_the_mirrored_regions(takes):
    points, masks = crop(takes["brow"])
    # A face that is its own mirror image, from one that nearly is.
    partner = pair_landmarks(points)
    mirrored = np.column_stack([SIZE - 1 - points[partner, 0], points[partner, 1]])
    again = draw_regions(mirrored, SIZE, True)
    for number, other in enumerate(MIRRORED):
        one, two = masks.regions[number][:, ::-1], again.regions[other]
        overlap = (one & two).sum() / (one | two).sum()
        assert overlap > 0.95, REGIONS[number]


def pair_landmarks(points: np.ndarray) -> np.ndarray:
    """For each landmark the one that takes its place in a mirror: the nearest to its mirror image."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    middle = points[[10, 152, 168, 1], 0].mean()
    mirror = np.column_stack([2 * middle - points[:, 0], points[:, 1]])
    partner = linear_sum_assignment(cdist(mirror, points) ** 2)[1]
    assert {int(partner[one]) for one in PAIRS} == set(PAIRS.values())
    return partner


BROWS = (
    (70, 63, 105, 66, 107),
    (336, 296, 334, 293, 300),
)  # upper edges, outer to inner end and back
UPPER_LIDS = ((160, 159, 158), (385, 386, 387))


@pytest.mark.parametrize("blinks", [True, False])
def test_eye_and_brow_regions_hold_no_forehead_and_no_eye(takes, blinks):
    """They begin at the brow's highest point; little of them is above the brow's slopes on either side."""
    for take in takes.values():
        points, _ = crop(take)
        regions = draw_regions(points, SIZE, blinks).regions
        column, row = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
        for region, brow, lid in zip(regions[:2], BROWS, UPPER_LIDS, strict=True):
            edge = points[list(brow)]
            assert not (region & (row < edge[:, 1].min() - 2)).any()
            order = np.argsort(edge[:, 0])
            above = region & (row < np.interp(column, edge[order, 0], edge[order, 1]))
            assert above.sum() < 0.2 * region.sum()
            assert not (region & (row >= points[list(lid), 1].min())).any()


def test_blinks_are_left_out_if_so_asked(takes):
    points, without = crop(takes["brow"])
    with_ = draw_regions(points, SIZE, False)
    for eye in (
        points[[159, 145, 33, 133]].mean(axis=0),
        points[[386, 374, 362, 263]].mean(axis=0),
    ):
        column, row = np.rint(eye).astype(int)
        assert not without.face[row, column]
        assert with_.face[row, column]
    assert not (without.face & ~with_.face).any()
    assert not (without.regions & ~without.face).any()


def test_no_region_is_empty_and_rigid_skin_is_away_from_eyes_and_mouth(takes):
    for take in takes.values():
        points, masks = crop(take)
        assert masks.regions.any(axis=(1, 2)).all()
        for landmark in (13, 14, 61, 291, 159, 386):
            column, row = np.rint(points[landmark]).astype(int)
            assert not masks.rigid[row, column]
        assert masks.rigid.sum() > 0.2 * masks.face.sum()


@pytest.mark.parametrize("factor", [0.5, 2])
def test_regions_grow_with_the_crop(takes, factor):
    points, masks = crop(takes["brow"])
    other = draw_regions(factor * points, int(factor * SIZE), True)
    share = other.regions.sum(axis=(1, 2)) / masks.regions.sum(axis=(1, 2)) / factor**2
    np.testing.assert_allclose(share, 1, atol=0.08)  # a row of a brow at half the size
