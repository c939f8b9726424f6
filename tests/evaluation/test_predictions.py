"""Predictions carry sample ids, survive the disk to the last bit, and are whole or refused."""

import numpy as np
import pandas as pd
import pytest

from merec.errors import InputError
from merec.evaluation.completeness import assert_complete
from merec.evaluation.predictions import export_megc2019_log, tabulate
from merec.evaluation.protocol import describe_protocol
from merec.metrics import confusion
from merec.run_folder.prediction_table import COLUMNS, read_predictions, write_predictions
from merec.targets.emotion import Emotion

# What pandas takes for numbers or missing values unless told not to, and what CSV has to quote.
AWKWARD = [
    "NA",
    "nan",
    "null",
    "None",
    "",
    "006",
    "1e5",
    "a,b",
    'say "ah"',
    " blank",
    "lächeln",
    "True",
]


@pytest.fixture
def rows() -> pd.DataFrame:
    """One subject's rows of an index, with awkward names."""
    return pd.DataFrame(
        {
            "sample_id": [f"006_{clip}" for clip in AWKWARD],
            "corpus": "samm",
            "subject": "006",
            "clip": AWKWARD,
            "label": np.arange(len(AWKWARD)) % 3,
        }
    )


@pytest.fixture
def probability(rows) -> np.ndarray:
    rng = np.random.default_rng(0)
    drawn = rng.dirichlet(np.ones(3), size=len(rows))
    drawn[0] = [1 / 3, 2 / 3, 5e-324]  # endless in decimal, and the least number there is
    drawn[1] = [np.nextafter(1, 0), 1e-17, 0.1 + 0.2]
    return drawn


def test_predictions_are_joined_by_id_and_not_by_position(rows, probability, classes):
    predicted = dict(zip(rows["sample_id"], probability.tolist(), strict=True))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(rows))
        ids = rows["sample_id"].to_numpy()[order]
        table = tabulate(rows, ids.tolist(), probability[order], Emotion(classes), fold=6, seed=2)
        assert list(table) == [*COLUMNS, "p_negative", "p_positive", "p_surprise"]
        assert sorted(table["sample_id"]) == sorted(rows["sample_id"])
        recorded = rows.set_index("sample_id")
        for row in table.to_dict("records"):
            assert [row[f"p_{name}"] for name in classes] == predicted[row["sample_id"]]
            assert row["predicted"] == int(np.argmax(predicted[row["sample_id"]]))
            assert (row["fold"], row["seed"]) == (6, 2)
            for column in ("corpus", "subject", "clip", "label"):
                assert row[column] == recorded.loc[row["sample_id"], column]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_predictions_return_from_disk_with_every_bit(rows, probability, classes, tmp_path, dtype):
    given = probability.astype(dtype)
    table = tabulate(rows, rows["sample_id"].tolist(), given, Emotion(classes), fold=6, seed=2)
    write_predictions(tmp_path / "predictions.csv", table)
    actual = read_predictions(tmp_path / "predictions.csv")
    pd.testing.assert_frame_equal(actual, table, check_exact=True, check_dtype=False)
    assert actual[["fold", "seed", "label", "predicted"]].dtypes.eq("int64").all()
    returned = actual[[f"p_{name}" for name in classes]].to_numpy()
    assert returned.astype(dtype).tobytes() == given.tobytes()
    assert returned.tobytes() == given.astype(np.float64).tobytes()
    assert actual["subject"].unique().tolist() == ["006"]
    assert actual["clip"].tolist() == AWKWARD
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_other_samples_than_the_held_out_ones_are_an_error_that_names_one(
    rows, probability, classes
):
    ids = rows["sample_id"].tolist()
    wrong = {
        "another": (
            [*ids[:-1], "sub01_EP02"],
            r"006_True is predicted 0 times and held out 1 times",
        ),
        "twice": ([*ids[:-1], ids[0]], r"006_NA is predicted 2 times and held out 1 times"),
    }
    for text, message in wrong.values():
        with pytest.raises(ValueError, match=f"fold 6: .*{message}"):
            tabulate(rows, text, probability, Emotion(classes), fold=6, seed=0)
    with pytest.raises(ValueError, match=r"006_True is predicted 0 times"):
        tabulate(rows, ids[:-1], probability[:-1], Emotion(classes), fold=6, seed=0)
    with pytest.raises(ValueError, match=r"006_True is predicted 1 times and held out 0 times"):
        tabulate(rows.iloc[:-1], ids, probability, Emotion(classes), fold=6, seed=0)


def test_an_index_that_holds_a_sample_twice_is_an_error(rows, probability, classes):
    twice = pd.concat([rows.iloc[:-1], rows.iloc[:1]])
    with pytest.raises(ValueError, match="unique"):
        tabulate(twice, twice["sample_id"].tolist(), probability, Emotion(classes), fold=6, seed=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 4, 11])
def test_probabilities_that_are_not_finite_are_an_error_that_names_fold_and_sample(
    rows, probability, classes, value, row
):
    probability[row, 1] = value
    with pytest.raises(ValueError, match=r"fold 6: .*not finite; training diverged") as error:
        tabulate(rows, rows["sample_id"].tolist(), probability, Emotion(classes), fold=6, seed=0)
    assert f"probabilities of {rows['sample_id'][row]} are" in str(error.value)


@pytest.fixture
def whole(make_index, predict, classes):
    """Predictions of two seeds, and the protocol they complete."""
    index = make_index(subjects=7)
    table = pd.concat([predict(index, seed=seed) for seed in (0, 1)], ignore_index=True)
    return table, describe_protocol("fake", index, classes)


def test_every_sample_once_per_seed_is_complete_in_any_order(whole):
    table, protocol = whole
    assert len(table) == 2 * protocol.samples
    assert_complete(table, protocol, "runs/1")
    assert_complete(table.sample(frac=1, random_state=0), protocol, "runs/1")
    assert_complete(table[table["seed"] == 1], protocol, "runs/1")


@pytest.mark.parametrize("row", [0, 13, -1])
def test_a_sample_predicted_twice_is_an_error_that_names_it(whole, row):
    table, protocol = whole
    again = table.iloc[[row]]
    with pytest.raises(
        InputError, match=r"runs/1: sample \S+ is predicted twice for seed"
    ) as error:
        assert_complete(pd.concat([table, again]), protocol, "runs/1")
    assert f"sample {again['sample_id'].item()} " in str(error.value)
    assert f"seed {again['seed'].item()};" in str(error.value)
    # Also where another is missing, so that the number is right.
    swapped = pd.concat([table.drop(table.index[row - 1]), again])
    with pytest.raises(InputError, match=f"sample {again['sample_id'].item()} is predicted twice"):
        assert_complete(swapped, protocol, "runs/1")


def test_missing_folds_are_an_error_that_numbers_them(whole):
    table, protocol = whole
    gap = table[~((table["seed"] == 1) & table["fold"].isin([2, 5]))]
    with pytest.raises(
        InputError, match=r"seed 1 has \d+ of \d+ samples; missing 2 of 7 .*\(2, 5\)"
    ):
        assert_complete(gap, protocol, "runs/1")


def test_a_single_missing_sample_is_an_error(whole):
    table, protocol = whole
    for row in range(0, len(table), 7):
        gap = table.drop(table.index[row])
        with pytest.raises(
            InputError, match=f"has {protocol.samples - 1} of {protocol.samples} samples"
        ):
            assert_complete(gap, protocol, "runs/1")


def test_nothing_predicted_is_an_error(whole):
    table, protocol = whole
    with pytest.raises(InputError, match="nothing is predicted"):
        assert_complete(table.iloc[:0], protocol, "runs/1")


@pytest.mark.parametrize(
    ("column", "value"), [("sample_id", "006_other"), ("subject", "999"), ("label", None)]
)
def test_as_many_samples_of_another_corpus_are_an_error(whole, column, value):
    table, protocol = whole
    other = table.copy()
    place = other.index[3]
    other.loc[place, column] = (other.loc[place, "label"] + 1) % 3 if value is None else value
    text = f"of seed 0 are not the .* {protocol.name}"
    if value is None:
        text = f"label of sample {table.loc[place, 'sample_id']} is .*, but the run recorded"
    with pytest.raises(InputError, match=f"runs/1: .*{text}"):
        assert_complete(other, protocol, "runs/1")


def test_a_sample_too_many_is_an_error(whole):
    table, protocol = whole
    more = pd.concat([table, table.iloc[[0]].assign(sample_id="006_other")])
    with pytest.raises(
        InputError, match=f"the {protocol.samples + 1} samples of seed 0 are not the"
    ):
        assert_complete(more, protocol, "runs/1")


@pytest.mark.parametrize("column", ["label", "predicted"])
@pytest.mark.parametrize("value", [-1, 3])
def test_a_class_out_of_range_is_an_error_that_names_the_sample(whole, column, value):
    table, protocol = whole
    wrong = table.copy()
    wrong.loc[wrong.index[5], column] = value
    sample_id = table["sample_id"].iloc[5]
    with pytest.raises(InputError, match=rf"{column} of sample {sample_id} is {value}, .* 0 to 2"):
        assert_complete(wrong, protocol, "runs/1")


def test_a_table_cut_off_anywhere_is_refused_by_reading_or_by_completeness(
    make_index, predict, classes, tmp_path
):
    index = make_index(subjects=2)
    protocol = describe_protocol("fake", index, classes)
    path = tmp_path / "predictions.csv"
    write_predictions(path, predict(index))
    assert_complete(read_predictions(path), protocol, str(path))
    content = path.read_bytes()
    # A cut in the last digits of the last number cannot be seen; it changes no prediction.
    end = content.rindex(b",")
    refused = 0
    for size in [*range(0, end, 11), *range(end - 40, end + 1)]:
        path.write_bytes(content[:size])

        def read() -> None:
            assert_complete(read_predictions(path), protocol, str(path))

        with pytest.raises(InputError, match=r"predictions\.csv"):
            read()
        refused += 1
    assert refused > 80


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("label", "positive"),
        ("label", "1.5"),
        ("label", ""),
        ("predicted", "99999999999999999999999"),
        ("fold", "nan"),
        ("seed", "0x1"),
        ("p_positive", "half"),
        ("p_positive", ""),
        ("p_positive", "nan"),
        ("p_surprise", "inf"),
    ],
)
def test_a_cell_that_is_no_such_number_is_an_error_that_names_the_file(
    rows, probability, classes, tmp_path, column, value
):
    path = tmp_path / "predictions.csv"
    table = tabulate(
        rows, rows["sample_id"].tolist(), probability, Emotion(classes), fold=6, seed=2
    )
    table = table.astype({column: object})
    table.loc[3, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(
        InputError, match=r"predictions\.csv is damaged .*run its fold again"
    ) as error:
        read_predictions(path)
    if not value.startswith("999"):  # beyond 64 bits
        assert "(line 5" in str(error.value)


def test_a_line_that_lacks_its_end_is_an_error_that_names_the_column(
    rows, probability, classes, tmp_path
):
    path = tmp_path / "predictions.csv"
    table = tabulate(
        rows, rows["sample_id"].tolist(), probability, Emotion(classes), fold=6, seed=2
    )
    write_predictions(path, table)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[4] = lines[4].rpartition(",")[0]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=r"damaged .*p_surprise"):
        read_predictions(path)


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xff\xfe\x00\x01", b"\x00" * 64, b"PK\x03\x04\n,,\n,,,,,\n"]
)
def test_a_file_that_is_no_table_is_an_error_that_names_it(tmp_path, content):
    path = tmp_path / "predictions.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"predictions\.csv (is damaged|has no column)"):
        read_predictions(path)


def test_missing_columns_are_all_named(whole, tmp_path):
    path = tmp_path / "predictions.csv"
    whole[0].drop(columns=["subject", "seed"]).to_csv(path, index=False)
    with pytest.raises(
        InputError, match="has no column subject, seed; it is no table of predictions"
    ):
        read_predictions(path)


def parse_megc2019_log(text: str) -> list[tuple[str, str, str, int, int]]:
    """Read a challenge log as its scorer would: a line of two words starts a subject."""
    rows, header = [], ("", "")
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2:
            header = (words[0], words[1])
        else:
            rows.append((*header, words[0], int(words[1]), int(words[2])))
    return rows


def test_the_megc2019_log_reads_back_to_the_same_predictions(whole, classes, tmp_path):
    table = whole[0].query("seed == 1").sample(frac=1, random_state=0)
    export_megc2019_log(tmp_path / "log.txt", table)
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    actual = parse_megc2019_log(text)
    expected = table[["corpus", "subject", "clip", "label", "predicted"]]
    assert sorted(actual) == sorted(expected.itertuples(index=False, name=None))
    label, predicted = zip(*[row[3:] for row in actual], strict=True)
    np.testing.assert_array_equal(
        confusion(label, predicted, 3),
        confusion(table["label"].tolist(), table["predicted"].tolist(), 3),
    )
    assert len(set(predicted)) == 3


def test_the_megc2019_log_has_one_header_per_subject_and_ends_with_a_newline(whole, tmp_path):
    table = whole[0].query("seed == 0")
    export_megc2019_log(tmp_path / "log.txt", table)
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    headers = [line for line in text.splitlines() if len(line.split()) == 2]
    subjects = sorted(set(zip(table["corpus"], table["subject"], strict=True)))
    assert headers == [" ".join(pair) for pair in subjects]
    assert len(text.splitlines()) == len(table) + len(subjects)
    assert text.endswith("\n")
    assert "\n\n" not in text


def test_the_same_subject_name_in_two_data_sets_has_a_header_each(tmp_path):
    table = pd.DataFrame(
        [("a", "006", "x", 0, 0, 1), ("b", "006", "x", 0, 2, 2)],
        columns=["corpus", "subject", "clip", "seed", "label", "predicted"],
    )
    export_megc2019_log(tmp_path / "log.txt", table)
    assert (tmp_path / "log.txt").read_text() == "a 006\nx 0 1\nb 006\nx 2 2\n"


def test_a_log_of_several_seeds_is_an_error(whole, tmp_path):
    with pytest.raises(InputError, match=r"log\.txt .* seeds \[0, 1\]; pick one"):
        export_megc2019_log(tmp_path / "log.txt", whole[0])
    assert not (tmp_path / "log.txt").exists()


def test_semicolons_and_what_is_not_a_number_are_named(whole, tmp_path):
    path = tmp_path / "predictions.csv"
    whole[0].to_csv(path, index=False, sep=";", decimal=",")
    with pytest.raises(InputError, match=r"has semicolons between its columns.*put the file back"):
        read_predictions(path)
    last = whole[0].columns[-1]
    text = whole[0].astype({last: object})
    text.loc[3, last] = "nan"
    text.to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"line 5: {last} is 'nan', expected a finite number"):
        read_predictions(path)
