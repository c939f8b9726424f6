"""Test that `emotions.yaml` agrees with the official annotation and that draws follow its frequencies."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from merec.corpora.reading.action_units import read_action_units
from merec.synthetic.frequencies import (
    CLASSES,
    apportion_emotions,
    draw_action_units,
    draw_clip_size,
    draw_duration,
    read_frequencies,
)

WRONG_NUMBERS = [128, 708, 749, 750, 796, 798]
SKEW = {
    "disgust": 250,
    "surprise": 187,
    "others": 161,
    "fear": 86,
    "anger": 64,
    "sad": 57,
    "happy": 55,
}


@pytest.fixture
def real(real_rows) -> pd.DataFrame:
    """Return the official rows with integer frame numbers and sets of action units."""
    units = real_rows["AU"].map(lambda text: frozenset(read_action_units(text).read))
    rows = real_rows.assign(emotion=real_rows["emotion"].str.lower(), units=units)
    return rows.astype({"Onset": int, "Apex": int, "Offset": int})


def test_emotions_have_the_published_counts():
    assert {name: e.samples for name, e in read_frequencies().emotions.items()} == SKEW


def test_each_emotion_adds_up():
    for emotion in read_frequencies().emotions.values():
        assert sum(emotion.combinations.values()) + emotion.rest == emotion.samples
        assert sum(emotion.sizes.values()) == emotion.rest
        assert sum(size * n for size, n in emotion.sizes.items()) == sum(
            emotion.action_units.values()
        )


def test_the_sums_are_those_of_the_official_sheet(real):
    for name, emotion in read_frequencies().emotions.items():
        sets = real.loc[real["emotion"] == name, "units"]
        counts = Counter(sets)
        common = {units: n for units, n in counts.items() if n >= 3}
        assert {frozenset(units): n for units, n in emotion.combinations.items()} == common
        rest = [units for units in sets if counts[units] < 3]
        assert emotion.sizes == Counter(map(len, rest))
        assert emotion.action_units == Counter(unit for units in rest for unit in units)


def test_every_action_unit_of_the_official_sheet_can_be_drawn(real, drawable):
    official = {unit.number for units in real["units"] for unit in units}
    assert {unit.number for unit in drawable} == official


def test_the_durations_are_quantiles_of_the_official_sheet(real):
    rows = real[~real.index.isin(WRONG_NUMBERS)].sort_values(["Subject", "Filename", "Onset"])
    moving = rows[rows["Onset"] < rows["Apex"]]
    clips = rows.groupby(["Subject", "Filename"])
    gaps = rows["Onset"] - clips["Offset"].shift()
    expected = {
        "rise": moving["Apex"] - moving["Onset"],
        "fall": moving["Offset"] - moving["Apex"],
        "first": clips["Onset"].min(),
        "gap": gaps[gaps > 0],
    }
    frequencies = read_frequencies()
    for kind, values in expected.items():
        quantiles = np.quantile(values, frequencies.quantiles, method="inverted_cdf")
        assert frequencies.durations[kind] == quantiles.tolist(), kind
    sizes = clips.size().value_counts()
    assert frequencies.per_clip == {size: sizes[size] for size in (1, 2, 3)}


@pytest.mark.parametrize("samples", [4, 5, 7, 12, 96, 860, 1000])
def test_apportioned_emotions_keep_all_four_classes_and_the_skew(samples):
    counts = Counter(apportion_emotions(samples))
    assert sum(counts.values()) == samples
    for members in CLASSES.values():
        assert sum(counts[emotion] for emotion in members) >= 1
    if samples >= 96:
        for name, n in SKEW.items():
            assert abs(counts[name] - samples * n / 860) <= 1


def test_apportioning_the_real_number_gives_the_real_counts():
    assert Counter(apportion_emotions(860)) == SKEW


@pytest.mark.parametrize("samples", [0, 1, 2, 3])
def test_fewer_samples_than_classes_are_still_shared_out(samples):
    assert len(apportion_emotions(samples)) == samples


@pytest.mark.parametrize("emotion", SKEW)
def test_drawn_sets_occur_as_often_as_annotated_ones(emotion):
    rng = np.random.default_rng(0)
    drawn = Counter(draw_action_units(emotion, rng) for _ in range(4000))
    frequencies = read_frequencies().emotions[emotion]
    for units, n in frequencies.combinations.items():
        share = n / frequencies.samples
        # The upper bound is wider, because the draw for the rare rows may give a common set.
        assert share - 0.03 < drawn[units] / 4000 < share + 0.07


def test_a_drawn_set_names_each_action_unit_once():
    rng = np.random.default_rng(1)
    for emotion in SKEW:
        for _ in range(300):
            numbers = [unit.number for unit in draw_action_units(emotion, rng)]
            assert 1 <= len(set(numbers)) == len(numbers) <= 4
            assert numbers == sorted(numbers, reverse=True)


def test_no_emotion_has_a_main_action_unit_of_its_own():
    rng = np.random.default_rng(2)
    sets = {emotion: {draw_action_units(emotion, rng) for _ in range(500)} for emotion in SKEW}
    for emotion, frequencies in read_frequencies().emotions.items():
        common = next(iter(frequencies.combinations))
        assert sum(common in drawn for drawn in sets.values()) >= 3, emotion


def test_one_sided_and_one_lip_movements_are_drawn():
    rng = np.random.default_rng(3)
    units = [unit for _ in range(1500) for unit in draw_action_units("disgust", rng)]
    assert {unit.side for unit in units} == {"", "L", "R"}
    assert {unit.part for unit in units} == {"", "T"}


@pytest.mark.parametrize(("kind", "median"), [("rise", 6), ("fall", 14), ("gap", 346)])
def test_drawn_durations_keep_the_range_and_the_median(kind, median):
    rng = np.random.default_rng(4)
    drawn = [draw_duration(kind, rng) for _ in range(3000)]
    limits = read_frequencies().durations[kind]
    assert limits[0] <= min(drawn)
    assert max(drawn) <= limits[-1]
    # The longest 5 % are not drawn, so the median decreases a little.
    assert 0.75 * median <= np.median(drawn) <= 1.05 * median


def test_clips_hold_one_to_three_expressions_mostly_one():
    rng = np.random.default_rng(5)
    sizes = Counter(draw_clip_size(rng) for _ in range(2000))
    assert set(sizes) == {1, 2, 3}
    assert sizes[1] > sizes[2] > sizes[3]
