"""What a run was made of, and whether a folder may go on with it."""

import hashlib
import json
import logging
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from merec.datamodules import ClipDataModule
from merec.evaluation.runs import list_sessions
from merec.files import write_json
from merec.settings import comparable, configuration_hash, flatten
from merec.types import InputError, Protocol

log = logging.getLogger(__name__)

PACKAGES = ("torch", "pytorch-lightning", "numpy", "pandas", "scikit-learn", "hydra-core", "wandb")


def assert_resumable(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a folder in which a run of another config was begun.

    Raises:
        InputError: Naming the folder and what differs.
    """
    file = folder / "config.yaml"
    if not file.exists() or not _has_results(folder):
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
            f"{folder} holds a run of another config ({'; '.join(changed[:3])}{more}); {_ELSEWHERE}"
        )


def assert_same_data(folder: Path, environment: dict[str, Any]) -> None:
    """Refuse to go on with a run that was begun on other samples, features or starting weights.

    Raises:
        InputError: Naming both.
    """
    file = folder / "environment.json"
    if not _has_results(folder) or not file.exists():
        return
    before = json.loads(file.read_text())
    old, new = (Protocol.from_dict(e["protocol"]) for e in (before, environment))
    if old != new:
        raise InputError(
            f"{folder} was begun on {old.name} ({old.samples} samples, {old.hash}), but the "
            f"corpus now is {new.name} ({new.samples} samples, {new.hash}); {_ELSEWHERE}"
        )
    if before.get("content", environment["content"]) != environment["content"]:
        raise InputError(
            f"{folder} was begun on the same samples with other features or starting weights "
            f"({before['content']}, now {environment['content']}); {_ELSEWHERE}"
        )


_ELSEWHERE = "set hydra.run.dir (with -m: hydra.sweep.dir) to another folder, or delete this one"


def _has_results(folder: Path) -> bool:
    """Whether anything was trained there that must not be mixed with something else."""
    return any(folder.glob("folds/*/predictions.csv")) or (folder / "checkpoint.ckpt").exists()


def describe_environment(
    config: dict[str, Any],
    data: Sequence[ClipDataModule],
    command: Sequence[str],
    protocol: Protocol,
) -> dict[str, Any]:
    """Name, hashes, protocol, command, commit, versions and machine of a run.

    Args:
        config: The resolved config.
        data: The samples, then those that are pretrained on, if any.
        command: The command line.
        protocol: Of what is predicted.
    """
    return {
        "name": config["name"],
        "configuration": configuration_hash(config),
        "content": _hash_content(data, config["task"].get("weights")),
        "protocol": protocol.to_dict(),
        "command": shlex.join(command),
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


_DECIDES = ("commit", "versions", "machine")


def write_environment(folder: Path, environment: dict[str, Any]) -> None:
    """Write `environment.json`; of a run that goes on, keep what it was begun with and add what is new."""
    file = folder / "environment.json"
    if file.exists() and _has_results(folder):
        before = json.loads(file.read_text())
        now = {key: environment[key] for key in _DECIDES}
        if now not in ({key: e.get(key) for key in _DECIDES} for e in list_sessions(before)):
            log.warning("%s was begun by other code, libraries or on another machine", folder)
            before["resumed"] = [*before.get("resumed", []), now]
        environment = before
    write_json(file, environment)


def _hash_content(data: Sequence[ClipDataModule], weights: str | None) -> str:
    """A hash of what the ids of a protocol do not show: features, and weights that are started from."""
    digest = hashlib.sha256()
    for samples in data:
        digest.update(",".join(samples.corpus.channels).encode())
        for array in samples.arrays:
            for (
                row
            ) in samples.sample_id.argsort():  # one by one, for all of them may take gigabytes
                digest.update(np.ascontiguousarray(array[row]).data)
    if weights and Path(weights).is_file():
        digest.update(Path(weights).read_bytes())
    return digest.hexdigest()[:16]


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
