"""Estimators: chosen without the held-out subject, whole whatever class training lacks."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from merec.baselines.estimators import NestedChoice, fit_and_score, fit_and_score_units
from merec.evaluation.splits import leave_one_subject_out
from merec.features.representations.flow_map import describe, mirror
from merec.metrics import confusion, uar, uf1
from merec.types import InputError

CHANNELS = ("u", "v", "strain")
DESCRIBE = partial(describe, keep=["u", "v"], cells=7)
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "megc2019_flow" / "flow.npz"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="no MEGC2019 flow maps in ../shared/data")


def svm(**params) -> BaseEstimator:
    return make_pipeline(StandardScaler(), SVC(class_weight="balanced", break_ties=True, **params))


def logistic() -> BaseEstimator:
    return make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )


def nested() -> NestedChoice:
    return NestedChoice(svm(), {"svc__C": [0.1, 1.0, 10.0, 100.0]}, StratifiedGroupKFold(5))


@pytest.fixture
def corpus() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps, labels and subjects: 10 subjects, 9 samples each, classes that can be told apart."""
    rng = np.random.default_rng(0)
    label, subject = np.tile([0, 1, 2], 30), np.repeat([f"s{n}" for n in range(10)], 9)
    maps = rng.integers(0, 256, size=(90, 3, 28, 28), dtype=np.uint8)
    for row, kind in enumerate(label):
        maps[row, 1, 8 * kind : 8 * kind + 8] //= 2
    return maps, label, subject


def hold_out(estimator, corpus, test, train=None):
    maps, label, subject = corpus
    train = ~test if train is None else train
    return fit_and_score(
        estimator, DESCRIBE, maps[train], label[train], subject[train], maps[test], CHANNELS, 3
    )


@pytest.mark.parametrize("estimator", [logistic(), svm(), nested()])
def test_scores_are_finite_sum_to_one_and_beat_chance(estimator, corpus):
    test = corpus[2] == "s3"
    scores, _ = hold_out(estimator, corpus, test)
    assert scores.shape == (9, 3)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == corpus[1][test]).mean() > 0.7


def test_the_labels_of_the_held_out_subject_change_nothing(corpus):
    maps, label, subject = corpus
    test = subject == "s3"
    garbage = np.where(test, 2 - label, label)
    scores, chosen = hold_out(nested(), corpus, test)
    again, chosen_again = hold_out(nested(), (maps, garbage, subject), test)
    np.testing.assert_array_equal(scores, again)
    assert chosen == chosen_again


def test_a_held_out_sample_has_no_say_in_the_score_of_another(corpus):
    maps, label, subject = corpus
    test = subject == "s3"
    scores, _ = hold_out(nested(), corpus, test)
    other = maps.copy()
    other[np.flatnonzero(test)[1:]] = 255 - other[np.flatnonzero(test)[1:]]
    again, _ = hold_out(nested(), (other, label, subject), test)
    np.testing.assert_allclose(scores[0], again[0], rtol=0, atol=1e-12)


def test_an_image_and_its_mirror_image_score_alike(corpus):
    # So pooling the inner predictions over both views is mirrored test-time averaging.
    maps, label, _ = corpus
    train = describe(np.concatenate([maps, mirror(maps, CHANNELS)]), CHANNELS, ["u", "v"], 7)
    fitted = svm(C=1.0, tol=1e-8).fit(train, np.tile(label, 2))
    values = fitted.decision_function(train)
    np.testing.assert_allclose(values[: len(maps)], values[len(maps) :], atol=1e-5)


def test_inner_splits_keep_a_subject_and_its_mirror_images_on_one_side(corpus):
    fits = []

    class Recorder(ClassifierMixin, BaseEstimator):
        """Notes which maps it is fitted to and asked about: their grey value names the subject."""

        def __init__(self, level=0):
            self.level = level

        def fit(self, X, y):  # noqa: N803
            self.classes_ = np.unique(y)
            fits.append([self.level, set(np.abs(X[:, 0]).tolist()), len(X)])
            return self

        def predict(self, X):  # noqa: N803
            fits[-1].append(set(np.abs(X[:, 0]).tolist()))
            return np.full(len(X), self.classes_[0])

        def decision_function(self, X):  # noqa: N803
            return np.zeros((len(X), len(self.classes_)))

    def name_subject(maps, channels):
        return maps[:, 1, :1, 0].astype(float)  # v keeps its value in a mirror

    _, label, subject = corpus
    number = np.unique(subject, return_inverse=True)[1].astype(np.uint8)
    maps = np.broadcast_to(number[:, None, None, None], (90, 3, 28, 28)).copy()
    test = subject == "s3"
    search = NestedChoice(Recorder(), {"level": [0, 1]}, GroupKFold(3))
    fit_and_score(
        search, name_subject, maps[~test], label[~test], subject[~test], maps[test], CHANNELS, 3
    )
    *inner, last = fits
    everyone = {float(n) for n in range(10)} - {3.0}
    assert [level for level, *_ in inner] == [0, 0, 0, 1, 1, 1]
    for _, fitted, _, asked in inner:
        assert fitted | asked == everyone
        assert not fitted & asked
    assert last == [0, everyone, 2 * 81]  # first of equals, refitted to images and mirror images


def test_the_choice_goes_by_pooled_uf1_of_a_naive_loop(corpus):
    maps, label, subject = corpus
    label = np.where(np.arange(90) % 4 == 3, (label + 1) % 3, label)  # noise: candidates differ
    features = describe(maps, CHANNELS, ["u", "v"], 7)
    search = nested().set_params(estimator__svc__C=0.01).fit(features, label, subject)
    for params, score in search.scores_:
        counts = np.zeros((3, 3), dtype=int)
        for train, test in StratifiedGroupKFold(5).split(features, label, subject):
            fitted = svm(C=params["svc__C"]).fit(features[train], label[train])
            counts += confusion(label[test], fitted.predict(features[test]), 3)
        assert score == pytest.approx(uf1(counts))
    assert search.best_score_ == max(score for _, score in search.scores_)
    assert search.best_score_ > min(score for _, score in search.scores_)
    expected = clone(search.estimator).set_params(**search.best_params_).fit(features, label)
    np.testing.assert_array_equal(
        search.decision_function(features), expected.decision_function(features)
    )


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
def test_a_splitter_that_parts_a_subject_is_refused(corpus):
    maps, label, subject = corpus
    search = NestedChoice(svm(), {"svc__C": [1.0]}, KFold(4))
    with pytest.raises(InputError, match="both sides of an inner split"):
        search.fit(describe(maps, CHANNELS, ["u", "v"], 7), label, subject)


@pytest.mark.parametrize("estimator", [logistic(), svm(), nested()])
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_class_absent_in_training_scores_zero_and_the_others_keep_their_columns(
    estimator, absent, corpus
):
    _, label, subject = corpus
    test = subject == "s3"
    scores, _ = hold_out(estimator, corpus, test, train=~test & (label != absent))
    assert (scores[:, absent] == 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    present = label[test] != absent
    assert (scores.argmax(axis=1) == label[test])[present].mean() > 0.7


@pytest.mark.parametrize(("shift", "only"), [(0, 1), (1, None)])
def test_training_labels_that_no_classifier_can_use_are_an_error(shift, only, corpus):
    maps, label, subject = corpus
    test = subject == "s3"
    train = ~test if only is None else ~test & (label == only)
    with pytest.raises(InputError, match="training labels are"):
        hold_out(svm(), (maps, label + shift, subject), test, train)


def test_the_given_estimator_stays_unfitted_and_the_choice_is_told(corpus):
    test = corpus[2] == "s3"
    search = nested()
    _, chosen = hold_out(search, corpus, test)
    assert not hasattr(search, "best_params_")
    assert set(chosen) == {"svc__C", "inner_uf1", "tried"}
    assert chosen["tried"] == 4
    assert hold_out(svm(), corpus, test)[1] == {}


def score_real(folds: slice) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    real = np.load(REAL)
    label, subject = real["label"].astype(int), real["subject"]
    channels = tuple(real["channels"].tolist())
    rows, scores, choices = [], [], []
    for fold in leave_one_subject_out(subject.tolist())[folds]:
        train, test = (real["flow"][part] for part in (fold.train, fold.test))
        actual, chosen = fit_and_score(
            nested(), DESCRIBE, train, label[fold.train], subject[fold.train], test, channels, 3
        )
        rows.append(label[fold.test])
        scores.append(actual)
        choices.append(chosen)
    return np.concatenate(rows), np.concatenate(scores), choices


@needs_real
@pytest.mark.slow
def test_a_few_real_folds_are_finite_repeatable_and_better_than_chance():
    label, scores, choices = score_real(slice(0, 2))
    _, again, choices_again = score_real(slice(0, 2))
    np.testing.assert_array_equal(scores, again)
    assert choices == choices_again
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == label).mean() > 1 / 3
    assert all(0.6 < chosen["inner_uf1"] < 0.9 for chosen in choices)


@needs_real
@pytest.mark.slow
def test_leave_one_subject_out_on_megc2019_reaches_its_reference():
    label, scores, _ = score_real(slice(None))
    counts = confusion(label, scores.argmax(axis=1), 3)
    assert counts.sum() == 442
    assert uf1(counts) >= 0.73
    assert uar(counts) >= 0.74


def test_an_action_unit_that_all_or_none_of_the_training_samples_show_is_said_to_be_as_there(
    corpus,
):
    maps, label, subject = corpus
    test = subject == subject[0]
    marks = np.stack([label == 0, np.zeros_like(test), np.ones_like(test)], axis=1)
    scores, notes = fit_and_score_units(
        logistic(),
        DESCRIBE,
        maps[~test],
        marks[~test],
        subject[~test],
        maps[test],
        CHANNELS,
        ("AU1", "AU2", "AU4"),
    )
    assert (scores[:, 1] == 0).all()
    assert (scores[:, 2] == 1).all()
    assert len(set(scores[:, 0])) > 1
    assert notes == {"AU1": {}, "AU2": {}, "AU4": {}}


def test_a_class_that_one_training_subject_alone_shows_can_still_be_chosen_for(corpus):
    # The part that holds this subject leaves one class to train on, which an SVM refuses to.
    maps, _, subject = corpus
    rare = (subject == "s3") & (np.arange(len(subject)) % 3 == 0)
    search = NestedChoice(svm(), {"svc__C": [0.1, 10.0]}, StratifiedGroupKFold(5))
    search.fit(DESCRIBE(maps, CHANNELS), rare.astype(int), groups=subject)
    assert search.tried_ == 2
    assert search.best_score_ <= 0.5  # nothing can be known of the class in that part: its F1 is 0
    assert search.predict(DESCRIBE(maps, CHANNELS)).any()  # but whoever is fitted to all knows it
