"""Pairs of sides are tested as two are, corrected over the pairs, and class by class."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from statsmodels.stats.multitest import multipletests

from merec.evaluation.comparison import compare_classes, compare_results, compare_sides
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.results import Result
from merec.evaluation.significance_tests import compare_paired
from merec.evaluation.subject_bootstrap import draw_subjects, paired_intervals
from merec.types import InputError

DRAWS = 20


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    for actual in (compare_paired, paired_intervals):
        few = partial(actual, draws=DRAWS)
        monkeypatch.setattr(f"merec.evaluation.comparison.{actual.__name__}", few)


@pytest.fixture
def sides(make_index: Callable, predict: Callable, classes: tuple[str, ...]) -> list[Result]:
    """Four sides of two seeds, of unlike skill."""
    index = make_index(subjects=14)
    protocol = describe_protocol("fake", index, classes)
    tables = [
        pd.concat(
            [
                predict(index, seed=10 * number + seed, skill=skill).assign(seed=seed)
                for seed in (0, 1)
            ],
            ignore_index=True,
        )
        for number, skill in enumerate((0.0, 0.3, 0.5, 0.9))
    ]
    return [Result(f"side {number}", protocol, [], table) for number, table in enumerate(tables)]


def test_every_pair_is_tested_as_two_are_alone(sides: list[Result]) -> None:
    table = compare_sides(sides)
    names = [(a.name, b.name) for a, b in combinations(sides, 2)]
    assert list(dict.fromkeys(zip(table["result_a"], table["result_b"], strict=True))) == names
    for a, b in combinations(sides, 2):
        rows = table[(table["result_a"] == a.name) & (table["result_b"] == b.name)]
        alone = compare_results(a, b)
        pd.testing.assert_frame_equal(rows[alone.columns].reset_index(drop=True), alone)


@pytest.mark.parametrize("reference", [None, 2])
def test_p_is_corrected_over_the_pairs_as_statsmodels_does(
    sides: list[Result], reference: int | None
) -> None:
    table = compare_sides(sides, reference)
    families = table.groupby(["subset", "metric"])
    assert len(families) == 6
    for _, rows in families:
        assert len(rows) == (6 if reference is None else 3)
        expected = multipletests(rows["p"], method="holm")[1]
        np.testing.assert_allclose(rows["p_holm"], expected)
    assert (table["p_holm"] > table["p"]).any()


def test_a_reference_is_in_every_pair_and_taken_from_the_other(sides: list[Result]) -> None:
    table = compare_sides(sides, reference=3)
    assert set(table["result_a"]) == {"side 3"}
    assert list(table["result_b"].unique()) == ["side 0", "side 1", "side 2"]
    assert (table["difference"] == table["b"] - table["a"]).all()
    assert (table.loc[table["subset"] == "Full", "difference"] < 0).all()


def test_two_sides_need_no_correction(sides: list[Result]) -> None:
    table = compare_sides(sides[:2])
    assert (table["p_holm"] == table["p"]).all()


def test_differences_of_classes_equal_scikit_learn_on_the_rows_of_drawn_subjects(
    sides: list[Result], reckon_interval: Callable
) -> None:
    a, b = sides[1], sides[3]
    table = compare_classes([a, b]).set_index(["subset", "class"])
    assert len(table) == 3 * 3
    classes = a.protocol.classes

    def score(result: Result, times: dict[str, int]) -> np.ndarray:
        rows = result.predictions
        rows = rows.loc[rows.index.repeat(rows["subject"].map(times))]
        options = {"labels": range(3), "average": None, "zero_division": 0}
        return np.mean(
            [
                f1_score(part["label"], part["predicted"], **options)
                for _, part in rows.groupby("seed")
            ],
            axis=0,
        )

    subjects = sorted(a.predictions["subject"].unique())
    once = dict.fromkeys(subjects, 1)
    gap = score(b, once) - score(a, once)
    np.testing.assert_allclose(table.loc["Full"].loc[list(classes), "difference"], gap)
    np.testing.assert_allclose(table["difference"], table["b"] - table["a"])
    drawn = [
        score(b, times) - score(a, times)
        for counts in draw_subjects(len(subjects), DRAWS, 0)
        for times in [dict(zip(subjects, counts.tolist(), strict=True))]
    ]
    samples = a.confusions()[1][0].sum(-1)
    for number, name in enumerate(classes):
        draws = [draw[number] for draw in drawn]
        ends = reckon_interval(gap[number], draws, samples[:, [number]], (-1, 1))
        actual = table.loc[("Full", name), ["low", "high"]].astype(float)
        np.testing.assert_allclose(actual, ends)


def test_other_subjects_and_seeds_that_cannot_be_paired_are_named(sides: list[Result]) -> None:
    rows = sides[0].predictions
    other = replace(sides[0], name="else", predictions=rows.assign(subject=rows["subject"] + "x"))
    with pytest.raises(InputError, match=r"side 1 and else were not tested on the same subjects"):
        compare_sides([sides[1], other])
    three = pd.concat([rows, rows[rows["seed"] == 0].assign(seed=2)])
    with pytest.raises(
        InputError, match=r"seeds 0, 1 of side 1 cannot be paired with seeds 0, 1, 2 of"
    ):
        compare_classes([sides[1], replace(sides[0], predictions=three)])
