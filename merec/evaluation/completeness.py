"""Check that predictions cover every sample of a protocol, once per seed."""

from collections.abc import Sequence

import pandas as pd

from merec.evaluation.protocol import describe_protocol, find_edited_label
from merec.targets import open_target
from merec.types import InputError, Protocol


def assert_complete(predictions: pd.DataFrame, protocol: Protocol, source: str) -> None:
    """Check that every sample of the protocol is predicted exactly once per seed.

    Raises:
        InputError: If not; the message names a sample predicted twice, a class out of range, the number of
            missing folds and samples, or a seed whose samples differ from the protocol.
    """
    if predictions.empty:
        raise InputError(f"{source}: nothing is predicted; run its command again")
    for column in ("label", "predicted"):
        try:
            open_target(protocol).assert_labels(predictions, column, protocol.name)
        except ValueError as error:
            raise InputError(f"{source}: {error}") from error
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
        actual = describe_protocol(protocol.name, rows, protocol.classes)
        if protocol.sources and actual.hash == protocol.hash and actual.sources != protocol.sources:
            raise InputError(
                f"{source}: column corpus of seed {seed} is not what the run recorded: a sample was moved to "
                "another data set; delete the folds that were changed and run the same command again"
            )
        if (actual.samples, actual.subjects, actual.hash) != expected:
            edited = find_edited_label(rows, protocol)
            if edited is not None:
                sample_id, label, trained = edited
                raise InputError(
                    f"{source}: label of sample {sample_id} is {label}, but the run recorded {trained} "
                    f"({protocol.classes[trained]}); delete the fold that was changed and run the same "
                    "command again"
                )
            raise InputError(
                f"{source}: the {actual.samples} samples of seed {seed} are not the "
                f"{protocol.samples} of {protocol.name} ({actual.hash}, not {protocol.hash}); its "
                "folders hold another corpus or another version of it"
            )


def shorten(numbers: Sequence[int | str], most: int = 8) -> str:
    """Return the first numbers of a list as text."""
    text = ", ".join(map(str, numbers[:most]))
    return text + (", …" if len(numbers) > most else "") if numbers else "none whole"
