"""Tables of predictions: one row per held-out sample and seed, joined by sample id alone."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from merec.evaluation.action_units import THRESHOLD, mark_units, spell_units
from merec.evaluation.protocol import describe_protocol
from merec.files import atomic, write_text
from merec.run_files import reading
from merec.types import InputError, Protocol

COLUMNS = ["sample_id", "corpus", "subject", "clip", "fold", "seed", "label", "predicted"]
_NUMBERS = ["fold", "seed", "label", "predicted"]
_UNIT = re.compile(r"p_AU\d+")


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
        # Subjects such as 006 are names, and a clip called NA is no missing value. Numbers are read
        # as text first: by version, pandas' own parser rounds probabilities, and 1.5 is no class.
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        missing = [column for column in COLUMNS if column not in table]
        said = list(table.filter(regex="^p_"))
        # Labels of action units are their names.
        numbers = _NUMBERS[:2] if said and all(map(_UNIT.fullmatch, said)) else _NUMBERS
        types = dict.fromkeys(said, "float64") | dict.fromkeys(numbers, "int64")
        table = table.astype({column: kind for column, kind in types.items() if column in table})
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; it is no table of predictions"
        )
    # A line that was cut off still parses: what it lacks is read as not a number.
    whole = np.isfinite(table.filter(regex="^p_")).all(axis=1)
    if not whole.all():
        line = int(whole.argmin()) + 2
        raise InputError(
            f"{path} is damaged (line {line} is not whole); delete it and run its fold again"
        )
    return table


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
                f"{len(folds)} of {protocol.folds} folds ({_shorten(sorted(folds))}); "
                "run the same command again to train them"
            )
        found = describe_protocol(protocol.name, rows, protocol.classes)
        if (found.samples, found.subjects, found.hash) != expected:
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


def _shorten(numbers: list[int], most: int = 8) -> str:
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
