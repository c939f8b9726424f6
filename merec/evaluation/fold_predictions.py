"""Reading and validation of the predictions of one fold."""

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from merec.evaluation.completeness import shorten
from merec.run_folder.fold_folder import FoldFolder
from merec.run_folder.reading import FOLD_AGAIN, UnexpectedError, reading
from merec.subject_groups import name_group
from merec.targets import Target, open_target
from merec.targets.emotion import TOLERANCE
from merec.types import Protocol


def read_fold(folder: FoldFolder, protocol: Protocol, seed: int | None) -> pd.DataFrame:
    """Read the predictions of a fold, and refuse rows that the run cannot have written.

    Args:
        folder: Folder of the fold; its name is the number of the fold.
        protocol: Protocol of the run, with its classes and folds.
        seed: Seed of the run; `None` if unknown.

    Raises:
        InputError: For a class without a column, a sample predicted twice, an invalid label, a probability
            outside 0 to 1, probabilities that do not sum to 1, a prediction that is not the most probable
            class (for action units: not the units with probability ≥ .5), or a wrong fold, seed or held-out
            subject. The message names file, line and sample.
    """
    table, fold = folder.read_predictions(), int(folder.name)
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
        target = open_target(protocol)
        for name in ("label", "predicted"):
            _refuse(table, *target.check_labels(name, table[name]))
        _check_probability(table, columns, target)
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
        entry = np.asarray(value)[first]
        entry = f"{entry:g}" if isinstance(entry, float) else entry
        more = f"; {len(rows) - 1} more such lines" if len(rows) > 1 else ""
        # Line 1 holds the names of the columns.
        raise UnexpectedError(
            f"line {first + 2}, sample {table['sample_id'].iloc[first]}: {what} is {entry}, expected "
            f"{expected}{more}"
        )


def _check_probability(table: pd.DataFrame, columns: list[str], target: Target) -> None:
    """Refuse invalid probabilities, and predictions that do not follow from the probabilities."""
    probability = table[columns].to_numpy(float)
    outside = (probability < 0) | (probability > 1 + TOLERANCE)
    for column, wrong, value in zip(columns, outside.T, probability.T, strict=True):
        _refuse(table, wrong, column, value, "a probability from 0 to 1")
    for check in target.check_predicted(probability, table["predicted"].to_numpy()):
        _refuse(table, *check)


def _check_held_out(table: pd.DataFrame, folder: FoldFolder, protocol: Protocol, fold: int) -> None:
    """Refuse samples that do not belong to the held-out group in the fold's `fold.json`."""
    if protocol.groups:
        members = protocol.groups[fold]
        wrong = ~table["subject"].isin(members)
        expected = f"a subject of {name_group(fold, len(protocol.groups))} ({shorten(members)})"
        _refuse(table, wrong, "subject", table["subject"], expected)
        return
    held_out = folder.read_held_out()
    if held_out is None:
        return
    # A subject or a data set: which it is, the protocol of a corpus alone does not say.
    other_subject = (table["subject"] != held_out) & (table["corpus"] != held_out)
    _refuse(
        table,
        other_subject,
        "subject",
        table["subject"],
        f"{held_out}, held out by {folder.notes.name}",
    )
