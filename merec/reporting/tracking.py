"""What a finished run tells its logger, so that a dashboard over a sweep can sort by it and show it."""

import logging
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

from merec.evaluation.explanation import read_explanation
from merec.evaluation.results import Result
from merec.evaluation.threshold import count_pairs, read_pairs
from merec.reporting.curves import read_curves
from merec.reporting.figures import draw_confusion, draw_learning_curves
from merec.reporting.regions import draw_adjacency, draw_importance
from merec.reporting.summary import read_optimism, score_subjects
from merec.reporting.threshold import draw_intensities

log = logging.getLogger(__name__)

MOST_POINTS = 200  # of a learning curve; more would drown the page


def flatten_scores(result: Result) -> dict[str, float]:
    """One flat row: scores with intervals, Full and by data set, the optimism gap, and pairs kept."""
    flat: dict[str, float] = {}
    for subset in result.subsets:
        prefix = "" if subset == "Full" else f"{subset}/"
        for name, score in result.score(subset).items():
            flat[f"{prefix}{name}"] = score.value
            flat[f"{prefix}{name}_low"], flat[f"{prefix}{name}_high"] = score.low, score.high
    readings = read_optimism([result])
    if len(readings):
        for name in ("best_epoch_uf1", "best_common_epoch_uf1", "random_guess_uf1"):
            flat[f"optimism/{name}"] = float(readings[name].mean())
        flat["optimism/gap_uf1"] = flat["optimism/best_epoch_uf1"] - flat["uf1"]
    pairs = read_pairs(result)
    if pairs is not None:
        flat |= {f"pairs/{name}": float(count) for name, count in count_pairs(pairs).items()}
    return flat


def track_result(logger: Logger, result: Result, folder: Path) -> None:
    """Log scores, confusion matrix, subjects, learning curves, regions and predictions of a finished run.

    Learning curves are quantiles over folds: sixty-eight lines each would say less.

    Args:
        logger: A W&B logger takes all of it; any other the scores.
        result: The pooled run.
        folder: The run folder, whose tables become a W&B artifact.
    """
    flat = flatten_scores(result)
    if not isinstance(logger, WandbLogger):
        logger.log_metrics(flat)
        logger.save()
        return
    import wandb

    run: Any = logger.experiment
    protocol = result.protocol
    known = {"protocol": protocol.name, "protocol_hash": protocol.hash, "split": protocol.split}
    run.summary.update(flat | known | {"transductive": result.transductive})
    shown: dict[str, Any] = {}
    curves = read_curves(result)
    if curves is not None:
        run.define_metric("curves/*", step_metric="curves/epoch")
        for row in curves.iloc[:: -(-len(curves) // MOST_POINTS)].to_dict("records"):
            run.log({f"curves/{key}": value for key, value in row.items()})
        shown["learning_curves"] = wandb.Image(draw_learning_curves(curves, result.name))
    counts = result.confusions()[1].sum(1)
    names = list(protocol.classes)
    pooled = counts.sum(0).tolist()
    shown["confusion"] = wandb.Image(draw_confusion({"Full": counts}, names, result.name))
    shown["confusion_counts"] = wandb.Table(
        columns=["true", *names],
        data=[[name, *row] for name, row in zip(names, pooled, strict=True)],
    )
    explanation = read_explanation(result)
    if explanation is not None:
        shown["region_importance"] = wandb.Image(draw_importance(explanation, result.name))
        strength = explanation.average_adjacency()
        if strength is not None:
            shown["region_adjacency"] = wandb.Image(draw_adjacency(strength, result.name))
    if "pairs/kept" in flat:
        shown["pair_intensities"] = wandb.Image(draw_intensities(result))
    shown["subjects"] = wandb.Table(dataframe=score_subjects([result]))
    shown["predictions"] = wandb.Table(dataframe=result.predictions)
    run.log(shown)
    artifact = wandb.Artifact(f"predictions-{run.id}", type="predictions")
    for name in ("predictions.csv", "metrics.json"):  # the others name folders of this machine
        artifact.add_file(str(folder / name))
    run.log_artifact(artifact)


_PATHS = ("root", "roots", "weights", "save_dir", "default_root_dir")


def hide_paths(config: Any) -> Any:
    """A config without the folders of this machine, which are nobody else's business."""
    if isinstance(config, dict):
        return {key: hide_paths(value) for key, value in config.items() if key not in _PATHS}
    if isinstance(config, list):
        return [hide_paths(value) for value in config]
    return config


def finish_tracking(logger: Logger, succeeded: bool) -> None:
    """Close a logger; a W&B run that stayed open would take in the next job of this process."""
    logger.finalize("success" if succeeded else "failed")
    if not isinstance(logger, WandbLogger):
        return
    import wandb

    if wandb.run is None:
        return
    folder, address = Path(wandb.run.dir).parent, wandb.run.url
    wandb.finish(exit_code=0 if succeeded else 1)
    if address:
        log.info("W&B run: %s", address)
    else:
        log.info("W&B run kept on this machine; `wandb sync %s` would upload it", folder)
