"""Key frames are shifted for those tested, not for those trained on, and only onto frames that there are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from merec.config import build, compose_node
from merec.datamodules import ClipDataModule, Jitter
from merec.datamodules.jitter import shift_key_frames, shift_pair
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.splits import leave_one_subject_out
from merec.features.prepare import FeatureStore, Loaded
from merec.features.representations import Representation
from merec.provenance import describe_environment
from merec.types import Corpus, Frames

WHOLE = np.arange(10, 31)


# Which frames


@pytest.mark.parametrize("onset_shift", range(-8, 9, 2))
@pytest.mark.parametrize("apex_shift", range(-8, 9, 2))
def test_frames_go_as_far_as_asked_and_no_further(onset_shift, apex_shift):
    rng = np.random.default_rng(0)
    jitter = Jitter(onset_shift, apex_shift)
    for _ in range(30):
        numbers = np.sort(rng.choice(40, rng.integers(2, 30), replace=False))
        onset, apex = np.sort(rng.choice(numbers, 2, replace=False)).tolist()
        new_onset, new_apex = shift_pair(onset, apex, jitter, numbers)
        assert new_onset < new_apex
        assert {new_onset, new_apex} <= set(numbers.tolist())
        for new, old, asked in ((new_onset, onset, onset_shift), (new_apex, apex, apex_shift)):
            assert min(0, asked) <= new - old <= max(0, asked)
        free = {onset + onset_shift, apex + apex_shift} <= set(numbers.tolist())
        if free and onset + onset_shift < apex + apex_shift:
            assert (new_onset, new_apex) == (onset + onset_shift, apex + apex_shift)


@pytest.mark.parametrize(
    ("jitter", "numbers", "expected"),
    [
        ((0, 2), WHOLE, (12, 20)),
        ((3, -1), WHOLE, (15, 17)),
        ((-6, 0), WHOLE, (10, 18)),  # the clip begins at 10
        ((0, 40), WHOLE, (12, 30)),  # and ends at 30
        ((0, -6), WHOLE, (12, 13)),  # the apex stays behind the onset
        ((6, 0), WHOLE, (17, 18)),  # the onset before the apex
        ((9, 9), WHOLE, (21, 27)),  # both go on together
        ((5, -5), WHOLE, (17, 18)),
        ((0, 3), np.array([12, 18, 20, 24]), (12, 20)),  # key frames: the nearest on the way
        ((0, 1), np.array([12, 18, 20, 24]), (12, 18)),
    ],
)
def test_known_shifts(jitter, numbers, expected):
    assert shift_pair(12, 18, Jitter(*jitter), numbers) == expected


def test_a_sample_without_motion_is_left_where_nothing_else_lies_on_disk():
    assert shift_pair(12, 12, Jitter(1, 1), np.array([12])) == (12, 12)


def test_what_is_no_number_of_frames_is_refused():
    with pytest.raises(InputError, match="apex=True is no whole number of frames"):
        Jitter(0, True)


# Who sees them


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Twelve samples of three subjects, each in a clip of 20 frames whose files are empty."""
    rows = []
    for number in range(12):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        for frame in range(20):
            (folder / f"{frame}.jpg").touch()
        frames = Frames(folder, "{}.jpg")
        rows.append((f"{number:02d}", "made", f"s{number % 3}", f"{number}", number % 2))
        rows[-1] += (5, 10, frames, None)
    names = ["sample_id", "corpus", "subject", "clip", "label", "onset", "apex", "color", "depth"]
    index = pd.DataFrame(rows, columns=names)
    return Corpus(describe_protocol("made", index, ("a", "b")), index, None, ())


class Numbered(FeatureStore):
    """Features that are the frame numbers they were made of; some samples are lost off their key frames."""

    def __init__(self, lost: tuple[int, ...] = ()):
        self.lost = lost

    def load(
        self, corpus: Corpus, representation: Representation, modality: str, views=None
    ) -> Loaded:
        pairs = corpus.index[["onset", "apex"]].to_numpy()
        rows = np.arange(len(pairs))
        if (pairs != [5, 10]).any():
            rows = np.setdiff1d(rows, self.lost)
        shape = {"flow_map": (3, 28, 28), "views": (3, 8, 8), "clip": (3, 2, 8, 8)}[
            representation.name
        ]
        made = np.broadcast_to(
            pairs[rows].sum(1).reshape(-1, *[1] * len(shape)), (len(rows), *shape)
        )
        kind = np.uint8 if representation.stretched else np.float32
        arrays = {name: made.astype(kind) for name in representation.arrays}
        return Loaded(rows, arrays, "no face is found" if len(rows) < len(pairs) else "")


def show(corpus: Corpus, kind: str = "flow_map", store: FeatureStore | None = None, **changes):
    settings = {
        "channels": None,
        "scaling": "standard",
        "batch_size": 4,
        "num_workers": 0,
        "seed": 0,
        "features": store or Numbered(),
    }
    return ClipDataModule(corpus, "rgb", kind, **(settings | changes))


def hold_out(data: ClipDataModule) -> ClipDataModule:
    fold = leave_one_subject_out(data.subject)[0]
    return data.hold_out(fold.train, fold.test, fold.held_out)


def collect(batches) -> np.ndarray:
    views = [b.inputs if isinstance(b.inputs, tuple) else (b.inputs,) for b in batches]
    return torch.cat([torch.cat([view.flatten(1) for view in of], 1) for of in views]).numpy()


@pytest.mark.parametrize("kind", ["flow_map", "views", "clip"])
def test_training_sees_annotated_key_frames_and_the_test_shifted_ones(corpus, kind):
    plain = hold_out(show(corpus, kind, scaling="raw"))
    off = hold_out(show(corpus, kind, scaling="raw", jitter=Jitter(1, 4)))
    assert set(collect(off.train_dataloader()).ravel()) == {15}
    assert set(collect(off.predict_dataloader()).ravel()) == {20}
    np.testing.assert_array_equal(
        collect(off.train_dataloader()), collect(plain.train_dataloader())
    )
    # What is chosen while training is chosen on annotated ones, too.
    assert set(collect(hold_out(off.annotated).predict_dataloader()).ravel()) == {15}
    assert set(collect(off.predict_dataloader()).ravel()) == {20}


def test_baselines_are_given_both(corpus):
    data = show(corpus, jitter=Jitter(0, 3))
    assert np.unique(data.sample_inputs.maps).tolist() == [15]
    assert np.unique(data.sample_inputs.tested_maps).tolist() == [18]
    same = show(corpus, jitter=Jitter(0, 0))
    assert same.sample_inputs.tested_maps is same.sample_inputs.maps
    assert same.shifts is None


def test_the_scale_is_that_of_annotated_key_frames(corpus):
    plain, off = (hold_out(show(corpus, jitter=jitter)) for jitter in (None, Jitter(0, 3)))
    for a, b in zip(plain.scales, off.scales, strict=True):
        assert torch.equal(a.zero, b.zero)
        assert torch.equal(a.one, b.one)


def test_a_run_notices_other_shifts(corpus):
    output = [show(corpus, jitter=jitter) for jitter in (None, Jitter(0, 1), Jitter(0, 2))]
    config = {"name": "made", "task": {}}
    hashes = {
        describe_environment(config, [data], [], corpus.protocol)["content"] for data in output
    }
    assert len(hashes) == 3


def test_shifts_are_told_of_each_sample_and_what_was_clamped(corpus):
    table = show(corpus, jitter=Jitter(0, 12)).shifts
    assert table["sample_id"].tolist() == corpus.index["sample_id"].tolist()
    assert set(table["apex_shift"]) == {9}
    assert set(table["onset_shift"]) == {0}
    assert table["clamped"].all()
    assert not show(corpus, jitter=Jitter(2, 9)).shifts["clamped"].any()


def test_another_corpus_shown_alike_has_its_key_frames_as_annotated(corpus):
    data = show(corpus, jitter=Jitter(0, 3)).of(corpus)
    assert data.shifts is None
    assert np.unique(data.sample_inputs.tested_maps).tolist() == [15]


# What is refused


def test_samples_that_cannot_be_shown_off_their_key_frames_are_no_easier_test(corpus):
    with pytest.raises(InputError, match=r"1 of 12 .*\(07\): no face .*corpus.exclude"):
        show(corpus, store=Numbered(lost=(7,)), jitter=Jitter(0, 3))


def test_pairs_of_frames_leave_nowhere_to_shift(corpus):
    made = replace(corpus, key_frames=("onset", "apex"))
    with pytest.raises(InputError, match="only onset and apex lie on disk; set both to 0"):
        show(made, jitter=Jitter(0, 3))


def test_flow_maps_have_no_key_frames_to_shift(corpus):
    bare = corpus.index.drop(columns=["onset", "apex", "color"])
    maps = np.zeros((12, 3, 28, 28), np.uint8)
    made = replace(corpus, index=bare, flow_maps=maps, channels=("u", "v", "strain"))
    with pytest.raises(InputError, match="flow maps and no frames; set both to 0"):
        show(made, jitter=Jitter(0, 1))
    assert show(made, jitter=Jitter(0, 0)).shifts is None


# With real features


def test_shifted_features_are_those_of_the_frames_shifted_to_and_collide_with_no_others(
    rendered, find_local, tmp_path
):
    find_local("face_landmarker")
    corpus = build(compose_node("corpus", ["corpus=synthetic"]), root=str(rendered))
    store = build(compose_node("features", []), root=str(tmp_path / "store"))
    annotated = show(corpus, store=store)
    off = show(corpus, store=store, jitter=Jitter(0, 3))
    moved, shifts = shift_key_frames(corpus, Jitter(0, 3))
    assert (shifts["apex_shift"] > 0).any()
    fresh = build(compose_node("features", []), root=str(tmp_path / "fresh"))
    np.testing.assert_array_equal(
        off.sample_inputs.tested_maps, show(moved, store=fresh).sample_inputs.maps
    )
    np.testing.assert_array_equal(off.sample_inputs.maps, annotated.sample_inputs.maps)
    np.testing.assert_array_equal(
        show(corpus, store=store).sample_inputs.maps, annotated.sample_inputs.maps
    )
    changed = (off.sample_inputs.tested_maps != off.sample_inputs.maps).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, shifts["apex_shift"] > 0)
