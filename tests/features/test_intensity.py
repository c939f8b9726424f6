"""A pair's intensity: of what moves, where it moves, and not of a head that only turns."""

from pathlib import Path

import numpy as np
import pytest

from merec.features.intensity import (
    ESTIMATORS,
    estimate_by_blendshapes,
    estimate_by_motion,
    measure_intensity,
    read_action_units,
)
from merec.features.landmarks import BLENDSHAPES, FaceLandmarker
from merec.features.regions import REGIONS

SIZE = 100
LEFT, RIGHT = (33, 133), (362, 263)


def make_arrays(flow: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A face with 50 px between its eyes and eight regions in a row."""
    landmarks = np.zeros((2, 478, 3), np.float32)
    landmarks[:, LEFT] = (25, 40, 0)
    landmarks[:, RIGHT] = (75, 40, 0)
    regions = np.zeros((8, SIZE, SIZE), bool)
    for number, region in enumerate(regions):
        region[number * 10 : number * 10 + 10] = True
    crops = {"landmarks": landmarks, "blendshapes": np.zeros((2, len(BLENDSHAPES)), np.float32)}
    return crops, {"flow": flow.astype(np.float16), "regions": regions}


def test_a_region_that_moves_by_a_hundredth_of_the_distance_of_the_eyes_has_one():
    flow = np.zeros((SIZE, SIZE, 2))
    flow[40:50] = (0.3, -0.4)  # the fifth region, by half a px of 50
    actual = estimate_by_motion(*make_arrays(flow))
    assert list(actual) == list(REGIONS)
    assert actual.pop("left mouth corner") == pytest.approx(1.0, rel=1e-3)
    assert set(actual.values()) == {0.0}


def test_a_speck_is_no_motion_and_an_empty_region_has_none():
    flow = np.zeros((SIZE, SIZE, 2))
    flow[2, :50] = 5.0  # 5 % of the first region
    crops, motion = make_arrays(flow)
    motion["regions"][3] = False
    assert set(estimate_by_motion(crops, motion).values()) == {0.0}


def test_intensity_does_not_depend_on_the_size_of_the_crop():
    flow = np.random.default_rng(0).normal(size=(SIZE, SIZE, 2)).round(2)
    crops, motion = make_arrays(flow)
    doubled = {
        "flow": 2 * motion["flow"].repeat(2, 0).repeat(2, 1),
        "regions": motion["regions"].repeat(2, 1).repeat(2, 2),
    }
    larger = {**crops, "landmarks": 2 * crops["landmarks"]}
    once, twice = estimate_by_motion(crops, motion), estimate_by_motion(larger, doubled)
    assert list(once.values()) == pytest.approx(list(twice.values()), rel=0.01)


def test_the_stronger_side_of_a_blendshape_counts_and_a_blink_does_not():
    scores = dict.fromkeys(BLENDSHAPES, 0.0)
    scores |= {"mouthSmileLeft": 0.2, "mouthSmileRight": 0.5, "eyeBlinkLeft": 0.9, "jawOpen": 0.1}
    output = {unit: score for unit, score in read_action_units(scores).items() if score}
    assert output == {"AU12": 0.5, "AU26": 0.1}


def test_blendshapes_tell_what_grew_from_onset_to_apex():
    crops, motion = make_arrays(np.zeros((SIZE, SIZE, 2)))
    at = BLENDSHAPES.index("browInnerUp")
    crops["blendshapes"][0, at], crops["blendshapes"][1, at] = 0.1, 0.4
    assert estimate_by_blendshapes(crops, motion)["AU1"] == pytest.approx(0.3)
    assert measure_intensity("blendshapes", crops, motion) == pytest.approx(0.3)


def test_the_names_are_the_landmarkers_own(rendered_faces, find_local):
    find_local("face_landmarker")
    with FaceLandmarker() as landmarker:
        face = landmarker.find(rendered_faces[0])
    assert face is not None
    assert sorted(face.blendshapes) == list(BLENDSHAPES)


@pytest.mark.slow
def test_motion_ranks_rendered_pairs_as_the_truth_does(tmp_path: Path, find_local):
    """Intensities in 24 clips of 8 people; the truth is the largest change of an action unit."""
    find_local("face_landmarker")
    from scipy.stats import spearmanr

    from merec.config import build, compose_node
    from merec.synthetic.settings import RenderSettings
    from merec.synthetic.synthesize import synthesize

    node = compose_node("corpus", ["corpus=synthetic"])
    few = {"subjects": 8, "samples": 1, "unlabelled": 24}
    synthesize(tmp_path / "corpus", RenderSettings(**{**node["render"], **few}), -1)
    corpus = build(node, root=str(tmp_path / "corpus"))
    rank = {}
    for name in ESTIMATORS:
        node = compose_node("features", [f"features.pool.intensity={name}"])
        pairs = build(node, root=str(tmp_path / "store")).make_pool(corpus).index
        frames = pairs[["clip_id", "onset", "apex"]].itertuples(index=False)
        true = [_change(tmp_path / "corpus", *pair) for pair in frames]
        rank[name] = spearmanr(true, pairs["intensity"])[0]
    assert rank["motion"] > 0.55
    assert rank["motion"] > rank["blendshapes"] + 0.2


def _change(root: Path, clip_id: str, onset: int, apex: int) -> float:
    truth = np.load(root / "truth" / f"{clip_id.replace('/', '_')}.npz")
    at = [truth["numbers"].tolist().index(number) for number in (onset, apex)]
    before, after = truth["intensities"][at]
    return float(np.abs(after - before).max(initial=0))
