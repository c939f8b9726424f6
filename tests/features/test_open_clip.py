"""Clips as people have them are read frame by frame; what is wrong with one is said in a line."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from merec.errors import InputError
from merec.features.open_clip import open_clip

SIZE = (64, 48)
GREYS = [20 + 6 * number for number in range(30)]


def paint(grey: int) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), grey, np.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Thirty frames, each brighter than the one before, at 25 frames/s."""
    file = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 25, SIZE)
    for grey in GREYS:
        writer.write(paint(grey))
    writer.release()
    return file


def write_frames(folder: Path, numbers, name: str = "{}.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), paint(GREYS[number % 30]))
    return folder


def test_a_video_gives_the_frames_asked_for_in_their_order(video):
    input_clip = open_clip(video, None)
    assert (input_clip.fps, len(input_clip.numbers), input_clip.notes) == (25, 30, [])
    assert input_clip.duration == pytest.approx(29 / 25)
    read = [(position, int(np.median(frame))) for position, frame in input_clip.read([0, 3, 4, 29])]
    assert [position for position, _ in read] == [0, 3, 4, 29]
    for position, grey in read:
        assert abs(grey - GREYS[position]) <= 3


def test_what_is_exported_of_a_video_is_what_was_read(video, tmp_path):
    input_clip = open_clip(video, None)
    color, depth = input_clip.export([2, 7], tmp_path / "out")
    assert depth is None
    for position, frame in input_clip.read([2, 7]):
        written = cv2.imread(str(color.path(position)), cv2.IMREAD_COLOR_RGB)
        np.testing.assert_array_equal(written, frame)


@pytest.mark.parametrize("name", ["{}.jpg", "img{:04d}.png", "006_{:05d}.jpg", "a 2 {}.bmp"])
def test_frames_are_found_however_they_are_named(tmp_path, name):
    input_clip = open_clip(write_frames(tmp_path / "s1" / "clip", range(8, 13), name), 100)
    assert (input_clip.numbers, input_clip.name) == ([8, 9, 10, 11, 12], "s1-clip")
    assert input_clip.second(3) == pytest.approx(0.03)
    output = [int(np.median(frame)) for _, frame in input_clip.read([1, 4])]
    assert np.abs(np.array(output) - [GREYS[9], GREYS[12]]).max() <= 2


def test_gaps_in_the_numbers_are_told_and_take_their_time(tmp_path):
    input_clip = open_clip(write_frames(tmp_path / "clip", [1, 2, 3, 9, 10, 12]), 10)
    assert input_clip.second(3) == pytest.approx(0.8)
    assert input_clip.notes == [
        "frame numbers have 2 gaps, the widest from 3 to 9; what happened there is not known"
    ]


@pytest.mark.parametrize("layout", ["beside", "within", "clip"])
def test_depth_is_found_where_the_layouts_have_it(tmp_path, layout):
    places = {"beside": ("a/color", "a/depth"), "within": ("a", "a/depth")}
    color, depth = (
        tmp_path / entry for entry in places.get(layout, ("frame/s_a_1", "depth/s_a_1"))
    )
    write_frames(color, [1, 2, 3])
    depth.mkdir(parents=True)
    for number in (1, 2):
        cv2.imwrite(str(depth / f"{number}.png"), np.full(SIZE[::-1], 600 + number, np.uint16))
    asked = color.parent if layout == "beside" else color
    input_clip = open_clip(asked, 30)
    assert input_clip.has_depth
    _, maps = input_clip.export([0, 1], tmp_path / "out")
    assert maps is not None
    assert cv2.imread(str(maps.path(2)), cv2.IMREAD_UNCHANGED)[0, 0] == 602
    assert input_clip.export([0, 2], tmp_path / "more")[1] is None
    assert input_clip.notes == ["frame 3 has no depth, so that none is used"]


def test_a_video_that_ends_early_gives_what_it_has(video, tmp_path):
    cut = tmp_path / "cut.avi"
    content = video.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    input_clip = open_clip(cut, None)
    read = [position for position, _ in input_clip.read(input_clip.numbers)]
    assert read == list(range(len(read)))
    assert 0 < len(read) < 30
    assert input_clip.notes == [
        f"the video ends after {len(read)} frames, though its header says 30"
    ]


def test_frames_beyond_the_count_of_the_header_are_read(video, tmp_path):
    content = bytearray(video.read_bytes())
    struct.pack_into("<I", content, content.find(b"avih") + 24, 12)
    struct.pack_into("<I", content, content.find(b"strh") + 40, 12)
    short = tmp_path / "short.avi"
    short.write_bytes(content)
    assert cv2.VideoCapture(str(short), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FRAME_COUNT) == 12
    input_clip = open_clip(short, None)
    greys = [int(np.median(frame)) for _, frame in input_clip.read(input_clip.numbers)]
    assert np.abs(np.array(greys) - GREYS).max() <= 3
    assert input_clip.notes == []


def write_mp4(file: Path, stamps: list[tuple[int, int]], upright: bool = True) -> Path:
    """Twelve frames whose time stamps are `stamps`: how many frames last how many thirtieths of a second."""
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 30, SIZE)
    for grey in GREYS[:12]:
        writer.write(np.vstack([paint(grey)[:24], paint(255 - grey)[24:]]))
    writer.release()
    content = bytearray(file.read_bytes())
    at = content.find(b"stts") - 4
    (size,) = struct.unpack_from(">I", content, at)
    (unit,) = struct.unpack_from(">I", content, at + 20)
    entries = b"".join(struct.pack(">II", count, lasts * unit) for count, lasts in stamps)
    made = struct.pack(">I4sII", 16 + len(entries), b"stts", 0, len(stamps)) + entries
    content[at : at + size] = made
    for box in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):  # those around it grow with it
        place = content.find(box) - 4
        (was,) = struct.unpack_from(">I", content, place)
        struct.pack_into(">I", content, place, was + len(made) - size)
    struct.pack_into(">I", content, content.find(b"elst") + 12, 2**30)  # all of it is shown
    if not upright:  # turned by 90 degrees when shown
        matrix = (0, 65536, 0, -65536, 0, 0, SIZE[1] * 65536, 0, 1 << 30)
        struct.pack_into(">9i", content, content.find(b"tkhd") + 44, *matrix)
    file.write_bytes(content)
    return file


def test_times_of_a_variable_frame_rate_are_those_of_the_stream(tmp_path):
    input_clip = open_clip(write_mp4(tmp_path / "clip.mp4", [(6, 1), (6, 4)]), None)
    expected = np.concatenate([np.arange(6), 6 + 4 * np.arange(6)]) / 30
    actual = [input_clip.second(position) for position in input_clip.numbers]
    np.testing.assert_allclose(actual, expected, atol=2e-3)
    assert input_clip.duration == pytest.approx(26 / 30, abs=2e-3)
    assert "frames are 33 to 133 ms apart" in input_clip.notes[0]
    messages = open_clip(tmp_path / "clip.mp4", 200)  # who says the rate is believed
    assert messages.second(11) == pytest.approx(11 / 200)
    steady = open_clip(write_mp4(tmp_path / "steady.mp4", [(12, 1)]), None)
    assert (steady.fps, steady.notes) == (30, [])


def test_a_video_is_turned_as_its_header_says(tmp_path):
    flat, turned = (
        next(iter(open_clip(write_mp4(tmp_path / f"{u}.mp4", [(12, 1)], u), None).read([6])))[1]
        for u in (True, False)
    )
    np.testing.assert_array_equal(turned, np.rot90(flat, -1))


def test_frames_are_used_where_they_lie(tmp_path):
    folder = write_frames(tmp_path / "clip", [4, 5, 6], "img{:04d}.png")
    color, _ = open_clip(folder, 30).export([0, 2], tmp_path / "out")
    assert color.path(6) == folder / "img0006.png"
    assert color.numbers() == [4, 5, 6]
    assert not (tmp_path / "out").exists()


def test_a_frame_that_is_damaged_is_left_out_and_told(tmp_path):
    folder = write_frames(tmp_path / "clip", range(1, 6))
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    input_clip = open_clip(folder, 30)
    assert [position for position, _ in input_clip.read(range(5))] == [0, 1, 3, 4]
    assert "1 of 5 frames are left out" in input_clip.notes[0]


def test_a_clip_of_unlike_frames_is_refused(tmp_path):
    folder = write_frames(tmp_path / "clip", range(1, 6))
    cv2.imwrite(str(folder / "4.png"), np.zeros((9, 9, 3), np.uint8) + 99)
    with pytest.raises(InputError, match=r"4\.png is 9×9 px, but the frames before it 64×48"):
        list(open_clip(folder, 30).read(range(5)))


def test_what_is_no_clip_is_refused(tmp_path, video):
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "page.mp4").write_bytes(b"\n<html><body>Please log in</body></html>")
    (tmp_path / "void").mkdir()
    write_frames(tmp_path / "above" / "below", [1, 2])
    write_frames(tmp_path / "one", [1])
    write_frames(write_frames(tmp_path / "twice", [1, 2]), [1], "0{}.png")
    for name, message in (
        ("absent.mp4", "does not exist; give a video file or a folder"),
        ("noise.mp4", "cannot be opened as a video; copy it again"),
        ("empty.mp4", "cannot be opened as a video; copy it again"),
        ("page.mp4", "page.mp4 is an HTML page"),
        ("void", "holds no numbered images"),
        ("above", "it has folders below: give one of them"),
        ("one", "has one frame only"),
        ("twice", "have one number"),
    ):
        with pytest.raises(InputError, match=message):
            open_clip(tmp_path / name, None)
    with pytest.raises(InputError, match="https://host/a.mp4 is a URL, and URLs are not fetched"):
        open_clip(Path("https://host/a.mp4"), None)
    for fps in (0, -1, float("nan"), 1e6):
        with pytest.raises(InputError, match="expected frames/s"):
            open_clip(video, fps)
