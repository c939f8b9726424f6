"""Summary of `merec prepare` in lines."""

from pathlib import Path

import pandas as pd

_MOST = 20  # failures on the screen


def describe_failures(table: pd.DataFrame, root: Path, written: Path | None) -> str:
    """Describe the result of `FeatureStore.prepare`: the first failures, then a summary.

    Args:
        table: Table of `FeatureStore.prepare`.
        root: The store.
        written: The CSV with all of them, if there is one.
    """
    flawed = table[table["status"] != "ready"]
    failed, colour = (table["status"].eq(status).sum() for status in ("failed", "colour only"))
    lines = [f"{row['sample_id']}: {row['reason']}" for _, row in flawed.head(_MOST).iterrows()]
    if len(flawed) > _MOST:
        lines.append(f"… and {len(flawed) - _MOST} more")
    doubtful = table[table["note"] != ""]
    if len(doubtful):
        first = doubtful.iloc[0]
        lines.append(
            f"{len(doubtful)} samples to be doubted, e.g. {first['sample_id']}: {first['note']}"
        )
    if colour:
        lines.append(f"{colour} samples are ready in colour only: datamodule=rgb uses them")
    short = int((table["short"] > 0).sum())
    lines.append(
        f"{len(table) - len(flawed)} of {len(table)} samples are ready, {failed} failed; {short} have "
        f"regions with fewer points than asked for; {root}"
    )
    return "\n".join([*lines, *([f"All samples: {written}"] if written else [])]) + "\n"


def describe_pairs(table: pd.DataFrame, root: Path, written: Path | None) -> str:
    """Describe the result of `FeatureStore.make_pool`: number and intensity of pairs.

    Args:
        table: Columns `subject` and `intensity`.
        root: The store.
        written: The CSV with all of them, if there is one.
    """
    least, low, middle, high, most = table["intensity"].quantile([0, 0.25, 0.5, 0.75, 1])
    lines = [
        f"{len(table)} pairs of {table['subject'].nunique()} subjects; {root}",
        f"intensity {least:.2f} to {most:.2f}; quartiles {low:.2f}, {middle:.2f}, {high:.2f}",
    ]
    return "\n".join([*lines, *([f"All pairs: {written}"] if written else [])]) + "\n"
