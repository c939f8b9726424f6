"""What a finished run tells its logger, so that a dashboard over a sweep can sort and show it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pytorch_lightning.loggers import Logger, WandbLogger

from merec.evaluation.runs import Result


def summarise_flat(result: Result) -> dict[str, float]:
    """UF1, UAR, accuracy with intervals, Full and per data set, and the optimism gap: one flat row."""
    flat: dict[str, float] = {}
    for subset in result.subsets:
        prefix = "" if subset == "Full" else f"{subset}/"
        for name, score in result.score(subset).items():
            flat[f"{prefix}{name}"] = score.value
            flat[f"{prefix}{name}_low"], flat[f"{prefix}{name}_high"] = score.low, score.high
    readings = result.read_optimism()
    if readings:
        flat["optimism/best_epoch_uf1"] = float(np.mean([r.best_epoch[0] for r in readings]))
        flat["optimism/random_guess_uf1"] = float(np.mean([r.random_guess[0] for r in readings]))
        flat["optimism/gap_uf1"] = flat["optimism/best_epoch_uf1"] - flat["uf1"]
    return flat


def fold_curves(result: Result) -> pd.DataFrame:
    """Median and 10 % and 90 % quantiles over folds of loss and accuracy, one row per epoch.

    Folds whose number of epochs was chosen inside run out at different epochs; a row counts those left.
    """
    epochs = [fold for run in result.runs for fold in run.read_epochs().values()]
    longest = max((len(fold.train_loss) for fold in epochs), default=0)
    columns = {"epoch": np.arange(1, longest + 1)}
    for name in ("train_loss", "train_accuracy"):
        values = np.full((len(epochs), longest), np.nan)
        for row, fold in enumerate(epochs):
            values[row, : len(fold.train_loss)] = getattr(fold, name)
        if longest:
            for label, quantile in (("low", 0.1), ("median", 0.5), ("high", 0.9)):
                columns[f"{name}_{label}"] = np.nanquantile(values, quantile, axis=0)
    return pd.DataFrame(columns)


def subject_table(result: Result) -> pd.DataFrame:
    """Samples and accuracy of each held-out subject, averaged over seeds."""
    rows = result.predictions.assign(hit=lambda t: t["label"] == t["predicted"])
    by_subject = rows.groupby(["corpus", "subject"])
    return by_subject.agg(samples=("sample_id", "nunique"), accuracy=("hit", "mean")).reset_index()


def track_result(logger: Logger, result: Result, folder: Path) -> None:
    """Log scores, confusion matrix, subjects, curves and predictions.

    Curves are logged as quantiles over folds, at most 200 points: sixty-eight lines would say less.
    """
    flat = summarise_flat(result)
    if not isinstance(logger, WandbLogger):
        logger.log_metrics(flat)
        logger.save()
        return
    import wandb

    run: Any = logger.experiment
    run.summary.update(flat | {"protocol": result.protocol.name, "protocol_hash": result.protocol.hash})
    curves = fold_curves(result)
    if len(curves):
        run.define_metric("curves/*", step_metric="curves/epoch")
        every = max(1, -(-len(curves) // 200))
        for row in curves.iloc[::every].to_dict("records"):
            run.log({f"curves/{key}": value for key, value in row.items()})
    _, counts = result.confusions()
    names = list(result.protocol.classes)
    from merec.reporting.figures import plot_confusion

    run.log(
        {
            "confusion": wandb.Image(plot_confusion(result)),
            "confusion_table": wandb.Table(
                columns=["true", *names],
                data=[[name, *row] for name, row in zip(names, counts.sum((0, 1)).tolist(), strict=True)],
            ),
            "subjects": wandb.Table(dataframe=subject_table(result)),
            "predictions": wandb.Table(dataframe=result.predictions),
        }
    )
    artifact = wandb.Artifact(f"predictions-{run.id}", type="predictions")
    for name in ("predictions.csv", "metrics.json", "config.yaml", "environment.json"):
        artifact.add_file(str(folder / name))
    run.log_artifact(artifact)
