"""Pairs of unlabelled clips: of one window each, from its least expressive frame, made once."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from merec.config import build, compose_node
from merec.errors import InputError
from merec.features import FeatureStore
from merec.features import unlabelled_pairs as pool_module
from merec.features.faces import FaceFinder
from merec.features.intensity import measure_intensity, read_action_units
from merec.features.representations import open_representation
from merec.features.settings import PoolSettings
from merec.features.unlabelled_pairs import Clip, choose_windows
from merec.types import Corpus, Frames

CLIP = Clip("c", tuple(range(100, 400)), 30.0, Frames(Path(), "{}.jpg"))


def settings(windows: int = 4, seconds: float = 1.0, step: int = 5) -> PoolSettings:
    return PoolSettings(windows, seconds, step, "motion")


@pytest.fixture(scope="module")
def corpus(rendered: Path, find_local) -> Corpus:
    """The rendered clips as if nobody had labelled them."""
    find_local("face_landmarker")
    corpus = build(compose_node("corpus", ["corpus=synthetic"]), root=str(rendered))
    clips = corpus.index.drop_duplicates(["subject", "clip"])
    clips = clips.assign(clip_id=clips["subject"] + "/" + clips["clip"])
    columns = ["clip_id", "corpus", "subject", "clip", "fps", "color", "depth"]
    return replace(corpus, unlabelled=clips[columns].reset_index(drop=True))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    overrides = ["features.pool.step=2", "features.pool.seconds=60"]
    root = tmp_path_factory.mktemp("pool")
    return build(compose_node("features", overrides), root=str(root))


@pytest.fixture(scope="module")
def pool(corpus: Corpus, store: FeatureStore) -> Corpus:
    return store.make_pool(corpus, 1)


def test_windows_are_as_long_as_asked_and_spread_over_the_clip():
    windows = choose_windows(CLIP, settings())
    assert [len(window) for window in windows] == [31] * 4
    assert (windows[0][0], windows[-1][-1]) == (100, 399)
    gaps = np.diff([window[0] for window in windows])
    assert gaps.min() > 30  # none overlaps the next
    assert np.ptp(gaps) <= 1


@pytest.mark.parametrize(("frames", "expected"), [(62, 2), (61, 1), (31, 1), (2, 1), (1, 0)])
def test_a_short_clip_has_fewer_windows(frames, expected):
    clip = CLIP._replace(numbers=tuple(range(frames)))
    assert len(choose_windows(clip, settings())) == expected


def test_a_window_holds_the_frames_that_are_there():
    clip = CLIP._replace(numbers=(0, 2, 4, 40))
    assert choose_windows(clip, settings(windows=1)) == [(0, 2, 4)]


def test_each_pair_begins_with_the_least_expressive_frame_of_its_clip(corpus, store, pool):
    with FaceFinder(store.store) as faces:
        for _, clip in corpus.unlabelled.iterrows():
            numbers = clip["color"].numbers()
            files = [clip["color"].path(number) for number in numbers]
            output = [
                sum(read_action_units(faces.find(file, file.read_bytes()).blendshapes).values())
                for file in files
            ]
            rows = pool.index[pool.index["clip_id"] == clip["clip_id"]]
            onset = numbers[int(np.argmin(output))]
            assert set(rows["onset"]) == {onset}
            assert sorted(rows["apex"]) == [n for n in numbers[::2] if n != onset]


def test_intensity_is_that_of_the_pair_which_loads_like_any_sample(store, pool):
    in_colour = replace(pool, index=pool.index.assign(depth=None))
    for row in range(0, len(pool.index), 3):
        arrays = store.load_sample(in_colour, row)
        assert pool.index["intensity"][row] == measure_intensity("motion", arrays, arrays)
    loaded = store.load(pool, open_representation("views"), "fused")
    assert loaded.rows.tolist() == list(range(len(pool.index)))
    assert loaded.arrays["second"].shape[1:] == (1, 224, 224)
    assert pool.index["sample_id"].is_unique


def test_a_second_call_reads_a_table_and_finds_the_same(corpus, store, pool, monkeypatch):
    monkeypatch.setattr(pool_module, "_pair_up", None)  # whoever calls it fails
    again = store.make_pool(corpus, 1)
    assert again.protocol == pool.protocol
    pd.testing.assert_frame_equal(again.index, pool.index)


def test_a_frame_is_looked_at_once_for_all_pairs(corpus, tmp_path, monkeypatch):
    looked: Counter[Path] = Counter()
    original = pool_module.FaceFinder._look

    def count(self, file, content, frame):
        looked[file] += 1
        return original(self, file, content, frame)

    monkeypatch.setattr(pool_module.FaceFinder, "_look", count)
    one = replace(corpus, unlabelled=corpus.unlabelled.head(1))
    build(compose_node("features", []), root=str(tmp_path)).make_pool(one, 1)
    assert set(looked.values()) == {1}


def test_a_damaged_frame_leaves_the_others_and_is_told(corpus, tmp_path, caplog):
    clip = corpus.unlabelled.iloc[[0]].copy()
    frames = clip["color"].iloc[0]
    folder = tmp_path / "color"
    folder.mkdir()
    for number in frames.numbers():
        folder.joinpath(f"{number}.jpg").write_bytes(frames.path(number).read_bytes())
    bad = folder / f"{frames.numbers()[1]}.jpg"
    bad.write_bytes(b"no picture")
    clip["color"], clip["depth"] = [Frames(folder, "{}.jpg")], None
    node = compose_node("features", ["features.pool.step=1"])
    actual = build(node, root=str(tmp_path / "store")).make_pool(
        replace(corpus, unlabelled=clip), 1
    )
    assert int(bad.stem) not in {*actual.index["onset"], *actual.index["apex"]}
    assert len(actual.index) >= 2
    assert "1 frames or pairs" in caplog.text
    assert "is no image" in caplog.text


@pytest.mark.parametrize("clips", [None, pd.DataFrame()])
def test_without_clips_the_remedy_is_named(corpus, store, clips):
    with pytest.raises(InputError, match=r"no unlabelled clips .*corpus\.unlabelled"):
        store.make_pool(replace(corpus, unlabelled=clips), 1)


def test_a_setting_of_the_pool_that_makes_no_sense_is_refused(tmp_path):
    for override in ("windows=0", "seconds=0", "step=0", "intensity=luck"):
        with pytest.raises(InputError, match=rf"features\.pool\.{override}"):
            build(compose_node("features", [f"features.pool.{override}"]), root=str(tmp_path))
