"""Scores equal scikit-learn's, on pooled samples, and only on pooled samples."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    recall_score,
)

from merec.metrics import (
    METRICS,
    accuracy,
    confusion,
    confusion_by_subject,
    f1_per_class,
    recall_per_class,
    uar,
    uf1,
)


def draw_cases(rng: np.random.Generator, cases: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Number of classes, labels and predictions; many from fewer classes than there are."""
    drawn = []
    for _ in range(cases):
        num_classes = int(rng.integers(2, 8))
        # Not the same classes on both sides: some are only true, some only predicted, some neither.
        pools = [rng.permutation(num_classes)[: rng.integers(1, num_classes + 1)] for _ in range(2)]
        size = int(rng.integers(1, 40))
        drawn.append(
            (num_classes, rng.choice(pools[0], size=size), rng.choice(pools[1], size=size))
        )
    return drawn


def test_scores_equal_scikit_learns_on_1000_random_cases_with_absent_classes():
    cases = draw_cases(np.random.default_rng(0), 1000)
    counts = [
        confusion(label.tolist(), predicted.tolist(), size) for size, label, predicted in cases
    ]

    # A call of scikit-learn takes milliseconds, so all cases are put into one, each with classes of
    # its own: the scores of a class depend on no sample that neither is it nor is taken for it.
    start = np.cumsum([0] + [size for size, _, _ in cases])
    _, recall, f1, support = precision_recall_fscore_support(
        np.concatenate([label + first for (_, label, _), first in zip(cases, start, strict=False)]),
        np.concatenate(
            [predicted + first for (_, _, predicted), first in zip(cases, start, strict=False)]
        ),
        labels=range(start[-1]),
        zero_division=0,
    )
    rows = [slice(*ends) for ends in pairwise(start)]
    hits = [np.mean(label == predicted) for _, label, predicted in cases]
    for actual, expected in (
        (np.concatenate([f1_per_class(matrix) for matrix in counts]), f1),
        (np.concatenate([recall_per_class(matrix) for matrix in counts]), recall),
        (np.concatenate([matrix.sum(1) for matrix in counts]), support),
        (np.array([uf1(matrix) for matrix in counts]), [f1[one].mean() for one in rows]),
        (np.array([uar(matrix) for matrix in counts]), [recall[one].mean() for one in rows]),
        (np.array([accuracy(matrix) for matrix in counts]), hits),
    ):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)

    # The cases are of the kind that goes wrong.
    absent = [(matrix.sum(1) == 0, matrix.sum(0) == 0) for matrix in counts]
    assert sum((true & predicted).any() for true, predicted in absent) > 200
    assert sum((true & ~predicted).any() for true, predicted in absent) > 200
    assert sum((~true & predicted).any() for true, predicted in absent) > 200


def test_scores_equal_scikit_learns_case_by_case():
    for num_classes, label, predicted in draw_cases(np.random.default_rng(1), 60):
        counts = confusion(label, predicted, num_classes)
        options = {"labels": range(num_classes), "average": "macro", "zero_division": 0}
        assert float(uf1(counts)) == pytest.approx(f1_score(label, predicted, **options), abs=1e-12)
        assert float(uar(counts)) == pytest.approx(
            recall_score(label, predicted, **options), abs=1e-12
        )
        assert float(accuracy(counts)) == pytest.approx(accuracy_score(label, predicted))
        reference = confusion_matrix(label, predicted, labels=range(num_classes))
        np.testing.assert_array_equal(counts, reference)


def test_labels_are_rows_and_predictions_are_columns():
    assert confusion([0, 0, 1], [1, 1, 1], 3).tolist() == [[0, 2, 0], [0, 1, 0], [0, 0, 0]]


def test_arrays_and_lists_count_alike():
    label, predicted = np.array([0, 2, 1, 2]), np.array([0, 1, 1, 2], dtype=np.int8)
    by_list = confusion(label.tolist(), predicted.tolist(), 3)
    np.testing.assert_array_equal(confusion(label, predicted, 3), by_list)


@pytest.mark.parametrize("metric", [f1_per_class, recall_per_class, uf1, uar, accuracy])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 0), (2, 1, 3)])
def test_leading_axes_equal_a_loop(metric, shape):
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 4, size=(*shape, 3, 3))
    counts[..., 2, :] *= rng.integers(0, 2, size=(*shape, 1))  # some draws lack a class
    batched = metric(counts)
    assert batched.shape[: len(shape)] == shape
    for place in np.ndindex(*shape):
        np.testing.assert_array_equal(batched[place], metric(counts[place]))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_one_matrix_gives_one_number(metric):
    assert np.shape(metric(np.eye(3, dtype=np.int64))) == ()
    assert float(metric(np.eye(3, dtype=np.int64))) == 1.0


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_scores_depend_on_proportions_only(metric):
    counts = np.random.default_rng(2).integers(0, 9, size=(20, 4, 4))
    np.testing.assert_allclose(metric(counts / 7.0), metric(counts), atol=1e-12)


def test_a_class_that_is_neither_held_nor_predicted_counts_as_0():
    counts = confusion([0, 1], [0, 1], 3)
    assert f1_per_class(counts).tolist() == [1.0, 1.0, 0.0]
    assert float(uf1(counts)) == pytest.approx(2 / 3)
    assert float(uar(counts)) == pytest.approx(2 / 3)


def test_nothing_scores_0_without_a_warning(recwarn):
    counts = confusion([], [], 3)
    assert counts.shape == (3, 3)
    assert [float(metric(counts)) for metric in METRICS.values()] == [0.0, 0.0, 0.0]
    assert not recwarn.list


@pytest.mark.parametrize(
    ("label", "predicted"), [([0, 3], [0, 0]), ([0, 0], [0, 3]), ([0, -1], [0, 0])]
)
def test_a_class_out_of_range_is_an_error_and_not_a_dropped_sample(
    label, predicted, make_index, predict
):
    with pytest.raises(ValueError, match=r"class (3|-1) .* expected 0 to 2"):
        confusion(label, predicted, 3)
    table = predict(make_index()).head(2).assign(label=label, predicted=predicted)
    with pytest.raises(ValueError, match=r"class (3|-1) .* expected 0 to 2"):
        confusion_by_subject(table, 3)


def test_the_mean_of_fold_scores_is_not_the_pooled_score():
    # Two subjects, one class each, every sample named rightly: the pooled score is perfect, while
    # each fold lacks a class and therefore scores a half.
    by_subject = np.array([[[4, 0], [0, 0]], [[0, 0], [0, 5]]])
    assert float(uf1(by_subject.sum(0))) == 1.0
    assert float(uf1(by_subject).mean()) == 0.5
    assert float(uar(by_subject.sum(0))) == 1.0
    assert float(uar(by_subject).mean()) == 0.5


def test_the_mean_of_fold_scores_differs_on_random_data_too(make_index, predict):
    gaps = []
    for seed in range(4):
        table = predict(make_index(subjects=12, seed=seed), seed=seed, skill=0.6)
        pooled = f1_score(table["label"], table["predicted"], average="macro", labels=range(3))
        folds = [
            f1_score(
                rows["label"], rows["predicted"], average="macro", labels=range(3), zero_division=0
            )
            for _, rows in table.groupby("fold")
        ]
        _, counts = confusion_by_subject(table, 3)
        assert float(uf1(counts.sum(1))[0]) == pytest.approx(pooled)
        assert float(uf1(counts).mean()) == pytest.approx(np.mean(folds))
        gaps.append(pooled - np.mean(folds))
    assert min(gaps) > 0.05


def test_matrices_by_subject_sum_to_the_pooled_one(make_index, predict):
    index = make_index(subjects=9)
    runs = [predict(index, seed=seed) for seed in (3, 1)]
    rows = np.concatenate([table.to_numpy() for table in runs])
    mixed = runs[0].iloc[:0].reindex(range(len(rows)))
    mixed = mixed.assign(**{name: rows[:, i] for i, name in enumerate(runs[0])})
    mixed = mixed.astype(runs[0].dtypes).sample(frac=1, random_state=0)  # order carries no meaning

    subjects, counts = confusion_by_subject(mixed, 3)
    assert subjects == sorted(set(index["subject"]))
    assert counts.shape == (2, 9, 3, 3)
    for number, table in enumerate(reversed(runs)):  # seeds are sorted: 1, then 3
        pooled = confusion(table["label"].tolist(), table["predicted"].tolist(), 3)
        np.testing.assert_array_equal(counts[number].sum(0), pooled)
        for subject, matrix in zip(subjects, counts[number], strict=True):
            part = table[table["subject"] == subject]
            expected = confusion(part["label"].tolist(), part["predicted"].tolist(), 3)
            np.testing.assert_array_equal(matrix, expected)
    assert not np.array_equal(counts[0], counts[1])
