"""A clip shows the moments it was asked for, in the modality it was asked for, where the onset's face is."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from merec.errors import InputError
from merec.features.representations.clip import (
    CHANNELS,
    choose_frames,
    make_clip,
    measure_change,
    shrink_depth,
)
from merec.features.settings import ClipSettings

SIDE, SIZE, MOST = 64, 16, 32
SETTINGS = ClipSettings(frames=3, size=SIZE)
FRAMES = [(Path(f"{n}.jpg"), Path(f"{n}.png")) for n in (4, 5, 6)]


def encode(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.fixture
def pictures() -> dict[Path, np.ndarray]:
    """Colour (RGB) and depth of three frames that lie on disk as their crop shows them."""
    rng = np.random.default_rng(0)
    made: dict[Path, np.ndarray] = {}
    for color, depth in FRAMES:
        made[color] = rng.integers(50, 200, (SIDE, SIDE, 3), np.uint8)
        made[depth] = np.full((SIDE, SIDE), 800, np.uint16)
    return made


@pytest.fixture
def crops(pictures) -> dict[str, np.ndarray]:
    """The frame itself is the crop."""
    color, depth = FRAMES[0]
    return {
        "onset": pictures[color],
        "depth": np.stack([pictures[depth]] * 2).astype(np.float32),
        "frame": np.array([SIDE, SIDE]),
        "matrix": np.eye(2, 3),
    }


def show(pictures, crops, modality, frames=FRAMES) -> np.ndarray:
    contents = {
        file: encode(image[..., ::-1] if image.ndim == 3 else image)
        for file, image in pictures.items()
    }
    made = make_clip(frames, contents, crops, SETTINGS, MOST, modality, lambda depth, _: depth)[
        "clip"
    ]
    assert made.dtype == np.float16
    return made.astype(np.float32)


# Moments


@pytest.mark.parametrize("count", [2, 5, 8, 30])
def test_each_moment_is_shown_by_the_nearest_frame(count):
    rng = np.random.default_rng(count)
    numbers = sorted(rng.choice(np.arange(10, 60), 20, replace=False).tolist())
    first, last = numbers[3], numbers[-2]
    chosen = choose_frames(numbers, first, last, count)
    assert (chosen[0], chosen[-1], len(chosen)) == (first, last, count)
    assert chosen == sorted(chosen)
    for number, moment in zip(chosen, np.linspace(first, last, count), strict=True):
        assert abs(number - moment) == min(abs(other - moment) for other in numbers)


def test_frames_without_gaps_are_chosen_evenly():
    assert choose_frames(range(100), 10, 24, 8) == [*range(10, 25, 2)]
    assert choose_frames(range(100), 10, 10, 3) == [10, 10, 10]


# What is shown


@pytest.mark.parametrize("modality", CHANNELS)
def test_a_modality_has_its_channels_and_nothing_of_the_other(pictures, crops, modality):
    clip = show(pictures, crops, modality)
    assert clip.shape == (len(CHANNELS[modality]), 3, SIZE, SIZE)
    whole = show(pictures, crops, "fused")
    chosen = [CHANNELS["fused"].index(name) for name in CHANNELS[modality]]
    np.testing.assert_array_equal(clip, whole[chosen])


def test_colours_are_those_of_the_frames_averaged(pictures, crops):
    clip = show(pictures, crops, "rgb")
    for at, (color, _) in enumerate(FRAMES):
        blocks = pictures[color].reshape(SIZE, 4, SIZE, 4, 3).mean((1, 3))
        np.testing.assert_allclose(clip[:, at], blocks.transpose(2, 0, 1), atol=0.51)


def test_depth_is_that_less_the_onsets_where_both_are_known(pictures, crops):
    pictures[FRAMES[1][1]][:, 32:] += 3
    pictures[FRAMES[2][1]][:32] = 0
    pictures[FRAMES[2][1]][32:, :32] += MOST + 1  # no skin moves so far
    dz, valid = show(pictures, crops, "depth")
    assert (dz[0] == 0).all()
    assert (valid[:2] == 1).all()
    assert (dz[1, :, : SIZE // 2] == 0).all()
    assert (dz[1, :, SIZE // 2 :] == 3).all()
    assert (valid[2, SIZE // 2 :, SIZE // 2 :] == 1).all()
    assert valid[2].sum() == SIZE**2 / 4
    assert (dz[2] == 0).all()


def test_what_lies_behind_the_face_is_unknown(pictures, crops):
    for _, depth in FRAMES:
        pictures[depth][:16] = 1500
    pictures[FRAMES[1][1]] += 4
    crops["depth"][:, :16] = 1500
    dz, valid = show(pictures, crops, "depth")
    for channel, there in ((valid, 1), (dz[1], 4)):
        assert (channel[..., :4, :] == 0).all()
        assert (channel[..., 4:, :] == there).all()


def test_a_hole_does_not_pull_its_surroundings_towards_zero():
    before, after = np.full((2, SIDE, SIDE), 800, np.float32)
    after = after + np.float32(5)
    after[::4, ::4] = 0
    dz, valid = shrink_depth(*measure_change(before, after, MOST), SIZE)
    assert (valid == 1).all()
    np.testing.assert_allclose(dz, 5, atol=1e-4)


def test_a_frame_that_stands_for_two_moments_is_shown_twice(pictures, crops):
    clip = show(pictures, crops, "fused", [FRAMES[0], FRAMES[2], FRAMES[2]])
    np.testing.assert_array_equal(clip[:, 1], clip[:, 2])


# What is refused


def test_broken_depth_is_refused_but_by_colour_which_needs_none(pictures, crops):
    whole = show(pictures, crops, "rgb")
    pictures[FRAMES[1][1]][:] = 0
    for modality in ("depth", "fused"):
        with pytest.raises(InputError, match=r"5\.png is empty"):
            show(pictures, crops, modality)
    np.testing.assert_array_equal(show(pictures, crops, "rgb"), whole)


def test_a_frame_of_another_size_is_refused(pictures, crops):
    pictures[FRAMES[1][0]] = pictures[FRAMES[1][0]][:-1]
    with pytest.raises(InputError, match=r"5\.jpg is 64×63 px, but its onset 64×64"):
        show(pictures, crops, "rgb")


def test_depth_that_is_not_there_is_refused(pictures, crops):
    with pytest.raises(InputError, match=r"4\.jpg has no depth .*datamodule=rgb"):
        show(pictures, crops, "depth", [(color,) for color, _ in FRAMES])
