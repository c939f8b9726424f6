"""Tables of predictions: one row per held-out sample and seed, joined by sample id alone."""

import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from merec.evaluation.action_units import NOTHING, THRESHOLD, mark_units, spell_units
from merec.evaluation.protocol import describe_protocol, find_edited_label
from merec.evaluation.subject_groups import name_group
from merec.files import atomic, write_text
from merec.run_folder.fold_folder import FoldFolder
from merec.run_folder.reading import FOLD_AGAIN, UnexpectedError, reading
from merec.types import InputError, Protocol

COLUMNS = ["sample_id", "corpus", "subject", "clip", "fold", "seed", "label", "predicted"]
_NUMBERS = ["fold", "seed", "label", "predicted"]
_UNIT = re.compile(r"p_AU\d+")
_TOLERANCE = 0.01  # of a sum of probabilities in half precision


def tabulate(
    rows: pd.DataFrame,
    sample_id: Sequence[str] | Shaped[np.ndarray, " samples"],
    probability: Float[np.ndarray, "samples classes"],
    classes: Sequence[str],
    fold: int,
    seed: int,
    target: str = "emotion",
) -> pd.DataFrame:
    """Join what a model said to the index, by sample id.

    Args:
        rows: The held-out rows of the corpus index.
        sample_id: Which sample each row of `probability` belongs to.
        probability: Probability of each class; the highest is the prediction. Of each action unit; those of
            one half or more are.
        classes: Class names in label order.
        fold: Number of the fold.
        seed: Seed of the run.
        target: `emotion` or `action_units`.

    Raises:
        ValueError: If the model was given other samples than `rows`, or said something not finite.
    """
    predicted, held_out = Counter(map(str, sample_id)), Counter(rows["sample_id"])
    if predicted != held_out:
        wrong = sorted((predicted - held_out) | (held_out - predicted))
        raise ValueError(
            f"fold {fold}: the model predicted other samples than the held-out ones: {wrong[0]} is "
            f"predicted {predicted[wrong[0]]} times and held out {held_out[wrong[0]]} times "
            f"({len(wrong)} such samples)"
        )
    finite = np.isfinite(probability).all(1)
    if not finite.all():
        raise ValueError(
            f"fold {fold}: the model's probabilities of {list(sample_id)[finite.argmin()]} are not "
            "finite; training diverged (try a lower optimizer.lr)"
        )
    # As float64, since what is read back is: single precision would return with other bits.
    said = pd.DataFrame(probability.astype(np.float64), columns=[f"p_{name}" for name in classes])
    several = target == "action_units"
    named = spell_units(probability >= THRESHOLD, classes) if several else probability.argmax(1)
    said.insert(0, "predicted", named)
    said.insert(0, "sample_id", list(sample_id))
    known = rows[["sample_id", "corpus", "subject", "clip", "label"]].assign(fold=fold, seed=seed)
    table = known.merge(said, on="sample_id", validate="one_to_one")
    return table[[*COLUMNS, *said.columns[2:]]]


def write_predictions(path: Path, predictions: pd.DataFrame) -> None:
    """Write `predictions.csv` wholly or not at all."""
    with atomic(path) as part:
        predictions.to_csv(part, index=False)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a table of predictions.

    Raises:
        InputError: If a column is missing or a row is not readable.
    """
    with reading(path, "delete it and run its fold again"):
        content = path.read_bytes()
        if not content.strip():
            raise UnexpectedError("it is empty")
        if b"\0" in content:  # which pandas drops, with what follows it in the cell
            line = content[: content.index(b"\0")].count(b"\n") + 1
            raise UnexpectedError(f"line {line} holds NUL bytes")
        # Subjects such as 006 are names, and a clip called NA is no missing value. Numbers are read
        # as text first: by version, pandas' own parser rounds probabilities, and 1.5 is no class.
        table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        missing = [column for column in COLUMNS if column not in table]
        said = list(table.filter(regex="^p_"))
        # Labels of action units are their names.
        numbers = _NUMBERS[:2] if said and all(map(_UNIT.fullmatch, said)) else _NUMBERS
        types = dict.fromkeys(said, "float64") | dict.fromkeys(numbers, "int64")
        for column in [name for name in types if name in table]:
            table[column] = _read_numbers(table[column], types[column])
    if missing and COLUMNS[1] in content.decode(errors="ignore").partition("\n")[0].split(";"):
        raise InputError(
            f"{path} has semicolons between its columns, as a spreadsheet program writes in German; put the "
            f"file back as merec wrote it (save no copy over it), or {FOLD_AGAIN}"
        )
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; it is no table of predictions"
        )
    if table.empty:
        raise InputError(f"{path} holds no prediction; delete it and run its fold again")
    # A line that was cut off still parses: what it lacks is read as not a number.
    whole = np.isfinite(table.filter(regex="^p_")).all(axis=1)
    if not whole.all():
        line = int(whole.argmin()) + 2
        raise InputError(
            f"{path} is damaged (line {line} is not whole); delete it and run its fold again"
        )
    return table


def _read_numbers(texts: pd.Series, kind: str) -> pd.Series:
    """Return a column as numbers, each as Python reads it."""
    try:
        numbers = texts.astype(kind)
        bad = texts.notna() & ~np.isfinite(numbers)  # what a cut line lacks is no text
        if bad.any():
            row = int(bad.argmax())
            raise UnexpectedError(
                f"line {row + 2}: {texts.name} is {texts.iloc[row][:60]!r}, expected a finite number"
            )
        return numbers
    except UnexpectedError:
        raise
    except ValueError as error:
        read = int if kind == "int64" else float
        for row, text in enumerate(texts):
            try:
                read(text)
            except ValueError:
                words = "a whole number" if read is int else "a number"
                raise UnexpectedError(
                    f"line {row + 2}: {texts.name} is {text[:60]!r}, expected {words}"
                ) from error
        raise


def read_fold(folder: FoldFolder, protocol: Protocol, seed: int | None) -> pd.DataFrame:
    """Read the predictions of a fold, and refuse rows that no fold of the run can have written.

    Args:
        folder: Of the fold, whose number is its name.
        protocol: Which classes there are, and how many folds.
        seed: Seed of the run; `None` if it is not known.

    Raises:
        InputError: Naming file, line and sample: a class without a column, a sample predicted twice, a label
            that is no class, a probability outside 0 to 1, probabilities that do not sum to 1, a prediction
            that is not the most probable class (of action units: not those of one half or more), or another
            fold, seed or held-out subject than the run's.
    """
    table, fold = read_predictions(folder.predictions), int(folder.name)
    with reading(folder.predictions, FOLD_AGAIN):
        columns = [f"p_{name}" for name in protocol.classes]
        missing = [column for column in columns if column not in table]
        if missing:
            raise UnexpectedError(f"it has no column {', '.join(missing)}")
        foreign = [column for column in table.filter(regex="^p_") if column not in columns]
        if foreign:
            raise UnexpectedError(f"{', '.join(foreign)} is of no class of {protocol.name}")
        ids = table["sample_id"]
        _refuse(table, ids.duplicated(), "sample_id", ids, "each sample once")
        _refuse(table, table["fold"] != fold, "fold", table["fold"], f"{fold} as in its folder")
        if seed is not None:
            wrong = table["seed"] != seed
            _refuse(table, wrong, "seed", table["seed"], f"{seed} as in config.yaml")
        _check_labels(table, protocol)
        _check_probability(table, columns, protocol)
        _check_held_out(table, folder, protocol, fold)
    return table


def _refuse(
    table: pd.DataFrame,
    wrong: Shaped[np.ndarray, " rows"] | pd.Series,
    what: str,
    value: Shaped[np.ndarray, " rows"] | pd.Series,
    expected: str,
) -> None:
    """Raise an error about the first row whose value is wrong, if there is one."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        first = rows[0]
        found = np.asarray(value)[first]
        found = f"{found:g}" if isinstance(found, float) else found
        more = f"; {len(rows) - 1} more such lines" if len(rows) > 1 else ""
        # Line 1 holds the names of the columns.
        raise UnexpectedError(
            f"line {first + 2}, sample {table['sample_id'].iloc[first]}: {what} is {found}, expected "
            f"{expected}{more}"
        )


def _check_labels(table: pd.DataFrame, protocol: Protocol) -> None:
    """Refuse labels and predictions that the protocol does not have."""
    for column in ("label", "predicted"):
        value = table[column]
        if protocol.target == "action_units":
            known = {*protocol.classes, NOTHING}
            wrong = np.array([not known.issuperset(str(text).split("+")) for text in value])
            _refuse(table, wrong, column, value, f"units of {', '.join(protocol.classes)}")
        else:
            most = len(protocol.classes) - 1
            _refuse(table, ~value.between(0, most), column, value, f"a class from 0 to {most}")


def _check_probability(table: pd.DataFrame, columns: list[str], protocol: Protocol) -> None:
    """Refuse what is no probability, and predictions that do not follow from the probabilities."""
    probability = table[columns].to_numpy(float)
    outside = (probability < 0) | (probability > 1 + _TOLERANCE)
    for column, wrong, value in zip(columns, outside.T, probability.T, strict=True):
        _refuse(table, wrong, column, value, "a probability from 0 to 1")
    predicted = table["predicted"].to_numpy()
    if protocol.target == "action_units":
        named = np.array(spell_units(probability >= THRESHOLD, protocol.classes), dtype=object)
        expected = f"the action units of a probability of {THRESHOLD:g} or more"
        _refuse(table, predicted != named, "predicted", predicted, expected)
        return
    total = probability.sum(1)
    wrong = np.abs(total - 1) > _TOLERANCE
    _refuse(table, wrong, "the sum of its probabilities", total, "1")
    below = probability[np.arange(len(table)), predicted] < probability.max(1)
    _refuse(table, below, "predicted", predicted, "the class of the largest probability")


def _check_held_out(table: pd.DataFrame, folder: FoldFolder, protocol: Protocol, fold: int) -> None:
    """Refuse samples of another subject, data set or group than the one that the fold's note names."""
    if protocol.groups:
        members = protocol.groups[fold]
        wrong = ~table["subject"].isin(members)
        expected = f"a subject of {name_group(fold, len(protocol.groups))} ({shorten(members)})"
        _refuse(table, wrong, "subject", table["subject"], expected)
        return
    if not folder.notes.exists():  # as in runs older than the note
        return
    with reading(folder.notes, FOLD_AGAIN):
        held_out = str(json.loads(folder.notes.read_text(encoding="utf-8"))["held_out"])
    # A subject or a data set: which it is, the protocol of a corpus alone does not say.
    others = (table["subject"] != held_out) & (table["corpus"] != held_out)
    _refuse(
        table, others, "subject", table["subject"], f"{held_out}, held out by {folder.notes.name}"
    )


def assert_complete(predictions: pd.DataFrame, protocol: Protocol, source: str) -> None:
    """Refuse to score anything but every sample of the protocol once per seed.

    Raises:
        InputError: Naming a sample predicted twice or a class out of range, or how many folds and
            samples are missing, or a seed whose samples are not the protocol's.
    """
    if predictions.empty:
        raise InputError(f"{source}: nothing is predicted; run its command again")
    _assert_classes(predictions, protocol, source)
    twice = predictions.duplicated(["sample_id", "seed"])
    if twice.any():
        row = predictions[twice].iloc[0]
        raise InputError(
            f"{source}: sample {row['sample_id']} is predicted twice for seed {row['seed']}; "
            "give each fold once"
        )
    expected = (protocol.samples, protocol.subjects, protocol.hash)
    for seed, rows in predictions.groupby("seed"):
        if len(rows) < protocol.samples:
            folds = set(range(protocol.folds)) - set(rows["fold"])
            raise InputError(
                f"{source}: seed {seed} has {len(rows)} of {protocol.samples} samples; missing "
                f"{len(folds)} of {protocol.folds} folds ({shorten(sorted(folds))}); "
                "run the same command again to train them"
            )
        found = describe_protocol(protocol.name, rows, protocol.classes)
        if protocol.sources and found.hash == protocol.hash and found.sources != protocol.sources:
            raise InputError(
                f"{source}: column corpus of seed {seed} is not what the run recorded: a sample was moved to "
                "another data set; delete the folds that were changed and run the same command again"
            )
        if (found.samples, found.subjects, found.hash) != expected:
            edited = find_edited_label(rows, protocol)
            if edited is not None:
                sample_id, label, trained = edited
                raise InputError(
                    f"{source}: label of sample {sample_id} is {label}, but the run recorded {trained} "
                    f"({protocol.classes[trained]}); delete the fold that was changed and run the same "
                    "command again"
                )
            raise InputError(
                f"{source}: the {found.samples} samples of seed {seed} are not the "
                f"{protocol.samples} of {protocol.name} ({found.hash}, not {protocol.hash}); its "
                "folders hold another corpus or another version of it"
            )


def _assert_classes(predictions: pd.DataFrame, protocol: Protocol, source: str) -> None:
    """Refuse labels that are not the protocol's."""
    num_classes = len(protocol.classes)
    for column in ("label", "predicted"):
        if protocol.target == "action_units":
            try:
                mark_units(predictions[column], protocol.classes)
            except ValueError as error:
                raise InputError(f"{source}: {column}: {error}") from error
            continue
        outside = ~predictions[column].between(0, num_classes - 1)
        if outside.any():
            row = predictions[outside].iloc[0]
            raise InputError(
                f"{source}: {column} of sample {row['sample_id']} is {row[column]}, but "
                f"{protocol.name} has classes 0 to {num_classes - 1}"
            )


def shorten(numbers: Sequence[int | str], most: int = 8) -> str:
    """Return the first few of some numbers as a text."""
    text = ", ".join(map(str, numbers[:most]))
    return text + (", …" if len(numbers) > most else "") if numbers else "none whole"


def export_megc2019_log(path: Path, predictions: pd.DataFrame) -> None:
    """Write the log of the MEGC2019 challenge: a line `db subject`, then `file gt pred` per sample.

    Args:
        path: File to write.
        predictions: One seed's predictions.

    Raises:
        InputError: If there are several seeds.
    """
    seeds = sorted(predictions["seed"].unique().tolist())
    if len(seeds) > 1:
        raise InputError(
            f"{path.name} takes one prediction per sample, but there are seeds {seeds}; pick one"
        )
    lines = []
    for (corpus, subject), rows in predictions.groupby(["corpus", "subject"], sort=True):
        lines.append(f"{corpus} {subject}")
        lines += [
            f"{clip} {label} {predicted}"
            for clip, label, predicted in rows.sort_values("clip")[
                ["clip", "label", "predicted"]
            ].itertuples(index=False)
        ]
    write_text(path, "\n".join(lines) + "\n")
