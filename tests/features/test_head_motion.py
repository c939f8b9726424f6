"""Flow follows the face, head motion is taken out, depth change is that of the skin."""

import numpy as np
import pytest

from merec.errors import InputError
from merec.features.alignment import Alignment, align_face
from merec.features.depth_change import measure_depth_change
from merec.features.head_motion import estimate_head_motion, remove_head_depth
from merec.features.optical_flow import measure_flow
from merec.features.regions import draw_regions
from merec.features.settings import METHODS
from merec.synthetic.ground_truth import is_visible, project

SIZE = 224


def sample(field: np.ndarray, px: np.ndarray) -> np.ndarray:
    """Bilinear values of a field at some places (column, row)."""
    import cv2

    column, row = px.astype(np.float32).T[:, None]
    return cv2.remap(np.ascontiguousarray(field, np.float32), column, row, cv2.INTER_LINEAR)[0]


def align(take) -> Alignment:
    return align_face(take.landmarks[0], SIZE, 0.05)


def measure(take) -> tuple[np.ndarray, np.ndarray, np.ndarray, object]:
    """Flow with the head, flow without, relief, masks."""
    alignment = align(take)
    flow = measure_flow(*(alignment.crop_color(frame) for frame in take.color), "dis")
    masks = draw_regions(alignment.to_crop(take.landmarks[0][:, :2]), SIZE, True)
    depth, valid = alignment.crop_depth(take.depth[0])
    usual = np.median(depth[masks.face & valid])
    relief = np.where(valid & (np.abs(depth - usual) < 150), depth, usual)
    head = estimate_head_motion(flow, masks.rigid, relief)
    return flow, flow - head.flow, relief, masks


def see(take) -> tuple[np.ndarray, np.ndarray]:
    """Which vertices are seen well inside the crop, and where, px of the crop."""
    px = align(take).to_crop(project(take.onset, take.camera))
    inside = ((px > 2) & (px < SIZE - 3)).all(axis=1)
    return inside & is_visible(take.onset, take.depth[0], take.camera, 3.0), px


@pytest.mark.parametrize("name", ["brow", "smile"])
def test_flow_without_the_head_is_the_expression(takes, name):
    take = takes[name]
    _, flow, _, _ = measure(take)
    seen, px = see(take)
    shift = project(take.expressed, take.camera) - project(take.onset, take.camera)
    true = shift @ align(take).matrix[:, :2].T
    length = np.linalg.norm(true, axis=1)
    moved = seen & (length > 0.3 * length[seen].max())
    assert moved.sum() > 20
    actual = sample(flow, px[moved])
    dot = (actual * true[moved]).sum(axis=1)
    cosine = dot / (np.linalg.norm(actual, axis=1) * length[moved]).clip(1e-9)
    assert cosine.mean() >= 0.95
    assert 0.6 < dot.sum() / (length[moved] ** 2).sum() < 1.2


def test_of_a_head_that_only_moves_little_flow_is_left(takes):
    flow, left, _, masks = measure(takes["head"])
    raw = np.linalg.norm(flow[masks.face], axis=1).mean()
    assert raw > 0.7  # px
    assert np.linalg.norm(left[masks.face], axis=1).mean() <= 0.15 * raw


def test_a_smile_is_not_taken_for_the_head(takes):
    take = takes["smile"]
    with_head, without, _, masks = measure(take)
    seen, px = see(take)
    face = seen & (sample(masks.face, px) > 0.99)
    stayed = project(take.expressed, take.camera)
    true = ((project(take.apex, take.camera) - stayed) @ align(take).matrix[:, :2].T)[face]
    actual = sample(with_head - without, px)[face]
    off = np.linalg.norm(actual - true, axis=1).mean() / np.linalg.norm(true, axis=1).mean()
    assert off < 0.35  # a fit to all rigid skin, reweighted only, is off by .47


def test_the_head_moves_by_what_most_rigid_skin_agrees_on():
    rng = np.random.default_rng(0)
    column, row = np.meshgrid(*(np.linspace(-1, 1, 64),) * 2)
    relief = 10 * (column**2 + row**2)
    true = np.stack([2 + 0.3 * column - 0.1 * relief, -1 + 0.5 * row], axis=-1)
    flow = (true + rng.normal(0, 0.02, true.shape)).astype(np.float32)
    flow[40:] += (0.0, -2.0)  # 24 of 64 rows smile
    rigid = np.ones((64, 64), bool)
    head = estimate_head_motion(flow, rigid, relief)
    np.testing.assert_allclose(head.flow, true, atol=0.05)
    assert head.shift == pytest.approx(np.linalg.norm(true, axis=-1).mean(), abs=0.02)
    assert head.flow.tobytes() == estimate_head_motion(flow, rigid, relief).flow.tobytes()


def test_without_rigid_skin_nothing_is_the_head():
    flow = np.ones((16, 16, 2), np.float32)
    head = estimate_head_motion(flow, np.zeros((16, 16), bool), np.ones((16, 16)))
    assert not head.flow.any()
    assert head.shift == 0


@pytest.mark.parametrize("method", METHODS)
def test_flow_points_to_where_the_skin_went(method):
    import cv2

    rng = np.random.default_rng(0)
    blurred = cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), (0, 0), 2)
    onset = cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX)
    apex = np.roll(onset, (-1, 2), axis=(0, 1))
    flow = measure_flow(onset, apex, method)[12:-12, 12:-12]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (2, -1), atol=0.3)


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="flow=raft is unknown; choose dis"):
        measure_flow(*np.zeros((2, 32, 32, 3), np.uint8), "raft")


def test_depth_change_is_looked_up_where_the_flow_goes():
    size = 12
    column, row = np.meshgrid(*(np.arange(size),) * 2)
    onset = (500 + 3 * column + 4 * row).astype(np.float32)
    apex = onset - 3 - 4 + 2  # the slope moved a px right and down, and 2 mm away
    has_depth = np.ones((size, size), bool)
    has_depth[2, 2] = False
    apex[4, 4] = 0
    apex[5, 5] += 40
    flow = np.ones((size, size, 2), np.float32)
    change, valid = measure_depth_change(onset, apex, has_depth, flow, 8)
    bad = np.zeros((size, size), bool)
    bad[2, 2] = bad[3, 3] = bad[4, 4] = True  # not known, a hole, too large a change
    bad[:, -1] = bad[-1] = True  # beyond the crop
    np.testing.assert_array_equal(valid, ~bad)
    assert (change[valid] == 2).all()
    assert (change[bad] == 0).all()


def test_depth_change_of_a_head_that_nods_is_removed_and_a_dent_stays():
    column, row = np.meshgrid(*(np.linspace(-1, 1, 48),) * 2)
    head = np.rint(1.5 + column - 2 * row).astype(np.float32)
    change = head.copy()
    change[10:20, 10:20] -= 4
    valid = np.ones((48, 48), bool)
    left = remove_head_depth(change, valid, valid)
    assert np.abs(left[30:]).max() < 1  # mm: half of it is rounding
    assert np.median(left[10:20, 10:20]) == pytest.approx(-4, abs=0.5)
