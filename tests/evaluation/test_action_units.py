"""Action units are told each by itself, and scored as scikit-learn scores several labels."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, multilabel_confusion_matrix

from merec.errors import InputError
from merec.evaluation.completeness import assert_complete
from merec.evaluation.guessing import chance_f1
from merec.evaluation.pooling import pool_runs
from merec.evaluation.predictions import tabulate
from merec.evaluation.protocol import describe_protocol, set_target
from merec.evaluation.runs import find_runs, read_run
from merec.evaluation.significance_tests import compare_paired
from merec.evaluation.subject_bootstrap import bootstrap, draw_subjects
from merec.run_folder.prediction_table import read_predictions, write_predictions
from merec.targets.action_units import ActionUnits
from merec.targets.unit_labels import find_trained_units, mark_units, spell_units
from merec.targets.unit_scores import confusion_by_unit, f1_per_unit, mean_f1
from merec.types import ActionUnit, Corpus

UNITS = ("AU4", "AU7", "AU12", "AU15")
# AU 12 and AU 4 in every subject, AU 7 in three of four, AU 15 in two; AU 1 in one.
CODED = {
    "a": ["4", "R12", "4 12 1", ""],
    "b": ["T4 7", "12", "12"],
    "c": ["4", "L12 7", "15"],
    "d": ["12 15 7", "4", ""],
}


@pytest.fixture
def coded() -> Corpus:
    """Thirteen samples of four subjects, two of them with nothing coded."""
    rows = []
    for subject, clips in CODED.items():
        for number, text in enumerate(clips):
            units = [
                ActionUnit(int(word.lstrip("RLTB")), word[0] * (word[0] in "RL"))
                for word in text.split()
            ]
            rows.append(
                (f"{subject}{number}", "made", subject, f"{number}", number % 2, tuple(units))
            )
    columns = ["sample_id", "corpus", "subject", "clip", "label", "action_units"]
    index = pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=0, ignore_index=True)
    return Corpus(describe_protocol("made", index, ("a", "b")), index, None, ())


def predict(corpus: Corpus, seed: int) -> pd.DataFrame:
    """Predictions that know the answer half of the time."""
    rng = np.random.default_rng(seed)
    classes, index = corpus.protocol.classes, corpus.index
    truth = mark_units(index["label"], classes)
    probability = np.where(rng.random(truth.shape) < 0.5, truth, rng.random(truth.shape))
    ids = index["sample_id"].tolist()
    table = tabulate(index, ids, probability, ActionUnits(classes), 0, seed)
    folds = {name: number for number, name in enumerate(sorted(set(index["subject"])))}
    return table.assign(fold=table["subject"].map(folds))


def marks_of(table: pd.DataFrame, classes) -> tuple[np.ndarray, np.ndarray]:
    return mark_units(table["label"], classes), mark_units(table["predicted"], classes)


@pytest.mark.parametrize(
    ("least", "kept"),
    [(1, ("AU4", "AU7", "AU12", "AU15")), (2, ("AU4", "AU7", "AU12")), (3, ("AU4", "AU12"))],
)
def test_labels_are_the_units_that_so_many_subjects_show_on_whatever_side(coded, least, kept):
    corpus = set_target(coded, "action_units", least)
    assert corpus.protocol.classes == kept
    assert corpus.protocol.target == "action_units"
    for _, row in corpus.index.iterrows():
        named = {f"AU{unit.number}" for unit in row["action_units"]} & set(kept)
        assert row["label"] == "+".join(sorted(named, key=kept.index)) or not named
        assert (row["label"] == "none") == (not named)
    assert corpus.index.drop(columns="label").equals(coded.index.drop(columns="label"))


def test_emotions_and_units_of_the_same_samples_are_two_protocols(coded):
    emotion = set_target(coded, "emotion", 2)
    assert emotion is coded
    units = [set_target(coded, "action_units", least).protocol for least in (1, 2)]
    assert len({entry.hash for entry in (coded.protocol, *units)}) == 3


@pytest.mark.parametrize(
    ("target", "least", "message"),
    [
        ("units", 3, r"task\.target=units is unknown; choose emotion or action_units"),
        ("action_units", 0, r"task\.min_subjects=0, .* give 1 or more"),
        (
            "action_units",
            4,
            r"no action unit of made .* by 4 training subjects or more of every fold, the most by 3",
        ),
    ],
)
def test_targets_that_cannot_be_are_refused(coded, target, least, message):
    with pytest.raises(InputError, match=message):
        set_target(coded, target, least)


def test_a_data_set_without_coded_units_is_refused_rather_than_called_unmoved(coded):
    index = coded.index.copy()
    quiet = index["subject"] == "d"
    index["corpus"] = index["corpus"].mask(quiet, "smic")
    index["action_units"] = [
        () if still else units for still, units in zip(quiet, index["action_units"], strict=True)
    ]
    for given in (index, index.drop(columns="action_units")):
        corpus = Corpus(coded.protocol, given, None, ())
        with pytest.raises(InputError, match="of made has no coded action units; take a corpus"):
            set_target(corpus, "action_units", 1)


def test_samples_whose_units_are_not_known_are_left_out_rather_than_called_unmoved(coded, caplog):
    unknown = coded.index["sample_id"].isin(["a0", "c2"])
    cells = coded.index["action_units"].mask(unknown, None)
    assert cells.isna().sum() == 2
    corpus = set_target(
        replace(coded, index=coded.index.assign(action_units=cells)), "action_units", 1
    )
    assert corpus.protocol.samples == len(coded.index) - 2
    rest = set_target(
        replace(coded, index=coded.index[~unknown].reset_index(drop=True)), "action_units", 1
    )
    assert corpus.index.equals(rest.index)
    assert corpus.protocol == rest.protocol
    assert "2 of 13 samples of made are left out, neither trained on nor scored" in caplog.text


def test_marking_undoes_spelling():
    marks = np.random.default_rng(0).random((50, 4)) < 0.3
    np.testing.assert_array_equal(mark_units(spell_units(marks, UNITS), UNITS), marks)
    assert spell_units(marks[:0], UNITS) == []


@pytest.mark.parametrize("text", ["AU5", "AU4+AU5", "AU4+AU4", "", "4", "AU4+none", "nan"])
def test_what_is_no_list_of_the_units_is_refused(text):
    with pytest.raises(ValueError, match="is no list of AU4, AU7, AU12, AU15"):
        mark_units(["none", text], UNITS)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_scikit_learns_of_all_folds_pooled(coded, seed):
    corpus = set_target(coded, "action_units", 1)
    table = predict(corpus, seed)
    truth, predicted = marks_of(table, UNITS)
    _, counts = confusion_by_unit(table, UNITS)
    pooled = counts[0].sum(0)
    np.testing.assert_array_equal(pooled, multilabel_confusion_matrix(truth, predicted))
    options = {"zero_division": 0}
    np.testing.assert_allclose(
        f1_per_unit(pooled), f1_score(truth, predicted, average=None, **options)
    )
    assert mean_f1(pooled) == pytest.approx(f1_score(truth, predicted, average="macro", **options))
    always = f1_score(truth, np.ones_like(truth), average=None)
    np.testing.assert_allclose(chance_f1(pooled), always)


def test_a_unit_that_is_neither_there_nor_said_to_be_counts_as_nothing(coded):
    corpus = set_target(coded, "action_units", 1)
    table = predict(corpus, 0)
    table = table[~(table["label"] + table["predicted"]).str.contains("AU15")]
    _, counts = confusion_by_unit(table, UNITS)
    assert f1_per_unit(counts[0].sum(0))[3] == 0


def test_the_bootstrap_draws_whole_subjects_for_all_units_at_once(coded):
    table = predict(set_target(coded, "action_units", 1), 0)
    subjects, counts = confusion_by_unit(table, UNITS)
    drawn = bootstrap(f1_per_unit, counts, draws=20, seed=1)
    for times, actual in zip(draw_subjects(len(subjects), 20, 1), drawn, strict=True):
        names = np.repeat(subjects, times)
        rows = pd.concat([table[table["subject"] == name] for name in names])
        expected = f1_score(*marks_of(rows, UNITS), average=None, zero_division=0)
        np.testing.assert_allclose(actual, expected)


def test_a_probability_of_one_half_is_enough_and_less_is_not(coded):
    corpus = set_target(coded, "action_units", 2)
    index = corpus.index.iloc[:2]
    probability = np.array([[0.5, 0.4999, 1.0], [0.0, 0.0, 0.0]])
    classes, ids = corpus.protocol.classes, index["sample_id"].tolist()
    table = tabulate(index, ids, probability, ActionUnits(classes), 0, 0)
    assert table["predicted"].tolist() == ["AU4+AU12", "none"]


def test_predictions_read_back_as_they_were_and_foreign_units_are_refused(coded, tmp_path):
    corpus = set_target(coded, "action_units", 2)
    table, file = predict(corpus, 0), tmp_path / "predictions.csv"
    write_predictions(file, table)
    actual = read_predictions(file)
    pd.testing.assert_frame_equal(actual, table)
    assert_complete(actual, corpus.protocol, "test")
    actual.loc[3, "predicted"] = "AU4+AU99"
    with pytest.raises(InputError, match=r"test: predicted: 'AU4\+AU99' is no list of AU4, AU7"):
        assert_complete(actual, corpus.protocol, "test")


def test_another_coding_of_the_same_samples_is_refused(coded):
    corpus = set_target(coded, "action_units", 2)
    table = predict(corpus, 0)
    table.loc[0, "label"] = "none" if table["label"][0] != "none" else "AU4"
    with pytest.raises(InputError, match=r"are not the 13 of made"):
        assert_complete(table, corpus.protocol, "test")


def test_a_result_averages_over_seeds_and_has_intervals_of_whole_subjects(
    coded, tmp_path, write_run, reckon_interval
):
    corpus = set_target(coded, "action_units", 1)
    tables = [predict(corpus, seed) for seed in (0, 1)]
    for seed, table in enumerate(tables):
        recorded = corpus.protocol.to_dict()
        write_run(tmp_path / f"{seed}", table, corpus.index, UNITS, protocol=recorded)
    (result,) = pool_runs(find_runs([tmp_path]))
    scores = result.score_units().set_index("unit")
    expected = np.mean(
        [f1_score(*marks_of(table, UNITS), average=None, zero_division=0) for table in tables], 0
    )
    np.testing.assert_allclose(scores.loc[list(UNITS), "f1"], expected)
    assert scores.loc["mean", "f1"] == pytest.approx(expected.mean())
    truth = mark_units(corpus.index["label"], UNITS)
    assert scores.loc[list(UNITS), "samples"].tolist() == truth.sum(0).tolist()
    assert scores.loc[list(UNITS), "subjects"].tolist() == [4, 3, 4, 2]
    _, counts = confusion_by_unit(result.predictions, UNITS)
    samples = counts[0, :, :, 1].sum(-1)
    expected = reckon_interval(expected.mean(), bootstrap(mean_f1, counts), samples)
    assert (scores.loc["mean", "low"], scores.loc["mean", "high"]) == pytest.approx(expected)
    given = scores[scores["subjects"] >= 3]
    assert (given["low"] <= given["f1"]).all()
    assert (given["f1"] <= given["high"]).all()
    assert scores.loc["AU15", ["low", "high"]].isna().all()  # shown by two subjects


def test_the_permutation_swaps_whole_subjects_in_all_units_at_once(coded):
    a, b = (predict(set_target(coded, "action_units", 1), seed) for seed in (0, 1))
    counts = [confusion_by_unit(entry, UNITS)[1] for entry in (a, b)]
    actual = compare_paired(mean_f1, *counts, draws=50, seed=3)
    subjects = np.array(sorted(set(a["subject"])))
    swaps = np.random.default_rng(3).integers(0, 2, size=(50, len(subjects)))
    tables, scores = (a.set_index("sample_id"), b.set_index("sample_id").loc[a["sample_id"]]), []
    for swap in (np.zeros(len(subjects), int), *swaps):
        swapped = tables[0]["subject"].isin(subjects[swap == 1]).to_numpy()
        mixed = [pd.concat([tables[one][~swapped], tables[1 - one][swapped]]) for one in range(2)]
        sides = [
            f1_score(*marks_of(entry, UNITS), average="macro", zero_division=0) for entry in mixed
        ]
        scores.append(sides[1] - sides[0])
    extreme = sum(abs(score) >= abs(scores[0]) - 1e-12 for score in scores[1:])
    assert actual.value == pytest.approx(scores[0])
    assert actual.p == pytest.approx((1 + extreme) / 51)
    assert 0 < extreme < 50


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("p_AU4", 1.2, "p_AU4 is 1.2, expected a probability from 0 to 1"),
        ("predicted", "other", "expected the action units of a probability of 0.5 or more"),
        ("label", "AU4+AU99", r"label is AU4\+AU99, expected units of AU4, AU7"),
    ],
)
def test_a_row_of_units_that_no_fold_can_have_written_is_refused(
    coded, tmp_path, write_run, column, value, words
):
    corpus = set_target(coded, "action_units", 1)
    recorded = corpus.protocol.to_dict()
    folder = write_run(tmp_path / "run", predict(corpus, 0), corpus.index, UNITS, protocol=recorded)
    read_run(folder)
    file = folder / "folds/001/predictions.csv"
    rows = pd.read_csv(file).astype({column: object})
    other = "AU4" if rows.loc[0, "predicted"] != "AU4" else "AU7"
    rows.loc[0, column] = other if value == "other" else value
    rows.to_csv(file, index=False)
    with pytest.raises(InputError, match=rf"line 2, sample .*: .*{words}"):
        read_run(folder)


def test_a_fold_learns_what_enough_training_subjects_show_and_that_holds_all_that_is_scored(coded):
    for least in (1, 2):
        scored = set_target(coded, "action_units", least).protocol.classes
        for subject in coded.index["subject"].unique():
            rest = coded.index[coded.index["subject"] != subject]
            learnt = find_trained_units(rest, least)
            assert {*scored} <= {*learnt}
            for name in learnt:
                number = int(name.removeprefix("AU"))
                shows = rest["action_units"].map(
                    lambda units, number=number: any(unit.number == number for unit in units)
                )
                assert rest.loc[shows, "subject"].nunique() >= least


def test_what_was_predicted_of_trained_units_comes_to_the_place_of_the_scored_ones():
    values = np.array([[0.1, 0.2, 0.3]])
    spread = ActionUnits(("AU4", "AU6", "AU1")).spread(values, ("AU1", "AU4", "AU7"))
    np.testing.assert_array_equal(spread, [[0.2, 0.0, 0.1]])
