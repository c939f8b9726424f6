"""What training looked like epoch by epoch, over all folds and seeds of a result."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from merec.evaluation.results import Result

BAND = (10, 50, 90)  # percentiles over folds: the median and the band around it


def read_curves(result: Result) -> pd.DataFrame | None:
    """Read the learning curves of a result; `None` where no epochs were recorded.

    Folds that stopped earlier than others (epochs chosen by inner subjects) count while they ran.

    Returns:
        One row per `epoch` from 1: `train_loss_10`, `_50` and `_90` percent quantiles over folds
        and seeds, the same of `train_accuracy`, and `held_out_accuracy`, pooled over the folds'
        held-out samples and averaged over seeds. Of action units, accuracy is the share that is told
        rightly, there or not.
    """
    losses, accuracies, hits_of_seeds = [], [], []
    for seed in result.seeds:
        hits = []
        for run in result.runs:
            if seed not in run.predictions["seed"].to_numpy():
                continue
            for fold in run.read_epochs().values():
                losses.append(fold.train_loss)
                accuracies.append(fold.train_accuracy)
                right = fold.predicted == result.read_truth(fold.sample_id)[:, None]
                hits.extend(right.reshape(*right.shape[:2], -1).mean(2))
        if hits:
            hits_of_seeds.append(hits)
    if not losses:
        return None
    longest = max(map(len, losses))
    columns: dict[str, np.ndarray] = {"epoch": np.arange(1, longest + 1)}
    for name, lines in (("train_loss", losses), ("train_accuracy", accuracies)):
        quantiles = np.nanpercentile(_stack(lines, longest), BAND, axis=0)
        columns |= {f"{name}_{p}": line for p, line in zip(BAND, quantiles, strict=True)}
    pooled = [np.nanmean(_stack(hits, longest), axis=0) for hits in hits_of_seeds]
    columns["held_out_accuracy"] = np.mean(pooled, axis=0)
    return pd.DataFrame(columns)


def _stack(lines: list[np.ndarray], length: int) -> Float[np.ndarray, "lines epochs"]:
    """Lines of unlike length as one array, NaN where a line has ended."""
    stacked = np.full((len(lines), length), np.nan)
    for row, line in zip(stacked, lines, strict=True):
        row[: len(line)] = line
    return stacked
