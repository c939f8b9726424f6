"""What the threshold of intensity keeps of the pairs pretrained on, and what it does to the score."""

from collections.abc import Sequence

import pandas as pd

from merec.evaluation.pretraining import hash_without, read_settings
from merec.evaluation.results import IDENTITY, Result


def read_pairs(result: Result) -> pd.DataFrame | None:
    """The pool of pairs a result was pretrained on (see `RunFolder.read_pairs`), which all its runs share."""
    found = (run.folder.read_pairs() for run in result.runs)
    return next((pairs for pairs in found if pairs is not None), None)


def count_pairs(pairs: pd.DataFrame) -> dict[str, int]:
    """How many pairs there were, and how many the threshold `kept` and `dropped`."""
    kept = int(pairs["kept"].sum())
    return {"pairs": len(pairs), "kept": kept, "dropped": len(pairs) - kept}


def read_thresholds(results: Sequence[Result]) -> pd.DataFrame:
    """The threshold of every result that was pretrained on pairs, what it kept and what it scored.

    Returns:
        One row per result: `study` (equal where results differ in their threshold only), `estimator` (see
        `read_estimator`), `least_intensity`, `pairs`, `kept`, `dropped`, and UF1 and UAR on Full with the
        ends of their intervals.
    """
    rows = []
    for result in results:
        pairs = read_pairs(result)
        if pairs is None:
            continue
        scores = result.score()
        row: dict[str, object] = {
            **result.identity,
            "study": hash_without(result, ["least_intensity"]),
            "estimator": read_estimator(result),
            "least_intensity": read_threshold(result),
            **count_pairs(pairs),
        }
        for metric in ("uf1", "uar"):
            score = scores[metric]
            row |= {metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high}
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else _COLUMNS)


_COLUMNS = [
    *(*IDENTITY, "study", "estimator", "least_intensity", "pairs", "kept", "dropped"),
    *("uf1", "uf1_low", "uf1_high", "uar", "uar_low", "uar_high"),
]


def read_threshold(result: Result) -> float:
    """The least intensity of a pair that is kept, in units of the estimator."""
    return float(read_settings(result)["least_intensity"])


def read_estimator(result: Result) -> str:
    """What measured the intensity: `motion` or `blendshapes`."""
    return str(read_settings(result)["datamodule"]["features"]["pool"]["intensity"])
