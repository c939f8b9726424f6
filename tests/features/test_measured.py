"""Flow maps of a corpus of frames: each sample its own, measured once, or an error that names the file."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.features import measured
from merec.features.flow_map import measure_flow_map
from merec.features.landmarks import FaceLandmarker, FaceLandmarks, draw_face_box
from merec.features.measured import add_flow_maps
from merec.types import Corpus, Frames

SAMPLES = 5
POINTS = np.random.default_rng(0).uniform((20, 10, 0), (70, 60, 0), (478, 3))


class Landmarker(FaceLandmarker):
    """Finds the same face in every image that is not black, and counts them; it needs no model."""

    looked_at = 0

    def __init__(self): ...

    def close(self) -> None: ...

    def find(self, image: np.ndarray) -> FaceLandmarks | None:
        Landmarker.looked_at += 1
        return FaceLandmarks(POINTS, {}, np.eye(4)) if image.any() else None


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Five samples in three clips of textured frames in which something else moves each time."""
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measured, "FaceLandmarker", Landmarker)
    monkeypatch.setattr(Landmarker, "looked_at", 0)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(SAMPLES):
        subject, onset = f"spNO.{number % 3}", 1 + 10 * number
        frames = Frames(tmp_path / subject / "a" / "color", "{}.png")
        noise = cv2.GaussianBlur(rng.integers(0, 256, (80, 96, 3), dtype=np.uint8), (0, 0), 1.5)
        for file, shift in ((frames.path(onset), 0), (frames.path(onset + 4), 2)):
            file.parent.mkdir(parents=True, exist_ok=True)
            image = noise.copy()
            top = 15 + 5 * number
            image[top : top + 20, 30:50] = np.roll(noise, shift, axis=1)[top : top + 20, 30:50]
            assert cv2.imwrite(str(file), image[..., ::-1])
        rows.append((f"{subject}_a_{onset}", "made", subject, "a", number % 2, onset, onset + 4))
    columns = ["sample_id", "corpus", "subject", "clip", "label", "onset", "apex"]
    index = pd.DataFrame(rows, columns=columns)
    index["color"] = [Frames(tmp_path / row[2] / "a" / "color", "{}.png") for row in rows]
    return Corpus(describe_protocol("made", index, ("negative", "positive")), index, None, ())


def read(file: Path) -> np.ndarray:
    return cv2.imread(str(file))[..., ::-1].copy()


def frame(corpus: Corpus, number: int, which: str) -> Path:
    row = corpus.index.iloc[number]
    return row["color"].path(int(row[which]))


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.*"))


def test_each_sample_gets_the_map_between_its_own_frames(corpus):
    done = add_flow_maps(corpus)
    expected = [
        measure_flow_map(
            read(frame(corpus, number, "onset")),
            read(frame(corpus, number, "apex")),
            draw_face_box(POINTS),
        )
        for number in range(SAMPLES)
    ]
    np.testing.assert_array_equal(done.flow_maps, expected)
    assert len({flow_map.tobytes() for flow_map in expected}) == SAMPLES
    assert done.channels == ("u", "v", "strain")
    assert replace(done, flow_maps=None, channels=()).index is corpus.index
    assert done.protocol == corpus.protocol


def test_maps_do_not_depend_on_the_number_of_threads(corpus, tmp_path, monkeypatch):
    maps = []
    for count in (1, 4):
        monkeypatch.setattr(measured, "cpu_count", lambda count=count: count)
        monkeypatch.setenv("MEREC_CACHE", str(tmp_path / f"cache of {count}"))
        maps.append(add_flow_maps(corpus).flow_maps)
    np.testing.assert_array_equal(*maps)
    assert Landmarker.looked_at == 2 * SAMPLES


# The cache


def test_the_same_frames_are_measured_once(corpus, caplog):
    caplog.set_level(logging.INFO)
    first = add_flow_maps(corpus)
    assert len(caplog.messages) == 1
    again = add_flow_maps(corpus)
    np.testing.assert_array_equal(first.flow_maps, again.flow_maps)
    assert again.flow_maps.dtype == np.uint8
    assert Landmarker.looked_at == SAMPLES
    assert len(caplog.messages) == 1


def rewrite(corpus: Corpus, tmp_path: Path) -> Corpus:
    file = frame(corpus, 2, "apex")
    assert cv2.imwrite(str(file), 255 - cv2.imread(str(file)))
    return corpus


def touch(corpus: Corpus, tmp_path: Path) -> Corpus:
    os.utime(frame(corpus, 2, "onset"), ns=(1, 1))
    return corpus


def reorder(corpus: Corpus, tmp_path: Path) -> Corpus:
    return replace(corpus, index=corpus.index.iloc[::-1].reset_index(drop=True))


def move_apex(corpus: Corpus, tmp_path: Path) -> Corpus:
    return replace(corpus, index=corpus.index.assign(apex=corpus.index["onset"]))


def damage(corpus: Corpus, tmp_path: Path) -> Corpus:
    (file,) = kept(tmp_path)
    file.write_bytes(file.read_bytes()[:200])
    return corpus


def raise_schema(corpus: Corpus, tmp_path: Path) -> Corpus:
    measured.SCHEMA += 1
    return corpus


@pytest.mark.parametrize("change", [rewrite, touch, reorder, move_apex, damage, raise_schema])
def test_what_may_change_the_maps_has_them_measured_anew(corpus, tmp_path, monkeypatch, change):
    monkeypatch.setattr(measured, "SCHEMA", measured.SCHEMA)  # put back afterwards
    before = add_flow_maps(corpus)
    changed = change(corpus, tmp_path)
    after = add_flow_maps(changed)
    assert Landmarker.looked_at == 2 * SAMPLES
    if change is reorder:
        np.testing.assert_array_equal(after.flow_maps, before.flow_maps[::-1])
    if change is move_apex:
        assert (after.flow_maps == 128).all()


def test_a_cache_that_cannot_be_written_costs_a_warning_only(corpus, tmp_path, monkeypatch, caplog):
    expected = add_flow_maps(corpus)
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "file"))
    np.testing.assert_array_equal(add_flow_maps(corpus).flow_maps, expected.flow_maps)
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "cannot be written" in warning
    assert "MEREC_CACHE" in warning


# What cannot be measured


def delete(file: Path) -> None:
    file.unlink()


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:500])


def blacken(file: Path) -> None:
    assert cv2.imwrite(str(file), np.zeros((80, 96, 3), np.uint8))


def shrink(file: Path) -> None:
    assert cv2.imwrite(str(file), cv2.imread(str(file))[:40, :90])


@pytest.mark.parametrize(
    ("harm", "which", "reason"),
    [
        (delete, "onset", r"cannot be read \(No such file"),
        (delete, "apex", r"cannot be read \(No such file"),
        (cut_off, "onset", r"cannot be read"),
        (cut_off, "apex", r"cannot be read"),
        (blacken, "onset", r"no face is found in"),
        (shrink, "apex", r"is 90×40 px, but its onset 96×80 px"),
    ],
)
def test_a_sample_that_cannot_be_measured_is_named_with_its_file(
    corpus, tmp_path, harm, which, reason
):
    for number in (3, 1, 4):
        harm(frame(corpus, number, which))
    with pytest.raises(InputError, match=reason) as error:
        add_flow_maps(corpus)
    message = str(error.value)
    for part in ("made: sample spNO.1_a_11:", str(frame(corpus, 1, which)), "and 2 more", "doctor"):
        assert part in message
    assert kept(tmp_path) == []


def test_a_black_apex_is_measured_for_the_face_is_sought_in_the_onset_only(corpus):
    blacken(frame(corpus, 0, "apex"))
    assert add_flow_maps(corpus).flow_maps.shape == (SAMPLES, 3, 28, 28)


def test_a_jpeg_that_is_cut_off_is_not_taken_for_whole(corpus, tmp_path):
    frames = Frames(tmp_path, "{}.jpg")
    for number in (1, 5):
        assert cv2.imwrite(str(frames.path(number)), read(frame(corpus, 0, "onset")))
    one = corpus.index.iloc[:1].assign(color=[frames], onset=1, apex=5)
    assert add_flow_maps(replace(corpus, index=one)).flow_maps.shape == (1, 3, 28, 28)
    file = frames.path(5)
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"5\.jpg cannot be read"):
        add_flow_maps(replace(corpus, index=one))
