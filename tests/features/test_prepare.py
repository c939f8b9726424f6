"""A corpus becomes features once; what cannot be used has a row with its reason, and nothing is lost."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig

from merec.config import build, compose_node
from merec.errors import InputError
from merec.features import FeatureStore
from merec.features import faces as faces_module
from merec.features import sample as sample_module
from merec.features.representations import open_representation
from merec.features.sample import Sample
from merec.features.store import Store
from merec.types import Camera, Corpus

POINTS, MAPS, VIEWS, CLIP = (
    (open_representation(kind), "fused") for kind in ("points", "flow_map", "views", "clip")
)
ALL = [POINTS, MAPS, VIEWS, CLIP]


@cache  # composing takes longer than preparing a sample
def compose(group: str, *overrides: str) -> DictConfig:
    return compose_node(group, overrides)


def read(root: Path) -> Corpus:
    return build(compose("corpus", "corpus=synthetic"), root=str(root))


def make(root: Path, *overrides: str) -> FeatureStore:
    return build(compose("features", "features.points.k=64", *overrides), root=str(root))


@pytest.fixture(scope="module")
def corpus(rendered: Path, find_local) -> Corpus:
    find_local("face_landmarker")
    return read(rendered)


@pytest.fixture(scope="module")
def filled(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds the corpus; not to be written to."""
    root = tmp_path_factory.mktemp("store") / "features"
    table = make(root).prepare(corpus, 1, ALL)
    assert table["status"].eq("ready").all(), table["reason"].tolist()
    return root


@pytest.fixture
def root(filled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(filled, tmp_path / "features"))


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each stage was made."""
    made: Counter[str] = Counter()
    original = Sample._make

    def make_and_count(self, stage):
        made[stage.name] += 1
        return original(self, stage)

    monkeypatch.setattr(Sample, "_make", make_and_count)
    return made


@pytest.fixture
def copied(rendered: Path, tmp_path: Path) -> Corpus:
    """A corpus whose frames may be harmed."""
    return read(Path(shutil.copytree(rendered, tmp_path / "corpus")))


# What is made


def test_a_table_tells_of_every_sample_in_the_order_of_the_index(corpus, root):
    table = make(root).prepare(corpus, 1, ALL)
    assert table["sample_id"].tolist() == corpus.index["sample_id"].tolist()
    assert table.columns.tolist() == ["sample_id", "status", "reason", "shift", "short", "note"]
    assert (table["shift"] >= 0).all()
    assert (table["short"] >= 0).all()


@pytest.mark.parametrize("modality", ["rgb", "depth", "fused"])
def test_every_representation_has_the_promised_shape(corpus, root, modality):
    store, n = make(root), len(corpus.index)
    points = store.load(corpus, open_representation("points"), modality)
    assert points.rows.tolist() == [*range(n)]
    assert points.arrays["points"].shape == (n, 8, 64, 6)
    assert points.arrays["points"].dtype == np.float32
    maps = store.load(corpus, open_representation("flow_map"), modality)
    assert maps.arrays["maps"].shape == (n, 3, 28, 28)
    assert maps.arrays["maps"].dtype == np.uint8
    views = store.load(corpus, open_representation("views"), modality).arrays
    channels = {"rgb": (3, 3), "depth": (1, 1), "fused": (3, 1)}[modality]
    assert tuple(view.shape for view in views.values()) == tuple((n, c, 224, 224) for c in channels)
    assert all(np.isfinite(view).all() for view in views.values())
    clips = store.load(corpus, open_representation("clip"), modality).arrays["clips"]
    assert clips.shape == (n, {"rgb": 3, "depth": 2, "fused": 5}[modality], 8, 48, 48)
    assert clips.dtype == np.float32
    assert np.isfinite(clips).all()


def test_a_modality_shows_nothing_of_the_other(corpus, root):
    rgb = make(root).load(corpus, open_representation("points"), "rgb").arrays["points"]
    depth = make(root).load(corpus, open_representation("points"), "depth")
    assert np.ptp(rgb[..., 5]) == 0
    assert (depth.arrays["points"][..., 3:5] == 0).all()
    assert np.ptp(depth.arrays["points"][..., 5]) > 0


def test_a_sample_is_given_with_crops_and_motion(corpus, root):
    arrays = make(root).load_sample(corpus, 1)
    assert arrays["onset"].shape == (224, 224, 3)
    assert arrays["regions"].shape == (8, 224, 224)
    assert arrays["depth"].dtype == np.float32


def test_processes_make_the_same_as_one_does(corpus, root, tmp_path, read_bytes):
    make(tmp_path / "other").prepare(corpus, 2, ALL)
    for stage in (
        "crops",
        "motion",
        "depth",
        "scene",
        "points-fused",
        "flow_map-fused",
        "views-fused",
        "clip-fused",
    ):
        assert read_bytes(root / stage) == read_bytes(tmp_path / "other" / stage), stage


# What is made anew


def test_what_is_there_is_not_made_again(corpus, root, count):
    make(root).prepare(corpus, 1, ALL)
    make(root).load(corpus, *POINTS)
    assert not count


@pytest.mark.parametrize(
    ("override", "again"),
    [
        (
            "features.crops.size=112",
            {"crops", "depth", "motion", "scene", "points", "flow_map", "views", "clip"},
        ),
        ("features.motion.flow=farneback", {"motion", "scene", "points", "flow_map", "views"}),
        pytest.param("features.points.k=32", {"points"}, marks=pytest.mark.slow),
        pytest.param("features.difference=abs", {"views"}, marks=pytest.mark.slow),
        pytest.param("features.clip.frames=4", {"clip"}, marks=pytest.mark.slow),
    ],
)
def test_a_changed_parameter_makes_anew_only_what_depends_on_it(
    corpus, root, count, override, again
):
    make(root, override).prepare(corpus, 1, ALL)
    assert dict(count) == dict.fromkeys(again, len(corpus.index))


def test_a_changed_frame_makes_anew_its_own_sample_only(copied, root, count):
    file = copied.index["color"].iloc[0].path(int(copied.index["apex"].iloc[0]))
    image = cv2.imread(str(file))
    assert cv2.imwrite(str(file), cv2.add(image, 3))
    before = make(root).prepare(copied, 1, [POINTS])
    assert dict(count) == dict.fromkeys(("crops", "depth", "motion", "scene", "points"), 1)
    assert before["status"].eq("ready").all()


def test_a_changed_frame_between_onset_and_apex_makes_the_clip_anew_only(copied, root, count):
    row = copied.index.iloc[0]
    between = next(n for n in row["color"].numbers() if row["onset"] < n < row["apex"])
    before = make(root).load(copied, *CLIP).arrays["clips"]
    file = row["color"].path(between)
    assert cv2.imwrite(str(file), cv2.add(cv2.imread(str(file)), 9))
    after = make(root).load(copied, *CLIP).arrays["clips"]
    assert dict(count) == {"clip": 1}
    changed = (after != before).any(axis=(1, 3, 4))
    assert changed[0].any()
    assert not changed[0].all()
    assert not changed[1:].any()


def test_clips_are_made_only_when_they_are_asked_for(corpus, tmp_path, count):
    make(tmp_path).prepare(corpus, 1, [MAPS])
    assert set(count) == {"crops", "depth", "motion", "scene", "flow_map"}
    make(tmp_path).load(corpus, *CLIP)
    assert count["clip"] == len(corpus.index)


def test_a_clip_goes_to_the_offset_or_to_the_apex_if_that_is_unknown(corpus, root):
    index = corpus.index
    unknown = replace(corpus, index=index.assign(offset=pd.array([pd.NA] * len(index), "Int64")))
    at_apex = replace(corpus, index=index.assign(offset=index["apex"].astype("Int64")))
    whole, short, same = (
        make(root).load(entry, open_representation("clip"), "rgb").arrays["clips"]
        for entry in (corpus, unknown, at_apex)
    )
    np.testing.assert_array_equal(short, same)
    np.testing.assert_array_equal(whole[:, :, 0], short[:, :, 0])
    assert (whole[:, :, -1] != short[:, :, -1]).any(axis=(1, 2, 3)).all()


def test_a_damaged_file_of_the_store_is_made_anew(corpus, root, count):
    expected = make(root).load(corpus, *POINTS).arrays["points"]
    file = next((root / "points-fused").rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-7])
    np.testing.assert_array_equal(make(root).load(corpus, *POINTS).arrays["points"], expected)
    assert dict(count) == {"points": 1}


# What cannot be used


def spoil(corpus: Corpus, which: str, change, kind: str = "color") -> None:
    """Change an image of the first sample."""
    row = corpus.index.iloc[0]
    for name in which.split():
        file = row[kind].path(int(row[name]))
        image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert cv2.imwrite(str(file), change(image))


def cut(corpus: Corpus, kind: str, keep: float) -> None:
    row = corpus.index.iloc[0]
    file = row[kind].path(int(row["apex"]))
    content = file.read_bytes()
    file.write_bytes(content[: round(keep * len(content))])


def lose(corpus: Corpus) -> None:
    row = corpus.index.iloc[0]
    row["depth"].path(int(row["onset"])).unlink()


IN_DEPTH = {
    "empty",
    "hole",
    "metres",
    "8 bits",
    "channels",
    "depth size",
    "cut off depth",
    "missing",
}


def to_8_bit(image):
    return (image // 8).astype(np.uint8)


HARMS = {
    "no face": (lambda c: spoil(c, "onset", lambda i: i * 0 + 128), "no face is found"),
    "two faces": (lambda c: spoil(c, "onset apex", lambda i: np.hstack([i, i])), "2 faces"),
    "upside down": (
        lambda c: spoil(c, "onset apex", lambda i: i[::-1, ::-1]),
        "upside down",
    ),
    "on its side": (
        lambda c: spoil(c, "onset apex", lambda i: np.rot90(i)),
        "lies on its side",
    ),
    "tiny": (
        lambda c: spoil(c, "onset apex", lambda i: cv2.resize(i, (128, 96), interpolation=3)),
        "px wide, of which micro-expressions move hundredths; expected 48 px",
    ),
    "black": (lambda c: spoil(c, "apex", lambda i: i * 0), "is black"),
    "size": (lambda c: spoil(c, "apex", lambda i: i[:200]), "is 320×200 px, but its onset 320×240"),
    "empty": (lambda c: spoil(c, "apex", lambda i: i * 0, "depth"), "every depth is 0"),
    "hole": (lambda c: spoil(c, "apex", lambda i: i * (i > 1200), "depth"), "% of the face only"),
    "metres": (lambda c: spoil(c, "apex", lambda i: i // 500, "depth"), "expected a 16-bit PNG"),
    "8 bits": (lambda c: spoil(c, "onset", to_8_bit, "depth"), "uint8; expected a 16-bit PNG"),
    "channels": (
        lambda c: spoil(c, "onset", lambda i: np.dstack([to_8_bit(i)] * 3), "depth"),
        "3 channels; expected a 16-bit PNG",
    ),
    "depth size": (lambda c: spoil(c, "onset", lambda i: i[:200], "depth"), "its colour 320×240"),
    "cut off": (lambda c: cut(c, "color", 0.6), "cannot be decoded"),
    "cut off depth": (lambda c: cut(c, "depth", 0.6), "cannot be decoded"),
    "nothing": (lambda c: cut(c, "color", 0), "is no image"),
    "missing": (lose, "No such file"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_sample_that_cannot_be_used_has_a_reason_and_the_others_go_on(copied, root, harm):
    change, message = HARMS[harm]
    change(copied)
    table = make(root).prepare(copied, 1, [POINTS])
    status = "colour only" if harm in IN_DEPTH else "failed"
    assert table["status"].tolist() == [status] + ["ready"] * (len(table) - 1)
    reason = table["reason"].iloc[0]
    assert message in reason
    assert str(copied.index["color"].iloc[0].folder.parent) in reason
    assert "unexpected" not in reason
    loaded = make(root).load(copied, *POINTS)
    assert loaded.rows.tolist() == [*range(1, len(table))]
    assert len(loaded.arrays["points"]) == len(table) - 1


@pytest.mark.parametrize("kind", ["points", "flow_map", "views", "clip"])
def test_colour_alone_is_the_same_whatever_lies_beside_it_in_depth(corpus, copied, root, kind):
    whole = make(root).load(corpus, open_representation(kind), "rgb")
    lose(copied)
    spoil(copied, "apex", lambda image: image * 0, "depth")
    for row in (1, 2):
        copied.index["depth"].iloc[row].path(int(copied.index["apex"].iloc[row])).unlink()
    harmed = make(root).load(copied, open_representation(kind), "rgb")
    bare = make(root, "features.depth=false").load(corpus, open_representation(kind), "rgb")
    for other in (harmed, bare):
        assert (other.rows.tolist(), other.reason) == ([*range(len(corpus.index))], "")
        for name, array in whole.arrays.items():
            np.testing.assert_array_equal(array, other.arrays[name])


def change_depth(corpus: Corpus, change) -> None:
    """Features of all frames."""
    for folder in {depth.folder for depth in corpus.index["depth"]}:
        for file in folder.iterdir():
            cv2.imwrite(str(file), change(cv2.imread(str(file), cv2.IMREAD_UNCHANGED)))


UNITS = {
    4: r"eyes 3\d\d mm apart, expected 60 to 130; its unit looks like 0\.2\d mm",
    0.2: r"eyes 1\d mm apart, expected 60 to 130; its unit looks like 5\.\d mm",
}


@pytest.mark.parametrize("factor", [4, pytest.param(0.2, marks=pytest.mark.slow)])
def test_depth_of_another_unit_is_told_by_the_size_of_the_face(copied, tmp_path, factor):
    change_depth(copied, lambda depth: np.round(depth * factor).astype(np.uint16))
    store = make(tmp_path / "new")
    table = store.prepare(copied, 1, [POINTS])
    assert table["status"].eq("colour only").all()
    assert table["reason"].str.contains(UNITS[factor]).all(), table["reason"][0]
    with pytest.raises(InputError, match=f"no sample of .*{UNITS[factor]}"):
        store.load(copied, *MAPS)
    assert len(store.load(copied, MAPS[0], "rgb").rows) == len(table)
    unknown = replace(copied, camera=None)  # how large the face is cannot be known then
    assert len(store.load(unknown, *MAPS).rows) == len(table)


def test_mirrored_depth_is_noticed(copied, tmp_path):
    change_depth(copied, lambda depth: depth[:, ::-1])
    table = make(tmp_path / "new").prepare(copied, 1)
    assert table["status"].eq("colour only").all()
    assert table["reason"].str.contains("fits its colour better if it is mirrored").all()


def test_a_small_face_and_one_partly_outside_the_frame_are_told(copied, tmp_path, caplog):
    spoil(copied, "onset apex", lambda image: image[: 3 * len(image) // 5])
    for row in (1, 2, 3):
        for name in ("onset", "apex"):
            file = copied.index["color"].iloc[row].path(int(copied.index[name].iloc[row]))
            image = cv2.imread(str(file))
            cv2.imwrite(str(file), cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=3))
    store = make(tmp_path / "new", "features.depth=false")
    table = store.prepare(copied, 1)
    assert table["status"].eq("ready").all(), table["reason"][0]
    assert re.search(r"\d+% of the face's landmarks lie outside the frame", table["note"][0])
    assert table["note"][1:].str.contains(r"face is \d\d px wide; below 100 px").all()
    assert "landmarks lie outside" in store.load(copied, MAPS[0], "rgb").note


def test_every_kind_of_reason_is_counted(copied, root):
    lose(copied)
    for row, content in ((1, b""), (2, b"no picture")):
        number = int(copied.index["apex"].iloc[row])
        copied.index["depth"].iloc[row].path(number).write_bytes(content)
    loaded = make(root).load(copied, *POINTS)
    assert loaded.rows.tolist() == [3]
    assert re.search(r"^2 as .*is no image.*; 1 as .*No such file", loaded.reason), loaded.reason


def test_a_sample_whose_depth_is_broken_is_shown_in_colour(copied, root, caplog):
    lose(copied)
    arrays = make(root).load_sample(copied, 0)
    assert "flow" in arrays
    assert "dz" not in arrays
    assert "is shown in colour only" in caplog.text


def test_a_camera_that_is_no_number_is_a_reason(corpus, root):
    odd = replace(corpus, camera=Camera(float("nan"), 500.0, 160.0, 120.0, 320, 240))
    table = make(root).prepare(odd, 1, [POINTS])
    assert table["reason"].str.contains("no finite numbers; check corpus.intrinsics").all()


def test_a_camera_of_other_frames_is_a_reason(corpus, root):
    odd = replace(corpus, camera=Camera(500.0, 500.0, 320.0, 240.0, 640, 480))
    table = make(root).prepare(odd, 1, [POINTS])
    message = "frames of sample .* are 320×240 px, but corpus.intrinsics is of 640×480"
    assert table["reason"].str.contains(message).all()


def test_a_pipe_in_the_place_of_a_frame_is_not_waited_for(copied, root):
    row = copied.index.iloc[0]
    file = row["color"].path(int(row["apex"]))
    file.unlink()
    os.mkfifo(file)
    table = make(root).prepare(copied, 1, [POINTS])
    assert table["reason"].str.contains("is no file").tolist() == [True] + [False] * (
        len(table) - 1
    )


def test_a_corpus_of_which_nothing_can_be_used_is_refused_with_a_reason(copied, root):
    for file in copied.index["color"].iloc[0].folder.parents[2].rglob("*.jpg"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match=r"no sample of .* is no image"):
        make(root).load(copied, *POINTS)


def test_without_depth_only_colour_can_be_had(corpus, root):
    store = make(root, "features.depth=false")
    assert len(store.load(corpus, open_representation("flow_map"), "rgb").rows) == len(corpus.index)
    with pytest.raises(InputError, match=r"has no depth, .*datamodule=rgb"):
        store.load(corpus, *MAPS)


def test_an_error_of_the_code_fails_its_sample_and_is_not_remembered(corpus, root, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sample_module, "make_motion", lambda *_: {}["flow"])
        store = make(root, "features.motion.flow=farneback")
        with pytest.raises(InputError, match=r"unexpected KeyError .*please report it"):
            store.load(corpus, *MAPS)
    assert len(store.load(corpus, *MAPS).rows) == len(corpus.index)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("features.motion.flow=raft", r"features\.motion\.flow=raft is unknown; choose dis, tvl1"),
        ("features.points.k=0", r"features\.points\.k=0; expected a whole number from 1"),
        ("features.points.powers=[2,2]", r"features\.points\.powers=\[2, 2\]; expected three"),
        ("features.crops.size=big", r"features\.crops"),
        ("features.clip.frames=1", r"features\.clip\.frames=1; expected a whole number from 2"),
        ("features.clip.size=300", r"features\.clip\.size=300; expected up to the 224 px"),
        ("features.difference=plus", r"features\.difference=plus is unknown; choose signed"),
        ("+features.crops.sise=3", r"features\.crops has size, margin, sise; expected all of"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(tmp_path, override, message):
    with pytest.raises(InputError, match=message):
        make(tmp_path, override)


def test_what_there_is_not_is_refused_with_what_there_is(corpus, root):
    with pytest.raises(
        InputError, match=r"no points in modality thermal; modalities are rgb, depth"
    ):
        make(root).load(corpus, POINTS[0], "thermal")


def test_flow_maps_need_no_preparing(small_root, tmp_path):
    maps = ["corpus=megc2019_flow", f"corpus.root={small_root}", "corpus.expected=null"]
    with pytest.raises(InputError, match="has flow maps and no frames"):
        make(tmp_path).prepare(build(compose_node("corpus", maps)), 1)


# The disk, and others who write to it


def test_a_full_disk_stops_all_and_what_is_done_is_kept(corpus, tmp_path, monkeypatch, count):
    write, root = Path.write_bytes, tmp_path / "features"

    def fill(path: Path, content: bytes) -> int:
        if count["crops"] > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(InputError, match=r"No space left on device.*same command again"):
            make(root).prepare(corpus, 1)
    left = [file.name for file in root.rglob("*") if file.is_file()]
    assert left
    assert not [name for name in left if ".part" in name]
    count.clear()
    assert make(root).prepare(corpus, 1)["status"].eq("ready").all()
    assert count["crops"] == len(corpus.index) - 1


def test_without_a_model_nothing_is_made_and_no_sample_is_blamed(corpus, tmp_path, monkeypatch):
    def refuse() -> None:
        raise InputError("the model cannot be had; run make setup")

    monkeypatch.setattr(faces_module, "FaceLandmarker", refuse)
    with pytest.raises(InputError, match="the model cannot be had"):
        make(tmp_path).prepare(corpus, 1)


@pytest.mark.slow
def test_two_at_once_on_one_store_lose_nothing(rendered, filled, corpus, tmp_path):
    root, out = tmp_path / "features", [tmp_path / f"{number}.csv" for number in range(2)]
    command = [
        *(sys.executable, "-m", "merec", "prepare", "corpus=synthetic", f"corpus.root={rendered}"),
        *(f"features.root={root}", "features.points.k=64", "jobs=1"),
    ]
    runs = [subprocess.Popen([*command, f"out={file}"], stderr=subprocess.PIPE) for file in out]
    errors = [run.communicate()[1].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    assert errors == ["", ""]
    for stage in ("crops", "motion", "points-fused"):
        files = [{path.name for path in (at / stage).rglob("*")} for at in (filled, root)]
        assert files[0] == files[1]
    tables = [pd.read_csv(file) for file in out]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["status"].eq("ready").all()
    assert isinstance(make(root).store, Store)


# The verb


def test_the_verb_goes_on_unless_it_is_to_be_strict(merec, copied, root, tmp_path):
    HARMS["black"][0](copied)
    arguments = [
        *("prepare", "corpus=synthetic", f"corpus.root={tmp_path / 'corpus'}", "jobs=1"),
        *(f"features.root={root}", "features.points.k=64"),
    ]
    done = merec(*arguments)
    assert done.returncode == 0, done.stderr
    assert "3 of 4 samples are ready, 1 failed" in done.stdout
    assert "is black" in done.stdout
    table = pd.read_csv(tmp_path / "runs" / "prepare" / "synthetic.csv")
    assert table["status"].tolist() == ["failed", "ready", "ready", "ready"]
    strict = merec(*arguments, "strict=true", "out=null")
    assert strict.returncode == 1
    assert strict.stderr.startswith("merec: error: 1 of 4 samples cannot be used")
    for file in (tmp_path / "corpus").rglob("*.jpg"):
        file.write_bytes(b"no image")
    done = merec(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("merec: error: none of 4 samples can be used, spNO.1_a_")
    assert (done.stderr.count("\n"), ".jpg" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needs corpus=NAME"),
        (("corpus=synthetic", "job=2"), "did you mean jobs=?"),
        (("corpus=synthetic", "jobs=0"), "jobs=0 is not understood"),
        (("corpus=synthetic", "features.crop.size=2"), "features.crop"),
    ],
)
def test_a_misspelt_argument_is_answered_in_one_line(merec, arguments, message):
    done = merec("prepare", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_pairs_of_unlabelled_clips_are_made_by_one_option(merec, rendered, root, tmp_path):
    first = sorted(rendered.glob("spNO.*/*/color"))[0].parent
    shutil.copytree(rendered, tmp_path / "corpus")
    shutil.copytree(first, tmp_path / "corpus" / "Part_B" / first.parent.name / "u1")
    choice = ["corpus=synthetic", f"corpus.root={tmp_path / 'corpus'}", f"features.root={root}"]
    done = merec("prepare", *choice, "unlabelled=true", "features.pool.step=1", "jobs=1")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "runs" / "prepare" / "synthetic-unlabelled.csv")
    assert done.stdout.startswith(f"{len(table)} pairs of 1 subjects")
    assert f"{table['intensity'].max():.2f}" in done.stdout
    looked = merec("inspect", *choice, "unlabelled=true", "features.pool.step=1", "count=1")
    assert looked.returncode == 0, looked.stderr
    assert table["sample_id"][0] in Path(looked.stdout.strip()).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prepare", "out=file/x.csv"), "out=file cannot be written to"),
        (("prepare", "out=folder"), "out=folder is a folder"),
        (("inspect", "out=file"), "out=file cannot be written to"),
        (("inspect", "spNO.1/a/7", "nobody", "out=new"), "there is no sample"),
    ],
)
def test_what_cannot_be_written_or_shown_is_said_before_anything_is_done(
    merec, rendered, tmp_path, arguments, message
):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    verb, *rest = arguments
    done = merec(verb, "corpus=synthetic", f"corpus.root={rendered}", "features.root=store", *rest)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_a_region_of_which_nothing_is_known_is_a_reason(copied, root):
    row = copied.index.iloc[0]
    for number in (row["onset"], row["apex"]):
        file = row["depth"].path(int(number))
        depth = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        face = np.median(depth[depth > 0])
        quarter = depth[: depth.shape[0] // 2, : depth.shape[1] // 2]
        quarter[quarter < face + 150] = 0
        cv2.imwrite(str(file), depth)
    table = make(root).prepare(copied, 1, [POINTS])
    assert "nothing is known of the left eye and brow" in table["reason"].iloc[0]
    assert table["status"].tolist() == ["colour only"] + ["ready"] * (len(table) - 1)
