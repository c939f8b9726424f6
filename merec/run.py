"""One run, from config to scored predictions."""

import json
import logging
import os
import platform
import secrets
import subprocess
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from merec.config import comparable, configuration_hash
from merec.evaluation.predictions import write_predictions
from merec.evaluation.runs import Result, flatten, pool_runs, read_run
from merec.files import write_json, write_text
from merec.reporting.tracking import track_result
from merec.types import InputError, Protocol

log = logging.getLogger(__name__)

PACKAGES = ("torch", "pytorch-lightning", "numpy", "pandas", "scikit-learn", "hydra-core", "wandb")


def run(cfg: DictConfig, folder: Path, command: str) -> Result | None:
    """Train what is missing in `folder`, pool it, score it once and log it.

    Args:
        cfg: The composed and checked config.
        folder: The run folder; what an earlier, interrupted call left there is kept and completed.
        command: The command line, for the record.

    Returns:
        The scored predictions, or `None` if not every subject was held out (a fold range, say).

    Raises:
        InputError: If the folder holds a run of another config, or something the config names is wrong.
    """
    quiet_lightning()
    keep_freed_memory()
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    torch.manual_seed(cfg.seed)
    # Everything that can be refused is refused before the first file is written.
    _assert_resumable(folder, config)
    task = _build(cfg.task)
    corpus = task.datamodule.corpus
    environment = _describe_environment(config, corpus.protocol, command)
    _assert_same_samples(folder, corpus.protocol)

    done_before = (folder / "metrics.json").exists()
    write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    write_json(folder / "environment.json", environment)
    logger: Logger | None = None
    try:
        # A finished run is not logged again: its W&B run is complete.
        if cfg.logger and not done_before:
            logger = _build_logger(cfg, config, folder)
        started = time.perf_counter()
        task.run(folder, logger)
        log.info("trained in %.1f s; %s", time.perf_counter() - started, folder)
        result = _pool(folder)
        if result and logger:
            track_result(logger, result, folder)
        return result
    finally:
        if logger is not None:
            logger.finalize("success" if (folder / "metrics.json").exists() else "failed")
            _finish_wandb()


def _build(node: DictConfig, **extra: Any) -> Any:
    """What a config node describes; an InputError of its constructor comes out as itself."""
    try:
        return instantiate(node, _convert_="all", **extra)
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, InputError):
                raise cause from None
            cause = cause.__cause__
        raise


def _pool(folder: Path) -> Result | None:
    """Write the pooled predictions and their scores, if every subject was held out."""
    if not (folder / "folds").exists():
        log.info("nobody was held out; the weights are in %s", folder / "checkpoint.ckpt")
        return None
    run_ = read_run(folder)
    write_predictions(folder / "predictions.csv", run_.predictions)
    held_out = run_.predictions["subject"].nunique()
    if held_out < run_.protocol.subjects:
        log.info(
            "%d of %d subjects held out; `merec report` scores them once all folders are given",
            held_out,
            run_.protocol.subjects,
        )
        return None
    seconds = [json.loads(file.read_text())["seconds"] for file in folder.glob("folds/*/fold.json")]
    write_json(folder / "environment.json", run_.environment | {"seconds": round(sum(seconds), 1)})
    result = pool_runs([read_run(folder)])[0]
    write_json(folder / "metrics.json", summarise(result))
    return result


def summarise(result: Result) -> dict[str, Any]:
    """UF1, UAR and accuracy with intervals, per data set and class, and the optimism meter."""
    scores = {
        subset: {name: vars(score) for name, score in result.score(subset).items()}
        for subset in result.subsets
    }
    return {
        "protocol": result.protocol.to_dict(),
        "seeds": result.seeds,
        "transductive": result.transductive,
        "scores": scores,
        "classes": result.score_classes(),
        "optimism": [vars(reading) for reading in result.read_optimism()],
    }


def _assert_resumable(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a folder in which a run of another config was begun."""
    file = folder / "config.yaml"
    if not file.exists():
        return
    before = flatten(comparable(yaml.safe_load(file.read_text(encoding="utf-8"))))
    now = flatten(comparable(config))
    changed = [
        f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise InputError(
            f"{folder} holds a run of another config ({'; '.join(changed[:3])}{more}); set hydra.run.dir "
            "to another folder, or delete this one"
        )


def _assert_same_samples(folder: Path, protocol: Protocol) -> None:
    """Refuse to go on with a run that was begun on other samples."""
    file = folder / "environment.json"
    if not file.exists():
        return
    before = Protocol.from_dict(json.loads(file.read_text())["protocol"])
    if before != protocol:
        raise InputError(
            f"{folder} was begun on {before.name} ({before.samples} samples, {before.hash}), but the "
            f"corpus now is {protocol.name} ({protocol.samples} samples, {protocol.hash}); set "
            "hydra.run.dir to another folder"
        )


def _describe_environment(
    config: dict[str, Any], protocol: Protocol, command: str
) -> dict[str, Any]:
    return {
        "name": config["name"],
        "configuration": configuration_hash(config),
        "protocol": protocol.to_dict(),
        "command": command,
        "commit": _read_commit(),
        "transductive": bool(config["task"].get("transductive", False)),
        "versions": {"python": platform.python_version(), "merec": version("merec")}
        | {name: version(name) for name in PACKAGES},
        "machine": {
            "system": platform.system(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def _read_commit() -> str | None:
    """The commit of the checkout that runs, with `+` if it was changed; `None` when installed."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        inside = subprocess.run(
            [*git, "ls-files", "--error-unmatch", __file__], capture_output=True
        )
        if inside.returncode:
            return None
        commit = subprocess.check_output(
            [*git, "rev-parse", "--short=12", "HEAD"], text=True
        ).strip()
        changed = subprocess.check_output(
            [*git, "status", "--porcelain", "--untracked-files=no"], text=True
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changed else "")


def _build_logger(cfg: DictConfig, config: dict[str, Any], folder: Path) -> Logger:
    """The logger of the config; a resumed W&B run goes on under its id."""
    if not cfg.logger["_target_"].endswith("WandbLogger"):
        return _build(cfg.logger)
    file = folder / "wandb_id"
    identity = file.read_text().strip() if file.exists() else secrets.token_hex(4)
    write_text(file, identity + "\n")
    logger = _build(cfg.logger, id=identity)
    shown = {key: value for key, value in config.items() if key != "logger"}
    logger.experiment.config.update(_without_paths(shown), allow_val_change=True)
    return logger


def _without_paths(node: Any) -> Any:
    """A config without the folders of this machine, which are nobody else's business."""
    if isinstance(node, dict):
        return {key: _without_paths(value) for key, value in node.items() if key not in _PATHS}
    return node


_PATHS = ("root", "weights", "save_dir", "default_root_dir")


def _finish_wandb() -> None:
    """End the W&B run, or the next job of this process would log into it."""
    wandb = sys.modules.get("wandb")
    if wandb is None or wandb.run is None:
        return
    folder, offline = Path(wandb.run.dir).parent, wandb.run.settings.mode == "offline"
    wandb.finish()
    if offline:
        log.info("W&B run kept on this machine; `wandb sync %s` would upload it", folder)


def quiet_lightning() -> None:
    """One trainer per fold would greet sixty-eight times."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (".*does not have many workers.*", ".*log_every_n_steps.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message)


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks of some MB instead of returning and faulting them in again.

    Small networks allocate the same few MB in every step; this made STSTNet 1.2 to 1.4 times as fast.
    """
    import ctypes

    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        log.debug("no glibc here; its allocator is left as it is")
