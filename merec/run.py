"""Run of one config, from training to scored predictions."""

import logging
import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from merec.config import build, build_task
from merec.errors import quote_error
from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import read_run
from merec.provenance import describe_environment
from merec.run_folder import RunFolder
from merec.run_folder.resolved_config import check_config
from merec.run_folder.resume import (
    assert_resumable,
    assert_same_code,
    assert_same_data,
    record_environment,
)
from merec.targets import open_target
from merec.targets.absent_classes import (
    describe_absent_classes,
)
from merec.tasks.process_setup import keep_freed_memory, quiet_lightning
from merec.tasks.task import Task
from merec.tracebacks import format_traceback, tracebacks
from merec.tracking.wandb_logging import (
    find_network_fault,
    finish_tracking,
    hide_paths,
    keep_wandb_files,
    track_result,
)
from merec.types import InputError

log = logging.getLogger(__name__)


def run(cfg: DictConfig, folder: RunFolder, command: Sequence[str]) -> Result | None:
    """Train the missing folds in `folder`, then pool, score and log the run.

    Args:
        cfg: Composed and checked config.
        folder: Run folder; an interrupted run in it is completed.
        command: The command line, for the record.

    Returns:
        The scored predictions; `None` if not every subject was held out, e.g. for a range of folds.

    Raises:
        InputError: If the folder contains a run of another config, or a setting is invalid.
    """
    quiet_lightning()
    keep_freed_memory()
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    try:
        check_config(config)  # what could not be read back is refused before it is trained
    except ValueError as error:
        raise InputError(f"the config cannot be kept: {error}; give another value") from error
    # Everything that can be refused is refused before the first file is written.
    assert_resumable(folder, config)
    task: Task = build_task(cfg.task)
    if not task.is_main_process:
        task.run(folder.path, None)
        return None
    data = [task.datamodule, *([task.pretraining] if task.pretraining else [])]
    environment = describe_environment(config, data, command, task.protocol)
    assert_same_code(folder, environment, cfg.resume)
    assert_same_data(folder, environment)
    _warn_of_absent_classes(task)

    if not folder.is_whole:  # a whole run keeps the record of what made it
        folder.write_config(config)
        record_environment(folder, environment)
        if task.datamodule.shifts is not None:
            folder.write_shifts(task.datamodule.shifts)
    try:
        with keep_wandb_files(folder.path):
            return _train(cfg, config, folder, task)
    except (InputError, OSError) as error:
        if folder.config.exists():
            raise
        raise InputError(
            f"{folder} was deleted or moved while its folds were trained; leave it where it is and give the "
            "command again"
        ) from error


def _train(cfg: DictConfig, config: dict[str, Any], folder: RunFolder, task: Task) -> Result | None:
    """Train the missing folds, then pool, score and log the run."""
    logger = _build_logger(cfg, config, folder) if _has_news(cfg, folder) else None
    try:
        started = time.perf_counter()
        task.run(folder.path, logger)
        log.info("trained in %.1f s; %s", time.perf_counter() - started, folder.path)
        result = _pool(folder)
        if result and logger:
            folder.write_tracked(track_result(logger, result, folder.path))
        return result
    finally:
        if logger is not None:
            finish_tracking(logger, succeeded=sys.exc_info()[0] is None)


def _warn_of_absent_classes(task: Task) -> None:
    """Warn before training of classes that lack samples, in all folds or in some."""
    data, corpus = task.datamodule, task.corpus
    protocol, label = corpus.protocol, corpus.index["label"].to_numpy()
    target = open_target(protocol)
    absent = describe_absent_classes(target.find_absent(label), protocol.classes)
    if absent:
        log.warning(
            "%s: %s; choose corpus.classes without it to score the others", protocol.name, absent
        )
    training = {fold.held_out: data.drop_still(fold.train) for fold in task.chosen}
    untrained = target.describe_untrained(corpus.index, training, task.min_subjects)
    if untrained:
        log.warning("%s: %s", protocol.name, untrained)


def _pool(folder: RunFolder) -> Result | None:
    """Write the pooled predictions and their scores, if every subject was held out."""
    if not folder.folds.exists():
        log.info("nobody was predicted; the weights are in %s", folder.checkpoint)
        return None
    run_ = read_run(folder.path)
    folder.write_predictions(run_.predictions)
    held_out = run_.predictions["subject"].nunique()
    if held_out < run_.protocol.subjects:
        log.info(
            "%d of %d subjects held out; `merec report` scores them once all folders are given",
            held_out,
            run_.protocol.subjects,
        )
        return None
    if folder.is_whole:
        return pool_runs([run_])[0]
    notes = [fold.read_notes() for fold in folder.list_finished() if fold.notes.exists()]
    environment = run_.environment | {"seconds": round(sum(note["seconds"] for note in notes), 1)}
    for name in ("parameters", "tried"):  # of the network; how many candidates a fold chose among
        values = [note[name] for note in notes if name in note]
        environment |= {name: max(values)} if values else {}
    folder.write_environment(environment)
    result = pool_runs([replace(run_, environment=environment)])[0]
    folder.write_scores(collect_scores(result))
    return result


def collect_scores(result: Result) -> dict[str, Any]:
    """Collect UF1, UAR and accuracy with intervals, per data set and class, and the optimism meter.

    For action units: the F1 of each unit, and the optimism meter. `None` is written for NaN ends of
    intervals.
    """
    columns = {
        "protocol": result.protocol.to_dict(),
        "seeds": result.seeds,
        "transductive": result.transductive,
    }
    optimism = [vars(reading) for reading in result.read_optimism()]
    if result.target.multilabel:
        units = result.score_units().to_dict("records")
        units = [{key: _or_none(value) for key, value in row.items()} for row in units]
        return columns | {"action_units": units, "optimism": optimism}
    scores = {
        subset: {
            name: {key: _or_none(value) for key, value in vars(score).items()}
            for name, score in result.score(subset).items()
        }
        for subset in result.subsets
    }
    return columns | {
        "absent_classes": {subset: result.find_absent_classes(subset) for subset in result.subsets},
        "scores": scores,
        "classes": result.score_classes(),
        "optimism": optimism,
    }


def _or_none(value: Any) -> Any:
    """Convert NaN to `None`, since JSON has no NaN."""
    return None if value != value else value


def _has_news(cfg: DictConfig, folder: RunFolder) -> bool:
    """Return whether to use the logger; a complete run is not logged again."""
    if not cfg.logger:
        return False
    tracked = folder.read_tracked()
    return tracked is None or tracked.logger != cfg.logger["_target_"].rpartition(".")[2]


def _build_logger(cfg: DictConfig, config: dict[str, Any], folder: RunFolder) -> Logger:
    """Build the logger of the config; a resumed W&B run keeps its id."""
    if not cfg.logger["_target_"].endswith("WandbLogger"):
        return build(cfg.logger)
    # Before wandb's first word; merec says itself where the run lies.
    os.environ.setdefault("WANDB_SILENT", "true")
    # wandb would tell its maker of each run's start and errors, of an offline run's too.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    identity = folder.read_wandb_id() or secrets.token_hex(4)
    folder.write_wandb_id(identity)
    settings = {key: value for key, value in config.items() if key != "logger"}
    offline = {}
    if cfg.logger.get("mode") == "online" and (reason := find_network_fault()):
        log.warning("%s; this run is kept on this machine, trained as it is", reason)
        offline = {"mode": "offline"}
    try:
        logger = build(cfg.logger, id=identity, **offline)
        # Lightning passes it in any case, whereupon wandb warns that it is of no use.
        getattr(logger, "_wandb_init", {}).pop("anonymous", None)
        logger.experiment.config.update(hide_paths(settings), allow_val_change=True)
    except Exception as error:  # wandb has many ways to say that there is no account or no network
        tracebacks.error("W&B:\n%s", format_traceback(error))
        reason = quote_error(error)
        raise InputError(
            f"W&B does not start ({reason}); run `wandb login`, or set logger.mode=offline"
        ) from error
    return logger
