"""Logging of a finished run to W&B or CSV."""

import logging
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pytorch_lightning.loggers import Logger, WandbLogger

from merec.evaluation.contrastive_accuracy import read_monitor
from merec.evaluation.results import Result
from merec.run_folder import RunFolder
from merec.run_folder.identity import flatten
from merec.run_folder.logged_keys import Keys, Tracked
from merec.studies.action_unit_scores import draw_units
from merec.studies.best_epoch_on_test import draw_optimism, read_optimism
from merec.studies.calibration import score_calibration
from merec.studies.confusion_matrices import plot_confusion
from merec.studies.data_sets import draw_bars
from merec.studies.intensity_threshold import count_pairs, draw_intensities, read_pairs
from merec.studies.learning_curves import draw_learning_curves, read_curves
from merec.studies.region_importance import draw_adjacency, draw_importance, read_explanation
from merec.studies.scores import score_results
from merec.studies.subjects import score_subjects

log = logging.getLogger(__name__)

MOST_POINTS = 200  # of a learning curve; more would drown the page


def flatten_scores(result: Result) -> dict[str, float]:
    """Return one flat row: scores with intervals (Full, data sets, classes), calibration, optimism, cost.

    For action units: the F1 of each unit instead of scores by data set and class, and no calibration.
    """
    units = result.target.multilabel
    flat = _flatten_units(result) if units else _flatten_emotions(result)
    for name in ("seconds", "parameters"):
        values = [run.environment[name] for run in result.runs if name in run.environment]
        if values:
            flat[f"cost/{name}"] = float(np.mean(values))
    readings, metric = read_optimism([result]), result.target.metrics[0]
    if len(readings):
        for name in ("best_epoch", "best_common_epoch", "random_guess"):
            flat[f"optimism/{name}_{metric}"] = float(readings[f"{name}_{metric}"].mean())
        flat[f"optimism/gap_{metric}"] = flat[f"optimism/best_epoch_{metric}"] - flat[metric]
    monitored = read_monitor(result)
    flat |= {f"pretraining/{name}": value for name, value in monitored.items() if value == value}
    pairs = read_pairs(result)
    if pairs is not None:
        flat |= {f"pairs/{name}": float(count) for name, count in count_pairs(pairs).items()}
    return flat


def _flatten_units(result: Result) -> dict[str, float]:
    flat: dict[str, float] = {}
    for row in result.score_units().to_dict("records"):
        prefix = "" if row["unit"] == "mean" else f"{row['unit']}/"
        names = ("f1", "low", "high", "chance", "auc", "auc_low", "auc_high")
        flat |= {f"{prefix}{name}": row[name] for name in names}
    return flat


def _flatten_emotions(result: Result) -> dict[str, float]:
    flat: dict[str, float] = {}
    for subset in result.subsets:
        prefix = "" if subset == "Full" else f"{subset}/"
        for name, score in result.score(subset).items():
            flat |= score.to_columns(f"{prefix}{name}")
    for name, scores in result.score_classes().items():
        flat |= {f"class/{name}_{metric}": scores[metric] for metric in ("f1", "recall")}
    calibration = score_calibration([result]).to_dict("records")[0]
    return flat | {
        f"calibration/{name}": calibration[name] for name in ("ece", "ece_low", "ece_high", "brier")
    }


def track_result(logger: Logger, result: Result, folder: Path) -> Tracked:
    """Log scores, tables, pictures and learning curves of a finished run.

    Learning curves are logged as quantiles over folds.

    Args:
        logger: Logger; W&B gets everything, other loggers only the scores.
        result: Pooled run.
        folder: Run folder, whose tables become a W&B artifact.

    Returns:
        Record of the logged keys.
    """
    flat = flatten_scores(result)
    name = type(logger).__name__
    if not isinstance(logger, WandbLogger):
        logger.log_metrics(flat)
        logger.save()
        return Tracked(name)
    import wandb

    run: Any = logger.experiment
    curves = read_curves(result)
    curve_keys: list[str] = []
    if curves is not None:
        run.define_metric("curves/*", step_metric="curves/epoch")
        for row in curves.iloc[:: -(-len(curves) // MOST_POINTS)].to_dict("records"):
            run.log({f"curves/{key}": value for key, value in row.items()})
        curve_keys = [f"curves/{key}" for key in curves]
    words = describe_run(result)
    tables, pictures = collect_tables(result), draw_pictures(result, curves)
    media: dict[str, Any] = {key: wandb.Table(dataframe=table) for key, table in tables.items()}
    media |= {key: wandb.Image(picture) for key, picture in pictures.items()}
    run.log(flat | media)  # numbers too: W&B's bar charts offer only what has a history
    run.summary.update(flat | words)
    artifact = wandb.Artifact(f"predictions-{run.id}", type="predictions")
    files = RunFolder(folder)
    for file in (files.predictions, files.metrics):  # the others name folders of this machine
        artifact.add_file(str(file))
    run.log_artifact(artifact)
    if run.disabled:
        return Tracked(name)
    keys = Keys(
        config=sorted(flatten(dict(run.config))),  # wandb keeps no order
        scores=[*flat, *words],
        curves=curve_keys,
        tables=list(tables),
        pictures=list(pictures),
    )
    local = os.path.relpath(Path(run.dir).parent, folder) if run.offline else None
    return Tracked(name, run.project, run.entity or None, run.group, local, keys)


def describe_run(result: Result) -> dict[str, Any]:
    """Describe a run as text: protocol, code, and whether pretraining saw held-out subjects."""
    protocol = result.protocol
    return {
        "protocol": protocol.name,
        "protocol_hash": protocol.hash,
        "split": protocol.split,
        "transductive": result.transductive,
        "commit": result.runs[0].environment.get("commit"),
    }


def collect_tables(result: Result) -> dict[str, pd.DataFrame]:
    """Return tables of predictions, subjects and the cells of the pooled confusion matrix.

    For action units: tables of predictions and of the F1 of each unit.
    """
    if result.target.multilabel:
        return {"action_units": result.score_units(), "predictions": result.predictions}
    names = list(result.protocol.classes)
    pooled = result.confusions()[1].sum((0, 1))
    cells = [
        {"true": true, "predicted": column_name, "samples": int(pooled[row, column])}
        for row, true in enumerate(names)
        for column, column_name in enumerate(names)
    ]
    return {
        "confusion_counts": pd.DataFrame(cells),
        "subjects": score_subjects([result]),
        "predictions": result.predictions,
    }


def draw_pictures(result: Result, curves: pd.DataFrame | None) -> dict[str, Figure]:
    """Return the figures of the report for one run, as far as the data exist."""
    optimism, pictures = read_optimism([result]), {}
    units = result.target.multilabel
    if units:
        pictures["units"] = draw_units({result.name: result.score_units()})
    else:
        pictures["scores"] = draw_bars(score_results([result]))
        pictures["confusion"] = plot_confusion(result)
    if curves is not None:
        pictures["learning_curves"] = draw_learning_curves(curves, result.name)
    if len(optimism):
        pictures["optimism_meter"] = draw_optimism(optimism)
    explanation = None if units else read_explanation(result)
    if explanation is not None:
        pictures["region_importance"] = draw_importance(explanation, result.name)
        strength = explanation.average_adjacency()
        if strength is not None:
            pictures["region_adjacency"] = draw_adjacency(strength, result.name)
    if not units and read_pairs(result) is not None:
        pictures["pair_intensities"] = draw_intensities(result)
    return pictures


@contextmanager
def keep_wandb_files(folder: Path) -> Iterator[None]:
    """Make W&B store its files in the run folder instead of the user's home.

    Files of an offline run are kept for `wandb sync`; files of other runs are deleted. A folder that the user
    set by W&B's variables is not changed.
    """
    place = folder / "wandb"
    ours = {
        "WANDB_DATA_DIR": place / "staged",  # of an artifact, as long as it is not uploaded
        "WANDB_CACHE_DIR": place / "cache",  # and from then on
    }
    ours = {name: path for name, path in ours.items() if name not in os.environ}
    os.environ.update({name: str(path.absolute()) for name, path in ours.items()})
    try:
        yield
    finally:
        for name, path in ours.items():
            os.environ.pop(name, None)
            if path.exists() and (path.name == "cache" or not any(place.glob("offline-run-*"))):
                shutil.rmtree(path, ignore_errors=True)


_PATHS = ("root", "roots", "weights", "save_dir", "default_root_dir")


def hide_paths(config: Any) -> Any:
    """Return a config without the folders of this machine."""
    if isinstance(config, dict):
        return {key: hide_paths(value) for key, value in config.items() if key not in _PATHS}
    if isinstance(config, list):
        return [hide_paths(value) for value in config]
    return config


def find_network_fault(seconds: float = 5.0) -> str:
    """Return the reason why W&B's server cannot be reached; "" if it answers.

    Args:
        seconds: Timeout of the answer, and of the name lookup, s.
    """
    import wandb

    settings = wandb.Settings()
    settings.update_from_system_settings()
    settings.update_from_env_vars(dict(os.environ))
    server = settings.base_url
    faults: list[str] = []

    def ask() -> None:
        try:
            with urlopen(server, timeout=seconds):
                faults.append("")
        except HTTPError:  # an answer
            faults.append("")
        except (OSError, HTTPException, ValueError) as error:
            faults.append(str(getattr(error, "reason", error)) or type(error).__name__)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(2 * seconds)
    fault = faults[0] if faults else f"no answer in {2 * seconds:.0f} s"
    return f"W&B at {server} cannot be reached ({fault})" if fault else ""


def finish_tracking(logger: Logger, succeeded: bool) -> None:
    """Close a logger; otherwise the next job of this process would join the same W&B run."""
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
        log.info(
            "W&B run kept on this machine; upload it by: wandb sync %s", shlex.quote(str(folder))
        )
